"""The range of visible units: a fit refuses values outside it, later rows are clipped to it."""

import functools
import math

import numpy as np
from scipy import sparse

from fastdbn.inputs.data import column_range, row_blocks
from fastdbn.machine.block import MOST_COUNTS
from fastdbn.support.report import DataWarning, warn
from fastdbn.support.stored import Stored, store
from fastdbn.units import Mixed
from fastdbn.units.unit import Unit

ROUNDING = 1e-6
"""A value beyond an end of a range by at most this fraction of the end, or of 1, counts as the end: scaling elsewhere leaves
such values."""
LARGEST = 1e36
"""The largest number that data may have, in size. Reconstructions of such data have numbers that float32 holds."""
FURTHEST = 1e15
"""The largest state of a unit, in size: squares and sums of larger ones leave the numbers that float32 holds."""


def _excess(low, high, least, greatest):
    """How far the values of each column, from least to greatest, exceed [low, high], less what rounding explains."""
    with np.errstate(invalid="ignore"):
        slack = [np.where(np.isfinite(end), ROUNDING * np.maximum(np.abs(end), 1.0), 0.0) for end in (low, high)]
        return np.fmax(greatest - high - slack[1], low - slack[0] - least)


def check_range(unit: Unit, low, high):
    """Refuse columns whose values are outside a unit's range.

    Raises
    ------
    ValueError
        names the worst column, its extreme value and the remedy.
    """
    for part, start, stop, _ in unit.parts(len(low)):
        over = _excess(part.low, part.high, low[start:stop], high[start:stop])
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


def check_size(low, high):
    """Refuse columns, whose values are from low to high, with larger numbers than data may have.

    Raises
    ------
    ValueError
        names the worst column, its extreme value and the remedy.
    """
    size = np.maximum(-low, high)
    if size.max(initial=0) > LARGEST:
        column = int(np.argmax(size))
        raise ValueError(
            f"X has {high[column] if high[column] == size[column] else low[column]:g} in column {column}: give numbers up to "
            f"{LARGEST:g} in size, and divide larger ones"
        )


def check_values(unit, scaling, X, may_lack=False):
    """Refuse rows for further training of a fitted model if values are out of range or groups are broken."""
    if not scaling.clip:
        low, high = column_range(X, may_lack)
        if scaling.scale is not None:
            low, high = (low - scaling.shift) * scaling.scale, (high - scaling.shift) * scaling.scale
        check_range(unit, low, high)
    check_groups(X, unit)


def bounds(unit, scaling, width):
    """The least and the greatest value that units take, on the scale of X: numbers, or (width,) arrays."""
    if scaling.clip:
        return -np.inf, np.inf  # the scaling clips
    if isinstance(unit, Unit):
        low, high = unit.low, unit.high
    else:
        low, high = np.empty(width), np.empty(width)
        for part, start, stop, _ in unit.parts(width):
            low[start:stop], high[start:stop] = part.low, part.high
    if scaling.scale is None or not np.any(np.isfinite(low) | np.isfinite(high)):
        return low, high
    return low / scaling.scale + scaling.shift, high / scaling.scale + scaling.shift


def takes_all(unit):
    """Whether a unit takes every real number, to `FURTHEST`."""
    return unit.support == "real" and unit.low == -np.inf and unit.high == np.inf


