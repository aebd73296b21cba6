"""Reading tables for the command line: each file by its name, with a line that says what was found."""

import hashlib
from pathlib import Path

import numpy as np

from fastdbn.tables.arrays import SVMLIGHT, npy, npz_has_split, read_npy, read_npz, read_svmlight
from fastdbn.tables.arrow import FEATHER, PARQUET, read_arrow
from fastdbn.tables.blocks import IMAGES, KINDS, holds_rows, read_blocks
from fastdbn.tables.csvfile import read_csv
from fastdbn.tables.folder import folder_has_split, read_folder
from fastdbn.tables.hdf5 import HDF5, hdf5_has_split, read_hdf5
from fastdbn.tables.idx import array, beside, idx_has_split, is_idx, read_idx

FORMATS = ".csv, .tsv, .parquet, .feather, .npy, .npz, .h5, idx or .svmlight"


def existing(path):
    """The path of a data file, which must be there.

    Raises
    ------
    FileNotFoundError
        if there is none.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no data file at {path}: give the path of a {FORMATS} file, or of a folder of images or files")
    return Path(path)


def hash_of(*paths):
    """The SHA-256 of some files, and of folders: all data files and images in them with their names."""
    found = hashlib.sha256()
    for path in map(existing, paths):
        inside = (file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in IMAGES.union(KINDS))
        for file in sorted(inside) if path.is_dir() else [path]:
            found.update(str(file.relative_to(path)).encode())
            with open(file, "rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
    return found.hexdigest()


def read_with(*paths):
    """Files of data, without None, and those that are read with them: labels of idx images, and test images with theirs."""
    files = [existing(path) for path in paths if path is not None]
    return [*files, *(other for file in files if is_idx(file) for other in beside(file))]


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
    reader = _of(path, _read_rows if holds_rows(path) else read_folder, read_idx, READERS)
    if reader is None:
        return read_csv(path, header, names, every, target)
    if header is not None:
        raise ValueError(f"--header and --no-header are for a CSV file, and {path} is none: leave them out")
    return reader(path, split)


def _read_rows(path, split):
    """(Table, what was found) of a folder of files of numbers, in memory."""
    found, _, said = read_blocks(path)
    return found._replace(numbers=found.numbers[:]), said


READERS = {
    ".npy": lambda path, split: read_npy(path),
    ".npz": read_npz,
    **dict.fromkeys(HDF5, read_hdf5),
    **dict.fromkeys(PARQUET + FEATHER, lambda path, split: read_arrow(path)),
    **dict.fromkeys(SVMLIGHT, lambda path, split: read_svmlight(path)),
}
"""By suffix, functions of a path and a set of rows."""
SETS = {".npz": npz_has_split, **dict.fromkeys(HDF5, hdf5_has_split)}
"""By suffix, functions of the same that say whether the file has such a set."""


def _of(path, folder, idx, by_suffix):
    """What belongs to the format of a file: to a folder, an idx file, or one of its suffix; None for others, which are CSV."""
    return folder if path.is_dir() else idx if is_idx(path) else by_suffix.get(_suffix(path))


def has_split(path, split):
    """Whether a file has a set of rows of that name, in itself or in files beside it."""
    path = Path(path)
    found = _of(path, folder_has_split, idx_has_split, SETS)
    return found is not None and found(path, split)


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
