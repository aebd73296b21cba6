"""What comes between a user's array and the visible units: its scaling, and statistics of its columns.

inside = clip((x - shift) scale),    x = inside / scale + shift

Rows that lie elsewhere register statistics of their own (fastdbn/dask/shards.py).
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastdbn.backends.protocol import Source
from fastdbn.support.stored import Stored

BYTES, STORED = 1 << 20, 1 << 20
"""Statistics of the columns read so many bytes of dense float64 rows, or stored entries of a CSR matrix, at a time: what stays
in the cache, and never a temporary that grows with the data."""
COPIED = 1 << 28
"""Bytes of an array up to which its rows are brought together."""


class Scaling(NamedTuple):
    """shift and scale are (nv,) float64 arrays or None; clip limits scaled values to [0, 1]."""

    shift: Any = None
    scale: Any = None
    clip: bool = False

    @property
    def words(self) -> str:
        """What is done to the data, for a person."""
        if self.scale is None:
            return "as given"
        if self.clip:
            return "scaled to [0, 1]"
        alike = not self.shift.any() and (self.scale == self.scale[0]).all()
        return f"divided by {1 / self.scale[0]:g}" if alike else "standardised"

    def invert(self, x: NDArray[Any]) -> NDArray[Any]:
        """Values on the scale of the user's data."""
        return x if self.scale is None else (x / self.scale + self.shift).astype(x.dtype)


class Columns(NamedTuple):
    """What is known of the columns, (nv,) float64 each: range, weighted mean, weighted share above a threshold or None.

    Where values are missing these are of the observed ones, whose weighted share is `observed`.
    """

    low: Any
    high: Any
    mean: Any
    above: Any = None
    observed: Any = 1.0


def row_blocks(X, weights=None, bytes_of_row=None):
    """(slice of rows, their part of X, their part of the weights) in blocks of bounded size; CSR without duplicate entries.

    Blocks of CSR hold `STORED` entries, unless `bytes_of_row` is given. Others hold `BYTES`, by default of float64 rows.
    """
    (n, width), stop = X.shape, 0
    while stop < n:
        start = stop
        if sparse.issparse(X) and bytes_of_row is None:
            stop = int(np.searchsorted(X.indptr, int(X.indptr[start]) + max(STORED, width), side="right")) - 1
        else:
            stop = start + BYTES // (bytes_of_row or 8 * max(width, 1))
        stop = min(max(stop, start + 1), n)
        rows = slice(start, stop)
        part = X[rows]
        if sparse.issparse(part) and not part.has_canonical_format:
            part = part.astype(np.float64)  # a copy, in which sums do not overflow
            part.sum_duplicates()
        yield rows, part, None if weights is None else weights[rows]


def _range(part, missing=False):
    """Least and greatest value of every column of a block; with `missing`, of values that are not NaN, if there is any."""
    if missing and not sparse.issparse(part) and part.dtype.kind == "f":
        return np.fmin.reduce(part, axis=0, initial=np.inf), np.fmax.reduce(part, axis=0, initial=-np.inf)
    if not sparse.issparse(part):
        return part.min(axis=0), part.max(axis=0)
    rows, width = part.shape
    implied = np.bincount(part.indices, minlength=width) < rows
    low, high = np.where(implied, 0.0, np.inf), np.where(implied, 0.0, -np.inf)
    np.minimum.at(low, part.indices, part.data.astype(np.float64))
    np.maximum.at(high, part.indices, part.data.astype(np.float64))
    return low, high


def _sums(part, weights):
    """Weighted sums of the columns of a block; not by BLAS, whose rounding depends on its threads.

    The rows are added in order, in float64: the same numbers give the same bits whatever their type and layout are.
    """
    if sparse.issparse(part):
        values = part.data if weights is None else part.data * np.repeat(weights, np.diff(part.indptr))
        return np.bincount(part.indices, values, part.shape[1])
    part = np.ascontiguousarray(part, np.float64)
    return np.add.reduce(part, axis=0) if weights is None else np.einsum("i,ij->j", weights, part)


def _with(part, values):
    """A CSR matrix with the entries of another and values of its own."""
    return sparse.csr_matrix((values, part.indices, part.indptr), part.shape)


def _sums_above(part, weights, threshold):
    """Weighted sums of the columns of (block > threshold)."""
    if not sparse.issparse(part):
        return _sums(part > threshold, weights)
    zero_on = float(0 > threshold)
    change = (part.data > threshold) - zero_on
    return _sums(_with(part, change), weights) + zero_on * (part.shape[0] if weights is None else weights.sum())


@functools.singledispatch
def column_range(X, missing=False):
    """Least and greatest value of every column, of a dense array or a CSR matrix, as float64; `missing` as in `columns`."""
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for _, part, _ in row_blocks(X):
        least, greatest = _range(part, missing)
        low, high = np.minimum(low, least), np.maximum(high, greatest)
    return low, high


