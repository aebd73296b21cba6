"""The data of a fit as its client sees them: rows in a fixed number of shards, which lie on the workers.

`Shards` stands where a local fit has X. What a fit asks of X is registered here as tasks: statistics of columns, some rows, the
inputs of the next layer. What has one number for each row (targets, weights, orders) is on the client.
"""

import hashlib
from typing import Any, NamedTuple

import dask
import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from fastdbn import __version__
from fastdbn.dask import shard as tasks
from fastdbn.dask.cluster import RETRIES, Cluster, forget
from fastdbn.estimators.layer import states_above
from fastdbn.files import fingerprint
from fastdbn.inputs import data, ranges
from fastdbn.maths import rng
from fastdbn.support.checks import refuse


class Sync(NamedTuple):
    """How the shards' work becomes one model: kind "average" or "gradient", and the steps of a round of averaging."""

    kind: str
    every: int


def with_known_rows(X):
    """A dask array of an array or data frame, whose chunks have known numbers of rows."""
    X = X.to_dask_array(lengths=True) if hasattr(X, "to_dask_array") else X
    return X.compute_chunk_sizes() if np.isnan(X.shape[0]) else X


class Shards:
    """Rows in shards.

    Parameters
    ----------
    cluster : Cluster
    sync : Sync
    sizes : list of int
        Rows of each shard.
    width : int
        Columns.
    make : callable of no arguments
        Submits the tasks that make the shards; returns their futures.
    names : data frame or None
        Without rows, for the names of the columns.
    """

    ndim = 2

    def __init__(self, cluster, sync, sizes, width, make, names=None):
        self.cluster, self.sync, self.sizes, self.make, self.names = cluster, sync, sizes, make, names
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.shape = int(self.starts[-1]), width
        self.below, self.above, self._futures = None, [], None

    @classmethod
    def of(cls, X, client, sync, n_shards, may_lack):
        """The shards of a dask array or data frame."""
        names = getattr(X, "_meta", None) if hasattr(X, "columns") else None
        for name, kind in [("X", X.dtype)] if names is None else names.dtypes.items():
            refuse(kind.kind not in "fiub", f"X has the type {kind} in {name!r}: give numbers, and leave other columns out")
        X = with_known_rows(X)
        if X.ndim != 2:
            raise ValueError(f"X has {X.ndim} dimensions: give a dask array of rows and columns, or a data frame")
        n, width = map(int, X.shape)
        if not n:
            raise ValueError("X has no rows: give at least one")
        n_shards = min(n_shards, n)
        starts = np.linspace(0, n, n_shards + 1).astype(int)
        sizes = np.diff(starts).tolist()
        X = X.rechunk({0: tuple(sizes), 1: -1})
        cluster = Cluster(client, n_shards)

        def make():
            blocks = X.to_delayed().ravel()
            check = dask.delayed(tasks.checked_shard, pure=False)
            places = enumerate(zip(blocks, starts, strict=False))
            shards = [check(block, i, int(first), may_lack, __version__) for i, (block, first) in places]
            return client.compute(shards, retries=RETRIES)

        return cls(cluster, sync, sizes, width, make, names)

    @property
    def futures(self):
        """Those of the shards, from the first."""
        if self._futures is None:
            self._futures = self.make()
        return self._futures

    def renew(self):
        """Make the shards, and those that they are made of, anew, because the cluster gave up."""
        if self.below is not None:
            self.below.renew()
        forget(self._futures)
        self._futures = None

    def release(self):
        """Let the cluster drop the shards, and all that are made of them."""
        for made in self.above:
            made.release()
        forget(self._futures)
        self._futures, self.above = None, []

    def each(self, function, *arguments):
        """The results of a task for each shard; arguments that are lists have an entry for each."""
        return self.cluster.results(lambda: self._tasks(function, arguments), self.renew)

    def derived(self, function, *arguments, width=None):
        """Shards of what a task makes of each shard; arguments are as for `each`."""
        width = self.shape[1] if width is None else width
        made = Shards(self.cluster, self.sync, self.sizes, width, lambda: self._tasks(function, arguments))
        made.below = self
        self.above.append(made)
        return made

    def _tasks(self, function, arguments):
        """A task for each shard."""
        submit, futures = self.cluster.submit, self.futures
        shared = [x if isinstance(x, list) or x is None or np.isscalar(x) else self.cluster.put(x) for x in arguments]
        of_shard = [[x[i] if isinstance(x, list) else x for x in shared] for i in range(len(futures))]
        return [submit(function, futures[i], *of_shard[i], shard=i) for i in range(len(futures))]

    def split(self, x):
        """A list with the part of each shard of an array with an entry for each row; of None, None."""
        return None if x is None else [x[start:stop] for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True)]

    def split_numbers(self, rows):
        """For each shard, those of some rows that are its own, in their order, numbered from 0 in the shard."""
        of = np.searchsorted(self.starts, rows, side="right") - 1
        return [(rows[of == i] - start).astype(np.uint32) for i, start in enumerate(self.starts[:-1])]

    # ---- what a fit asks of X

    def __getitem__(self, rows):
        """Some rows, brought to the client; of all rows and some columns, their shards."""
        if isinstance(rows, tuple):
            columns = np.arange(self.shape[1])[rows[1]]
            return self.derived(tasks.of_columns, columns, width=len(columns))
        rows = np.arange(self.shape[0])[rows]
        mine = self.split_numbers(rows)
        chosen = [i for i, numbers in enumerate(mine) if len(numbers)] or [0]

        def build():
            return [self.cluster.submit(tasks.rows_of, self.futures[i], mine[i], shard=i) for i in chosen]

        parts = self.cluster.results(build, self.renew)
        found = sparse.vstack(parts, "csr") if sparse.issparse(parts[0]) else np.concatenate(parts)
        back = np.empty(len(rows), np.int64)
        back[np.argsort(np.searchsorted(self.starts, rows, side="right"), kind="stable")] = np.arange(len(rows))
        return found[back]

    def checked_for(self, estimator, reset):
        """Itself, once the columns are those of the estimator."""
        validate_data(estimator, self if self.names is None else self.names, reset=reset, skip_check_array=True)
        return self


