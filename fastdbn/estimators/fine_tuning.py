"""How a network is fine-tuned: a run of back-propagation is made, watched and kept."""

import copy
import functools
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from fastdbn.callbacks.early_stopping import stopping_of
from fastdbn.estimators import loaded
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.device import announce, backend_for, warn_of_precision
from fastdbn.estimators.interrupt import FINE_TUNING, all_at_once
from fastdbn.estimators.layer import numbered_from
from fastdbn.estimators.parameters import EpochPart
from fastdbn.estimators.rows import binarize_of, checked, clipped, named, pair_of
from fastdbn.files import entries
from fastdbn.files.state import FINITE, NOT_NEGATIVE, Later, Maybe, Part, Record, Series, Tensor, fields
from fastdbn.inputs import data
from fastdbn.inputs.data import Scaling
from fastdbn.machine.machine import VisibleUnits
from fastdbn.maths import rng
from fastdbn.maths.optim import STATES, Optimizer
from fastdbn.support.stored import Stored
from fastdbn.support.types import Array, Doubles
from fastdbn.training.backprop import BackPropagation, NetworkState
from fastdbn.training.monitors import OF_OUTPUTS, Stopping
from fastdbn.training.noise import Given
from fastdbn.training.order import shuffle_of
from fastdbn.units import get_unit

SOLVER = entries.choice("n_moments", {solver: 2 * n for solver, n in STATES.items()})


def _array(i, j=0):
    """The field of layer i's weights (even j) or biases (odd j). Of an update rule, j = 2 and 3 are second moments."""
    return Tensor(*(f"n_{i}", f"n_{i + 1}")[j % 2 :], holds=FINITE if j < 2 else NOT_NEGATIVE)


def _arrays(i):
    return Series(lambda j: _array(i, j), "n_moments")


OPTIMIZER = Maybe(Record(Optimizer, solver=SOLVER, steps=entries.count(), states=Series(_arrays, "n_layers")), None)
COEFS, INTERCEPTS = Series(_array, "n_layers"), Series(lambda i: _array(i, 1), "n_layers")


class Watched(NamedTuple):
    """Rows that fine-tuning watches: checked data, the noisy ones that the network sees in their place, targets; or None."""

    X: Any
    noisy: Any
    target: Any


@functools.singledispatch
def run_of(X, network, backend, units, rows, target, weights, plan, state, score, noise, first=0):
    """The run of back-propagation that trains a network on checked rows X, numbered from `first` on; arguments as of
    `BackPropagation`."""
    found = network._source(X)
    source, stored = backend.load(found, first=first), found.X if isinstance(found.X, Stored) else None
    return BackPropagation(backend, units, source, rows, target, weights, plan, network.seed_, state, score, noise, stored)


