"""Tables in memory: data frames of pandas, polars and Arrow, arrays and lists."""

import importlib

import numpy as np

from fastdbn.support import checks
from fastdbn.tables import cells
from fastdbn.tables.table import Table


def as_table(X):
    """A `Table` of a data frame, or of a 2-D array or list of rows, as a CSV file of it would be read: text that spells a number
    is a number; dates, and true or false, are text.

    Raises
    ------
    ValueError
        for what has no rows and columns.
    """
    if isinstance(X, Table):
        return X
    kind = type(X).__module__.partition(".")[0]
    if kind == "pandas" and hasattr(X, "columns"):
        return _of_columns([str(name) for name in X.columns], [_pandas_column(X.iloc[:, j]) for j in range(X.shape[1])], len(X))
    if kind == "polars" and hasattr(X, "get_columns"):
        columns = [x.to_numpy() if x.dtype.is_numeric() else x.to_list() for x in X.get_columns()]
        return _of_columns(list(X.columns), columns, X.height)
    if kind == "pyarrow" and hasattr(X, "column_names"):
        kept = [j for j, name in enumerate(X.column_names) if name not in index_columns(X.schema)]
        return _of_columns([X.column_names[j] for j in kept], [_arrow_column(X.column(j)) for j in kept], X.num_rows)
    if isinstance(X, dict):
        raise ValueError("X is a dict, which has no rows: make a data frame of it, such as pandas.DataFrame(X)")
    array = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    if array.ndim != 2:
        raise ValueError(
            f"X has {array.ndim} dimensions: a table has 2, rows and columns; make a frame of one column by X.to_frame()"
        )
    if array.dtype.kind in "biuf":
        return Table(array)
    return _of_columns(None, list(array.T), len(array))


def _pandas_column(column):
    if column.dtype.kind in "iuf":
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.astype(object).to_list()


def index_columns(schema):
    """The names of the columns of an Arrow schema that hold the index of a pandas frame, which pandas reads back as no column."""
    return [name for name in (schema.pandas_metadata or {}).get("index_columns", ()) if name in schema.names]


def _arrow_column(column):
    import pyarrow as pa

    real = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return column.to_numpy() if real else column.to_pylist()


def _of_columns(names, columns, n):
    """The table of columns, each an array of numbers or a list of any values."""
    if names is not None and len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the column {twice!r} is there twice: give each a name of its own")
    numbers, text = np.full((n, len(columns)), np.nan), {}
    for j, column in enumerate(columns):
        if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
            numbers[:, j] = column
            continue
        spelt = list(map(_cell, column))
        numbers[:, j] = found = cells.numbers(spelt)
        if np.isnan(numbers[:, j]).any():
            text[j] = [cell if x != x else None for cell, x in zip(spelt, found, strict=True)]
    return Table(numbers, names, text)


def _cell(value):
    """A value as text, as a CSV file has it: empty where it is missing."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return "" if checks.is_missing(value) else str(value)


def frame_kind(X):
    """The package whose data frame X is, "pandas" or "polars"; None for others."""
    kind = type(X).__module__.partition(".")[0]
    return kind if kind in ("pandas", "polars") else None


def as_frame(table, kind=None):
    """A data frame of a table, of "polars" or, by default, of pandas, with whole numbers as integers.

    The table itself where the package is not installed.
    """
    try:
        package = importlib.import_module(kind or "pandas")
    except ImportError:
        return table
    columns = {}
    for j in range(table.width):
        if j not in table.text:
            column = table.numbers[:, j]
            if (np.abs(column) < 2**53).all() and (column == np.round(column)).all():
                column = column.astype(np.int64)
        elif set(table.text[j]) <= {"True", "False", ""}:
            column = np.array([cell == "True" if cell else None for cell in table.text[j]])
        else:
            column = np.array([cell or None for cell in table.text[j]], object)
        columns[table.names[j] if table.names else j] = column
    if kind != "polars":
        return package.DataFrame(columns)
    return package.DataFrame({str(name): x.tolist() if x.dtype == object else x for name, x in columns.items()}, nan_to_null=True)
