"""The choice of visible unit and scaling for data.

"auto" takes Bernoulli units for intensities: data in [0, 1], or pixels. Pixels are whole numbers from 0 to at most 255 in 16
columns or more, most of which reach the same greatest value; they are divided by that value, or by 255 if it is above 127. If
such columns hardly vary, and for all other data, the units are Gaussian on standardised columns.
"""

import numpy as np
from scipy import sparse

from fastdbn.inputs.data import Scaling, column_variance, columns
from fastdbn.inputs.ranges import ROUNDING, check_range, check_size
from fastdbn.machine.initial import learns_variance
from fastdbn.support.checks import is_auto
from fastdbn.support.report import DataWarning, warn
from fastdbn.units import Mixed, get_unit, visible_unit

SCALES = ("auto", "minmax", "standard", "none")
PIXELS, IMAGE = 16, 64
"""The fewest columns that can be pixels; the fewest that can be an image, whose pixels may vary less."""
HALF, HALF_OF_IMAGE, DEVIATION, JUMP = 0.3, 0.08, 0.25, 0.05
"""A column varies enough for a Bernoulli unit if the middle half of its values between 0 and 1 is as wide as `HALF`
(`HALF_OF_IMAGE` in an image), or if its standard deviation is `DEVIATION`. If most of its values are 0 or 1, the median of the
others must be `JUMP`."""
SHARE, DOUBT = 0.9, 0.05
"""Columns that vary enough must hold this share of the values between 0 and 1. The choice is in doubt if their share is more
than `DOUBT` away from both 0 and 1."""
LOOKED_AT, FEW = 1 << 18, 10
"""How many numbers of X, in evenly spread rows, the choice looks at. With fewer rows than `FEW` the spread of a column is
unknown."""


def choose(X, visible, scale, binarize=None, weights=None, known=None, first_batch=False):
    """The visible unit and the scaling for data.

    Parameters
    ----------
    X : (n, nv) dense array or CSR matrix, checked to be finite, or to have missing values as NaN
    visible : "auto", unit name, Unit, or list of (unit, slice of columns)
        "auto": Bernoulli for intensities, probabilities, and zeros and ones, else Gaussian on standardised columns.
    scale : "auto", "minmax", "standard" or "none"
        "auto": standardise the columns of Gaussian units that "auto" chose, and those of a mixed layer; otherwise no scaling.
        "minmax": every column to [0, 1]; values beyond the range seen here are clipped. "standard": every column to mean 0 and
        variance 1; in a mixed layer only those of Gaussian units. For units that learn their variance, which begins at that of
        the data, "auto" means "standard", and "none" keeps the means.
    binarize : None, float or "sample"
        A threshold on the scale of X leaves zeros and ones. So "auto" takes Bernoulli units, and there is nothing to scale.
        "sample" draws zeros and ones with the scaled values as probabilities.
    weights : (n,) float64 array or None
    known : Columns or None
        Those of X, if the caller has them.
    first_batch : bool
        Whether more rows follow, which keep this scaling.

    Returns
    -------
    unit : Unit
    scaling : Scaling

    Raises
    ------
    ValueError
        if values are outside the unit's range (the message names the column and the remedy), or if a threshold leaves every
        row the same.

    Warns
    -----
    DataWarning
        if "auto" is in doubt, or a column is constant in a first batch.
    """
    low, high, mean, _, observed = known or columns(X, weights)
    automatic = is_auto(visible)
    if binarize is not None:
        check_binarize(binarize, scale, low, high)
        if binarize != "sample":
            return get_unit("bernoulli") if automatic else visible_unit(visible, X.shape[1]), Scaling()
    check_size(low, high)
    if automatic:
        unit, scale, top = _automatic(X, scale, binarize, low, high)
        if top > 1:
            return unit, Scaling(np.zeros(X.shape[1]), np.full(X.shape[1], 1 / top))
    else:
        unit = visible_unit(visible, X.shape[1])
    learns = learns_variance(unit)
    if scale == "minmax" and learns:
        raise ValueError(f"scale='minmax' clips, and visible={unit.name!r} learns the scale: use scale='standard' or 'none'")
    parts = unit.parts(X.shape[1])
    if scale != "none" and isinstance(unit, Mixed):
        if scale == "minmax":
            raise ValueError("scale='minmax' scales all columns, and visible is a mixed layer: scale those columns of X yourself")
        scale = "standard" if any(part.unit.support == "real" for part in parts) else "none"
    if scale == "minmax":
        width = np.where(high > low, high - low, 1.0)
        if first_batch and not (high > low).all():
            warn_of_first_batch(f"column {np.argmin(high > low)} of X")
        return unit, Scaling(low, 1.0 / width, True)
    if scale == "standard" or learns:
        deviation = np.sqrt(column_variance(X, mean, weights, observed))
        constant = deviation <= 1e-10 * np.maximum(np.abs(mean), 1e-300)
        if first_batch and constant.any():
            warn_of_first_batch(f"column {np.argmax(constant)} of X")
        shift = np.zeros_like(mean) if scale == "none" else mean.copy()
        scaling = Scaling(shift, 1.0 / np.where(constant, 1.0, deviation))
        for other, start, stop, _ in parts if isinstance(unit, Mixed) else ():
            if other.support != "real":
                scaling.shift[start:stop], scaling.scale[start:stop] = 0.0, 1.0
        check_range(unit, (low - scaling.shift) * scaling.scale, (high - scaling.shift) * scaling.scale)
        return unit, scaling
    check_range(unit, low, high)
    return unit, Scaling()


