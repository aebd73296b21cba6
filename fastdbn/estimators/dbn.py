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
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.network import SHARED, as_template
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.wake_sleep import WakeSleep
from fastdbn.files.entries import count
from fastdbn.files.state import NOT_NEGATIVE, Maybe, Part, Series, Tensor, fields
from fastdbn.maths.optim import is_sequence
from fastdbn.support import checks
from fastdbn.support.types import Rows
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
        return self._fit(X, sample_weight, parameters.EpochPart())

    def _begin_stack(self, layers, n_features):
        sizes = n_features, *(rbm.n_components for rbm in layers)
        parameters.check_room(sizes, "hidden_layer_sizes", self.hidden_layer_sizes)
        self.layers_, self._draws, self._up_down_best = [], 0, None
        self._forget_starts()

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
        self._forget_starts()
