"""`score` of models of the data alone: one number by which settings of parameters can be compared, so higher is better.

For visible units of two values it is a log-likelihood in nats for each row: of each unit given all others for an RBM, of each
unit given the reconstruction for a network. For others it is minus the squared error of the reconstruction over the variance of
each column, a mean over columns: 0 is perfect, -1 is as bad as the column means. Neither depends on the scale of the data.
"""

import functools

import numpy as np
from scipy import sparse

from fastdbn.estimators.layer import visible_blocks
from fastdbn.estimators.rows import threshold_of
from fastdbn.machine import pseudo
from fastdbn.support import checks
from fastdbn.training.options import missing_values
from fastdbn.units import get_unit

SURE = 1e-6
"""Means of units of two values count as at least so far from both, because one wrong sure mean would make the score infinite."""


def score_rbm(rbm, X, sample_weight):
    """The score of an RBM on checked rows."""
    machine = rbm.machine_
    if not pseudo.is_two_valued(machine.visible_unit):
        return score_reconstruction(rbm, X, rbm._reconstruct(X), sample_weight)
    rows, missing = np.empty(X.shape[0]), None if rbm.missing is None else missing_values.split(X)[1]
    for part, v in visible_blocks(rbm, X, machine):
        of_units = pseudo.expected(machine, v)
        if missing is not None:
            of_units[missing[part]] = 0.0  # only what was observed counts
        rows[part] = of_units.sum(axis=1)
    return _mean(rows, sample_weight)


def score_reconstruction(model, X, reconstructed, sample_weight):
    """The score of rows that a model has reconstructed; both are on the scale of the data.

    model has the units and the scaling of the data: an RBM, or an autoencoder.
    """
    unit, scaling, threshold = get_unit(model.visible_), model.scaling_, threshold_of(model)
    X = X.toarray() if sparse.issparse(X) else X
    x, mean = (np.asarray(values, np.float64) for values in (X, reconstructed))
    if pseudo.is_two_valued(unit):
        low, high = unit.support
        share = inside(scaling, x) if threshold is None else np.where(x > threshold, high, low)
        share, p = ((values - low) / (high - low) for values in (share, inside(scaling, mean)))
        p = np.clip(p, SURE, 1 - SURE)
        return _mean(np.nansum(share * np.log(p) + (1 - share) * np.log1p(-p), axis=1), sample_weight)  # of what is observed
    x, average = np.ma.masked_invalid(x), functools.partial(np.ma.average, weights=checks.sample_weights(sample_weight, len(x)))
    error, variance = (average(np.square(x - center), axis=0).filled(0.0) for center in (mean, average(x, axis=0)))
    return -float(np.mean(error / np.where(variance > 0, variance, 1.0)))


def inside(scaling, x):
    """Values on the scale of the visible units."""
    scaled = x if scaling.scale is None else (x - scaling.shift) * scaling.scale
    return np.clip(scaled, 0.0, 1.0) if scaling.clip else scaled


def _mean(rows, sample_weight):
    return float(np.average(rows, weights=checks.sample_weights(sample_weight, len(rows))))
