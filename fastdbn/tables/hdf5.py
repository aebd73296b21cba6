"""HDF5 files, by h5py: arrays by name, as in .npz files."""

import contextlib

from fastdbn.support.checks import refuse
from fastdbn.tables.arrays import has_keys_of, of_keys
from fastdbn.tables.packed import check_unpacked

HDF5 = ".h5", ".hdf5", ".he5"


@contextlib.contextmanager
def open_hdf5(path):
    """A context: (the file, names of the arrays that lie in it).

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
        raise ValueError(f"{path} is no HDF5 file, or a damaged one: {error}") from None
    with file:
        links = {key: file.get(key, getlink=True) for key in file}
        yield (
            file,
            [key for key, link in links.items() if isinstance(link, h5py.HardLink) and isinstance(file[key], h5py.Dataset)],
        )


def read_hdf5(path, split):
    """(Table, what was found) of an HDF5 file; `split` is the set of rows to take where there are several.

    Raises
    ------
    ValueError
        for damage, data that lie in other files, and files that unpack to too much.
    """

    def member(key):
        stored = file[key]
        refuse(stored.external is not None or stored.is_virtual, f"{path}: {key} lies in another file: copy it into this one")
        check_unpacked(path, stored.nbytes)
        try:
            array = stored[()]
        except OSError as error:
            raise ValueError(f"{path}: {key} cannot be read: {error}") from None
        return array.astype(str) if array.dtype.kind == "O" else array

    with open_hdf5(path) as (file, keys):
        return of_keys(path, set(keys), member, split)


def hdf5_has_split(path, split):
    """Whether the file has a set of rows of that name."""
    with open_hdf5(path) as (_, keys):
        return has_keys_of(split, keys)