@functools.singledispatch
def columns(X, weights=None, threshold=None, missing=False):
    """The `Columns` of a dense array or a CSR matrix, in one pass.

    Parameters
    ----------
    X : (n, nv) dense array or CSR matrix
        Where it is not finite, the range of that column is not either.
    weights : (n,) float64 array or None
    threshold : float or None
        Of `Columns.above`.
    missing : bool
        NaN in a dense array is a value that is missing. The range of a column without any value is (inf, -inf).

    Returns
    -------
    Columns
    """
    width = X.shape[1]
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    total, observed = np.zeros(width), np.zeros(width)
    missing = missing and not sparse.issparse(X)
    threshold = None if threshold is None else float(threshold)  # which NumPy compares with float32 in float32
    above = None if threshold is None else np.zeros(width)
    with np.errstate(invalid="ignore", over="ignore"):
        for _, part, w in row_blocks(X, weights):
            least, greatest = _range(part, missing)
            low, high = np.minimum(low, least), np.maximum(high, greatest)
            if above is not None:
                above += _sums_above(part, w, threshold)  # what is missing is above nothing
            if missing:
                known = ~np.isnan(part)
                observed += _sums(known, w)
                part = np.where(known, part, 0)
            total += _sums(part, w)
    count = X.shape[0] if weights is None else weights.sum()
    share = observed / count if missing else 1.0
    count = np.maximum(count * share, np.finfo(float).tiny)
    mean = np.clip(total / count, low, high)  # a column of one value has that mean exactly
    return Columns(low, high, mean, None if above is None else above / count, share)


@functools.singledispatch
def column_variance(X, mean, weights=None, observed=1.0):
    """The weighted variance of every column about a given mean, float64; of the observed values where some are missing."""
    total, count, room = np.zeros(X.shape[1]), X.shape[0] if weights is None else weights.sum(), None
    stored, weight = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _, part, w in row_blocks(X, weights):
        if sparse.issparse(part):
            total += _sums(_with(part, np.square(part.data - mean[part.indices])), w)
            ones = _with(part, np.ones(len(part.data)))
            stored, weight = stored + _sums(ones, None), weight + _sums(ones, w)
        else:
            room = np.empty(part.shape) if room is None else room[: len(part)]  # the first block is the largest
            np.square(np.subtract(part, mean, out=room), out=room)
            total += _sums(room if np.all(observed == 1.0) else np.nan_to_num(room, copy=False, nan=0.0), w)
    if sparse.issparse(X):  # the zeros that are not stored: exactly none where all are
        total += np.where(stored < X.shape[0], np.maximum(count - weight, 0.0) * np.square(mean), 0.0)
    return total / (count * observed)


def totals(unit, X, most=256):
    """(m, parts) float64: the row totals of the parts of a layer that keep them, of up to `most` rows evenly spread."""
    rows = np.unique(np.linspace(0, X.shape[0] - 1, min(most, X.shape[0])).astype(int))
    parts = [part for part in unit.parts(X.shape[1]) if part.unit.keeps_total]
    return np.column_stack([np.asarray(X[rows][:, part.start : part.stop].sum(axis=1), float).ravel() for part in parts])


def source(X, scaling, threshold=None):
    """The backend's `Source` of user data; a copy of an array whose rows do not lie one after another, unless it is large.

    Kernels read rows, and would be compiled anew for each such layout.
    """
    if isinstance(X, Stored) and X.packed and (scaling.scale is not None or not _keeps_binary(threshold)):
        X = X.unpacked()
    if isinstance(X, np.ndarray) and not X.flags.c_contiguous and X.nbytes <= COPIED:
        X = np.ascontiguousarray(X)
    return Source(X, scaling.shift, scaling.scale, scaling.clip, threshold)


def training_source(X, scaling, threshold=None):
    """The `Source` of data to train on. Draws from zeros and ones are these, so none are made, and backends may pack the data."""
    binary = threshold == "sample" and _is_binary(X, scaling)
    if isinstance(X, Stored) and not X.packed and (binary or not (threshold is None or threshold == "sample")):
        ones = functools.partial(_scaled, scaling=scaling) if binary else functools.partial(np.less, threshold)
        return Source(X.packed_where(ones))
    return source(X, scaling, None if binary else threshold)


def _keeps_binary(threshold):
    """Whether zeros and ones stay what they are."""
    return threshold is None or threshold == "sample" or 0 <= threshold < 1


def _scaled(part, scaling):
    """An array before it is clipped."""
    return part if scaling.scale is None else (part - scaling.shift) * scaling.scale


def _is_binary(X, scaling):
    """Whether all scaled values are zeros and ones; the first block with another ends the search."""
    shift, scale = scaling.shift, scaling.scale
    if sparse.issparse(X) and scale is not None and shift.any():
        return False
    for _, part, _ in row_blocks(X):
        if sparse.issparse(part):
            inside = part.data if scale is None else part.data * scale[part.indices]
        else:
            inside = _scaled(part, scaling)
        if not ((inside == 0) | (inside == 1)).all():
            return False
    return True
