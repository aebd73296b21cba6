"""How far rows lie beyond the rows of a fit: a cost that grows with the distance, for the score of rows that no model can judge.

cost = sum_j g(e_j),    e_j = the distance of x_j from the fitted range of its column, in widths of that range
g(e) = e^2 below 1, 2 e - 1 above
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.inputs.data import column_range, row_blocks
from fastdbn.inputs.ranges import ROUNDING, bounds, clip_columns

FURTHEST = 1e100
"""Widths beyond which a distance no longer counts, so that the cost stays finite."""


class Extent(NamedTuple):
    """The range of each column of the fit data, low to high, and its width, which is never 0; (nv,) float64 each."""

    low: Any
    high: Any
    width: Any

    def joined(self, other):
        """The extent of two sets of rows together."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Extent(low, high, np.where(high > low, high - low, np.maximum(self.width, other.width)))

    def slack(self, dtype):
        """How far beyond the range of each column rounding explains a value of a type, (nv,) float64."""
        return ROUNDING * self.width + 2 * np.finfo(dtype).eps * np.maximum(np.abs(self.low), np.abs(self.high))

    def split(self, X):
        """(X clipped to the range, the cost (n,) float64 of what was clipped)."""
        if sparse.issparse(X) and self._cost(np.zeros((1, len(self.low)))).any():
            X = X.toarray()  # zeros that are not stored are beyond
        cost = np.zeros(X.shape[0])
        for rows, part, _ in row_blocks(X):
            if sparse.issparse(part):
                at = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
                cost[rows] = np.bincount(at, self._cost(part.data, part.indices), part.shape[0])
            else:
                cost[rows] = self._cost(part).sum(axis=1)
        return clip_columns(X, self.low, self.high) if cost.any() else X, cost

    def _cost(self, x, columns=slice(None)):
        """g(e) of values of these columns. An excess that rounding explains counts as 0."""
        low, high, width = (x_[columns] for x_ in self)
        slack = self.slack(x.dtype if x.dtype.kind == "f" else np.float64)[columns]
        x = x.astype(np.float64, copy=False)
        with np.errstate(over="ignore"):
            e = np.minimum(np.maximum(np.maximum(x - high, low - x) - slack, 0.0) / width, FURTHEST)
        return np.where(e < 1.0, np.square(np.minimum(e, 1.0)), 2.0 * e - 1.0)


def extent(unit, scaling, X, binarised=False):
    """The `Extent` of rows for a visible unit.

    A column that is constant at an end of its unit's range gets the whole range, because the model knows that such units are
    now and then at the other end. Any other constant column gets the width of the widest column.
    """
    low, high = column_range(X, missing=True)
    least, most = (low.min(), high.max()) if binarised else bounds(unit, scaling, X.shape[1])
    least, most = np.broadcast_to(least, low.shape), np.broadcast_to(most, low.shape)
    step = np.ones(len(low)) if scaling.scale is None else 1.0 / scaling.scale
    constant, off, on = low == high, low == least, high == most
    low, high = (
        np.where(constant & on, np.where(np.isfinite(least), least, low - step), low),
        np.where(constant & off, np.where(np.isfinite(most), most, high + step), high),
    )
    width = high - low
    return Extent(low, high, np.where(width > 0, width, max(width.max(), step.max())))
