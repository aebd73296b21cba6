"""The machines of fitted estimators: built at first use, and dropped when the arrays that they were built from are replaced.

They are not attributes, so they are never pickled, cloned or saved.
"""

import operator
import threading
import weakref

import numpy as np

from fastdbn.backends import devices
from fastdbn.backends.protocol import Params
from fastdbn.estimators.device import most_exact
from fastdbn.machine.block import BlockMachine
from fastdbn.machine.machine import Machine
from fastdbn.support.system import at_fork
from fastdbn.training.options import trajectory
from fastdbn.units import get_unit

_prepared: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
lock = threading.Lock()
"""Held where threads that use one fitted estimator must take turns."""


def _reset():
    global lock
    lock = threading.Lock()


at_fork(after_in_child=_reset)  # the parent's may be held by a thread that the child does not have


def prepared(estimator, what, sources, build):
    """What `build` makes of some sources, kept by a name for an estimator while the sources are the same objects.

    Arrays among them become read-only, because a change in place would go unnoticed. Threads that ask at the same time may all
    build, and get the same.
    """
    with lock:
        known, value = _prepared.get(estimator, {}).get(what, ((), None))
    if len(known) == len(sources) and all(map(operator.is_, known, sources)):
        return value
    for x in sources:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False
    value = build()
    with lock:
        _prepared.setdefault(estimator, {})[what] = sources, value
    return value


def downward(rbm):
    """Weights of the way down, (n_components, n_features): those of the way up, but where up-down has untied them."""
    return getattr(rbm, "generative_components_", rbm.components_)


def host_params(rbm):
    """W, b and c of a fitted RBM as host arrays."""
    return Params(rbm.components_.T, rbm.intercept_visible_, rbm.intercept_hidden_)


def _of_rbm(rbm):
    """What the machine of an RBM is built from."""
    arrays = rbm.components_, downward(rbm), rbm.intercept_visible_, rbm.intercept_hidden_
    return *arrays, rbm.visible_, rbm.hidden_


def _build(backend, rbm):
    down = None if downward(rbm) is rbm.components_ else downward(rbm).T
    machine = Machine.of_host(backend, get_unit(rbm.visible_), get_unit(rbm.hidden_), host_params(rbm), down)
    for params in trajectory.machines_of(rbm._extras)[:-1]:
        params = Params(*(backend.constant(x) for x in params))
        machine.trajectory.append(BlockMachine(backend, machine.visible_unit, machine.hidden_unit, params))
    return machine


def machines_of(estimator):
    """The machines of a fitted RBM, or of a network's layers from below, on one backend."""
    layers = estimator._stack()
    computes = estimator.n_jobs, estimator.dtype, estimator.device, most_exact(rbm.precision for rbm in layers)

    def build():
        backend = devices.get_backend(*computes)
        return [_build(backend, rbm) for rbm in layers]

    return prepared(estimator, "machines", (*(x for rbm in layers for x in _of_rbm(rbm)), *computes), build)
