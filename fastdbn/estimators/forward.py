"""The way forward through a fitted network: what it needs is prepared once, and used for any number of rows.

Functions take a supervised network or an autoencoder.
"""

import contextlib
import operator
from typing import NamedTuple

import numpy as np

from fastdbn.backends.protocol import Backend
from fastdbn.estimators.device import backend_for
from fastdbn.estimators.machines import prepared
from fastdbn.inputs import data
from fastdbn.inputs.data import Scaling
from fastdbn.machine.block import BLOCK
from fastdbn.maths import rng
from fastdbn.support.results import array_for
from fastdbn.units import get_unit

ALONE = 1e5
"""Multiplications of a product that BLAS does on one thread, unasked: to ask takes longer than a small network."""

_NO_NOISE = rng.key(0, 0, 0)
"""Rows that a network is given are never drawn: its threshold is a number or None."""

_parameters = operator.attrgetter("hidden", "binarize", "precision", "missing")


class Forward(NamedTuple):
    """A network on a backend: its units from the visible ones to the outputs, its weights and biases.

    A threshold binarises its data; None leaves them as they are. `missing` is that of the RBM that describes the data.
    """

    backend: Backend
    units: list
    weights: list
    biases: list
    threshold: float | None
    missing: str | None


def forward_of(network):
    """The `Forward` of a fitted network."""
    computes = network.visible_, network.n_jobs, network.dtype, network.device, network.pretrain

    def build():
        backend, first = backend_for(network), network._layers()[0]
        weights, biases = ([backend.constant(x) for x in xs] for xs in (network.coefs_, network.intercepts_))
        units = [get_unit(network.visible_), *network._units(len(weights) - 1), network._output_unit()]
        threshold = None if first.binarize in ("sample", "mean") else first.binarize
        return Forward(backend, units, weights, biases, threshold, first.missing)

    return prepared(network, "forward", (*network.coefs_, *network.intercepts_, *computes, *_descriptions(network)), build)


def _descriptions(network):
    """What the RBM objects of a network say that its way forward depends on; `build` checks it."""
    given, fitted = network.rbm, () if network.dbn_ is None else network.dbn_.layers_
    for rbm in (*(given if isinstance(given, (list, tuple)) else (given,)), *fitted):
        yield rbm
        if hasattr(rbm, "missing"):
            yield from _parameters(rbm)


def means(network, X, n_layers=None, first=0, scaled=False, linear=False, out=None):
    """Means of hidden layer number n_layers (from 1), or of the outputs, (n, units), in blocks of rows.

    X are checked data, or with `scaled` visible states, or means of hidden layer number `first`; then only the rest of the
    network is computed. `linear` leaves the outputs before the function of their units. The result is in
    `out`, if that is given.
    """
    backend, units, weights, biases, threshold, _ = forward_of(network)
    depth, n = len(weights) if n_layers is None else n_layers, X.shape[0]
    source = backend.load(data.source(X, *((Scaling(), None) if first or scaled else (network.scaling_, threshold))))
    units = [*units[:-1], get_unit("gaussian") if linear else units[-1]]
    layers = [*zip(units[1:], weights, biases, strict=True)][first:depth]
    rooms = [backend.zeros(min(BLOCK, n), len(bias)) for _, _, bias in layers[:-1]]
    inputs = None if backend.is_view(source) else backend.states(units[first], min(BLOCK, n), X.shape[1])
    out = array_for(out, (n, len(network.intercepts_[depth - 1])), network.dtype, X)
    products = n * max(x.size for x in network.coefs_[first:depth])
    with backend.single_threaded() if products > ALONE else contextlib.nullcontext():
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            a, to = backend.view_rows(source, start, stop, _NO_NOISE, inputs), np.asarray(out[start:stop])
            made = [*(backend.part(room, 0, stop - start) for room in rooms), backend.onto(to)]
            for (unit, W, bias), mean in zip(layers, made, strict=True):
                backend.conditional(unit, a, W, bias, mean)
                a = mean
            backend.fetch(a, to)
    return out


def loss_of_units(network, outputs, X):
    """The mean over rows of -log p(x | s) of an autoencoder's output units, given their linear outputs s and checked rows X."""
    backend, units, _, _, threshold, _ = forward_of(network)
    source = backend.load(data.source(X, network.scaling_, threshold))
    total = 0.0
    for start in range(0, len(outputs), BLOCK):
        s = backend.array(outputs[start : start + BLOCK])
        numbers = backend.array(np.arange(start, start + len(s), dtype=np.uint32))
        v = backend.states(units[-1], *outputs[start : start + BLOCK].shape)
        backend.load_rows(source, numbers, _NO_NOISE, v)
        total += float(backend.loss(units[-1], s, v, backend.array(np.ones(len(s))), 1.0, s))
    return total / len(outputs)
