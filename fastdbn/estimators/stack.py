"""What an RBM and a network of RBMs do alike, as stacks of layers: their fit, passes up and down, and draws of rows."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastdbn.estimators import parameters, starts
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.interrupt import all_or_nothing, check_is_fitted
from fastdbn.estimators.layer import start_states, states_above, up, visible_blocks, with_totals
from fastdbn.estimators.machines import machines_of
from fastdbn.estimators.outcome import of_layers, tell
from fastdbn.estimators.rows import check_held_out, check_values, checked, later_rows, rows_of, watched
from fastdbn.estimators.sampling import check_sample, drawn, is_rows, method_for
from fastdbn.inputs import data
from fastdbn.inputs.data import Scaling
from fastdbn.machine.block import check_totals
from fastdbn.machine.passes import Passes, level_keys
from fastdbn.maths import rng
from fastdbn.sampling import METHODS
from fastdbn.support import checks
from fastdbn.support.types import Array, FilePath, Rows, Validation
from fastdbn.training.holdout import n_trained_on, weights_of_known
from fastdbn.training.options.missing_values import WAYS
from fastdbn.units import get_unit


class Stack(Estimator):
    """An RBM, or a network of RBMs. It has `_stack`, its layers from below.

    For its fit, `_new_layers` gives unfitted RBMs with the parameters of its layers, `_begin_stack` begins anew without layers,
    and `_follow` lets those that are fitted train on with the parameters of new ones.
    """

    @property
    def _n_features_out(self):
        return self._stack()[-1].components_.shape[0]

    def _machines(self):
        """The machines of all layers, from below, on one backend."""
        return machines_of(self)

    def _checked(self, X):
        """X to be used by a fitted model, with missing values where its first layer takes them."""
        return later_rows(self, X, WAYS)

    # ---- training

    def fit(
        self,
        X: Rows,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: Validation | None = None,
        resume: FilePath | None = None,
    ) -> Self:
        """Train on X: of a network the layers from the lowest to the top, each on the final weights of the layers below it.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
            Never modified.
        y : ignored
        sample_weight : (n,) array or None
            Weights of the rows.
        validation_data : (m, n_features) array or CSR matrix, or None, default None
            Rows to watch in place of a `validation_fraction`. A tuple (X, y) is taken for its X. Each layer watches what those
            below make of them.
        resume : "last", path or None, default None
            Go on from a checkpoint to the bits of an uninterrupted fit: from the file of a path, or from the last one that the
            `Checkpoint` of `callbacks` has written. "last" begins anew if there is none. Parameters and data must be those of
            the checkpoint.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters.
        DivergenceError
            if parameters become infinite or NaN. The parameters of the last good epoch are kept.

        Warns
        -----
        FitWarning
            once, if the fit ended badly. docs/tuning.md says what to do.
        """
        self._fit(X, sample_weight, checkpoint=resume, validation=rows_of(validation_data))
        tell(of_layers(self._stack(), self))
        return self

    @all_or_nothing
    def _fit(self, X, sample_weight, part=None, checkpoint=None, validation=None):
        """Fit, go on from an earlier fit or a checkpoint, or make one pass over a `EpochPart` of an epoch."""
        layers = self._new_layers()
        may_lack = layers[0].missing is not None
        parameters.check_part(part, vars(self).get("n_iter_", 0), layers[0].missing)
        goes_on = self._goes_on(part, checkpoint)
        self._begin_run(goes_on, part)
        X = checked(self, X, reset=not goes_on, may_lack=may_lack, finite=goes_on)  # else `_begin` sees to it
        weights = checks.sample_weights(sample_weight, X.shape[0])
        self._note_data(part, X=X, sample_weight=weights, validation=validation)
        self._fit_layers(layers, X, weights, goes_on, part, validation)
        self._trained_on(X, weights)
        if part is None:
            self._keep_starts(X, weights)
            self._end_run()
        return self

    def _trained_on(self, X, weights):
        """What is left to do once all layers are trained."""

    def _keep_starts(self, X, weights):
        """What is left to do at the end of a fit."""

    def _fit_layers(self, layers, X, weights, goes_on, part, validation=None):
        """Train the fitted layers on checked X with the parameters of the given layers, and add the layers that are missing.

        part is that of an epoch, of a pass, or None; validation are rows to watch, or None.
        """
        n_rows = X.shape[0]
        for rbm in layers if part is None else ():
            check_held_out(rbm, validation)
        if goes_on:
            self._follow(layers)
            check_values(self._stack()[0], X)
        else:
            self._begin_stack(layers, X.shape[1])
            if part is None:
                for i, rbm in enumerate(layers):
                    self._plan(i, 0, parameters.epochs(rbm, n_rows))
            layers[0]._begin(X, weights, part is not None)
            self._stack().append(layers[0])  # a list made anew where that is this RBM itself
        seed, lower_states, drawn = self._stack()[0].seed_, X, None
        for rbm in layers:  # before any is trained
            weights_of_known(seed, n_rows, rbm.validation_fraction, weights)
        validation = watched(self, validation, layers[0].missing is not None)
        for i, new in enumerate(layers):
            if i == len(self._stack()):
                mean = data.columns(lower_states, weights_of_known(seed, n_rows, new.validation_fraction, weights)).mean
                new._begin_layer(get_unit(new.visible), Scaling(), mean, n_rows, seed, i)
                self._stack().append(new)
            rbm = self._stack()[i]
            planned, n_trained = parameters.epochs(rbm, n_rows), n_trained_on(n_rows, rbm.validation_fraction)
            start, lacking = self._enter(i, rbm.n_iter_, planned, n_trained) if part is None else (None, 1)
            binarize = rbm.binarize if i == 0 else drawn
            self._train_layer(rbm, lower_states, weights, lacking, start, binarize, validation, part)
            if part is None:
                self._leave(i)
            if i + 1 < len(layers):
                lower_states, drawn = self._next_data(rbm, lower_states)
                validation = None if validation is None else self._next_data(rbm, validation)[0]

    def _train_layer(self, rbm, lower_states, weights, epochs, start, binarize, validation, part):
        """Train a layer for some epochs, as part of a fit that began at epoch `start` or as a pass of its own."""
        rbm._train(lower_states, weights, epochs, start, self, binarize, validation, part)

    def _next_data(self, rbm, lower_states):
        """What the layer above `rbm` learns from, and how it is binarised there."""
        unit = get_unit(rbm.hidden_)
        binary = unit.support == (0.0, 1.0)
        if self.propagate == "sample" and not binary:
            key = rng.key(rbm.seed_, 0, rng.stream(rng.DATA, rbm.layer_, 1))
            return states_above(lower_states, rbm, key), None
        return states_above(lower_states, rbm), self.propagate if binary else None

    # ---- use

    def reconstruct(self, X: Rows) -> Array:
        """Pass rows up to the hidden means of the last layer and down to visible means.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n, n_features) array
            On the scale of X.
        """
        return self._reconstruct(self._checked(X))

    def _reconstruct(self, X):
        machines = self._machines()
        return with_totals(machines[0].visible_unit, self._down(up(self._stack(), machines, X), len(machines)), X)

    def _down(self, H, n):
        """Visible means given hidden states of layer n, counted from 1."""
        for rbm, machine in reversed([*zip(self._stack()[:n], self._machines()[:n], strict=True)]):
            H = rbm.scaling_.invert(machine.visible(H))
        return H

    def _draw_up(self, X, n, seed, number):
        """States of layer n, counted from 1, drawn by an up-pass; X itself for n = 0, on the scale of the visible units."""
        machines = self._machines()
        out = np.empty((X.shape[0], machines[n - 1].shape[1] if n else X.shape[1]), self.dtype)
        for rows, v in visible_blocks(self._stack()[0], X, machines[0]):
            if n:
                passes = Passes(machines[:n], machines[0].row_numbers(rows), level_keys(seed, number, rng.DOWN))
                v = passes.up(v, passes.buffers())
            machines[0].backend.fetch(v, out[rows])
        return out

    def _draw(self, n_samples, n_steps, random_state, mean, totals, start, method, layer=-1, label=None):
        """`sample` of all classes."""
        check_is_fitted(self)
        rbms, machines = self._stack(), self._machines()
        width = max(sum(rbm.components_.shape) for rbm in rbms)
        n, start = check_sample(self, n_samples, n_steps, mean, start, method, width)
        if totals is not None and is_rows(start):
            raise ValueError("totals: chains that begin at `start` keep the totals of its rows, so leave totals out")
        there, layer, unit = is_rows(start), checks.layer(layer, len(rbms)), machines[0].visible_unit
        totals, (stack, ladder, classes) = check_totals(unit, n, totals), self._chains_of(layer, n, label)
        method, noise = method_for(method, stack(slice(0, 1)), layer, there), self._next_noise(random_state)
        hidden = None
        if there:
            totals = data.totals(unit, start, n) if unit.keeps_total else None
            states = self._draw_up(start, layer, *noise)
        else:
            states = start_states(rbms[layer], machines[layer], n, *noise, None if layer else totals)
            begun = getattr(self, "starts_", None)
            if begun is not None and start is None and layer + 1 == len(rbms) and method is METHODS["gibbs"]:
                hidden = starts.spread(begun, n, noise, self.start_classes_, classes)
        states, means = drawn(method, stack, layer, n_steps, noise, states, there, ladder, hidden)
        return self._descend(states, means, *noise, mean, totals, layer)

    def _chains_of(self, layer, n, label):
        """(a callable of a slice of n chains that gives the machines of the stack, one that gives the ladder of a layer, class
        numbers of the chains or None)."""
        return lambda rows: self._machines(), self._stack()[layer]._ladder, None

    def _descend(self, states, means, seed, number, mean, totals, layer):
        """From states of the layer under one down to the data: drawn states; or with `mean` from their means: visible means."""
        machines, first, n = self._machines()[:layer], self._stack()[0], len(states)
        if not machines:
            return first.scaling_.invert(means if mean else states)
        backend, host = machines[0].backend, start_states(first, machines[0], n, seed, number, totals)
        if mean:
            return with_totals(machines[0].visible_unit, self._down(means, len(machines)), host)
        with backend.single_threaded():
            passes = Passes(machines, machines[0].row_numbers(slice(0, n)), level_keys(seed, number, rng.DOWN))
            v = backend.states(machines[0].visible_unit, *host.shape, host)
            passes.down(backend.states(machines[-1].hidden_unit, *states.shape, states), passes.buffers(), v)
        return first.scaling_.invert(backend.to_host(v))
