"""Files of numbers and folders of them, read block by block: those that may be larger than memory.

.npy              a memory map
.h5 .hdf5 .he5    the only array of rows, or the one named X
.parquet .pq      all columns, some rows at a time
.csv .tsv         all columns; line 1 may name them
a folder          its files of one of these kinds, one after another in the order of their names
"""

import functools
import itertools
import os
from pathlib import Path

import numpy as np

from fastdbn.inputs.blocks import as_rows
from fastdbn.support.stored import AT_ONCE, store
from fastdbn.tables.arrow import PARQUET
from fastdbn.tables.hdf5 import HDF5
from fastdbn.tables.table import ONE_COLUMN, Table, position

CSV = ".csv", ".tsv"
KINDS = (".npy", *HDF5, *PARQUET, *CSV)


def opened(X):
    """X itself, or what a path names: a memory map, or a function that returns an iterator of blocks.

    Raises
    ------
    ValueError
        if the path names nothing that is read block by block.
    OSError
        if it cannot be read.
    """
    if not isinstance(X, (str, os.PathLike)):
        return X
    files = files_of(X)
    if files == [Path(X)] and files[0].suffix == ".npy":
        return np.load(X, mmap_mode="r")
    return functools.partial(_blocks, files)


def files_of(path):
    """The files of numbers that a path names: itself, or those of a folder."""
    folder = Path(path)
    files = sorted(file for file in folder.iterdir() if file.suffix in KINDS) if folder.is_dir() else [folder]
    kinds = {file.suffix for file in files}
    if len(kinds) != 1 or not kinds <= set(KINDS):
        found = ", ".join(sorted(kinds)) or "no files"
        raise ValueError(f"X={str(path)!r} has {found}: give a file, or a folder of files, of one of {', '.join(KINDS)}")
    return files


def read_blocks(path, target=None):
    """(Table, position of the target or None, what was found): rows in a temporary file, and their target in memory.

    Parameters
    ----------
    path : path
        Of a file or a folder.
    target : str or None
        Name or position of a column that is no feature.
    """
    files, values = files_of(path), []
    pairs = _named(files)
    names, first = next(pairs, (None, np.empty((0, 1))))
    place = None if target is None else position(names, first.shape[1], target)
    if place is not None and first.shape[1] == 1:
        raise ValueError(f"{path}: {ONE_COLUMN}. Training needs features beside the target")

    def features():
        for _, block in itertools.chain([(names, first)], pairs):
            if place is not None:
                values.append(block[:, place].copy())
            yield block if place is None else np.delete(block, place, axis=1)

    rows = store(features())
    names = None if names is None else [name for j, name in enumerate(names) if j != place]
    table = Table(rows, names, target=None if place is None else np.concatenate(values))
    return table, place, f"{table.size}, read block by block from {len(files)} file{'s' * (len(files) != 1)}"


def holds_rows(path):
    """Whether a path is a folder of files of numbers."""
    return Path(path).is_dir() and any(file.suffix in KINDS for file in Path(path).iterdir())


def _blocks(files):
    return (block for _, block in _named(files))


def _named(files):
    """(names or None, a block) of some files, whose columns have the same names in the same order, where they have names."""
    first = None
    read = {**dict.fromkeys(HDF5, _hdf5), **dict.fromkeys(PARQUET, _parquet), **dict.fromkeys(CSV, _csv), ".npy": _npy}
    for file in files:
        try:
            names, blocks = read[file.suffix](file)
            first = first or names
            if names != first:
                other = next((a, b) for a, b in zip(first, names, strict=False) if a != b) if len(names) == len(first) else None
                at = (
                    f"a column {other[1]!r} where {files[0]} has {other[0]!r}"
                    if other
                    else f"{len(names)} columns, not {len(first)}"
                )
                raise ValueError(f"it has {at}: give the files the same columns in the same order")
            for block in blocks:
                yield names, block
        except ImportError as error:
            raise ValueError(f"{file} needs {error.name}: pip install 'fastdbn[data]'") from None
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None


def _slices(rows):
    for start in range(0, len(rows), size := _rows(rows.shape[1])):
        yield as_rows(rows[start : start + size])


def _rows(width):
    """Rows of some width that are read at a time."""
    return max(1, AT_ONCE // (8 * max(width, 1)))


def _npy(path):
    return None, _slices(np.load(path, mmap_mode="r"))


def _hdf5(path):
    import h5py

    return None, _of_hdf5(h5py.File(path, "r"))


def _of_hdf5(file):
    import h5py

    with file:
        found = [key for key in file if isinstance(file[key], h5py.Dataset) and file[key].ndim == 2]
        key = "X" if "X" in found else found[0] if len(found) == 1 else None
        if key is None:
            raise ValueError(f"it holds {len(found)} arrays of rows and columns: name one of them X, or give the dataset of h5py")
        yield from _slices(file[key])


def _parquet(path):
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    return file.schema_arrow.names, _of_parquet(file)


def _of_parquet(file):
    with file:
        for batch in file.iter_batches(_rows(file.metadata.num_columns)):
            yield as_rows(np.column_stack([column.to_numpy(zero_copy_only=False) for column in batch.columns]))


def _csv(path):
    with open(path, encoding="utf-8-sig") as lines:
        first = next(lines, "")
    mark = "\t" if path.suffix == ".tsv" else max(",;|\t", key=first.count)
    cells = [cell.strip().strip('"') for cell in first.split(mark)]
    named = any(map(_is_word, cells))
    return cells if named else None, _of_csv(path, mark, named, _rows(len(cells)))


def _of_csv(path, mark, named, rows):
    with open(path, encoding="utf-8-sig") as lines:
        filled = filter(str.strip, itertools.islice(lines, int(named), None))
        while block := list(itertools.islice(filled, rows)):
            yield np.loadtxt(block, delimiter=mark, ndmin=2, comments=None)


def _is_word(cell):
    try:
        float(cell)
    except ValueError:
        return True
    return False
