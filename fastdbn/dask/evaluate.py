"""Scores of rows on a cluster, and annealed importance sampling whose chains are shared among its workers."""

from typing import Any

import dask
import dask.array as da
import numpy as np
from scipy import sparse

from fastdbn.dask.cluster import Cluster, client_of
from fastdbn.dask.shards import light
from fastdbn.evaluate.ais import Chains, base_biases, checked_rbm
from fastdbn.evaluate.estimate import Estimate, estimate, exactly
from fastdbn.evaluate.models import exact_log_z, machine_with_z
from fastdbn.evaluate.schedule import Plan, Schedule
from fastdbn.machine import pseudo
from fastdbn.machine.enumeration import BITS, count_bits
from fastdbn.support.types import Rows, Seed
from fastdbn.units import get_unit


def score_of_rows(model, X, weights):
    """`RBM.score` or `DBN.score` of a dask array.

    Parameters
    ----------
    model : RBM or DBN
        fitted, for one machine.
    X : (n, n_features) dask array
    weights : (n,) array or None
        Checked.
    """
    w = np.ones(X.shape[0]) if weights is None else weights
    w = da.from_array(w, chunks=X.chunks[0])
    if pseudo.is_two_valued(get_unit(model._stack()[0].visible_)):
        shared = dask.delayed(model, traverse=False)
        blocks = zip(X.to_delayed().ravel(), w.to_delayed().ravel(), strict=True)
        parts = dask.compute(*(dask.delayed(_score)(shared, *block) for block in blocks))
        return float(sum(total for total, _ in parts) / sum(weight for _, weight in parts))
    means = X.map_blocks(_reconstruct, dask.delayed(model, traverse=False), meta=np.empty((0, 0), model.dtype))
    x = X.map_blocks(_dense, meta=np.empty((0, 0)))
    known = ~da.isnan(x)
    of_rows = known * w[:, None]
    count = of_rows.sum(axis=0)
    x = da.where(known, x, 0.0)
    center = (of_rows * x).sum(axis=0) / count
    error, variance = dask.compute(*((of_rows * (x - m) ** 2).sum(axis=0) / count for m in (means, center)))
    return -float(np.mean(np.nan_to_num(error) / np.where(variance > 0, variance, 1.0)))


def _score(model, X, weights):
    """(weighted sum of the scores of a block's rows, sum of the weights)."""
    total = weights.sum()
    return (model.score(X, sample_weight=weights) * total, total) if total else (0.0, 0.0)


def _reconstruct(X, model):
    return model.reconstruct(X)


def _dense(X):
    return np.asarray(X.toarray() if sparse.issparse(X) else X, np.float64)


def ais(
    model: Any,
    n_chains: int = 100,
    n_steps: int | None = None,
    *,
    X: Rows | None = None,
    schedule: Schedule = "sm2008",
    precision: float | None = None,
    max_steps: int | None = None,
    exact: bool = True,
    random_state: Seed = None,
    client: Any = None,
    n_shards: int = 8,
) -> Estimate:
    """log Z as `fastdbn.evaluate.ais` estimates it, with the chains in shards on the workers.

    A chain's noise is keyed by its number, so the estimate is that of one machine to rounding. It has the same bits whatever the
    number of workers.

    Parameters
    ----------
    model, n_chains, n_steps, X, schedule, precision, max_steps, exact, random_state
        As for `fastdbn.evaluate.ais`. X are local rows.
    client : dask.distributed.Client or None, default None
        None is that of this process.
    n_shards : int, default 8

    Returns
    -------
    Estimate
    """
    plan = Plan(n_chains, n_steps, schedule, precision, max_steps, random_state)
    model, X = checked_rbm(model.to_local() if hasattr(model, "to_local") else model, X)
    machine = machine_with_z(model)
    sides = zip((machine.visible_unit, machine.hidden_unit), machine.shape, strict=True)
    if exact and min(count_bits(*side) for side in sides) <= BITS:
        return exactly(exact_log_z(model))
    base, sent = base_biases(model, X), light(model)
    cluster = Cluster(client_of(client), min(n_shards, n_chains))

    def run(betas, seed):
        def build():
            shared = cluster.put((sent, base, betas))
            parts = np.array_split(np.arange(n_chains, dtype=np.uint32), len(cluster.places))
            return [cluster.submit(_anneal, shared, numbers, seed, shard=i) for i, numbers in enumerate(parts)]

        weights = np.concatenate(cluster.results(build, lambda: None))
        return estimate(Chains(model, base, 1, seed).log_z_of_base(), weights, 1, True, 0, len(betas) - 1)

    return plan.carry_out(run)


def _anneal(shared, numbers, seed):
    """The log weights of chains of some numbers."""
    model, base, betas = shared
    chains = Chains(model, base, len(numbers), seed)
    chains.who = chains.backend.array(numbers)
    with chains.backend.single_threaded():
        chains.start_at_base()
        return chains.anneal(betas, False)