def clipped(unit, scaling, X):
    """Rows for a fitted model, clipped to the range of its visible units. X itself if that changes nothing.

    There is no warning for an excess that rounding explains, nor for a scaling that clips by itself.

    Raises
    ------
    ValueError
        if rows break the groups of the units.

    Warns
    -----
    DataWarning
        names the column that is furthest out of range, its value and the remedy.
    """
    if takes_all(unit) and is_near(scaling, X):
        return X
    check_groups(X, unit)
    low, high = _reach(unit, scaling, X.shape[1])
    if not np.any(np.isfinite(low) | np.isfinite(high)):
        return X
    if np.ndim(low) == 0 and all_inside(X, low, high):
        return X
    least, greatest = column_range(X, missing=True)
    if not ((least < low) | (greatest > high)).any():
        return X
    over = _excess(low, high, least, greatest)
    low, high = (np.broadcast_to(end, X.shape[1]) for end in (low, high))
    column = int(np.argmax(over))
    if over[column] > 0:
        value = greatest[column] if greatest[column] > high[column] else least[column]
        part = next(part.unit for part in unit.parts(X.shape[1]) if part.start <= column < part.stop)
        warn(
            f"column {column} of X has {value:g}, and the visible units ({part.name}) take values from {low[column]:g} to "
            f"{high[column]:g}: such values were clipped. Scale X as the fit data were, or fit with scale='minmax', which clips "
            "without a warning",
            DataWarning,
        )
    return clip_columns(X, low, high)


def _reach(unit, scaling, width):
    """`bounds`, but no further than `FURTHEST`."""
    (low, high), scaled = bounds(unit, scaling, width), scaling.scale is not None
    if scaling.clip:
        return low, high
    ends = (end / scaling.scale + scaling.shift if scaled else end for end in (-FURTHEST, FURTHEST))
    return np.maximum(low, next(ends)), np.minimum(high, next(ends))


def is_near(scaling, X):
    """Whether X is surely finite, and no state of units that take all numbers beyond `FURTHEST`: by the norm of X, which is quick
    to have, and may overflow where X is finite."""
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind == "f":
        norm = math.sqrt(np.vdot(values, values))
    else:
        norm = 1.0 if values.dtype.kind == "b" else float(np.iinfo(values.dtype).max)
    shift, scale = (0.0, 1.0) if scaling.scale is None else (float(np.abs(scaling.shift).max()), float(scaling.scale.max()))
    return (norm + shift) * scale <= FURTHEST


def brought_inside(unit, scaling, X):
    """Noisy rows, clipped to the range of the visible units without a warning. X itself if that changes nothing."""
    low, high = (np.broadcast_to(end, X.shape[1]) for end in bounds(unit, scaling, X.shape[1]))
    return clip_columns(X, low, high) if np.any(np.isfinite(low) | np.isfinite(high)) else X


def all_inside(X, low, high):
    """Whether all values of X are between two numbers. False for NaN, and for a CSR matrix that may have duplicate entries."""
    if isinstance(X, Stored):
        return all(all_inside(part, low, high) for part in X.blocks())
    if sparse.issparse(X) and not (X.has_canonical_format and low <= 0 <= high):
        return False
    values = X.data if sparse.issparse(X) else X
    return values.size == 0 or bool(low <= values.min() and values.max() <= high)


def clip_columns(X, low, high):
    """A copy of X whose columns are clipped to [low, high], (nv,) each. CSR matrices are clipped by entries; NaN is kept."""
    if isinstance(X, Stored):
        return store(clip_columns(part, low, high) for part in X.blocks())
    if sparse.issparse(X):
        X = X.copy()
        X.sum_duplicates()
        values = np.clip(X.data, low[X.indices], high[X.indices])
        return sparse.csr_matrix((_like(X, values), X.indices, X.indptr), X.shape)
    return _like(X, np.clip(X, low, high))


def _like(X, values):
    """Values in the precision of X."""
    return values.astype(X.dtype) if X.dtype.kind == "f" else values


@functools.singledispatch
def check_groups(X, unit):
    """Refuse rows that break groups of units: one of K must sum to 1, and counts must be whole numbers."""
    parts = unit.parts(X.shape[1])
    for part, start, stop, _ in parts:
        own = X if len(parts) == 1 else X[:, start:stop]
        if part.support == "one-of":
            _check_one_of(part, own, start)
        elif part.keeps_total:
            _check_counts(part, own, start)


def _check_counts(unit, X, start):
    for rows, part, _ in row_blocks(X):
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
    for rows, part, _ in row_blocks(X, bytes_of_row=8 * (groups if sparse.issparse(X) else X.shape[1])):
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
