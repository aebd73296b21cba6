"""What comes between a user's array and the visible units: the choice of unit type, scaling, and the checks of values.

inside = clip((x - shift) scale),    x = inside / scale + shift
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.backends import Source
from fastdbn.unit import Unit
from fastdbn.units import get_unit

SCALES = ("auto", "minmax", "standard", "none")
BLOCK = 4096
"""Rows handled at a time where a whole matrix would make a large temporary."""


class Scaling(NamedTuple):
    """shift and scale are (nv,) float64 arrays or None; clip limits scaled values to [0, 1]."""

    shift: Any = None
    scale: Any = None
    clip: bool = False

    def invert(self, x):
        """Values on the scale of the user's data."""
        return x if self.scale is None else (x / self.scale + self.shift).astype(x.dtype)


def column_range(X):
    """Least and greatest value of every column, of a dense array or a CSR matrix, as float64."""
    if sparse.issparse(X):
        low, high = X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()
    else:
        low, high = X.min(axis=0), X.max(axis=0)
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def column_moments(X, weights=None):
    """Mean and variance of every column in float64, in blocks of rows; weights (n,) or None."""
    n, width = X.shape
    total, first, second = 0.0, np.zeros(width), np.zeros(width)
    origin = np.zeros(width) if sparse.issparse(X) else np.asarray(X[0], np.float64)
    for start in range(0, n, BLOCK):
        part = X[start : start + BLOCK]
        w = np.ones(part.shape[0]) if weights is None else np.asarray(weights[start : start + BLOCK], np.float64)
        if sparse.issparse(part):
            part = part.astype(np.float64)
            first += part.T @ w
            second += part.multiply(part).T @ w
        else:
            part = part - origin  # near a column's own values, so that the difference of squares loses nothing
            first += w @ part
            second += w @ np.square(part)
        total += w.sum()
    mean = first / total
    return mean + origin, np.maximum(second / total - mean * mean, 0.0)


def choose(X, visible, scale, weights=None):
    """The visible unit and the scaling for data.

    Parameters
    ----------
    X : (n, nv) dense array or CSR matrix, checked to be finite
    visible : "auto", unit name or Unit
        "auto": Bernoulli where the (scaled) data lie in [0, 1], else Gaussian on standardised columns.
    scale : "auto", "minmax", "standard" or "none"
        "auto": standardise for Gaussian units chosen by "auto", else none; "minmax": every column to [0, 1], values beyond the
        range seen here are clipped; "standard": every column to mean 0 and variance 1.

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
    low, high = column_range(X)
    automatic = isinstance(visible, str) and visible == "auto"
    inside = bool((low >= 0).all() and (high <= 1).all())
    if automatic:
        bounded = scale == "minmax" or (inside and scale != "standard")
        unit = get_unit("bernoulli" if bounded else "gaussian")
        scale = "standard" if scale == "auto" and not bounded else scale
    else:
        unit = get_unit(visible)
    if scale == "minmax":
        width = np.where(high > low, high - low, 1.0)
        return unit, Scaling(low, 1.0 / width, True)
    if scale == "standard":
        mean, variance = column_moments(X, weights)
        deviation = np.sqrt(variance)
        constant = deviation <= 1e-10 * np.maximum(np.abs(mean), 1e-300)
        scaling = Scaling(mean, 1.0 / np.where(constant, 1.0, deviation))
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
    over = np.maximum(high - unit.high, unit.low - low)
    column = int(np.argmax(over)) if len(over) else 0
    if len(over) and over[column] > 0:
        top = high[column] > unit.high
        value = high[column] if top else low[column]
        remedy = f"divide by {value:g} or use scale='minmax'" if top and low.min() >= 0 else "use scale='minmax'"
        raise ValueError(
            f"visible={unit.name!r} needs values in [{unit.low:g}, {unit.high:g}]; column {column} has "
            f"{'max' if top else 'min'} {value:g}: {remedy}"
        )


def check_groups(unit, X):
    """Refuse data that are not one-of-K where the unit wants that: every group of a row must sum to one."""
    if unit.support != "one-of":
        return
    size = unit.group_size(X.shape[1])
    if X.shape[1] % size:
        raise ValueError(f"visible={unit.name!r} with groups of {size} needs a multiple of {size} columns; X has {X.shape[1]}")
    for start in range(0, X.shape[0], BLOCK):
        part = X[start : start + BLOCK]
        part = np.asarray(part.toarray() if sparse.issparse(part) else part, np.float64)
        sums = part.reshape(len(part), -1, size).sum(axis=2)
        bad = np.argwhere(np.abs(sums - 1.0) > 1e-3)
        if len(bad):
            i, g = bad[0]
            raise ValueError(
                f"visible={unit.name!r} needs groups of {size} columns that sum to 1; row {start + i} has {sums[i, g]:g} in "
                f"group {g}: encode each category as one column of ones and zeros"
            )


def source(X, scaling, threshold=None):
    """The backend's `Source` of user data."""
    return Source(X, scaling.shift, scaling.scale, scaling.clip, threshold)
