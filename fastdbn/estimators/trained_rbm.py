"""How an RBM is trained: its data and parameters are checked, its units are chosen, and a run of contrastive divergence is made
and kept."""

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.callbacks.early_stopping import stopping_of
from fastdbn.estimators import parameters
from fastdbn.estimators.device import announce, backend_for, say_threads, warn_of_precision
from fastdbn.estimators.fitted_rbm import FittedRBM
from fastdbn.estimators.interrupt import all_at_once
from fastdbn.estimators.layer import run_of
from fastdbn.estimators.machines import host_params
from fastdbn.estimators.parameters import EpochPart
from fastdbn.estimators.rows import binarize_of, in_training, threshold_of
from fastdbn.inputs import data, ranges
from fastdbn.inputs.choice import choose
from fastdbn.machine import initial
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.report import progress
from fastdbn.training.holdout import weights_of_known
from fastdbn.training.layer import State
from fastdbn.training.monitors import MONITORS, Stopping, check_monitor, knows_likelihood, monitor_of
from fastdbn.training.options.learned_variances import learned_scaling
from fastdbn.units import get_unit, named


class TrainedRBM(FittedRBM):
    """The training of an RBM, whose parameters `RBM` has."""

    def _has_begun(self):
        return hasattr(self, "components_")

    def _new_layers(self):
        parameters.settings(self)
        return [self]

    def _begin_stack(self, layers, n_features):
        parameters.check_room((n_features, self.n_components), "n_components", self.n_components)

    def _follow(self, layers):
        parameters.check_same(self, self)

    def _begin(self, X, weights, first_batch=False):
        """Choose units and scaling for X, not yet checked to be finite, and set the initial parameters."""
        seed = rng.seed_of(self.random_state)
        weights = weights_of_known(seed, X.shape[0], self.validation_fraction, weights)
        threshold = threshold_of(self)
        columns = data.columns(X, weights, threshold, self.missing is not None)
        if not np.all(columns.observed):
            raise ValueError(f"column {np.argmin(columns.observed)} of X has no value that was observed: leave it out")
        if not np.isfinite(columns.low + columns.high).all():
            checks.finite(X, self, self.missing is not None)
        unit, scaling = choose(X, self.visible, self.scale, binarize_of(self), weights, columns, first_batch)
        ranges.check_groups(X, unit)
        if binarize_of(self) is not None and unit.support in ("mixed", "counts"):
            raise ValueError(f"binarize={self.binarize!r} is for all columns alike: binarise those of X yourself")
        if unit.keeps_total:
            self.totals_ = data.totals(unit, X)
        mean = columns.mean if threshold is None else columns.above
        if scaling.scale is not None:
            mean = (mean - scaling.shift) * scaling.scale
        self._begin_layer(unit, scaling, mean, X.shape[0], seed, 0)

    def _begin_layer(self, unit, scaling, mean, n_rows, seed, number):
        """Initial parameters of layer `number` of a stack, for visible units of the given means."""
        settings, backend, hidden = parameters.settings(self, unit), backend_for(self), get_unit(self.hidden, "hidden")
        self.visible_, self.hidden_ = named(unit), named(hidden)
        self.scaling_, self.seed_, self.layer_ = scaling, seed, number
        mean, extras = initial.smoothed_mean(unit, mean, n_rows), {}
        params = initial.init_params(backend.dtype, unit, len(mean), int(self.n_components), seed, number, mean)
        for option in settings.options:
            params, more = option.initial(backend, unit, hidden, params, scaling)
            extras |= more
        self.n_features_in_ = len(mean)
        self._draws = 0
        velocity = Params(*(np.zeros_like(x) for x in params))
        self._keep(State(params, velocity, None, 0, 0, extras), {name: np.empty(0) for name in MONITORS})
        if self.verbose:
            progress(f"layer {number + 1}: {len(mean)} {unit.name} x {self.n_components} {hidden.name}, data {scaling.words}")

    def _keep(self, state, history, best=None):
        """Take a training state, the measures of its epochs and the state of the best into the fitted attributes."""
        attributes = {
            "components_": np.ascontiguousarray(state.params.W.T),
            "intercept_visible_": state.params.b,
            "intercept_hidden_": state.params.c,
            "n_iter_": state.epoch,
            "scaling_": learned_scaling(self.scaling_, state.extras),
            "history_": history,
            "_velocity": state.velocity,
            "_chains": state.chains,
            "_step": state.step,
            "_extras": dict(state.extras),
            "_best": best,
        }
        all_at_once((self, attributes))

    def _train(self, X, weights, epochs, start=None, estimator=None, binarize="own", validation=None, part=None):
        """Run epochs over X, which belong to a fit that began at epoch `start` or are a pass of their own.

        `estimator` is the one that callbacks see, a DBN for its layers. validation are checked rows to watch, or None. part is
        the `EpochPart` of an epoch that X is, of a pass, or None.
        """
        backend, unit = backend_for(self), get_unit(self.visible_)
        settings, last = parameters.settings(self, unit), None if start is None else self.n_iter_ + epochs
        if self.learning_rate is None and start is not None:
            rate = parameters.first_rate(self, settings.learning_rate, last - start)
            settings = settings._replace(learning_rate=parameters.falling(rate, start, last - start))
        part = part or EpochPart()
        epoch = self.n_iter_ if part.epoch is None else part.epoch
        state = State(host_params(self), self._velocity, self._chains, epoch, self._step, self._extras)
        threshold = in_training(self.binarize if binarize == "own" else binarize, unit)
        if self.layer_ == 0:
            announce(self, backend)
        warn_of_precision(self, backend)
        stopping = None if start is None else self._stopping(estimator or self)
        if stopping is not None:
            held_out = self.validation_fraction > 0 or validation is not None
            check_monitor(stopping.name, unit, held_out, knows_likelihood(self))
            waits = stopping.name.endswith("likelihood")
            settings = settings._replace(monitor_interval=1 if waits else settings.monitor_interval)
        training = run_of(X, self, backend, weights, threshold, validation, settings, state, last, part.first_row)
        if self.verbose:
            say_threads(self, training, X.shape[0])
        tell = self._teller(self.layer_, estimator)
        more = {"tell": tell, "verbose": self.verbose, "stopping": stopping, "since": start or 0, "best": self._best}
        history = {name: values[:epoch] for name, values in self.history_.items()}
        training.run(epochs, self._keep, history, **more)
        return self

    def _stopping(self, owner):
        """What ends a fit early, or None; `owner` has the callbacks."""
        name = monitor_of(self, get_unit(self.visible_))
        own = Stopping(name, self.n_iter_no_change, self.tol) if self.early_stopping else None
        return stopping_of(owner, MONITORS, name, own)
