"""How an RBM, or a network of RBMs, is fitted: layer by layer, from the lowest to the top."""

from typing import Any, Self

from numpy.typing import ArrayLike

from fastdbn.estimators import parameters
from fastdbn.estimators.interrupt import all_or_nothing
from fastdbn.estimators.layer import states_above
from fastdbn.estimators.outcome import of_layers, tell
from fastdbn.estimators.rows import check_held_out, check_values, checked, rows_of, watched
from fastdbn.estimators.stack import Stack
from fastdbn.inputs import data
from fastdbn.inputs.data import Scaling
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import FilePath, Rows, Validation
from fastdbn.training.holdout import n_trained_on, weights_of_known
from fastdbn.units import get_unit


class FitStack(Stack):
    """The fit of a stack. `_new_layers` gives unfitted RBMs with the parameters of its layers, `_begin_stack` begins anew without
    layers, and `_follow` lets those that are fitted train on with the parameters of new ones."""

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
