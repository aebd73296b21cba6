"""Reading tables for the command line: CSV (also gzipped), .npy and .npz. Each comes with a line that says what was found."""

import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdbn.cli.csvfile import bound, read_csv, refuse_bomb, split_header

SPLITS = ("train", "val", "test")
PAIRS = (("X", "y"), ("x", "y"), ("data", "target"), ("data", "labels"), ("images", "labels"))
SPLIT_PAIRS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_data", "{}_labels"))
"""Keys of features and target in .npz files: of all rows, and of splits, as image sets and scikit-learn's users name them."""


class Table(NamedTuple):
    """Columns (n, width) as numbers or text, their names or None; for .npz the target; image: whether columns are pixels."""

    columns: Any
    names: Any = None
    target: Any = None
    image: bool = False


def existing(path):
    """The path of a data file, which must be there.

    Raises
    ------
    FileNotFoundError
        if there is none.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no data file at {path}: give the path of a .csv, .npy or .npz file")
    return Path(path)


def read_table(path, header=None, names=(), every=False, split="train"):
    """Read a file of data.

    Parameters
    ----------
    path : str
        .csv, .csv.gz (or .txt, .tsv), .npy or .npz.
    header : bool or None
        Whether line 1 of a CSV file names the columns; None decides by `csvfile.is_header`.
    names, every
        As for `csvfile.is_header`.
    split : {"train", "val", "test"}
        The set of rows to take from a .npz file that has several.

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
    if path.suffix not in (".npy", ".npz"):
        names, cells, found = split_header(path, read_csv(path), header, names, every)
        return Table(cells, names), f"{_size(cells)}, {found}"
    if header is not None:
        raise ValueError(f"--header and --no-header are for CSV files, and {path} has no lines: leave them out")
    if path.suffix == ".npz":
        return _read_npz(path, split)
    X, image, found = _features(str(path), _read_npy(path))
    return Table(X, image=image), found


def has_split(path, split):
    """Whether a file is a .npz that has a set of rows of that name."""
    if Path(path).suffix != ".npz":
        return False
    with _archive(Path(path)) as arrays:
        return any(x.format(split) in arrays.files for x, _ in SPLIT_PAIRS)


def _size(X):
    return f"{X.shape[0]} row{'s' * (X.shape[0] != 1)}, {X.shape[1]} column{'s' * (X.shape[1] != 1)}"


def _features(what, X):
    """(matrix, whether images were flattened, what was found) of an array of features."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{what} has values of type {X.dtype}: features must be numbers")
    if X.ndim < 2:
        raise ValueError(f"{what} is an array of {X.ndim} dimensions: a table has 2, rows and columns")
    if X.ndim == 2:
        return X, False, _size(X)
    flat = X.reshape(len(X), int(np.prod(X.shape[1:])))
    return flat, True, f"{len(X)} images of {'x'.join(map(str, X.shape[1:]))}, flattened to {flat.shape[1]} columns"


def _read_npy(path):
    try:
        held = np.load(path, allow_pickle=False, mmap_mode="r")  # so that no header can ask for more than the file holds
        if not isinstance(held, np.lib.npyio.NpzFile):
            return held
        why = "there are several arrays in it"
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy advises to load pickles, which run what code they please: not from a file of any origin
        why = "there is no array of numbers in it" if "ickle" in str(error) or "Python objects" in str(error) else error
    raise ValueError(f"{path} is no .npy file: {why}")


def _archive(path):
    """The arrays of a .npz file, none of them read, within bounds."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no .npz file: {error}") from None
    if unpacked > bound(path):
        refuse_bomb(path)
    return np.load(path, allow_pickle=False)


def _member(path, arrays, key):
    """One array of a .npz file."""
    try:
        array = arrays[key]
        if isinstance(array, np.ndarray):
            return array
        why = "it is no array"
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        why = str(error)
    if "Object arrays" in why:
        raise ValueError(
            f"{path}: {key} holds Python objects, which a file may not bring along: save it as text or numbers, "
            f"{key}.astype(str) or {key}.astype(float)"
        )
    raise ValueError(f"{path}: {key} is damaged: {why}")


def _read_npz(path, split):
    with _archive(path) as arrays:
        keys = set(arrays.files)
        if {"indptr", "indices", "format"} <= keys:
            raise ValueError(f"{path} is a sparse matrix of SciPy: save X.toarray() as X, or train on it in Python")
        whole = [pair for pair in PAIRS if pair[0] in keys]
        parted = [(x.format(split), y.format(split)) for x, y in SPLIT_PAIRS if x.format(split) in keys]
        if not whole and not parted:
            raise ValueError(
                f"{path} has the keys {', '.join(sorted(keys)) or 'of no array'}: name the features X and the target y "
                f"(or {split}_images and {split}_labels)"
            )
        for_x, for_y = (whole or parted)[0]
        X, image, found = _features(f"{path}: {for_x}", _member(path, arrays, for_x))
        y = _member(path, arrays, for_y) if for_y in keys else None
    found += f" in {for_x}" + (f", target {for_y}" if y is not None else "")
    others = sorted(keys - {for_x, for_y})
    if others:
        found += f"; further keys: {', '.join(others)}"
    if y is not None and (y.ndim == 0 or len(y) != len(X)):
        raise ValueError(f"{path}: {for_y} has {len(y) if y.ndim else 'no'} rows, {for_x} has {len(X)}")
    return Table(X, None, y, image), found
