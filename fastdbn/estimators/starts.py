"""Where the chains of a network begin if they are given no start: at top hidden units drawn given some rows of its fit.

CD learns what a model does near the data. Far from them it may have modes that are like no row, and long chains end there. Chains
that begin at the data and are short stay in the modes of the data, in their shares.
"""

import numpy as np
from scipy import sparse

from fastdbn.maths import rng

ROWS = 256
"""The rows of a fit whose states are kept."""
OF_A_CLASS = 32
"""Of each class as many rows are kept, if there are, so that chains of a given class have somewhere to begin."""
STEPS = 10
"""Gibbs steps of chains that begin there, if they are not told."""


def generator(seed, number):
    """Draws of which rows are kept (number 0), and of the order in which chains of a draw from the model begin at them."""
    return rng.host_generator(seed, number, rng.stream(rng.INIT, 0, 5))


def rows_of(draw, X, weights=None, labels=None):
    """Numbers of the rows of a fit to keep, drawn by their weights; those that some classes lack come after the others.

    Rows without a label, or with missing values, are left out.

    Parameters
    ----------
    draw : numpy Generator
    X : (n, n_features) array or CSR matrix
    weights : (n,) array or None
    labels : (n, n_classes) one-hot rows, zeros for no label, or None
    """
    weights = np.ones(X.shape[0]) if weights is None else weights
    order = np.argsort(draw.exponential(size=X.shape[0]) / np.maximum(weights, np.finfo(np.float32).tiny))
    order = order[weights[order] > 0]
    rows = order[:ROWS]
    if labels is not None:
        order = order[labels[order].any(axis=1)]
        of_classes = [order[column[order] > 0][:OF_A_CLASS] for column in labels.T]
        rows, more = order[:ROWS], np.concatenate(of_classes)
        rows = np.concatenate([rows, more[~np.isin(more, rows)]])
    return rows if sparse.issparse(X) else rows[~np.isnan(X[rows]).any(axis=1)]


def spread(states, n, noise, classes=None, wanted=None):
    """The states of n chains: each one in turn, in an order that the noise draws; of `wanted` classes (n,) those of that class.

    Parameters
    ----------
    states : (m, n_hidden) array
    n : int
    noise : (seed, number of the draw)
    classes : (m,) array or None
        Class numbers of the states.
    wanted : (n,) array or None

    Returns
    -------
    (n, n_hidden) array
    """
    order = generator(*noise).permutation(len(states))
    if wanted is None:
        return states[np.resize(order[order < ROWS], n)]
    out = np.empty((n, states.shape[1]), states.dtype)
    for number in np.unique(wanted):
        own, of_class = order[classes[order] == number], wanted == number
        out[of_class] = states[np.resize(own if len(own) else order, of_class.sum())]
    return out
