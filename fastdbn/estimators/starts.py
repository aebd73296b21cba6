"""Where the chains of a network begin if they are given no start: at the means of the top's hidden units given rows of its fit.

CD learns what a model does near the data. Far from them it may have modes that are like no row, and long chains end there. Chains
that begin at the data and are short stay in the modes of the data, in their shares.
"""

import numpy as np
from scipy import sparse

from fastdbn.maths import rng

ROWS = 256
"""The rows of a fit whose means are kept."""
OF_A_CLASS = 64
"""Of each class as many rows are kept, if there are, so that chains of a given class have somewhere to begin."""
STEPS = 10
"""Gibbs steps of chains that begin there, if they are not told."""


def _generator(seed, number):
    return rng.host_generator(seed, number, rng.stream(rng.INIT, 0, 5))


def rows_of(seed, X, weights=None, labels=None):
    """Numbers of the rows of a fit to keep, drawn by their weights; those that some classes lack come after the others.

    Rows without a label, or with missing values, are left out.

    Parameters
    ----------
    seed : int
    X : (n, n_features) array or CSR matrix
    weights : (n,) array or None
    labels : (n, n_classes) one-hot rows, zeros for no label, or None
    """
    weights = np.ones(X.shape[0]) if weights is None else weights
    order = np.argsort(_generator(seed, 0).exponential(size=X.shape[0]) / np.maximum(weights, np.finfo(np.float32).tiny))
    order = order[weights[order] > 0]
    rows = order[:ROWS]
    if labels is not None:
        order = order[labels[order].any(axis=1)]
        of_classes = [order[column[order] > 0][:OF_A_CLASS] for column in labels.T]
        rows, more = order[:ROWS], np.concatenate(of_classes)
        rows = np.concatenate([rows, more[~np.isin(more, rows)]])
    found = X[rows]
    return rows if sparse.issparse(found) else rows[~np.isnan(found).any(axis=1)]


def spread(means, n, noise, classes=None, wanted=None):
    """The means at which n chains begin: each in turn, in an order that the noise draws; of `wanted` classes those of that class.

    Parameters
    ----------
    means : (m, n_hidden) array
    n : int
    noise : (seed, number of the draw)
    classes : (m,) array or None
        Class numbers of the means.
    wanted : (n,) array or None
        Class numbers of the chains.

    Returns
    -------
    (n, n_hidden) array
    """
    order = _generator(*noise).permutation(len(means))
    if wanted is None:
        return means[np.resize(order[order < ROWS], n)]
    out = np.empty((n, means.shape[1]), means.dtype)
    for number in np.unique(wanted):
        own, of_class = order[classes[order] == number], wanted == number
        out[of_class] = means[np.resize(own if len(own) else order, of_class.sum())]
    return out
