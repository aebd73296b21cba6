"""Where rows come from that may not fit into memory: an iterator of blocks for each kind of source.

    for block in blocks_of(X): ...      each block is an array or a CSR matrix of some rows

`store` (stored.py) reads them once into a temporary file. So a generator may be used up, and whatever held the rows, a fit has
the same bits.
"""

import numpy as np
from scipy import sparse

from fastdbn.support.stored import AT_ONCE, Stored, is_binary, store

IN_MEMORY = "__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__"
"""Whatever has one of these is taken whole, as scikit-learn takes it, unless it is of `ON_DISK`."""
READ = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.uint8, np.bool_, np.int64, np.int32))
"""Types of data that the backend reads as they are."""
ON_DISK = "h5py", "zarr", "dask", "dask_expr"
"""Packages whose arrays and frames are read block by block."""


def blocks_of(X):
    """An iterator of the blocks of X, or None if X is taken as it is: an array, a matrix, a data frame in memory, a list.

    Parameters
    ----------
    X : any of
        A dask array or frame: a block for each partition. A dataset of h5py or zarr, or any object with ``__len__`` and
        ``__getitem__`` of slices. An iterator of blocks, or a function without arguments that returns one.
    """
    package = type(X).__module__.partition(".")[0]
    if hasattr(X, "numblocks") and package == "dask":
        return (as_rows(X.blocks[i].compute()) for i in range(X.numblocks[0]))
    if hasattr(X, "partitions") and package in ON_DISK:
        return (as_rows(X.partitions[i].compute()) for i in range(X.npartitions))
    if isinstance(X, (list, tuple, str, bytes, dict)) or sparse.issparse(X):
        return None
    if any(hasattr(X, name) for name in IN_MEMORY) and package not in ON_DISK:
        return None
    if hasattr(X, "__next__"):
        return map(as_rows, X)
    if hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        return _slices(X)
    return map(as_rows, X()) if callable(X) and not isinstance(X, type) else None


def _slices(X):
    """Blocks of an object that takes slices."""
    n = len(X)
    first = as_rows(X[0 : min(n, 1)])
    rows = max(1, AT_ONCE // (8 * max(first.shape[-1], 1)))
    return (as_rows(X[start : min(start + rows, n)]) for start in range(0, n, rows))


def as_rows(block):
    """A block as an array or a CSR matrix of numbers: those of a data frame become its values."""
    if sparse.issparse(block):
        return block.tocsr()
    block = np.asarray(block)
    block = block.astype(np.float64) if block.dtype.kind == "O" else block
    if block.dtype.kind not in "fiub":
        raise ValueError(f"a block of X has type {block.dtype}: give numbers")
    if block.dtype in READ:
        return block
    return block.astype(np.float32 if np.can_cast(block.dtype, np.float32) else np.float64)


def stored_rows(X, memory_limit=None):
    """X as a fit takes it: an array or whatever else is in memory as it is, other sources as `Stored` or CSR.

    With a memory limit a memory map is `Stored` too: packed if it holds zeros and ones, else where it lies.
    """
    blocks = blocks_of(X)
    if blocks is not None:
        return store(blocks)
    file = mapped_file(X) if memory_limit is not None else None
    if file is None:
        return X
    return store(file.blocks()) if all(map(is_binary, file.blocks())) else file


def mapped_file(X):
    """The rows of a memory map where they lie in its file; None if X is no such thing, or if it has changes of its own."""
    if not (isinstance(X, np.memmap) and X.ndim == 2 and X.flags.c_contiguous and X.dtype in READ and X.size):
        return None
    if X.mode not in ("r", "r+", "w+") or X.filename is None:
        return None
    whole = X
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    offset = whole.offset + X.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return Stored(X.filename, X.dtype, X.shape, offset)
