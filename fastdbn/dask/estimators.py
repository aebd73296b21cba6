"""The estimators for data on a Dask cluster: those for one machine, whose X is a dask array or data frame."""

import copy
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import dask
import numpy as np
from sklearn.utils.validation import validate_data

from fastdbn.dask import backprop, cd  # noqa: F401  they register how shards are trained on
from fastdbn.dask.cluster import client_of
from fastdbn.dask.evaluate import score_of_rows
from fastdbn.dask.shards import Shards, Sync, with_known_rows
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.regressor import DBNRegressor
from fastdbn.files.parameters import register
from fastdbn.support import checks
from fastdbn.support.types import FilePath

OWN = "client", "sync", "sync_every", "n_shards"
"""Parameters that local estimators do not have."""
REMEDIES = {
    (str, os.PathLike): "dask.dataframe.read_parquet(X) or dask.dataframe.read_csv(X)",
    Iterator: "dask.array.concatenate of dask.array.from_delayed, because workers must be able to make each block again",
    object: "dask.array.from_array(X)",
}
"""What makes a dask collection of others, by their type."""
BLOCKWISE = "transform", "predict", "predict_proba", "predict_log_proba", "free_energy", "score_samples", "reconstruct"
"""Methods whose result for a row depends on that row alone."""


def is_dask(x):
    """Whether x is a dask array, data frame or series."""
    return dask.is_dask_collection(x)


def on_client(x):
    """An array with one entry for each row, brought to the client if it is a dask collection."""
    return np.asarray(x.compute()) if is_dask(x) else x


@dataclass(eq=False, repr=False, kw_only=True)
class Distributed:
    """What a local estimator lacks, to train on shards. The class stands before it."""

    client: Any = None
    sync: str = "average"
    sync_every: int = 10
    n_shards: int = 8

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name in BLOCKWISE:
            if hasattr(cls, name):
                setattr(cls, name, _blockwise(getattr(cls, name)))
        register(cls)

    @property
    def client_(self) -> Any:
        """The Dask client that a fit uses now."""
        return client_of(self.client)

    def to_local(self) -> Any:
        """The same estimator for one machine, with the parameters and the fitted attributes of this one."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in OWN}  # type: ignore[attr-defined]
        local = type(self).__bases__[-1](**params)
        vars(local).update({name: copy.deepcopy(x) for name, x in vars(self).items() if name not in (*OWN, *params)})
        return local

    def save(self, path: FilePath) -> None:
        """Write the estimator for one machine to a model file, as the local `save` does."""
        check_is_fitted(self)
        self.to_local().save(path)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Self:
        """Train on X, a dask array or data frame.

        Other parameters, errors and warnings are those of the local `fit`. y and sample_weight may be dask collections or local
        arrays; they come to the client. validation_data are local rows.

        Returns
        -------
        self
        """
        X = self._shards(X)
        try:
            return super().fit(X, on_client(y), on_client(sample_weight), **options)  # type: ignore[misc]  # of the class after this one
        finally:
            X.release()

    def _shards(self, X):
        """X as shards, and the parameters of this class checked."""
        if not is_dask(X):
            remedy = next(remedy for kind, remedy in REMEDIES.items() if isinstance(X, kind))
            raise TypeError(
                f"X is of type {type(X).__name__}: give a dask array or data frame, such as {remedy}; or fit "
                f"{type(self).__bases__[-1].__name__} on this machine"
            )
        checks.refuse(
            self.memory_limit is not None,
            f"memory_limit={self.memory_limit!r}: workers hold their shards in memory; leave it out, and start workers with "
            "memory for all rows",
        )
        checks.choice(self.sync, "sync", ("average", "gradient"))
        sync = Sync(self.sync, checks.integer(self.sync_every, "sync_every"))
        may_lack = getattr(self._first() if hasattr(self, "_first") else self, "missing", None) is not None
        return Shards.of(X, self.client_, sync, checks.integer(self.n_shards, "n_shards"), may_lack)

    @property
    def partial_fit(self) -> Any:
        """There is none: `warm_start` goes on with a fit, and the local estimator trains on parts."""
        raise AttributeError(f"{type(self).__name__} has no partial_fit: use fit with warm_start=True, or to_local()")

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The local estimator's score, also of a dask array or data frame. y and sample_weight come to the client."""
        y, sample_weight = on_client(y), on_client(sample_weight)
        if not is_dask(X):
            return super().score(X, y, sample_weight)  # type: ignore[misc]
        if not hasattr(self, "predict"):
            X = _array(self, X)
            return score_of_rows(self._sent(), X, checks.sample_weights(sample_weight, X.shape[0]))
        scored = copy.copy(self)
        scored.predict = lambda X: self.predict(X).compute()
        return super(Distributed, scored).score(X, y, sample_weight)  # type: ignore[misc]

    def _sent(self):
        """The estimator for one machine, as tasks use it: a task has a thread of its worker, and blocks have no names."""
        local = self.to_local().set_params(n_jobs=self.n_jobs or 1, callbacks=None)
        vars(local).pop("feature_names_in_", None)
        return local

    def __getstate__(self):
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self):
        bare = copy.copy(self)
        bare.client = None
        made = super(Distributed, bare).__sklearn_clone__()
        made.client = self.client
        return made

    def _saved_params(self):
        return super()._saved_params() | {"client": None}


