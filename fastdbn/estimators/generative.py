"""The Deep Belief Network with labels: a generative classifier (Hinton, Osindero, Teh 2006; Larochelle and Bengio 2008).

The top RBM's visible units are the states h of the layer under it and a softmax group y, one unit for each class, so that the
network models p(x, y). Summing out the top's hidden units leaves, exactly,

    p(y | h)  proportional to  exp(l_y + sum_j cgf(t_j + (h P)_j + L_yj))
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastdbn.estimators import loaded, parameters
from fastdbn.estimators.classes import Classifier, check_any, class_factors, classes, known_classes
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.device import backend_for, warn_of_precision
from fastdbn.estimators.fitted_generative import FittedGenerative, apart, joined
from fastdbn.estimators.interrupt import UP_DOWN, all_at_once, all_or_nothing, check_is_fitted
from fastdbn.estimators.network import check_labelled
from fastdbn.estimators.outcome import of_layers, tell
from fastdbn.estimators.rows import check_values, checked, in_training, named, pair_of
from fastdbn.files import entries
from fastdbn.files.state import Later, Record, Tensor, fields
from fastdbn.inputs import data
from fastdbn.machine import initial
from fastdbn.maths import rng
from fastdbn.maths.optim import is_sequence
from fastdbn.support import checks
from fastdbn.support.types import FilePath, PerEpoch, Rows
from fastdbn.training.updown import Schedule, Untied, UpDown
from fastdbn.units import get_unit


@dataclass(eq=False, repr=False, kw_only=True)
class GenerativeDBNClassifier(Classifier, FittedGenerative, DBN):  # type: ignore[misc]  # its score is that of a classifier
    """Deep Belief Network of data and labels: classifies by the exact posterior of its top RBM and draws data of a class.

    Training has three stages. The layers below the top are pretrained as in `DBN`. Then the top RBM learns the joint
    distribution of their states and the labels, by CD-k. Finally the up-down algorithm trains all weights together.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 256)
        Number of hidden units of each layer, lowest layer first.
    rbm : RBM, list of RBM or None, default None
        How the layers are trained: one RBM for all layers, or a list with one for each. None means ``RBM()``. RBMs are copied,
        never fitted. ``visible``, ``scale``, ``binarize`` and ``missing`` of the first RBM describe the data. The network decides
        ``n_components``, ``n_jobs``, ``device``, ``dtype``, ``random_state``, ``verbose``, ``callbacks``, ``warm_start`` and
        ``memory_limit``; an RBM that sets one of these is an error. To search over ``rbm__k``, give ``rbm=RBM()``. In a list the
        name is ``rbm__0__k``. The top RBM learns with the labels, by CD only; give persistent chains and most other options to
        the layers below it, by a list.
    propagate : {"sample", "mean"}, default "sample"
        What the next layer learns from: hidden states drawn from the hidden means (drawn anew in each epoch for Bernoulli
        units), or the means, taken as probabilities. The means of all rows are kept while the next layer trains, in memory, or
        in a file if X comes from one or `memory_limit` is set: 4 bytes for each row and hidden unit, or 8 in float64.
    up_down_iter : int or None, default None
        Epochs of up-down after pretraining. None is 60, or more on few rows: as many as make 20,000 minibatches, but at most 400.
    up_down_learning_rate, up_down_top_learning_rate : float, callable of the epoch, list or None, default None
        ``learning_rate`` and ``top_learning_rate`` of `DBN.up_down`; None for both takes the customary rates, which fall
        linearly to 0.
    n_gibbs : int, callable of the epoch, list or None, default None
        See `DBN.up_down`.
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, as in scikit-learn. They multiply the weights of the rows in all three stages, so the model's
        share of each class follows them.
    unlabelled : label or None, default None
        The value of y that marks rows without a label, such as -1. NaN stands for all missing values: None, NaN, pandas' NA. All
        three stages learn from these rows: the top RBM draws their labels from its posterior in each minibatch. "balanced" and
        `score` use the rows with a label. None means that every row has one.
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
        Go on from the last fit by ``up_down_iter`` more epochs of up-down, without pretraining; or complete a fit that was
        interrupted.
    memory_limit : int, str or None, default None
        Bytes of rows in memory at a time, an integer or a text such as "500MB"; weights and the program come on top. Rows are
        then shuffled in two levels, and means of hidden layers lie in a file: docs/large-data.md says more.

    Attributes
    ----------
    classes_ : (n_classes,) array
    layers_ : list of RBM
        The fitted layers, lowest first, as for `DBN`. The visible units of the last do not include the labels.
    label_components_ : (units of the top, n_classes) array
        Weights L between the top and the labels.
    label_intercept_ : (n_classes,) array
        Biases l of the labels.
    starts_, start_classes_ : (n, units of the top) and (n,) arrays, or None
        As for `DBN`, and the numbers of their classes.
    n_iter_, up_down_iter_, up_down_history_
        As for `DBN`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import GenerativeDBNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = GenerativeDBNClassifier((64, 128), up_down_iter=20, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> bool(model.score(X[1500:] / 16, y[1500:]) > 0.8)
    True
    >>> model.sample(2, label=3).shape
    (2, 64)
    """

    _saved = fields(
        classes_=entries.LABELS,
        label_components_=Later(Tensor("n_hidden", "n_classes")),
        label_intercept_=Later(Tensor("n_classes")),
        _label_velocity=Later(Record(lambda W, b: (W, b), W=Tensor("n_classes", "n_hidden"), b=Tensor("n_classes"))),
    )
    _check_loaded = loaded.check_labels

    up_down_iter: int | None = None
    up_down_learning_rate: PerEpoch | None = None
    up_down_top_learning_rate: PerEpoch | None = None
    n_gibbs: PerEpoch | None = None

    # ---- training

    def __sklearn_is_fitted__(self):
        return super().__sklearn_is_fitted__() and hasattr(self, "label_components_")

    @classmethod
    def stack(cls, layers: Sequence[Any]) -> Self:
        """A fitted network of RBMs and, on top of them, a fitted GenerativeDBNClassifier of one layer.

        Parameters
        ----------
        layers : sequence of fitted estimators
            From below; copies are taken.

        Returns
        -------
        GenerativeDBNClassifier

        Raises
        ------
        ValueError
            if the last has no labels or more layers than one, or if neighbours differ in size or unit type.
        """
        *lower, top = layers if is_sequence(layers) else [None]
        if not isinstance(top, GenerativeDBNClassifier) or len(getattr(top, "layers_", ())) != 1:
            raise ValueError(f"layers ends with {top!r}: give a fitted GenerativeDBNClassifier of one layer as the top")
        network = super().stack([*lower, top.layers_[0]])
        for name in ("classes_", "label_components_", "label_intercept_", "_label_velocity"):
            setattr(network, name, copy.deepcopy(getattr(top, name)))
        return network

    @all_or_nothing
    def fit(  # type: ignore[override]  # y is needed, here and below
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: tuple[Rows, ArrayLike] | None = None,
        resume: FilePath | None = None,
    ) -> Self:
        """Pretrain the layers below the top, then the top with labels, then train all of them by up-down.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) labels of any type, or `unlabelled`
        sample_weight : (n,) array or None, default None
            Weights of the rows, in all three stages. A row of weight 2 counts as two rows, one of weight 0 as none. Only their
            ratios matter.
        validation_data : tuple (X, y) or None, default None
            Rows and labels to watch. Layers below the top watch X. Up-down measures ``validation_loss``, which is
            -log p(label | x), and ``validation_score``, the accuracy, and puts them into `up_down_history_`.
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
            for bad data or parameters, or a single class.
        DivergenceError
            if parameters become infinite or NaN. The parameters of the last good epoch are kept.
        """
        goes_on = self._goes_on(checkpoint=resume)
        layers = self._new_layers()
        schedule = self._own_schedule(layers)
        X, labels, weights = self._rows(X, y, sample_weight, goes_on, validation=validation_data)
        X_watched, y_watched = self._watched(validation_data)
        n_iter = parameters.up_down_epochs(self.up_down_iter, X.shape[0], schedule.batch_size)
        schedule = schedule._replace(n_iter=n_iter)
        pretrains = not goes_on or (self._run.begun and len(layers) - 1 not in self._run.done and UP_DOWN not in self._run.begun)
        if pretrains:
            self._pretrain(X, labels, weights, goes_on, None, pair_of(validation_data)[0])
        self._up_down(X, labels, weights, schedule, score=self._measurer(X_watched, y_watched))
        if pretrains:
            tell(of_layers(self.layers_, self))
        self._end_run()
        return self

    @all_or_nothing
    def partial_fit(  # type: ignore[override]
        self, X: Rows, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Make one pass over X for each layer, lowest first. Once up-down has begun, make one pass of up-down instead.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) labels of any type, or `unlabelled`
        classes : array or None, default None
            All labels that will occur. The first call needs them if there was no fit.
        sample_weight : (n,) array or None, default None
            Weights of the rows.

        Returns
        -------
        self
        """
        resume = bool(getattr(self, "layers_", None))
        schedule = self._own_schedule(self._new_layers())._replace(n_iter=1)
        known = known_classes(classes, self.classes_ if resume else None, self.unlabelled)
        X, labels, weights = self._rows(X, y, sample_weight, resume, part := parameters.EpochPart(), known)
        if hasattr(self, "up_down_iter_"):
            self._up_down(X, labels, weights, schedule, a_pass=True)
        else:
            self._pretrain(X, labels, weights, resume, part)
        return self

    @all_or_nothing
    def up_down(  # type: ignore[override]
        self,
        X: Rows,
        y: ArrayLike,
        n_iter: int = 20,
        *,
        sample_weight: ArrayLike | None = None,
        learning_rate: PerEpoch | None = None,
        top_learning_rate: PerEpoch | None = None,
        n_gibbs: PerEpoch | None = None,
        weight_decay: PerEpoch = 0.0,
        batch_size: int | None = None,
    ) -> Self:
        """Train all weights of the fitted network together by the up-down algorithm, the top with labels.

        Parameters are those of `DBN.up_down`, with one difference: rates that are not given are the customary ones, which fall
        linearly to 0.
        """
        check_is_fitted(self)
        schedule = self._schedule(n_iter, learning_rate, top_learning_rate, n_gibbs, weight_decay, batch_size)
        X, labels, weights = self._rows(X, y, sample_weight, True)
        self._up_down(X, labels, weights, schedule)
        self._end_run()
        return self

    def _own_schedule(self, layers):
        """The schedule of up-down that this estimator's parameters ask for, checked."""
        n_iter = 0 if self.up_down_iter is None else checks.integer(self.up_down_iter, "up_down_iter", 0)
        rates = self.up_down_learning_rate, self.up_down_top_learning_rate
        return self._schedule(n_iter, *rates, self.n_gibbs, 0.0, layers[0].batch_size, "up_down_")

    def _watched(self, validation_data):
        """(X, class numbers) of rows to watch that have a label, checked; (None, None) if there are none."""
        X, y = pair_of(validation_data)
        if X is None:
            return None, None
        with named():
            X = checked(self, X, reset=False, may_lack=self._may_lack())
            numbers, _ = classes(y, X.shape[0], self.classes_, unlabelled=self.unlabelled)
            if not (numbers >= 0).any():
                raise ValueError("y has no label: give rows with labels")
        return X[numbers >= 0], numbers[numbers >= 0]

    def _measurer(self, X, numbers):
        """The measures of watched rows, as a function of where up-down stands; None if there are none."""

        def measure(state):
            network = copy.copy(self)
            vars(network).pop("feature_names_in_", None)  # the rows are checked
            network.layers_ = [copy.copy(rbm) for rbm in self.layers_]
            all_at_once(*network._changes(state))
            logs = network.predict_log_proba(X)
            own = logs[np.arange(len(logs)), numbers]
            return {"validation_loss": -float(own.mean()), "validation_score": float(np.mean(logs.argmax(axis=1) == numbers))}

        return None if X is None else measure

    def _rows(self, X, y, sample_weight, resume, part=None, known=None, validation=None):
        """Begin a run, or go on: (X, checked, labels, weights of rows and their classes or None).

        Labels are one-hot rows, or zeros where a row has none.

        known are the classes of a first call of `partial_fit`, or None.
        """
        self._begin_run(resume, part)
        X = checked(self, X, reset=not resume, may_lack=self._may_lack())
        if resume:
            check_values(self.layers_[0], X)
            known = self.classes_
        else:
            parameters.refuse_counts_in(self._first().visible, X.shape[1])
        numbers, self.classes_ = classes(y, X.shape[0], known, self._called("y"), self.unlabelled)
        weights = checks.sample_weights(sample_weight, len(numbers))
        others = dict(zip(("validation_data X", "validation_data y"), pair_of(validation), strict=True))
        self._note_data(part, X=X, y=numbers, classes=self.classes_, sample_weight=weights, **others)
        if self.class_weight is not None:
            factors = class_factors(self.class_weight, self.classes_, numbers)
            weights = factors if weights is None else weights * factors
        if weights is not None:
            check_any(weights[numbers >= 0])
            weights = weights / weights.mean()
        return X, self._one_hot(numbers), weights

    def _one_hot(self, numbers):
        """(n, n_classes) labels of class numbers; zeros for -1."""
        return np.equal.outer(numbers, np.arange(len(self.classes_))).astype(self.dtype)

    def _new_layers(self):
        self._check_labels()
        layers = super()._new_layers()
        check_labelled(layers[-1])
        for rbm in layers:  # the top and up-down are not centred, and do worse on layers that are
            rbm.set_params(centering=None if rbm.centering == "auto" else rbm.centering)
        return layers

    def _pretrain(self, X, labels, weights, resume, part=None, validation=None):
        self._labels = labels
        try:
            self._fit_layers(self._new_layers(), X, weights, resume, part, validation)
        finally:
            del self._labels

    def _train_layer(self, rbm, lower_states, weights, epochs, start, binarize, validation, part):
        if rbm.layer_ + 1 < len(checks.layer_sizes(self.hidden_layer_sizes)):
            super()._train_layer(rbm, lower_states, weights, epochs, start, binarize, validation, part)
        else:
            self._train_top(rbm, lower_states, weights, epochs, start, binarize)

    def _train_top(self, rbm, lower_states, weights, epochs, start, binarize):
        """CD-k with labels: up-down with nothing under the top."""
        unit, hidden = get_unit(rbm.visible_), get_unit(rbm.hidden_)
        settings, count = parameters.settings(rbm, unit), len(self.classes_)
        if rbm.n_iter_ == 0:
            counts = self._labels.sum(axis=0, dtype=np.float64) if weights is None else weights @ self._labels
            n_labelled = np.count_nonzero(self._labels)
            share = initial.smoothed_mean(get_unit("softmax"), counts / (counts.sum() or 1.0), n_labelled)
            draw = rng.host_generator(rbm.seed_, 0, rng.stream(rng.INIT, rbm.layer_, 4))
            self._label_velocity = np.zeros((count, len(rbm.components_)), self.dtype), np.zeros(count, self.dtype)
            self.label_intercept_ = np.log(share / share.sum()).astype(self.dtype)
            self.label_components_ = (draw.standard_normal((len(rbm.components_), count)) * initial.INIT_SCALE).astype(self.dtype)
        rate, backend = settings.learning_rate, backend_for(rbm)
        if rbm.learning_rate is None and start is not None:
            rate = parameters.falling(rate, start, rbm.n_iter_ + epochs - start)
        schedule = Schedule(rate, rate, settings.momentum, settings.weight_decay, settings.k, settings.batch_size, epochs)
        warn_of_precision(rbm, backend)
        state = Untied([], [], self._top(), joined(rbm._velocity, *self._label_velocity), rbm.n_iter_, rbm._step)
        source = backend.load(data.training_source(lower_states, rbm.scaling_, in_training(binarize, unit)), for_training=True)

        def keep(state, history, best):
            velocity, *of_labels = apart(state.velocity, count)
            of_top = {"n_iter_": state.epoch, "_step": state.step, "_velocity": velocity, "history_": history}
            all_at_once(*self._of_top(state.top), (rbm, of_top), (self, {"_label_velocity": tuple(of_labels)}))

        where = rbm.seed_, rbm.layer_
        run = UpDown(backend, [unit, hidden], source, lower_states.shape[0], self._labels, schedule, *where, state, weights)
        run.run(epochs, keep, rbm.history_, tell=self._teller(rbm.layer_), verbose=self.verbose)

    def _top(self):
        return joined(super()._top(), self.label_components_.T, self.label_intercept_)

    def _of_top(self, params):
        params, W, b = apart(params, len(self.classes_))
        return [*super()._of_top(params), (self, {"label_components_": np.ascontiguousarray(W.T), "label_intercept_": b})]