class FineTuning:
    """The fine-tuning of a network, whose parameters `Supervised` has."""

    coefs_: list[Array]
    intercepts_: list[Array]
    dbn_: DBN | None
    visible_: VisibleUnits
    scaling_: Scaling
    seed_: int
    n_iter_: int
    history_: dict[str, Doubles]

    _saved = fields(
        coefs_=Later(COEFS),
        intercepts_=Later(INTERCEPTS),
        visible_=Later(entries.unit("n_features")),
        scaling_=loaded.SCALING,
        seed_=entries.SEED,
        n_iter_=Later(entries.count("n_epochs")),
        history_=Later(entries.history("n_epochs")),
        _step=Later(entries.count()),
        _optimizer=OPTIMIZER,
        _best=Maybe(
            Record(
                NetworkState,
                coefs=COEFS,
                intercepts=INTERCEPTS,
                optimizer=OPTIMIZER,
                epoch=entries.count(),
                step=entries.count(),
            ),
            None,
        ),
        dbn_=Maybe(Part(DBN), None),
    )

    def _n_held_out(self, n):
        return max(1, round(self.validation_fraction * n))

    def _pair_of(self, validation_data):
        """(X, y) of ``validation_data``."""
        return pair_of(validation_data)

    def _watched(self, validation_data):
        """The rows of the user's own that are `Watched`, checked; None if there are none."""
        X, y = self._pair_of(validation_data)
        if X is None:
            return None
        with named():
            X, noisy = self._pair(checked(self, X, reset=False, may_lack=self._may_lack()), y)
            target, _ = self._targets(y, X.shape[0], True, None)
            if target is None:
                return Watched(X, noisy, None)
            rows = self._rows_of(target, X.shape[0])
            return Watched(X[rows], None, target[rows])

    def _back_propagate(self, X, noisy, target, rows, weights, plan, part, watched, stopping):
        """Fine-tune by some rows of X with the weights of all; watched are `Watched` rows of the user's own, or None."""
        where = part or EpochPart()
        first = self.n_iter_ if where.epoch is None else where.epoch
        score, backend = None, backend_for(self)
        history = {name: values[:first] for name, values in self.history_.items()}
        units = [get_unit(self.visible_), *self._units(len(self.coefs_) - 1)]
        noise = self._noise(backend, units[0], X, noisy)
        if watched is not None:
            watched = watched._replace(X=clipped(self, watched.X))
            seen = self._seen(backend, units[0], watched, noise)
        elif stopping is not None and stopping.name.startswith("validation_"):
            rows, held_out = self._split(rows, target, self.seed_)
            watched = Watched(X[held_out], None, None if target is None else target[held_out])
            seen = None if noise is None else noise.held_out(backend.load(self._source(X)), held_out)
        if watched is not None:
            score = self._measurer(watched, seen)
            unknown = np.full(first, np.nan)
            history = {"validation_loss": unknown, "validation_score": unknown} | history
        if self.dbn_ is None:
            announce(self, backend)
            warn_of_precision(self, backend)
        start, lacking = self._enter(FINE_TUNING, first, self.max_iter, len(rows)) if part is None else (first, 1)
        loss = self._output_unit() if plan.loss == "unit" else plan.loss
        size = min(plan.batch_size, len(rows))
        plan = plan._replace(loss=loss, learning_rate=self._rate(part, start), batch_size=size, alpha=plan.alpha / size)
        plan = plan._replace(shuffle=shuffle_of(self, X.shape[1]))
        state = NetworkState(self.coefs_, self.intercepts_, self._optimizer, first, self._step)
        rows = rows + np.uint32(where.first_row)
        target, weights = (numbered_from(x, where.first_row) for x in (target, weights))
        run = run_of(X, self, backend, units, rows, target, weights, plan, state, score, noise, where.first_row)
        more = {"tell": self._teller(FINE_TUNING), "verbose": self.verbose, "stopping": stopping, "since": start}
        run.run(lacking, self._keep, history, best=self._best, **more)
        if part is None:
            self._leave(FINE_TUNING)

    def _stopping(self, part):
        """What ends fine-tuning early, or None."""
        if part is not None:
            return None
        own = None
        if self.early_stopping:
            own = Stopping("validation_score", self.n_iter_no_change, self.tol)
        elif self.tol is not None:
            own = Stopping("loss", self.n_iter_no_change, self.tol, keeps_best=False)
        return stopping_of(self, OF_OUTPUTS, "validation_score", own)

    def _keep(self, state, history, best):
        """Take a training state, the measures of its epochs and the state of the best into the fitted attributes."""
        values = state.coefs, state.intercepts, state.optimizer, state.epoch, state.step, history, best
        names = "coefs_", "intercepts_", "_optimizer", "n_iter_", "_step", "history_", "_best"
        all_at_once((self, dict(zip(names, values, strict=True))))

    def _seen(self, backend, unit, watched, noise):
        """The noisy states that the network sees of watched rows, or None."""
        if noise is None and watched.noisy is None:
            return None
        if watched.noisy is not None:
            noise = self._noise(backend, unit, watched.X, watched.noisy)
        elif isinstance(noise, Given):
            raise ValueError("validation_data has no clean rows: give (noisy rows, clean rows), as fit has them")
        return noise.held_out(backend.load(self._source(watched.X)), np.arange(watched.X.shape[0], dtype=np.uint32))

    def _source(self, X):
        """The `Source` of rows."""
        return data.source(X, self.scaling_, binarize_of(self._layers()[0]))

    def _measurer(self, watched, seen):
        """The measures of watched rows, as a function of weights and biases; seen are the noisy states that it sees, or None."""

        def measure(coefs, intercepts):
            network = copy.copy(self)
            network.coefs_, network.intercepts_ = coefs, intercepts
            inputs = (watched.X, False) if seen is None else (seen, True)
            loss, score = network._loss_and_score(watched, *inputs)
            return {"validation_loss": float(loss), "validation_score": float(score)}

        return measure

    def _split(self, rows, target, seed):
        """Which of some rows to train on and which to hold out, by the seed; stratified where classes allow it."""
        n_held = self._n_held_out(len(rows))
        strata = target[rows] if self._loss == "softmax" else None
        if strata is not None:
            counts = np.bincount(strata)
            counts = counts[counts > 0]
            if counts.min() < 2 or min(n_held, len(rows) - n_held) < len(counts):
                strata = None
        seed = int(rng.host_generator(seed, 0, rng.stream(rng.SPLIT)).integers(2**31))
        train, held = train_test_split(rows, test_size=n_held, random_state=seed, stratify=strata)
        return np.sort(train), np.sort(held)