def _blockwise(method):
    """A method that maps over the blocks of a dask collection."""

    @functools.wraps(method)
    def run(self, X, *arguments, **options):
        if not is_dask(X):
            return method(self, X, *arguments, **options)
        check_is_fitted(self)
        checks.refuse(
            options.get("out") is not None, "out is for rows in memory: leave it out, and give the result to dask.array.store"
        )
        local, X = self._sent(), _array(self, X)
        checks.refuse(not X.shape[0], "X has no rows: give at least one")
        call = functools.partial(_on_block, method.__name__, arguments, options)
        row = call(X[:1].compute(), local)
        chunks = (X.chunks[0], *((n,) for n in row.shape[1:]))
        drop = [1] if row.ndim == 1 else None
        model = dask.delayed(local, traverse=False)
        return X.map_blocks(call, model, like=row, dtype=row.dtype, chunks=chunks, drop_axis=drop, meta=row[:0])

    return run


def _on_block(name, arguments, options, X, model, like=None):
    """A method's result for a block; one without rows, which the method would refuse, has results like those of another."""
    return getattr(model, name)(X, *arguments, **options) if X.shape[0] else like[:0]


def _array(estimator, X):
    """A dask array whose blocks have all columns, those of the estimator."""
    if hasattr(X, "to_dask_array"):
        validate_data(estimator, X._meta, reset=False, skip_check_array=True)
    return with_known_rows(X).rechunk({1: -1})


@dataclass(eq=False, repr=False)
class DaskRBM(Distributed, RBM):
    """`RBM` on a Dask cluster.

    Parameters
    ----------
    client : dask.distributed.Client or None, default None
        None is that of this process. Copies by pickle lose it.
    sync : {"average", "gradient"}, default "average"
        How shards become one model. "average": each trains on minibatches of its own, and after `sync_every` of them the
        parameters become their mean, weighted by rows. "gradient": each computes its part of the gradient of one minibatch, for
        minibatches of thousands of rows; the result is that of one machine but for the order of sums. docs/many-machines.md
        compares them.
    sync_every : int, default 10
        Minibatches of a shard between two averages, for ``sync="average"``.
    n_shards : int, default 8
        Parts of the rows, at least as many as there are threads of workers. The result depends on this number, and not on the
        number of workers.
    **others
        Those of `RBM`. `n_jobs` are the threads of a task, and None is 1, because each thread of a worker has a task. Options
        whose state shards cannot share are errors.

    Notes
    -----
    fit takes dask arrays and data frames. Targets, weights and the order of rows, some 20 bytes for each row, are on the client,
    and so are rows that early stopping of fine-tuning watches. `to_local` gives the model for one machine.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from fastdbn.dask import DaskRBM
    >>> X = da.random.default_rng(0).integers(0, 2, (200, 16), chunks=(50, 16)).astype("float32")
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     model = DaskRBM(8, n_iter=2, random_state=0).fit(X).to_local()
    >>> model
    RBM(n_components=8, n_iter=2, random_state=0)
    """


@dataclass(eq=False, repr=False)
class DaskDBN(Distributed, DBN):
    """`DBN` on a Dask cluster; `DaskRBM` has the parameters that are added."""


@dataclass(eq=False, repr=False, kw_only=True)
class DaskDBNClassifier(Distributed, DBNClassifier):
    """`DBNClassifier` on a Dask cluster; `DaskRBM` has the parameters that are added."""


@dataclass(eq=False, repr=False, kw_only=True)
class DaskDBNRegressor(Distributed, DBNRegressor):
    """`DBNRegressor` on a Dask cluster; `DaskRBM` has the parameters that are added."""
