"""Rows in a file, of which memory holds those that are being read.

The file is mapped into memory: what is read of it comes from the disk, or from what the system still has of it. `release` takes
the pages out of the process's memory, and `ask_for` has the system read some ahead. Rows of zeros and ones are packed, a bit for
each number.
"""

import errno
import itertools
import mmap
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
    mapped : (n, nv) or (n, ceil(nv / 64)) memory map
        Of the numbers, or of packed rows: words of 64 bits, uint64. Packed rows are given as uint8.
    width : int or None
        nv of packed rows; None for numbers.

    Attributes
    ----------
    header : data frame or None
        Without rows, for the names of the columns.
    """

    ndim = 2
    header = None

    def __init__(self, mapped, width=None):
        self.packed, self.mapped, self._file, self._map = width is not None, np.asarray(mapped), mapped, mapped._mmap
        self.dtype = np.dtype(np.uint8) if self.packed else mapped.dtype
        self.shape = len(mapped), width or mapped.shape[1]
        self._before = mapped.ctypes.data - np.frombuffer(self._map, np.uint8).ctypes.data

    def __len__(self):
        return self.shape[0]

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
        others = Stored(self._file[:n], self.shape[1] if self.packed else None)
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
    blocks : iterable of (rows, nv) arrays or CSR matrices with rows
    packs : bool
    reads_ahead : bool
        Whether the next block is made in a thread.

    Raises
    ------
    ValueError
        if there are no rows.
    OSError
        if the disk has no room.
    """
    blocks = ahead(iter(blocks)) if reads_ahead else iter(blocks)
    first = next(blocks, None)
    if first is None:
        raise ValueError("X has no rows: give at least one block with rows; a generator gives its blocks only once")
    blocks, width = itertools.chain([first], blocks), first.shape[1]
    if sparse.issparse(first):
        return _store_sparse(blocks)
    file, kind, n, packs = _file(), first.dtype, 0, packs and is_binary(first)
    for part in blocks:
        part = part.toarray() if sparse.issparse(part) else part
        if packs and not is_binary(part):
            file, packs = _rewritten(file, kind, n, width, True), False
        wanted = np.result_type(kind, part.dtype)
        if wanted != kind and not packs:
            file = _rewritten(file, wanted, n, width, False, kind)
        kind, n = wanted, n + len(part)
        _write(file, pack(part) if packs else part.astype(kind, copy=False))
    return _mapped(file, kind, n, width, packs)


def _store_sparse(blocks):
    """CSR blocks as one CSR matrix, whose values and columns lie in temporary files."""
    files, counts, n_columns, kind = (_file(), _file()), [np.zeros(1, np.int64)], 0, None
    for part in blocks:
        part = sparse.csr_matrix(part)
        kind, n_columns = kind or part.dtype, part.shape[1]
        if not np.can_cast(part.dtype, kind):
            raise ValueError(
                f"a block of X has type {part.dtype}, and the blocks before have {kind}: give all blocks the same type"
            )
        _write(files[0], part.data.astype(kind, copy=False))
        _write(files[1], part.indices.astype(np.int32, copy=False))
        counts.append(counts[-1][-1] + part.indptr[1:])
    ends = np.concatenate(counts)
    values, columns = (_array(file, of, ends[-1]) for file, of in zip(files, (kind, np.int32), strict=True))
    return sparse.csr_matrix((values, columns, ends), (len(ends) - 1, n_columns))


def _array(file, kind, n):
    """The n numbers of a file, which closes."""
    with file:
        file.flush()
        return np.memmap(file, kind, "r", shape=(n,)) if n else np.empty(0, kind)


def _mapped(file, kind, n, width, packed):
    """`Stored` rows of a file, which closes: the map keeps what it holds."""
    with file:
        file.flush()
        across, kind = (-(-width // WORD), np.uint64) if packed else (width, kind)
        return Stored(np.memmap(file, kind, "r+", shape=(n, across)), width if packed else None)


def _rewritten(file, kind, n, width, packed, was=None):
    """A new file of the rows of another, as dense rows of a type."""
    new = _file()
    for part in _mapped(file, was, n, width, packed).blocks():
        _write(new, part.astype(kind))
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
