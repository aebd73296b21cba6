"""A training run as an object, with the epoch loop that all algorithms share.

The state after the last good epoch is always at hand: a run that diverges, or that the user interrupts, ends with it.
"""

import abc
import time
from typing import Any

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.support.report import progress

CALL_WORK = 2e10
"""Floating-point operations of the minibatches in one compiled call: about a tenth of a second, after which Ctrl-C takes
effect."""
ROWS_PER_CALL = 3200
"""The fewest rows of the minibatches in one compiled call: a call itself costs as much as a hundred rows."""


def minibatches_per_call(size, work):
    """How many minibatches of so many rows one compiled call trains on; work is the floating-point operations for a row."""
    return max(1, ROWS_PER_CALL // size, int(CALL_WORK / (size * work)))


def nobody(hook, **info):
    """Tell nobody of a run."""


class DivergenceError(ArithmeticError):
    """Parameters became infinite or NaN, or left the range in which the model has a distribution. The estimator keeps the
    parameters of the last good epoch."""


class Training(abc.ABC):
    """One run: a backend, the data, a model, and the complete state.

    Contrastive divergence (cd.py), up-down (updown.py) and back-propagation (backprop.py) say what an epoch is.

    Attributes
    ----------
    backend : Backend
    title : str
        What is trained, in lines of progress.
    epochs : int
        Epochs that the model was trained for.
    """

    title: str
    goes_on: tuple[str, ...] = ("epoch", "step")
    """What of the last state a run keeps that ends with the best one."""

    def __init__(self, backend, epochs):
        self.backend: Any = backend
        self.epochs = epochs

    @abc.abstractmethod
    def epoch(self):
        """Train for one epoch."""

    @abc.abstractmethod
    def check(self):
        """Raise a `DivergenceError` unless the model after an epoch is a good one."""

    @abc.abstractmethod
    def measure(self):
        """The measures of the last epoch: a dict of numbers."""

    @abc.abstractmethod
    def state(self):
        """The complete state, as host arrays: all that is needed to go on to the same bits; a NamedTuple."""

    @abc.abstractmethod
    def words(self, metrics):
        """The measures of an epoch in a line of progress."""

    def minibatches(self, order, size, *arrays):
        """(row numbers, the part of each array) of minibatches of rows in an order; all of them are the backend's.

        arrays are the host's, a row for each row of the data, or None.
        """
        b = self.backend
        arrays = [order, *(None if x is None else x[order] for x in arrays)]
        arrays = [None if x is None else b.array(x) for x in arrays]
        for start in range(0, len(order), size):
            yield [None if x is None else b.part(x, start, start + size) for x in arrays]

    def run(self, n_iter, keep, history, *, tell=nobody, verbose=False, stopping=None, since=0, best=None):
        """Train for some epochs.

        Parameters
        ----------
        n_iter : int
        keep : callable of (state, history, best)
            Takes all, at once, after each good epoch. So an error leaves those of the last one. best is the state of the best
            epoch, or None without a `stopping` that keeps it. When such a run ends, state and history are those of the best.
        history : dict of arrays
            The measures of earlier epochs, by name. Measures of other names are not recorded.
        tell : callable of (hook of `callbacks.Callback`, epoch from 1 and other keywords)
            It is told where epochs begin and end. StopIteration at the end of an epoch ends the run cleanly.
        verbose : bool
            Print a line after each epoch.
        stopping : Stopping or None
            Ends the run when a measure no longer gets better.
        since : int
            The epoch at which the search for the best one began, if an earlier run was interrupted.
        best : state or None
            That of the best epoch since then, if it is known.

        Raises
        ------
        DivergenceError
            keep was not called for that epoch.
        """
        last, stop = self.epochs + n_iter, False
        if stopping is not None:
            best = best and (best, {name: values[: best.epoch] for name, values in history.items()})
            stop = stopping.replay(history[stopping.name][since:], (self.state(), history), best)
        try:
            with self.backend.single_threaded():
                for _ in range(0 if stop else n_iter):
                    tell("on_epoch_begin", epoch=self.epochs + 1)
                    started = time.perf_counter()
                    self.epoch()
                    self.check()
                    metrics = self.measure() | {"seconds": time.perf_counter() - started}
                    state = self.state()
                    history = {name: np.append(values, metrics.get(name, np.nan)) for name, values in history.items()}
                    stop = stopping is not None and stopping.update(metrics, (state, history))
                    keep(state, history, stopping and stopping.best_state and stopping.best_state[0])
                    if verbose:
                        progress(f"{self.title} epoch {self.epochs}/{last}: {self.words(metrics)}")
                    try:
                        tell("on_epoch_end", epoch=self.epochs, metrics=metrics)
                    except StopIteration:
                        break
                    if stop:
                        break
        except BaseException:
            if stopping is not None and stopping.best_state is not None:  # a later run goes on from there, over the same epochs
                keep(*stopping.best_state, None)
            raise
        if stopping is not None and stopping.best_state is not None:
            best, last = stopping.best_state[0], self.state()
            keep(best._replace(**{name: getattr(last, name) for name in self.goes_on}), history, None)


def host(backend, params):
    """Host copies of parameters."""
    return Params(*(backend.to_host(x) for x in params))
