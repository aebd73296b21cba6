"""Reading tables for the command line: each file by its name, with a line that says what was found."""

from pathlib import Path

import numpy as np

from fastdbn.tables.arrays import npy, npz_has_split, read_npy, read_npz
from fastdbn.tables.arrow import FEATHER, PARQUET, read_arrow
from fastdbn.tables.csvfile import read_csv
from fastdbn.tables.folder import folder_has_split, read_folder
from fastdbn.tables.hdf5 import HDF5, hdf5_has_split, read_hdf5
from fastdbn.tables.idx import array, is_idx, read_idx, test_images
from fastdbn.tables.svmlight import SVMLIGHT, read_svmlight

FORMATS = ".csv, .tsv, .parquet, .feather, .npy, .npz, .h5, idx or .svmlight"


def existing(path):
    """The path of a data file, which must be there.

    Raises
    ------
    FileNotFoundError
        if there is none.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no data file at {path}: give the path of a {FORMATS} file, or of a folder of images")
    return Path(path)


def _suffix(path):
    """The suffix that names the format; ".gz" says nothing."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_table(path, header=None, names=(), every=False, split="train", target=None):
    """Read a file of data. Whatever has no other format's name is CSV.

    Parameters
    ----------
    path : str
    header, names, every, target
        As for `read_csv`.
    split : {"train", "val", "test"}
        The set of rows to take where there are several: in a .npz or HDF5 file, in folders, or in idx files beside each other.

    Returns
    -------
    Table
    str
        what was found, in words.

    Raises
    ------
    ValueError
        if the file is not what its name says, with line or column.
    OSError
        if it cannot be read.
    """
    path = existing(path)
    reader = _reader(path, split)
    if reader is None:
        return read_csv(path, header, names, every, target)
    if header is not None:
        raise ValueError(f"--header and --no-header are for CSV files, and {path} has no lines: leave them out")
    return reader()


def _reader(path, split):
    """A function that reads a file of any format but CSV."""
    suffix = _suffix(path)
    if path.is_dir():
        return lambda: read_folder(path, split)
    if suffix in HDF5:
        return lambda: read_hdf5(path, split)
    if is_idx(path):
        return lambda: read_idx(path, split)
    if suffix == ".npy":
        return lambda: read_npy(path)
    if suffix == ".npz":
        return lambda: read_npz(path, split)
    if suffix in PARQUET + FEATHER:
        return lambda: read_arrow(path)
    if suffix in SVMLIGHT:
        return lambda: read_svmlight(path)
    return None


def has_split(path, split):
    """Whether a file has a set of rows of that name, in itself or in files beside it."""
    path = Path(path)
    if path.is_dir():
        return folder_has_split(path, split)
    if _suffix(path) in HDF5:
        return hdf5_has_split(path, split)
    if is_idx(path):
        return split == "test" and test_images(path) is not None
    return _suffix(path) == ".npz" and npz_has_split(path, split)


def read_labels(path, n):
    """The labels of n rows in a file of one column: idx, .npy, or a CSV file, where one line more is a header.

    Returns
    -------
    (n,) or (n, k) array
    """
    path = existing(path)
    if is_idx(path):
        return _counted(path, array(path), n)
    if _suffix(path) == ".npy":
        return _counted(path, np.array(npy(path)), n)
    table, _ = read_table(path, target="0")
    if table.height == n + 1:
        table, _ = read_table(path, True, target="0")
    if table.width != 1:
        raise ValueError(f"{path} has {table.width} columns: a file of labels has one")
    return _counted(path, table.column(0), n)


def _counted(path, labels, n):
    if len(labels) != n:
        raise ValueError(f"{path} has {len(labels)} rows, and the data have {n}: give a label for each row")
    return labels
