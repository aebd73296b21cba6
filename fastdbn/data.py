"""What comes between a user's array and the visible units: the choice of unit type, scaling, and the checks of values.

inside = clip((x - shift) scale),    x = inside / scale + shift
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn import variance
from fastdbn.backends import Source
from fastdbn.unit import Unit
from fastdbn.units import Mixed, get_unit, visible_unit

SCALES = ("auto", "minmax", "standard", "none")
BLOCK, ROOM = 4096, 1 << 25
"""Rows handled at a time, and bytes of them as dense float64 at most, where a whole matrix would make a large temporary."""
BYTES, STORED = 1 << 20, 1 << 20
"""Statistics of the columns read so many bytes of dense float64 rows, or stored entries of a CSR matrix, at a time: what stays
in the cache, and never a temporary that grows with the data."""

MOST_COUNTS = 1 << 24
"""The greatest total of a row of counts: float32 holds whole numbers up to it."""


class Scaling(NamedTuple):
    """shift and scale are (nv,) float64 arrays or None; clip limits scaled values to [0, 1]."""

    shift: Any = None
    scale: Any = None
    clip: bool = False

    def invert(self, x):
        """Values on the scale of the user's data."""
        return x if self.scale is None else (x / self.scale + self.shift).astype(x.dtype)


