"""Parquet and Arrow (Feather) files, by pyarrow."""

from fastdbn.tables.frames import as_table, index_columns
from fastdbn.tables.packed import check_unpacked
from fastdbn.tables.table import listed

PARQUET, FEATHER = (".parquet", ".pq"), (".feather", ".arrow", ".ipc")


def read_arrow(path):
    """(Table, what was found) of a Parquet, Feather or Arrow file.

    Raises
    ------
    ValueError
        if it is none, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError:
        raise ValueError(
            f"{path}: {path.suffix} files need pyarrow: pip install 'fastdbn[data]', or save the table as CSV"
        ) from None
    try:
        if path.suffix in PARQUET:
            with parquet.ParquetFile(path) as file:
                check_unpacked(path, 8 * file.metadata.num_rows * file.metadata.num_columns)
                found = file.read()
        else:
            found = feather.read_table(path)
        table, index = as_table(found), index_columns(found.schema)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a {path.suffix} file, or is damaged: {str(error).splitlines()[0]}") from None
    return table, f"{table.size}, beside the index of a data frame ({listed(index)})" if index else table.size
