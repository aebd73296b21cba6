"""Where rows come from that may not fit into memory: an iterator of blocks for each kind of source.

    for block in blocks_of(X): ...      each block is an array or a CSR matrix of some rows

`store` (stored.py) reads them once into a temporary file. So a generator may be used up, and whatever held the rows, a fit has
the same bits.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.support import checks
from fastdbn.support.stored import AT_ONCE, Stored, is_binary, store

IN_MEMORY = "__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__"
"""Whatever has one of these is taken whole, as scikit-learn takes it, unless it is of `ON_DISK`."""
READ = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.uint8, np.bool_, np.int64, np.int32))
"""Types of data that the backend reads as they are."""
ON_DISK = "h5py", "zarr", "dask", "dask_expr"
"""Packages whose arrays and frames are read block by block."""


class Named(NamedTuple):
    """A block of a file, whose columns may have names."""

    columns: list | None
    rows: Any
    file: Any


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
        return (X.blocks[i].compute() for i in range(X.numblocks[0]))
    if hasattr(X, "partitions") and package in ON_DISK:
        return (X.partitions[i].compute() for i in range(X.npartitions))
    if isinstance(X, (list, tuple, str, bytes, dict)) or sparse.issparse(X):
        return None
    if any(hasattr(X, name) for name in IN_MEMORY) and package not in ON_DISK:
        return None
    if hasattr(X, "__next__"):
        return X
    if hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        return slices(X)
    return X() if callable(X) and not isinstance(X, type) else None


def rows_at_once(width):
    """Rows of some width that are read at a time."""
    return max(1, AT_ONCE // (8 * max(width, 1)))


def slices(X):
    """Blocks of an object that takes slices."""
    n = len(X)
    rows = rows_at_once(as_rows(X[0 : min(n, 1)]).shape[-1])
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        block = as_rows(X[start:stop])
        if block.shape[0] != stop - start:
            raise ValueError(f"X has {n} rows by len(X), and X[{start}:{stop}] has {block.shape[0]}: give all rows of a slice")
        yield block


class Numbers:
    """Blocks as arrays or CSR matrices, which must agree in their columns; those without rows are left out.

    Once one was read, `names` are those of the columns or None, and `header` is the first block without its rows, if that is a
    data frame.
    """

    def __init__(self, blocks):
        self.blocks, self.names, self.header = iter(blocks), None, None

    def __iter__(self):
        width, n = None, 0
        for block in self.blocks:
            where = f"the block after row {n} of X" if not isinstance(block, Named) else str(block.file)
            own = getattr(block, "column_names", getattr(block, "columns", None))  # of Arrow, of others
            own = None if own is None else list(own)
            try:
                rows = as_rows(block.rows if isinstance(block, Named) else block)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}: {error}") from None
            checks.refuse(rows.ndim != 2, f"{where} has shape {rows.shape}: give blocks of rows and columns")
            checks.refuse(not rows.shape[1], f"{where} has no columns: give blocks of rows and columns")
            if width is None:
                self.names, width = own, rows.shape[1]
                self.header = block[:0] if hasattr(block, "columns") and hasattr(block, "to_numpy") else None
            fault = _other_columns(own, rows.shape[1], self.names, width)
            checks.refuse(fault, f"{where} has {fault}: give all blocks the same columns in the same order")
            n += rows.shape[0]
            if rows.shape[0]:
                yield rows


def _other_columns(names, width, known, known_width):
    """In words, how the columns of a block differ from those of the first block; None if they do not."""
    if width != known_width:
        return f"{width} columns, and those before have {known_width}"
    if names == known:
        return None
    if names is None or known is None:
        return f"{'no ' if names is None else ''}names of columns, and those before have {'none' if known is None else 'some'}"
    return next(f"a column {a!r}, where those before have {b!r}" for a, b in zip(names, known, strict=True) if a != b)


def as_rows(block):
    """A block as an array or a CSR matrix of numbers: those of a data frame become its values, and what it lacks becomes NaN."""
    if sparse.issparse(block):
        return block.tocsr()
    block = np.asarray(checks.unmasked(block, "a block of X"))
    if block.dtype.kind == "O":
        block = np.where(np.frompyfunc(checks.is_missing, 1, 1)(block).astype(bool), np.nan, block).astype(np.float64)
    if block.dtype.kind not in "fiub":
        raise ValueError(f"it has the type {block.dtype}: give numbers")
    if block.dtype in READ:
        return block
    return block.astype(np.float32 if np.can_cast(block.dtype, np.float32) else np.float64)


def stored_rows(X, memory_limit=None):
    """X as a fit takes it: an array or whatever else is in memory as it is, other sources as `Stored` or CSR.

    With a memory limit a memory map is `Stored` too: packed if it holds zeros and ones, else where it lies. One that cannot be
    read there, such as one in Fortran order, is copied.
    """
    blocks = blocks_of(X)
    if blocks is not None:
        numbers = Numbers(blocks)
        rows = store(numbers)
        if isinstance(rows, Stored):
            rows.header = numbers.header
        return rows
    if memory_limit is None or not (isinstance(X, np.memmap) and X.ndim == 2 and X.size):
        return X
    if not (X.flags.c_contiguous and X.dtype in READ and X.mode in ("r", "r+", "w+")):  # "c": changes that are not in the file
        return store(Numbers(slices(X)))
    file = Stored(X)
    return store(file.blocks()) if all(map(is_binary, file.blocks())) else file
