"""The Deep Belief Network: RBMs trained one on top of the other (Hinton, Osindero, Teh 2006).

    p(v, h1, ..., hL) = p(v | h1) p(h1 | h2) ... p(h_{L-1}, h_L)

where the last factor is the top RBM and the others are the downward conditionals of the RBMs below it.
"""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import ArrayLike

from fastdbn.estimators import loaded, parameters
from fastdbn.estimators.interrupt import all_or_nothing, check_is_fitted
from fastdbn.estimators.layer import states_above
from fastdbn.estimators.network import SHARED, as_template
from fastdbn.estimators.outcome import of_layers, tell
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.rows import check_values, checked
from fastdbn.estimators.validation import check_held_out, rows_of, watched
from fastdbn.estimators.wake_sleep import WakeSleep
from fastdbn.files.entries import count
from fastdbn.files.state import NOT_NEGATIVE, Maybe, Part, Series, Tensor, fields
from fastdbn.inputs import data
from fastdbn.inputs.data import Scaling
from fastdbn.maths import rng
from fastdbn.maths.optim import is_sequence
from fastdbn.support import checks
from fastdbn.support.types import FilePath, Rows, Validation
from fastdbn.training.holdout import n_trained_on, weights_of_known
from fastdbn.units import get_unit


@dataclass(eq=False, repr=False)
class DBN(WakeSleep):
    """Deep Belief Network, pretrained layer by layer.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 256)
        Number of hidden units of each layer, lowest layer first.
    rbm : RBM, list of RBM or None, default None
        How the layers are trained: one RBM for all layers, or a list with one for each. None means ``RBM()``. RBMs are copied,
        never fitted. ``visible``, ``scale``, ``binarize`` and ``missing`` of the first RBM describe the data. The network decides
        ``n_components``, ``n_jobs``, ``device``, ``dtype``, ``random_state``, ``verbose``, ``callbacks``, ``warm_start`` and
        ``memory_limit``; an RBM that sets one of these is an error. To search over ``rbm__k``, give ``rbm=RBM()``. In a list the
        name is ``rbm__0__k``.
    propagate : {"sample", "mean"}, default "sample"
        What the next layer learns from: hidden states drawn from the hidden means (drawn anew in each epoch for Bernoulli units),
        or the means, taken as probabilities. The means of all rows are kept while the next layer trains, in memory, or in a file
        where X comes from one or `memory_limit` is set: 4 bytes for each row and hidden unit, or 8 in float64.
    n_jobs : int or None, default None
        Number of threads. None and -1 use all processors, -2 all but one, and so on. The result does not depend on it.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        "cuda" computes on an NVIDIA GPU and needs ``pip install "fastdbn[cuda]"``. "auto" uses a GPU if there is one.
    dtype : {"float32", "float64"}, default "float32"
        Precision of parameters and results.
    random_state : None, int, RandomState or Generator, default None
        Source of the 64-bit seed. An int gives the same bits in every fit; None draws a new seed.
    verbose : int, default 0
        1 prints a line for each epoch to stderr.
    callbacks : list of callbacks or None, default None
        Objects of `fastdbn.callbacks` or your own, or callables, which are called after each epoch with the keywords estimator,
        layer (the stage), epoch (from 1) and metrics (a dict). One that raises StopIteration ends the stage. docs/callbacks.md
        says more.
    warm_start : bool, default False
        Go on from the last fit: complete one that was interrupted, or train further after a complete one.
    memory_limit : int, str or None, default None
        Bytes of rows in memory at a time, an integer or a text such as "500MB"; weights and the program come on top. Rows are
        then shuffled in two levels, and means of hidden layers lie in a file: docs/large-data.md says more.

    Attributes
    ----------
    layers_ : list of RBM
        The fitted layers, lowest first. After `up_down` the layers below the top have two sets of weights: ``components_``
        (upwards, recognition) and ``generative_components_`` (downwards).
    n_iter_ : int
        Epochs of all layers together.
    starts_ : (n, units of the top) array or None
        Means of the top's hidden units given some rows of the last fit. Chains of `sample` begin there. None removes them.
    up_down_iter_, up_down_history_ : int, dict of arrays
        Epochs of `up_down`, and one number for each: ``wake_loss`` and ``sleep_loss``, which are the means over rows of
        -log p(h below | h above) and -log q(h above | h below), summed over layers; ``update_ratio`` of the top; ``seconds``.

    References
    ----------
    Hinton, Osindero, Teh 2006, "A fast learning algorithm for deep belief nets".

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import DBN, RBM
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> DBN((12, 6), rbm=RBM(n_iter=2), random_state=0).fit_transform(X).shape
    (200, 6)
    """

    _saved = fields(
        layers_=Series(lambda i: Part(RBM)),
        _draws=count(),
        starts_=Maybe(Tensor("n_starts", None), None),
        start_classes_=Maybe(Tensor("n_starts", dtype="float64", holds=NOT_NEGATIVE), None),
    )
    _check_loaded = loaded.check_stack

    def __sklearn_is_fitted__(self):
        planned = [stage for stage in self._run.begun if isinstance(stage, int)] if vars(self).get("_run") else ()
        return len(getattr(self, "layers_", ())) >= max(len(planned), 1)

    def _has_begun(self):
        return bool(getattr(self, "layers_", None))

    @property
    def n_iter_(self) -> int:
        """Epochs of all layers together."""
        return sum(rbm.n_iter_ for rbm in self.layers_)

    # ---- training

    @classmethod
    def stack(cls, layers: Sequence[Any]) -> Self:
        """A fitted network of RBMs that were trained one on top of the other.

        Parameters
        ----------
        layers : sequence of fitted RBM
            From below; copies are taken.

        Returns
        -------
        DBN

        Raises
        ------
        ValueError
            if neighbours differ in size or unit type.
        """
        if not is_sequence(layers) or not all(isinstance(rbm, RBM) for rbm in layers):
            raise ValueError(f"layers={layers!r}: give a list of fitted RBMs, at least one")
        layers = [copy.deepcopy(rbm) for rbm in layers]
        for i, rbm in enumerate(layers):
            check_is_fitted(rbm)
            rbm.layer_, rbm.callbacks = i, None
        cls._check_neighbours(layers)
        sizes = checks.layer_sizes([rbm.components_.shape[0] for rbm in layers], "layers")
        templates = [as_template(rbm, i == 0) for i, rbm in enumerate(layers)]
        shared = {name: getattr(layers[0], name) for name in (*SHARED, "random_state")}
        network = cls(sizes, rbm=templates, **shared)
        network.layers_, network._draws, network._up_down_best = layers, 0, None
        network._forget_starts()
        network.n_features_in_ = layers[0].n_features_in_
        if hasattr(layers[0], "feature_names_in_"):
            network.feature_names_in_ = layers[0].feature_names_in_
        return network

    @staticmethod
    def _check_neighbours(layers):
        """Refuse layers whose visible units are not the hidden units of the layer below."""
        for i, (below, rbm) in enumerate(itertools.pairwise(layers), 1):
            if rbm.n_features_in_ != below.components_.shape[0] or get_unit(rbm.visible_) != get_unit(below.hidden_):
                raise ValueError(
                    f"layers[{i}] has {rbm.n_features_in_} visible units ({get_unit(rbm.visible_).name}) on "
                    f"{below.components_.shape[0]} hidden ones ({get_unit(below.hidden_).name}): they do not fit together. "
                    f"Train layers[{i}] on what transform of layers[{i - 1}] gives, with visible={get_unit(below.hidden_).name!r}"
                )

    def fit(
        self,
        X: Rows,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: Validation | None = None,
        resume: FilePath | None = None,
    ) -> Self:
        """Train the layers from the lowest to the top. Each layer learns from the final weights of the layers below it.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
            Never modified.
        y : ignored
        sample_weight : (n,) array or None, default None
            Weights of the rows.
        validation_data : (m, n_features) array or CSR matrix, or None, default None
            Rows to watch in place of a `validation_fraction`. Each layer watches what the layers below make of them. A tuple
            (X, y) is taken for its X.
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
        tell(of_layers(self.layers_, self))
        return self

    def partial_fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Make one pass over X for each layer, lowest first. The first call fixes unit types, scaling and initial biases.

        So the first batch must show how the columns vary. Give it some hundred rows, or begin by `fit` with
        ``rbm=RBM(n_iter=0)`` on all rows.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : ignored
        sample_weight : (n,) array or None, default None
            Weights of the rows.

        Returns
        -------
        self
        """
        return self._fit(X, sample_weight, 1)

    @all_or_nothing
    def _fit(self, X, sample_weight, epochs=None, checkpoint=None, validation=None):
        layers = self._new_layers()
        goes_on = self._goes_on(epochs, checkpoint)
        self._begin_run(goes_on, epochs)
        X = checked(self, X, reset=not goes_on, may_lack=layers[0].missing is not None, finite=goes_on)
        weights = checks.sample_weights(sample_weight, X.shape[0])
        self._note_data(epochs, X=X, sample_weight=weights, validation=validation)
        self._fit_layers(layers, X, weights, goes_on, epochs, validation)
        self._trained_on(X, weights)
        if epochs is None:
            self._keep_starts(X, weights)
            self._end_run()
        return self

    def _trained_on(self, X, weights):
        """What is left to do once all layers are trained."""

    def _fit_layers(self, layers, X, weights, resume, epochs, validation=None):
        """Train the fitted layers on checked X with the parameters of the given layers, and add the layers that are missing.

        validation are rows to watch, or None.
        """
        for rbm in layers if epochs is None else ():
            check_held_out(rbm, validation)
        if resume:
            self._follow(layers)
            check_values(self.layers_[0], X)
            self._forget_starts()
        else:
            sizes = X.shape[1], *(rbm.n_components for rbm in layers)
            parameters.check_room(sizes, "hidden_layer_sizes", self.hidden_layer_sizes)
            if epochs is None:
                for i, rbm in enumerate(layers):
                    self._plan(i, 0, parameters.epochs(rbm, X.shape[0]))
            layers[0]._begin(X, weights, epochs is not None)
            self.layers_, self._draws, self._up_down_best = [layers[0]], 0, None
            self._forget_starts()
        for rbm in layers:  # before any is trained
            weights_of_known(self.layers_[0].seed_, X.shape[0], rbm.validation_fraction, weights)
        lower_states, drawn, validation = X, None, watched(self, validation, layers[0].missing is not None)
        for i, new in enumerate(layers):
            if i == len(self.layers_):
                seed = self.layers_[0].seed_
                mean = data.columns(lower_states, weights_of_known(seed, X.shape[0], new.validation_fraction, weights)).mean
                new._begin_layer(get_unit(new.visible), Scaling(), mean, X.shape[0], seed, i)
                self.layers_.append(new)
            rbm = self.layers_[i]
            planned, n_rows = parameters.epochs(rbm, X.shape[0]), n_trained_on(X.shape[0], rbm.validation_fraction)
            start, lacking = (None, epochs) if epochs is not None else self._enter(i, rbm.n_iter_, planned, n_rows)
            self._train_layer(rbm, lower_states, weights, lacking, start, rbm.binarize if i == 0 else drawn, validation)
            if epochs is None:
                self._leave(i)
            if i + 1 < len(layers):
                lower_states, drawn = self._next_data(rbm, lower_states)
                validation = None if validation is None else self._next_data(rbm, validation)[0]

    def _train_layer(self, rbm, lower_states, weights, epochs, start, binarize, validation):
        """Train a layer for some epochs, as part of a fit that began at epoch `start` or as a pass of its own."""
        rbm._train(lower_states, weights, epochs, start, self, binarize, validation)

    def _follow(self, layers):
        """Let fitted layers train on with this network's present parameters."""
        if hasattr(self, "up_down_iter_"):
            raise ValueError(
                "this network's weights were untied by up_down, so that its layers cannot train on as RBMs: go on by up_down, or "
                "fit anew with warm_start=False"
            )
        sizes, fitted = [rbm.n_components for rbm in layers], [len(rbm.components_) for rbm in self.layers_]
        if sizes[: len(fitted)] != fitted or (len(sizes) > len(fitted) and self.__sklearn_is_fitted__()):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} has {len(sizes)} layers of {sizes} units, the fitted network "
                f"{len(fitted)} of {fitted}: keep the sizes, or fit anew with warm_start=False"
            )
        for old, new in zip(self.layers_, layers, strict=False):
            parameters.check_same(old, new, old.layer_ == 0)
            kept = "n_components", "visible", "scale", "binarize", "random_state"
            old.set_params(**{name: value for name, value in new.get_params().items() if name not in kept})

    def _next_data(self, rbm, lower_states):
        """What the layer above `rbm` learns from, and how it is binarised there."""
        unit = get_unit(rbm.hidden_)
        binary = unit.support == (0.0, 1.0)
        if self.propagate == "sample" and not binary:
            key = rng.key(rbm.seed_, 0, rng.stream(rng.DATA, rbm.layer_, 1))
            return states_above(lower_states, rbm, key), None
        return states_above(lower_states, rbm), self.propagate if binary else None
