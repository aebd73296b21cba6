"""Rows in a file, of which memory holds those that are being read.

The file is mapped into memory: what is read of it comes from the disk, or from what the system still has of it. `release` takes
the pages out of the process's memory, and `ask_for` has the system read some ahead. Rows of zeros and ones are packed, a bit for
each number.
"""

import errno
import itertools
import mmap
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

WORD = 64
"""Bits of a word of packed rows."""
BLOCK = 1024
"""Rows that are asked for together, and the most rows of a block of the shuffle in two levels."""
AT_ONCE = 1 << 22
"""Bytes of dense rows that are read or written at a time."""
_END = object()


class Stored:
    """Rows (n, nv) in a file; `X[rows]` gives an array of some of them. NumPy functions that take X whole read it whole.

    Parameters
    ----------
    file : path or file object
        A temporary file without a name is gone from the disk with the last reference to it.
    dtype : dtype
        Of the numbers; packed rows are given as uint8.
    shape : (n, nv)
    offset : int
        Bytes before the first row.
    packed : bool
        Whether the file holds words of 64 bits, (n, ceil(nv / 64)) uint64.
    """

    ndim = 2

    def __init__(self, file, dtype, shape, offset=0, packed=False):
        self.dtype, self.shape, self.packed = np.dtype(np.uint8 if packed else dtype), shape, packed
        across, kind = (-(-shape[1] // WORD), np.uint64) if packed else (shape[1], self.dtype)
        mapped = np.memmap(file, kind, "r" if isinstance(file, (str, os.PathLike)) else "r+", offset, (shape[0], across))
        self._map, self._before = mapped._mmap, offset % mmap.ALLOCATIONGRANULARITY
        self.file, self.offset, self.mapped = file, offset, np.asarray(mapped)

    def __len__(self):
        return self.shape[0]

    @property
    def nbytes(self):
        """Bytes of the file."""
        return self.mapped.nbytes

    def __getitem__(self, rows):
        rows, *columns = rows if isinstance(rows, tuple) else (rows,)
        part = self.mapped[rows]
        if self.packed:
            part = np.unpackbits(part.view(np.uint8), axis=-1, count=self.shape[1], bitorder="little")
        return np.array(part[(..., *columns)])

    def __array__(self, dtype=None, copy=None):
        values = self[:] if self.packed else self.mapped
        return np.array(values, dtype) if copy else np.asarray(values, dtype)

    def blocks(self):
        """The rows in order, as arrays; their pages leave memory again."""
        rows = max(1, AT_ONCE // (self.dtype.itemsize * self.shape[1]))
        for start in range(0, len(self), rows):
            yield self[start : start + rows]
            self.release()

    def release(self):
        """Take the pages of the file out of this process's memory. The next reader gets them from the system again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def ask_for(self, rows):
        """Have the system read some rows ahead, given by their numbers."""
        if not hasattr(mmap, "MADV_WILLNEED"):
            return
        width = self.mapped.strides[0]
        blocks = np.unique(rows // BLOCK).astype(np.int64)
        for part in np.split(blocks, np.flatnonzero(np.diff(blocks) > 1) + 1) if len(blocks) else ():
            start, stop = (self._before + row * BLOCK * width for row in (int(part[0]), int(part[-1]) + 1))
            start -= start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, start, min(stop, len(self._map)) - start)

    def split(self, last):
        """Cut some rows off, which the rows at the end of the file give their places to. The file must be a temporary one.

        Returns
        -------
        Stored
            The other rows.
        (k, nv) array
            The rows cut off.
        (n,) array
            The numbers that both had, in their new order.
        """
        order, n = np.arange(len(self)), len(self) - len(last)
        gone, coming = np.setdiff1d(last, order[n:]), np.setdiff1d(order[n:], last)
        order[gone], order[coming] = coming, gone
        self.mapped[gone], self.mapped[coming] = self.mapped[coming], self.mapped[gone]
        others = Stored(self.file, self.dtype, (n, self.shape[1]), self.offset, self.packed)
        return others, self[n:], order

    def unpacked(self):
        """The same rows with a byte for each number."""
        return store(self.blocks(), packs=False)

    def packed_where(self, is_one):
        """Zeros and ones, packed: `is_one` says of an array which they are."""
        return store(is_one(part) for part in self.blocks())


def is_binary(part):
    """Whether an array holds zeros and ones alone."""
    return bool(((part == 0) | (part == 1)).all())


def pack(part):
    """The words of rows of zeros and ones, (n, ceil(nv / 64)) uint64."""
    rows, width = part.shape
    words = np.zeros((rows, -(-width // WORD)), np.uint64)
    bits = np.packbits(part != 0, axis=1, bitorder="little")
    words.view(np.uint8)[:, : bits.shape[1]] = bits
    return words


def ahead(blocks):
    """What an iterator gives, the next one of which is made in a thread."""
    with ThreadPoolExecutor(1, "fastdbn-reader") as reader:
        coming = reader.submit(next, blocks, _END)
        while (block := coming.result()) is not _END:
            coming = reader.submit(next, blocks, _END)
            yield block


def store(blocks, packs=True, reads_ahead=True):
    """Rows that come in blocks, in a temporary file: `Stored`, or a CSR matrix whose arrays are memory maps.

    They are packed if all of them are zeros and ones. Otherwise they have the type that holds all blocks.

    Parameters
    ----------
    blocks : iterable of (rows, nv) arrays or CSR matrices
    packs : bool
    reads_ahead : bool
        Whether the next block is made in a thread.

    Raises
    ------
    ValueError
        if there are no rows, or blocks differ in their columns.
    OSError
        if the disk has no room.
    """
    blocks = _of_one_width(iter(blocks))
    blocks = ahead(blocks) if reads_ahead else blocks
    first = next(blocks, None)
    if first is None:
        raise ValueError("X has no rows: give at least one block with rows")
    blocks = itertools.chain([first], blocks)
    if sparse.issparse(first):
        return _store_sparse(blocks)
    file, kind, n, packs = _file(), first.dtype, 0, packs and is_binary(first)
    for part in blocks:
        part = part.toarray() if sparse.issparse(part) else part
        if packs and not is_binary(part):
            file, packs = _rewritten(file, np.uint8, (n, part.shape[1]), True, kind), False
        wanted = np.result_type(kind, part.dtype)
        if wanted != kind and not packs:
            file = _rewritten(file, kind, (n, part.shape[1]), False, wanted)
        kind, n = wanted, n + len(part)
        _write(file, pack(part) if packs else part.astype(kind, copy=False))
    file.flush()
    return Stored(file, kind, (n, first.shape[1]), packed=packs)


def _of_one_width(blocks):
    """Blocks with rows, which must have the same number of columns."""
    width, n = None, 0
    for block in blocks:
        if getattr(block, "ndim", 0) != 2:
            raise ValueError(f"the block after row {n} of X has shape {np.shape(block)}: give blocks of rows and columns")
        width = width or block.shape[1]
        if block.shape[1] != width or not width:
            raise ValueError(f"the block after row {n} of X has {block.shape[1]} columns, and those before have {width}")
        n += block.shape[0]
        if block.shape[0]:
            yield block


def _store_sparse(blocks):
    """CSR blocks as one CSR matrix, whose values and columns lie in temporary files."""
    files, counts, n_columns, kind = (_file(), _file()), [np.zeros(1, np.int64)], 0, None
    for part in blocks:
        part = sparse.csr_matrix(part)
        kind, n_columns = kind or part.dtype, part.shape[1]
        if not np.can_cast(part.dtype, kind):
            raise ValueError(f"a block of X has type {part.dtype}, and those before have {kind}: give all of one type")
        _write(files[0], part.data.astype(kind, copy=False))
        _write(files[1], part.indices.astype(np.int32, copy=False))
        counts.append(counts[-1][-1] + part.indptr[1:])
    ends = np.concatenate(counts)
    for file in files:
        file.flush()
    arrays = (np.memmap(file, of, "r", shape=(ends[-1],)) for file, of in zip(files, (kind, np.int32), strict=True))
    values, columns = arrays if ends[-1] else (np.empty(0, kind), np.empty(0, np.int32))
    return sparse.csr_matrix((values, columns, ends), (len(ends) - 1, n_columns))


def _rewritten(file, kind, shape, packed, wanted):
    """A new file of the rows of another, as dense rows of a type."""
    new = _file()
    file.flush()
    for part in Stored(file, kind, shape, packed=packed).blocks() if shape[0] else ():
        _write(new, part.astype(wanted))
    return new


def _file():
    return tempfile.TemporaryFile(prefix="fastdbn-")


def _write(file, array):
    try:
        file.write(np.ascontiguousarray(array).data.cast("B"))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"the disk has no more room for the rows of a fit, which lie in {tempfile.gettempdir()}: set TMPDIR to a folder on a "
            "larger disk",
        ) from None
