"""Reading tables for the command line: CSV (also gzipped), .npy and .npz. Each comes with a line that says what was found."""

import contextlib
from pathlib import Path

import numpy as np

from fastdbn.support.checks import refuse
from fastdbn.tables.csvfile import check_unpacked, read_csv
from fastdbn.tables.table import Table

OF_ALL = (("X", "y"), ("x", "y"), ("data", "target"), ("data", "labels"), ("images", "labels"))
OF_SPLIT = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_data", "{}_labels"))
"""Keys of features and target in .npz files: of all rows, and of splits, as image sets and scikit-learn's users name them."""


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


def read_table(path, header=None, names=(), every=False, split="train", target=None):
    """Read a file of data: .csv, .csv.gz (or .txt, .tsv), .npy or .npz.

    A reader of another format belongs here. It gives a Table.

    Parameters
    ----------
    path : str
    header, names, every, target
        As for `read_csv`.
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
        return read_csv(path, header, names, every, target)
    if header is not None:
        raise ValueError(f"--header and --no-header are for CSV files, and {path} has no lines: leave them out")
    return _read_npz(path, split) if path.suffix == ".npz" else _of_array(str(path), _read_npy(path))


def has_split(path, split):
    """Whether a file is a .npz that has a set of rows of that name."""
    if Path(path).suffix != ".npz":
        return False
    with _archive(Path(path)) as arrays:
        return any(x.format(split) in arrays.files for x, _ in OF_SPLIT)


def _of_array(what, X):
    """(table, what was found) of an array of features."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{what} has values of type {X.dtype}: features must be numbers")
    if X.ndim < 2:
        raise ValueError(f"{what} is an array of {X.ndim} dimensions: a table has 2, rows and columns")
    table = Table(X.reshape(len(X), int(np.prod(X.shape[1:]))), image=X.ndim > 2)
    images = f"{len(X)} images of {'x'.join(map(str, X.shape[1:]))}, flattened to {table.width} columns"
    return table, images if table.image else table.size


@contextlib.contextmanager
def _explained(what, name="X"):
    """A ValueError that begins with `what`, for all that NumPy and zipfile raise where a file is damaged."""
    try:
        yield
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # of a dozen types, of which NumPy documents two
        why = str(error) or type(error).__name__
        if "Object arrays" in why or "Python objects" in why:
            remedy = f"save it as text or numbers, {name}.astype(str) or {name}.astype(float)"
            why = f"it holds Python objects, which a file may not bring along: {remedy}"
        raise ValueError(f"{what}: {why}") from None


def _read_npy(path):
    with _explained(f"{path} is no .npy file"):
        return np.lib.format.open_memmap(path, "r")  # so that no header can ask for more than the file holds


def _archive(path):
    """The arrays of a .npz file, none of them read, within bounds."""
    with _explained(f"{path} is no .npz file"):
        arrays = np.lib.npyio.NpzFile(path, allow_pickle=False)
    check_unpacked(path, sum(member.file_size for member in arrays.zip.infolist()))
    return arrays


def _member(path, arrays, key):
    """One array of a .npz file."""
    with _explained(f"{path}: {key} cannot be read", key):
        array = arrays[key]
        refuse(not isinstance(array, np.ndarray), "it is no array")
        return array


def _read_npz(path, split):
    with _archive(path) as arrays:
        keys = set(arrays.files)
        if {"indptr", "indices", "format"} <= keys:
            raise ValueError(f"{path} is a sparse matrix of SciPy: save X.toarray() as X, or train on it in Python")
        pairs = [(x.format(split), y.format(split)) for x, y in OF_ALL + OF_SPLIT if x.format(split) in keys]
        if not pairs:
            raise ValueError(
                f"{path} has the keys {', '.join(sorted(keys)) or 'of no array'}: name the features X and the target y "
                f"(or {split}_images and {split}_labels)"
            )
        for_x, for_y = pairs[0]
        table, found = _of_array(f"{path}: {for_x}", _member(path, arrays, for_x))
        y = _member(path, arrays, for_y) if for_y in keys else None
    others = ", ".join(sorted(keys - {for_x, for_y}))
    found += f" in {for_x}" + (f", target {for_y}" if y is not None else "") + (f"; further keys: {others}" if others else "")
    if y is not None and (y.ndim == 0 or len(y) != len(table.numbers)):
        raise ValueError(f"{path}: {for_y} has {len(y) if y.ndim else 'no'} rows, {for_x} has {len(table.numbers)}")
    return table._replace(target=y), found
