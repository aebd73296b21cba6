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
from fastdbn.support.stored import AT_ONCE
from fastdbn.tables.arrow import PARQUET
from fastdbn.tables.hdf5 import HDF5

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
    path = Path(X)
    files = sorted(file for file in path.iterdir() if file.suffix in KINDS) if path.is_dir() else [path]
    kinds = {file.suffix for file in files}
    if len(kinds) != 1 or not kinds <= set(KINDS):
        found = ", ".join(sorted(kinds)) or "no files"
        raise ValueError(f"X={str(X)!r} has {found}: give a file, or a folder of files, of one of {', '.join(KINDS)}")
    if files == [path] and path.suffix == ".npy":
        return np.load(path, mmap_mode="r")
    return functools.partial(_blocks, files)


def _blocks(files):
    read = {**dict.fromkeys(HDF5, _hdf5), **dict.fromkeys(PARQUET, _parquet), **dict.fromkeys(CSV, _csv), ".npy": _npy}
    for file in files:
        try:
            yield from read[file.suffix](file)
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
    return _slices(np.load(path, mmap_mode="r"))


def _hdf5(path):
    import h5py

    with h5py.File(path, "r") as file:
        found = [key for key in file if isinstance(file[key], h5py.Dataset) and file[key].ndim == 2]
        key = "X" if "X" in found else found[0] if len(found) == 1 else None
        if key is None:
            raise ValueError(f"it holds {len(found)} arrays of rows and columns: name one of them X, or give the dataset of h5py")
        yield from _slices(file[key])


def _parquet(path):
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_rows(file.metadata.num_columns)):
            yield as_rows(np.column_stack([column.to_numpy(zero_copy_only=False) for column in batch.columns]))


def _csv(path):
    with open(path, encoding="utf-8-sig") as lines:
        first = next(lines, "")
        mark = "\t" if path.suffix == ".tsv" else max(",;|\t", key=first.count)
        cells = first.split(mark)
        named = any(_is_word(cell) for cell in cells)
        lines = lines if named else itertools.chain([first], lines)
        while block := list(itertools.islice(lines, _rows(len(cells)))):
            yield np.loadtxt(block, delimiter=mark, ndmin=2, comments=None)


def _is_word(cell):
    try:
        float(cell)
    except ValueError:
        return True
    return False
