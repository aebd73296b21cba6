"""Files of numbers and folders of them, read block by block: those that may be larger than memory.

.npy              a memory map
.h5 .hdf5 .he5    the only array of rows, or the one named X
.parquet .pq      all columns but pandas' index, some rows at a time
.csv .tsv         all columns; line 1 may name them
a folder          its files of one of these kinds, one after another in the order of their names
"""

import functools
import itertools
import os
import re
from pathlib import Path

import numpy as np

from fastdbn.inputs.blocks import Named, Numbers, rows_at_once, slices
from fastdbn.support.stored import store
from fastdbn.tables.arrays import npy
from fastdbn.tables.arrow import PARQUET
from fastdbn.tables.csvfile import csv_blocks
from fastdbn.tables.frames import index_columns
from fastdbn.tables.hdf5 import HDF5, inside, open_hdf5
from fastdbn.tables.table import ONE_COLUMN, Table, position

CSV = ".csv", ".tsv"
KINDS = (".npy", *HDF5, *PARQUET, *CSV)
IMAGES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".webp"))
"""Endings of images, whose folders are no folders of numbers."""


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
    return npy(files[0]) if files == [Path(X)] and files[0].suffix == ".npy" else functools.partial(_blocks, files)


def files_of(path):
    """The files of numbers that a path names: itself, or those of a folder."""
    path = Path(path)
    files = sorted(filter(_is_data, path.iterdir()), key=_in_order) if path.is_dir() else [path]
    kinds = {file.suffix for file in files}
    if len(kinds) != 1 or not kinds <= set(KINDS):
        found = ", ".join(sorted(kinds)) or "no files"
        raise ValueError(f"X={str(path)!r} has {found}: give a file, or a folder of files, of one of {', '.join(KINDS)}")
    if not path.exists():
        raise FileNotFoundError(f"no data file at {path}: give the path of a file, or of a folder of files")
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
    numbers = Numbers(_blocks(files))
    blocks = iter(numbers)
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"{path} has no rows")
    place = None if target is None else position(numbers.names, first.shape[1], target)
    if place is not None and first.shape[1] == 1:
        raise ValueError(f"{path}: {ONE_COLUMN}. Training needs features beside the target")

    def features():
        for block in itertools.chain([first], blocks):
            if place is not None:
                values.append(block[:, place].copy())
            yield block if place is None else np.delete(block, place, axis=1)

    rows = store(features())
    names = None if numbers.names is None else [name for j, name in enumerate(numbers.names) if j != place]
    table = Table(rows, names, target=None if place is None else np.concatenate(values))
    return table, place, f"{table.size}, read block by block from {len(files)} file{'s' * (len(files) != 1)}"


def holds_rows(path):
    """Whether a path is a folder of files of numbers.

    Raises
    ------
    ValueError
        if it has such files and more images than these, in itself or in folders of classes: it may be meant as either.
    """
    path = Path(path)
    files = [*filter(_is_data, path.iterdir())] if path.is_dir() else []
    images = (file for file in path.rglob("*") if file.suffix.lower() in IMAGES) if files else ()
    found = [*itertools.islice(images, len(files) + 1)]
    if len(found) > len(files):
        numbers, image = files[0].relative_to(path), found[0].relative_to(path)
        raise ValueError(
            f"{path} has files of numbers, such as {numbers}, and images, such as {image}: move one kind into a folder of its own"
        )
    return bool(files)


def _is_data(file):
    """Whether a file of a folder is one of its data files; names that begin with a dot or a bar mark others."""
    return file.suffix in KINDS and file.name[0] not in "._"


def _in_order(file):
    """The place of a file in its folder: numbers in names count by their value, as for Dask, so 2 comes before 10."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", file.name)]


def _blocks(files):
    """The blocks of some files."""
    for file in files:
        try:
            for names, rows in READERS[file.suffix](file):
                yield Named(names, rows, file)
        except ImportError as error:
            raise ValueError(f"{file} needs {error.name}: pip install 'fastdbn[data]'") from None
        except (TypeError, ValueError) as error:
            raise ValueError(str(error) if str(file) in str(error) else f"{file}: {error}") from None


def _npy(path):
    yield from ((None, rows) for rows in slices(npy(path)))


def _hdf5(path):
    with open_hdf5(path) as arrays:
        found = [key for key, array in arrays.items() if array.ndim == 2]
        key = "X" if "X" in found else found[0] if len(found) == 1 else None
        if key is None:
            raise ValueError(f"it holds {len(found)} arrays of rows and columns: name one of them X, or give the dataset of h5py")
        yield from ((None, rows) for rows in slices(inside(path, arrays[key])))


def _parquet(path):
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        index = index_columns(file.schema_arrow)
        names = [name for name in file.schema_arrow.names if name not in index]
        for batch in file.iter_batches(rows_at_once(len(names))):
            yield names, np.column_stack([batch.column(name).to_numpy(zero_copy_only=False) for name in names])


READERS = {**dict.fromkeys(HDF5, _hdf5), **dict.fromkeys(PARQUET, _parquet), **dict.fromkeys(CSV, csv_blocks), ".npy": _npy}
"""By suffix, functions of a path that give (names of the columns or None, rows) block by block."""
