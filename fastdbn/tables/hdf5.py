"""HDF5 files, by h5py: arrays by name, as in .npz files."""

import contextlib

from fastdbn.support.checks import refuse
from fastdbn.tables.arrays import has_keys_of, of_keys
from fastdbn.tables.packed import check_unpacked

HDF5 = ".h5", ".hdf5", ".he5"


@contextlib.contextmanager
def open_hdf5(path):
    """A context: the arrays that lie in a file, by name.

    Raises
    ------
    ValueError
        for damage, or if h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"{path}: {path.suffix} files need h5py: pip install 'fastdbn[data]', or save the arrays as .npz"
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file, or is damaged: {error}") from None
    with file:
        own = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
        yield {key: file[key] for key in own if isinstance(file[key], h5py.Dataset)}


def inside(path, array):
    """An array of a file, whose numbers must not lie in another file."""
    refuse(
        array.external is not None or array.is_virtual, f"{path}: {array.name[1:]} lies in another file: copy it into this one"
    )
    return array


def read_hdf5(path, split):
    """(Table, what was found) of an HDF5 file; `split` is the set of rows to take where there are several.

    Raises
    ------
    ValueError
        for damage, data that lie in other files, and files that unpack to too much.
    """

    def member(key):
        stored = inside(path, arrays[key])
        check_unpacked(path, stored.nbytes)
        try:
            array = stored[()]
        except OSError as error:
            raise ValueError(f"{path}: {key} cannot be read: {error}") from None
        return array.astype(str) if array.dtype.kind == "O" else array

    with open_hdf5(path) as arrays:
        return of_keys(path, set(arrays), member, split)


def hdf5_has_split(path, split):
    """Whether the file has a set of rows of that name."""
    with open_hdf5(path) as arrays:
        return has_keys_of(split, arrays)