@data.columns.register
def _(X: Shards, weights=None, threshold=None, missing=False):
    found = [x for x in X.each(tasks.columns_of, X.split(weights), threshold, missing) if x is not None]
    if len(found) == 1:
        return found[0][1]
    low, high = np.min([x.low for _, x in found], axis=0), np.max([x.high for _, x in found], axis=0)
    count, share = sum(weight for weight, _ in found), 1.0
    observed = [weight * np.broadcast_to(x.observed, low.shape) for weight, x in found]
    total = np.maximum(sum(observed), np.finfo(float).tiny)

    def pooled(values):
        """The mean over shards, of which some observed nothing."""
        with np.errstate(invalid="ignore"):
            return sum(np.where(n > 0, x, 0.0) * n for n, x in zip(observed, values, strict=True)) / total

    mean = pooled([x.mean for _, x in found])
    above = None if threshold is None else pooled([x.above for _, x in found])
    if missing:
        share = sum(observed) / count
    return data.Columns(low, high, np.clip(mean, low, high), above, share)


@data.column_variance.register
def _(X: Shards, mean, weights=None, observed=1.0):
    found = X.each(tasks.variance_of, mean, X.split(weights), observed)
    if len(found) == 1:
        return found[0][1]
    count = X.shape[0] if weights is None else weights.sum()
    return sum(n * variance for n, variance in found) / (count * observed)


@data.column_range.register
def _(X: Shards, missing=False):
    return data.columns(X, missing=missing)[:2]


@ranges.check_groups.register
def _(X: Shards, unit):
    if any(part.unit.support == "one-of" or part.unit.keeps_total for part in unit.parts(X.shape[1])):
        X.each(tasks.check_groups, unit)


@fingerprint.fingerprint.register
def _(X: Shards):
    parts = X.each(tasks.fingerprint_of)
    digest = hashlib.sha256("".join(part.sha256 for part in parts).encode())
    return fingerprint.Fingerprint(parts[0].dtype, X.shape, digest.hexdigest())


@states_above.register
def _(X: Shards, rbm, key=None):
    noise = None if key is None else (rbm.seed_, rng.stream(rng.DATA, rbm.layer_, 1))
    return X.derived(tasks.above, light(rbm), noise, width=len(rbm.components_))


def light(rbm) -> Any:
    """A fitted RBM without what its use does not need, to be sent."""
    copied = type(rbm)(**rbm.get_params(deep=False) | {"callbacks": None})
    fitted = {name: x for name, x in vars(rbm).items() if name.endswith("_") and name not in ("history_", "feature_names_in_")}
    vars(copied).update(fitted, _extras={}, n_jobs=rbm.n_jobs or 1)
    return copied