def warn_of_first_batch(name):
    """Warn that the first call of partial_fit fixes a scale that it cannot know."""
    warn(
        f"{name} is constant in the first batch of partial_fit, which fixes the scale for all later ones: it is taken as 1. "
        "Begin with a batch in which it varies, such as some hundred rows, or scale the data yourself and give scale='none'",
        DataWarning,
    )


def check_binarize(binarize, scale, low, high):
    """Refuse a threshold or draws that do not fit the scaling, or columns with values from low to high, (nv,) each."""
    if binarize == "sample":
        if scale == "standard":
            raise ValueError(
                "binarize='sample' takes values as probabilities, and scale='standard' makes others: use scale='minmax'"
            )
        return
    if scale in ("minmax", "standard"):
        raise ValueError(
            f"scale={scale!r}: binarize={binarize!r} is a threshold on the scale of X, and leaves zeros and ones, which need no "
            "scaling: use scale='auto'"
        )
    if (low < high).any() and ((low > binarize) | (high <= binarize)).all():
        raise ValueError(
            f"binarize={binarize!r} leaves every row the same: X has values from {low.min():g} to {high.max():g}, and the "
            "threshold is on their scale"
        )


def _automatic(X, scale, binarize, low, high):
    """(unit, scale, number that X is divided by) for visible="auto" and columns from low to high, (nv,) each."""
    bernoulli, gaussian = get_unit("bernoulli"), get_unit("gaussian")
    if scale in ("minmax", "standard"):
        return bernoulli if scale == "minmax" else gaussian, scale, 1
    top = _top(X, low, high)
    if scale == "none":
        return bernoulli if top == 1 or binarize == "sample" else gaussian, scale, 1
    if binarize == "sample":
        return bernoulli, "none", top or 1
    share = 0.0 if top is None else _share_that_varies(X, top)
    if top is not None and DOUBT < share < 1 - DOUBT:
        words = "'bernoulli'" if share >= SHARE else "'gaussian' on standardised columns"
        warn(
            f"visible='auto' is in doubt: X lies in [0, {top:g}], but some of its columns hardly vary on that scale. It takes "
            f"{words}; give visible='bernoulli', or visible='gaussian' and scale='standard', to decide yourself",
            DataWarning,
        )
    return (bernoulli, "none", top) if share >= SHARE else (gaussian, "standard", 1)


def _top(X, low, high):
    """The greatest value of intensities: 1, or that of pixels; None for other data."""
    if _within(low, high, 1.0):
        return 1
    most = high.max()
    if X.shape[1] < PIXELS or not _within(low, high, 255.0):
        return None
    top = 255 if most > 127 else most
    if np.mean(high[high > 0] >= (0.9 * most if top == 255 else most)) < 0.5:
        return None
    rows = _some_rows(X)
    return top if np.array_equal(rows, np.floor(rows), equal_nan=True) else None


def _within(low, high, top):
    return bool((low >= -ROUNDING).all() and (high <= top * (1 + ROUNDING)).all())


def _some_rows(X):
    """Evenly spread rows of X, as a dense float64 array."""
    few = min(X.shape[0], max(1, LOOKED_AT // X.shape[1]))
    rows = X[np.unique(np.linspace(0, X.shape[0] - 1, few).astype(int))]
    return (rows.toarray() if sparse.issparse(rows) else np.asarray(rows)).astype(np.float64)


def _share_that_varies(X, top):
    """The share of the values of X / top between 0 and 1 that are in columns that vary enough. 1 if there are no such values,
    or too few rows to tell."""
    values = _some_rows(X) / top
    rows = len(values)
    if rows < FEW:
        return 1.0
    deviation = np.where(np.isnan(values), np.nanmean(values), values).std(axis=0)
    values[~((values > ROUNDING) & (values < 1 - ROUNDING))] = np.inf
    values.sort(axis=0)
    count = np.isfinite(values).sum(axis=0)
    some = count > 0
    if not some.any():
        return 1.0
    values, count, deviation = values[:, some], count[some], deviation[some]
    low, middle, high = (np.take_along_axis(values, (count * part).astype(int)[None], axis=0)[0] for part in (0.25, 0.5, 0.75))
    wide = (high - low >= (HALF_OF_IMAGE if X.shape[1] >= IMAGE else HALF)) | (deviation >= DEVIATION)
    return float(count[np.where(2 * count >= rows, wide, middle >= JUMP)].sum() / count.sum())
