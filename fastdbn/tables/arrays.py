"""Arrays in NumPy's files: .npy, and .npz with features and target, sets of images, or a sparse matrix of SciPy; and sparse
matrices as SVMlight writes them: a target and index:value pairs in each line."""

import contextlib

import numpy as np
from scipy import sparse

from fastdbn.support.checks import refuse
from fastdbn.tables.packed import check_unpacked, damage_named, unpacked
from fastdbn.tables.table import Table

OF_ALL = (("X", "y"), ("x", "y"), ("data", "target"), ("data", "labels"), ("images", "labels"))
OF_SPLIT = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_data", "{}_labels"), ("{}", "{}_labels"))
"""Keys of features and target in .npz files: of all rows, and of splits, as image sets and scikit-learn's users name them."""
SPARSE = {"format", "data"}
"""Keys of every sparse matrix."""
SVMLIGHT = ".svmlight", ".libsvm", ".svm"


def of_array(what, X):
    """(table, what was found) of an array of features."""
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{what} has values of type {X.dtype}: features must be numbers")
    if X.ndim < 2:
        raise ValueError(f"{what} is an array of {X.ndim} dimensions: a table has 2, rows and columns")
    table = Table(X.reshape(len(X), int(np.prod(X.shape[1:]))), image=X.shape[1:] if X.ndim > 2 else None)
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


def read_npy(path):
    """(Table, what was found) of a .npy file."""
    return of_array(str(path), npy(path))


def npy(path):
    """The array of a .npy file, as a memory map."""
    with _explained(f"{path} is not a .npy file"):
        return np.lib.format.open_memmap(path, "r")  # so that no header can ask for more than the file holds


def _archive(path):
    """The arrays of a .npz file, none of them read, within bounds."""
    with _explained(f"{path} is not a .npz file"):
        arrays = np.lib.npyio.NpzFile(path, allow_pickle=False)
    check_unpacked(path, sum(member.file_size for member in arrays.zip.infolist()))
    return arrays


def _member(path, arrays, key):
    """One array of a .npz file."""
    with _explained(f"{path}: {key} cannot be read", key):
        array = arrays[key]
        refuse(not isinstance(array, np.ndarray), "it is not an array")
        return array


def npz_has_split(path, split):
    """Whether a .npz file has a set of rows of that name."""
    with _archive(path) as arrays:
        return has_keys_of(split, arrays.files)


def has_keys_of(split, keys):
    """Whether some keys name a set of rows."""
    return any(x.format(split) in keys for x, _ in OF_SPLIT)


def read_npz(path, split):
    """(Table, what was found) of a .npz file; `split` is the set of rows to take where there are several."""
    with _archive(path) as arrays:
        keys = set(arrays.files)
        if keys >= SPARSE and keys & {"indptr", "row", "offsets"}:
            return _sparse(path, arrays)
        return of_keys(path, keys, lambda key: _member(path, arrays, key), split)


def of_keys(path, keys, member, split):
    """(Table, what was found) of a file of named arrays; member(key) gives one."""
    pairs = [(x.format(split), y.format(split)) for x, y in OF_ALL + OF_SPLIT if x.format(split) in keys]
    if not pairs:
        raise ValueError(
            f"{path} has the keys {', '.join(sorted(keys)) or 'of no array'}: name the features X and the target y "
            f"(or {split}_images and {split}_labels)"
        )
    for_x, for_y = pairs[0]
    table, found = of_array(f"{path}: {for_x}", member(for_x))
    y = member(for_y) if for_y in keys else None
    others = ", ".join(sorted(keys - {for_x, for_y}))
    found += f" in {for_x}" + (f", target {for_y}" if y is not None else "") + (f"; further keys: {others}" if others else "")
    return with_target(path, table, y, for_x, for_y), found


def _sparse(path, arrays):
    """A matrix that `scipy.sparse.save_npz` wrote, with a target y if that is there too."""
    with _explained(f"{path} is not a sparse matrix"):
        X = sparse.load_npz(path).tocsr()
        refuse(X.ndim != 2 or X.dtype.kind not in "biuf", f"it has {X.ndim} dimensions and the type {X.dtype}")
        X.check_format(full_check=True)
    y = _member(path, arrays, "y") if "y" in arrays.files else None
    return with_target(path, Table(X), y, "the matrix", "y"), f"{Table(X).size}, sparse: {X.nnz} values"


def with_target(path, table, y, for_x="X", for_y="y"):
    """The table with a target of its own, or None, which must have as many rows."""
    if y is not None and (y.ndim == 0 or len(y) != table.height):
        raise ValueError(f"{path}: {for_y} has {len(y) if y.ndim else 'no'} rows, {for_x} has {table.height}")
    return table._replace(target=y)


def read_svmlight(path):
    """(Table, what was found) of an SVMlight file, gzipped or not. Whole targets are integers.

    Raises
    ------
    ValueError
        if it is none.
    """
    from sklearn.datasets import load_svmlight_file

    with damage_named(path), unpacked(path) as file:
        try:
            X, y = load_svmlight_file(file)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{path} is not an SVMlight file: {error}. A line is a target and pairs index:value") from None
    whole = np.isfinite(y).all() and (y == np.round(y)).all()
    table = Table(X, target=y.astype(np.int64) if whole else y)
    return table, f"{table.size}, sparse: {X.nnz} values; target first in each line"
