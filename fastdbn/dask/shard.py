"""A shard of the data on a worker, and what is computed of it: statistics of columns, rows, inputs of the next layer.

The functions are tasks (cluster.py).
"""

import numpy as np
from sklearn.utils import check_array

from fastdbn import __version__
from fastdbn.estimators.layer import hidden_given_rows
from fastdbn.estimators.rows import types_for
from fastdbn.files.fingerprint import fingerprint
from fastdbn.inputs import data, ranges
from fastdbn.maths import rng
from fastdbn.support import checks

GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: multiples of it, modulo 2^64, are far apart."""


def seed_of_shard(seed, number):
    """The seed of a shard's own noise; that of the first is the model's."""
    return (seed + number * GOLDEN) % 2**64


class Shard:
    """Some rows of the data, and what belongs to them in a run.

    Attributes
    ----------
    X : (n, n_features) array or CSR matrix
        Finite, of a type that the backend reads.
    number, first : int
        The shard's number and that of its first row.
    rows : (m,) uint32 array or None
        The rows that are trained on, from 0; None means all.
    weights, target : arrays or None
        One entry for each row.
    """

    def __init__(self, X, number, first, rows=None, weights=None, target=None):
        self.X, self.number, self.first = X, number, first
        self.rows, self.weights, self.target = rows, weights, target
        self.kept = {}

    def __getstate__(self):
        return vars(self) | {"kept": {}, "version": __version__}

    def __setstate__(self, state):
        check_version(state.pop("version"))
        vars(self).update(state)

    def keep(self, name, key, make):
        """What `make` gives, kept for later tasks with the same key. It must be a function of shard and key."""
        if name not in self.kept or self.kept[name][0] != key:
            self.kept[name] = key, make()
        return self.kept[name][1]


def check_version(version):
    """Refuse to compute by another fastdbn than that of the client, or of another worker, because bits could differ."""
    checks.refuse(
        version != __version__, f"fastdbn {version} sent a task to fastdbn {__version__}: install one of them everywhere"
    )


def checked_shard(X, number, first, may_lack, version):
    """The `Shard` of a block of the user's rows, for a client of some version."""
    check_version(version)
    X = X.to_numpy() if hasattr(X, "to_numpy") else X
    X = check_array(X, accept_sparse="csr", dtype=types_for(X), ensure_all_finite=False, ensure_min_samples=0)
    checks.finite(X, None, may_lack)
    return Shard(X, number, first)


def joined(shard, rows, weights, target):
    """The shard with what belongs to its rows in a run."""
    return Shard(shard.X, shard.number, shard.first, rows, weights, target)


def columns_of(shard, weights, threshold, missing):
    """(weight of the rows, `Columns`) of a shard."""
    weight = shard.X.shape[0] if weights is None else weights.sum()
    return (weight, data.columns(shard.X, weights, threshold, missing)) if weight else None


def variance_of(shard, mean, weights, observed):
    """(weight of the observed values, their variance about a mean) of each column of a shard."""
    weight = shard.X.shape[0] if weights is None else weights.sum()
    return weight * observed, data.column_variance(shard.X, mean, weights, observed) if weight else 0.0


def check_groups(shard, unit):
    """Refuse rows that break groups of units."""
    try:
        ranges.check_groups(shard.X, unit)
    except ValueError as error:
        raise ValueError(f"{error} (counted from row {shard.first})") from None


def fingerprint_of(shard):
    """The `Fingerprint` of a shard."""
    return fingerprint(shard.X)


def rows_of(shard, rows):
    """Some rows, numbered from 0, of a shard."""
    return shard.X[rows]


def of_columns(shard, columns):
    """A shard of some columns."""
    return Shard(shard.X[:, columns], shard.number, shard.first)


def above(shard, rbm, noise):
    """The shard of a layer's hidden means, or of its draws with noise, (seed, stream)."""
    key = None if noise is None else rng.key(seed_of_shard(noise[0], shard.number), 0, noise[1])
    if not shard.X.shape[0]:
        return Shard(np.empty((0, len(rbm.components_)), rbm.dtype), shard.number, shard.first)
    return Shard(hidden_given_rows(rbm, shard.X, key=key), shard.number, shard.first)