def block_rows(width):
    """Rows of some width that are handled at a time."""
    return max(1, min(BLOCK, ROOM // (8 * max(width, 1))))


class Columns(NamedTuple):
    """What is known of the columns, (nv,) float64 each: range, weighted mean, weighted share above a threshold or None.

    Where values are missing these are of the observed ones, whose weighted share is `observed`.
    """

    low: Any
    high: Any
    mean: Any
    above: Any = None
    observed: Any = 1.0


def _blocks(X, bytes_of_row=None):
    """Slices of the rows of X of bounded size: by entries for CSR, else by bytes of a row, those of float64 by default."""
    n, width = X.shape
    if sparse.issparse(X) and bytes_of_row is None:
        start, most = 0, max(STORED, width)
        while start < n:
            stop = int(np.searchsorted(X.indptr, int(X.indptr[start]) + most, side="right")) - 1
            stop = min(max(stop, start + 1), n)
            yield slice(start, stop)
            start = stop
    else:
        rows = max(1, BYTES // (bytes_of_row or 8 * max(width, 1)))
        for start in range(0, n, rows):
            yield slice(start, min(start + rows, n))


def _parts(X, weights=None, bytes_of_row=None):
    """(rows, their part of X, their part of the weights) for each of the blocks; CSR without duplicate entries."""
    for rows in _blocks(X, bytes_of_row):
        part = X[rows]
        if sparse.issparse(part):
            part.sum_duplicates()  # the slice is a copy
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
    """Weighted sums of the columns of a block; not by BLAS, whose rounding depends on its threads."""
    if sparse.issparse(part):
        values = part.data if weights is None else part.data * np.repeat(weights, np.diff(part.indptr))
        return np.bincount(part.indices, values, part.shape[1])
    return np.add.reduce(part, axis=0, dtype=np.float64) if weights is None else np.einsum("i,ij->j", weights, part)


def _with(part, values):
    """A CSR matrix with the entries of another and values of its own."""
    return sparse.csr_matrix((values, part.indices, part.indptr), part.shape)


def _sums_above(part, weights, threshold, scaling):
    """Weighted sums of the columns of (scaled block > threshold)."""
    shift, scale = (0.0, 1.0) if scaling.scale is None else (scaling.shift, scaling.scale)
    if not sparse.issparse(part):
        return _sums((part if scaling.scale is None else (part - shift) * scale) > threshold, weights)
    width = part.shape[1]
    shift, scale = np.broadcast_to(shift, width), np.broadcast_to(scale, width)
    zero_on = ((0.0 - shift) * scale > threshold).astype(np.float64)
    j = part.indices
    change = ((part.data - shift[j]) * scale[j] > threshold) - zero_on[j]
    return _sums(_with(part, change), weights) + zero_on * (part.shape[0] if weights is None else weights.sum())


def column_range(X, missing=False):
    """Least and greatest value of every column, of a dense array or a CSR matrix, as float64; `missing` as in `columns`."""
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for _, part, _ in _parts(X):
        least, greatest = _range(part, missing)
        low, high = np.minimum(low, least), np.maximum(high, greatest)
    return low, high


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
    above = None if threshold is None else np.zeros(width)
    with np.errstate(invalid="ignore", over="ignore"):
        for _, part, w in _parts(X, weights):
            least, greatest = _range(part, missing)
            low, high = np.minimum(low, least), np.maximum(high, greatest)
            if above is not None:
                above += _sums_above(part, w, threshold, Scaling())  # what is missing is above nothing
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


def column_variance(X, mean, weights=None, observed=1.0):
    """The weighted variance of every column about a given mean, float64; of the observed values where some are missing."""
    total, count, room = np.zeros(X.shape[1]), X.shape[0] if weights is None else weights.sum(), None
    for _, part, w in _parts(X, weights):
        if sparse.issparse(part):
            m = mean[part.indices]
            total += _sums(_with(part, np.square(part.data - m) - np.square(m)), w)
        else:
            room = np.empty(part.shape) if room is None else room[: len(part)]  # the first block is the largest
            np.square(np.subtract(part, mean, out=room), out=room)
            total += _sums(room if np.all(observed == 1.0) else np.nan_to_num(room, copy=False, nan=0.0), w)
    return np.maximum(total / (count * observed) + (np.square(mean) if sparse.issparse(X) else 0.0), 0.0)


def share_above(X, threshold, scaling, weights=None, observed=1.0):
    """The weighted share of every column's scaled values, of those observed, that lie above a threshold, float64."""
    total = sum(_sums_above(part, w, threshold, scaling) for _, part, w in _parts(X, weights))
    return total / ((X.shape[0] if weights is None else weights.sum()) * observed)


def choose(X, visible, scale, weights=None, known=None):
    """The visible unit and the scaling for data.

    Parameters
    ----------
    X : (n, nv) dense array or CSR matrix, checked to be finite, or to have missing values as NaN
    visible : "auto", unit name, Unit, or list of (unit, slice of columns)
        "auto": Bernoulli where the (scaled) data lie in [0, 1], else Gaussian on standardised columns.
    scale : "auto", "minmax", "standard" or "none"
        "auto": standardise for Gaussian units chosen by "auto" and those of a mixed layer, else none; "minmax": every column to
        [0, 1], values beyond the range seen here are clipped; "standard": every column to mean 0 and variance 1, or in a mixed
        layer those of Gaussian units. Where units learn their variance, which begins at that of the data, "auto" is "standard",
        and "none" leaves the means.
    weights : (n,) float64 array or None
    known : Columns or None
        Of X, where a caller has them.

    Returns
    -------
    unit : Unit
    scaling : Scaling

    Raises
    ------
    ValueError
        if values are outside the unit's range; the message names the column and the remedy.
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r}: give one of {', '.join(map(repr, SCALES))}")
    low, high, mean, _, observed = known or columns(X, weights)
    automatic = isinstance(visible, str) and visible == "auto"
    inside = bool((low >= 0).all() and (high <= 1).all())
    if automatic:
        bounded = scale == "minmax" or (inside and scale != "standard")
        unit = get_unit("bernoulli" if bounded else "gaussian")
        scale = "standard" if scale == "auto" and not bounded else scale
    else:
        unit = visible_unit(visible, X.shape[1])
    learns = variance.learns(unit)
    if scale == "minmax" and learns:
        raise ValueError(f"scale='minmax' clips, and visible={unit.name!r} learns the scale: use scale='standard' or 'none'")
    parts = unit.parts(X.shape[1])
    if scale != "none" and isinstance(unit, Mixed):
        if scale == "minmax":
            raise ValueError("scale='minmax' scales all columns, and visible is a mixed layer: scale those columns of X yourself")
        scale = "standard" if any(part.unit.support == "real" for part in parts) else "none"
    if scale == "minmax":
        width = np.where(high > low, high - low, 1.0)
        return unit, Scaling(low, 1.0 / width, True)
    if scale == "standard" or learns:
        deviation = np.sqrt(column_variance(X, mean, weights, observed))
        constant = deviation <= 1e-10 * np.maximum(np.abs(mean), 1e-300)
        shift = np.zeros_like(mean) if scale == "none" else mean.copy()
        scaling = Scaling(shift, 1.0 / np.where(constant, 1.0, deviation))
        for other, start, stop, _ in parts if isinstance(unit, Mixed) else ():
            if other.support != "real":
                scaling.shift[start:stop], scaling.scale[start:stop] = 0.0, 1.0
        check_range(unit, (low - scaling.shift) * scaling.scale, (high - scaling.shift) * scaling.scale)
        return unit, scaling
    check_range(unit, low, high)
    return unit, Scaling()


def check_range(unit: Unit, low, high):
    """Refuse columns whose values are outside a unit's range.

    Raises
    ------
    ValueError
        naming the worst column, its extreme value and the remedy.
    """
    for part, start, stop, _ in unit.parts(len(low)):
        over = np.maximum(high[start:stop] - part.high, part.low - low[start:stop])
        column = start + int(np.argmax(over)) if len(over) else 0
        if not len(over) or over[column - start] <= 0:
            continue
        top = high[column] > part.high
        value = high[column] if top else low[column]
        remedy = f"divide by {value:g} or use scale='minmax'" if top and low.min() >= 0 else "use scale='minmax'"
        if isinstance(unit, Mixed) or part.keeps_total:
            remedy = "scale it, or take another unit type for it"
        raise ValueError(
            f"visible={part.name!r} needs values in [{part.low:g}, {part.high:g}]; column {column} has "
            f"{'max' if top else 'min'} {value:g}: {remedy}"
        )


def check_values(unit, scaling, X, may_lack=False):
    """Refuse data for units and scaling of an earlier fit: values out of range, rows that groups of units cannot take."""
    if not scaling.clip:
        low, high = column_range(X, may_lack)
        if scaling.scale is not None:
            low, high = (low - scaling.shift) * scaling.scale, (high - scaling.shift) * scaling.scale
        check_range(unit, low, high)
    check_groups(unit, X)


def check_groups(unit, X):
    """Refuse data whose rows are not what groups of units want: one of K, summing to one; or whole numbers, as counts are."""
    parts = unit.parts(X.shape[1])
    for part, start, stop, _ in parts:
        own = X if len(parts) == 1 else X[:, start:stop]
        if part.support == "one-of":
            _check_one_of(part, own, start)
        elif part.keeps_total:
            _check_counts(part, own, start)


def _check_counts(unit, X, start):
    for rows, part, _ in _parts(X):
        totals = np.asarray(part.sum(axis=1, dtype=np.float64)).ravel()
        if totals.max(initial=0) > MOST_COUNTS:
            raise ValueError(
                f"visible={unit.name!r} takes rows whose counts sum to at most {MOST_COUNTS:,}, which is how far float32 counts; "
                f"row {rows.start + np.argmax(totals)} has {totals.max():,.0f}: divide the row, and round, or split it"
            )
        values = part.data if sparse.issparse(part) else part
        bad = np.flatnonzero(values != np.floor(values))
        if len(bad):
            if sparse.issparse(part):
                i, j = np.searchsorted(part.indptr, bad[0], side="right") - 1, part.indices[bad[0]]
            else:
                i, j = divmod(bad[0], part.shape[1])
            raise ValueError(
                f"visible={unit.name!r} needs whole numbers, the counts of words; row {rows.start + i} has "
                f"{values.flat[bad[0]]:g} in column {start + j}: give counts, not frequencies or weights"
            )


def _check_one_of(unit, X, start):
    size = unit.group_size(X.shape[1])
    if X.shape[1] % size:
        raise ValueError(f"visible={unit.name!r} with groups of {size} needs a multiple of {size} columns; X has {X.shape[1]}")
    groups = X.shape[1] // size
    for rows, part, _ in _parts(X, bytes_of_row=8 * (groups if sparse.issparse(X) else X.shape[1])):
        n = part.shape[0]
        if sparse.issparse(part):
            at = np.repeat(np.arange(n) * groups, np.diff(part.indptr)) + part.indices // size
            sums = np.bincount(at, part.data, n * groups).reshape(n, groups)
        else:
            sums = part.reshape(n, groups, size).sum(axis=2, dtype=np.float64)
            whole = np.isnan(part).reshape(n, groups, size).all(axis=2) if np.isnan(sums).any() else False
            sums = np.where(whole, 1.0, sums)  # a group that is missing
        bad = np.argwhere(~(np.abs(sums - 1.0) <= 1e-3))
        if len(bad):
            i, g = bad[0]
            raise ValueError(
                f"visible={unit.name!r} needs groups of {size} columns that sum to 1; row {rows.start + i} has {sums[i, g]:g} in "
                f"group {g}{f' from column {start} on' if start else ''}: encode each category as one column of ones and zeros, "
                "all of them NaN where it is missing"
            )


def totals(unit, X, most=256):
    """(m, parts) float64: the row totals of the parts of a layer that keep them, of up to `most` rows evenly spread."""
    rows = np.unique(np.linspace(0, X.shape[0] - 1, min(most, X.shape[0])).astype(int))
    parts = [part for part in unit.parts(X.shape[1]) if part.unit.keeps_total]
    return np.column_stack([np.asarray(X[rows][:, part.start : part.stop].sum(axis=1), float).ravel() for part in parts])


def source(X, scaling, threshold=None):
    """The backend's `Source` of user data."""
    return Source(X, scaling.shift, scaling.scale, scaling.clip, threshold)
