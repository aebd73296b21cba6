"""Runs of contrastive divergence without an estimator: shared by the tests of gradients."""

import numpy as np

from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params, Source
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.layer import Layer, Settings, State
from fastdbn.training.options.row_weights import RowWeights
from fastdbn.training.options.totals import Totals
from fastdbn.units import get_unit

BERNOULLI = get_unit("bernoulli")


def run_of(
    params,
    X,
    *,
    visible=BERNOULLI,
    hidden=BERNOULLI,
    backend=None,
    chains=None,
    n_chains=None,
    weights=None,
    extras=None,
    mask=None,
    seed=5,
    options=(),
    k=1,
    batch_size=None,
    velocity=None,
    **settings,
):
    """A run that begins at parameters, by default in float64 and with all rows of X in a minibatch.

    params : machine or Params
        Whatever has W, b and c.
    chains : hidden states of persistent chains, or None
    extras : what options go on with, by name
    mask : where values are missing
    """
    backend = get_backend(1, "float64") if backend is None else backend
    batch_size = len(X) if batch_size is None else batch_size
    params = Params(params.W, params.b, params.c)
    velocity = Params(*(np.zeros_like(x) for x in params)) if velocity is None else velocity
    data, mask = (None if x is None else backend.load(Source(x), for_training=True) for x in (X, mask))
    layer = Layer(visible, hidden, data, len(X), weights, 0, seed, mask=mask)
    n_chains = n_chains or (batch_size if chains is None else len(chains))
    numbers = {"persistent": False, "learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0} | settings
    numbers = Settings(
        k=k,
        n_chains=n_chains,
        batch_size=batch_size,
        options=(*options, RowWeights(), *((Totals(),) if visible.keeps_total else ())),
        **numbers,
    )
    return ContrastiveDivergence(backend, layer, numbers, State(params, velocity, chains, 0, 0, extras or {}))


def phases(run, rows=None, step=0):
    """Both phases of minibatch number `step`, by default of all rows: (positive, negative, one over rows, one over chains)."""
    run.step = step
    order = np.arange(run.layer.n_rows, dtype=np.uint32) if rows is None else np.asarray(rows, np.uint32)
    return run.minibatch(order, run.backend.array(order)).phases


def gradient(run, step=0):
    """The gradient of minibatch number `step` of all rows, as one vector."""
    out = Params(*(np.zeros_like(x) for x in run.problem.params))
    run.backend.statistics(*phases(run, step=step), out)
    return np.concatenate([x.ravel() for x in out])


def persistent_run(machine, data, states, seed, options=(), **more):
    """A run whose persistent chains are at the given hidden states."""
    return run_of(machine, data, persistent=True, chains=states, seed=seed, options=options, **more)
