"""What a fitted model computes, as stages that an exit renders in its own operations.

A stage is a record of arrays and settings. `apply` says what it computes, in an exit's `Operations`; then values of that exit
stand in the place of its arrays.
"""

import abc
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastdbn.estimators.autoencoder import DBNAutoencoder
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.finetune import DBNClassifier
from fastdbn.estimators.forward import forward_of
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.outliers import DBNOutlierDetector
from fastdbn.estimators.regressor import DBNRegressor
from fastdbn.estimators.rows import threshold_of
from fastdbn.estimators.table_model import TableModel
from fastdbn.exits import formulas
from fastdbn.exits.operations import Operations
from fastdbn.inputs import ranges
from fastdbn.inputs.extent import FURTHEST
from fastdbn.support.report import DataWarning, warn
from fastdbn.units import get_unit


@dataclass(frozen=True, kw_only=True)
class Stage(abc.ABC):
    """One step of what a model computes: arrays, settings, and a formula."""

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @abc.abstractmethod
    def apply(self, ops: Operations, x: Any) -> Any:
        """What it computes of a value."""


@dataclass(frozen=True, kw_only=True)
class Inputs(Stage):
    """From rows to visible states: clipped to the range of the units, scaled, or compared with a threshold.

    low and high are numbers, arrays of each column's, or None. With `lacks`, NaN is a missing value, and becomes 0.
    """

    dtype: str
    low: Any = None
    high: Any = None
    shift: Any = None
    scale: Any = None
    clip: bool = False
    threshold: float | None = None
    lacks: bool = False

    def apply(self, ops, x):
        v = x
        if self.threshold is not None:
            return ops.cast(x > self.threshold, self.dtype)
        if self.low is not None or self.high is not None:
            of_columns = not (isinstance(self.low, float | None) and isinstance(self.high, float | None))
            v = ops.clip(ops.cast(v, "float64") if of_columns else v, self.low, self.high)
        if self.scale is not None:
            v = (ops.cast(v, "float64") - self.shift) * self.scale
        if self.clip:
            v = ops.clip(v, 0.0, 1.0)
        v = ops.cast(v, self.dtype)
        return ops.where(ops.isnan(x), 0.0, v) if self.lacks else v


@dataclass(frozen=True, kw_only=True)
class Affine(Stage):
    """x W + b."""

    W: Any
    b: Any

    def apply(self, ops, x):
        return ops.affine(x, self.W, self.b)


@dataclass(frozen=True, kw_only=True)
class Means(Stage):
    """Means of n units given their total inputs."""

    unit: Any
    n: int

    def apply(self, ops, x):
        parts = self.unit.parts(self.n)
        if len(parts) == 1:
            return formulas.mean(ops, parts[0].unit, x, self.n)
        x = ops.let("x", x)
        return ops.concat([formulas.mean(ops, unit, ops.columns(x, i, j), j - i) for unit, i, j, _ in parts])


@dataclass(frozen=True, kw_only=True)
class Unscale(Stage):
    """x / scale + shift: back to the scale of the user's data."""

    scale: Any
    shift: Any

    def apply(self, ops, x):
        return ops.cast(ops.cast(x, "float64") / self.scale + self.shift, ops.dtype(x))


@dataclass(frozen=True, kw_only=True)
class Scale(Stage):
    """x scale + shift: predictions on the scale of the targets."""

    scale: Any
    shift: Any

    def apply(self, ops, x):
        return ops.cast(ops.cast(x, "float64") * self.scale + self.shift, ops.dtype(x))


@dataclass(frozen=True, kw_only=True)
class Posterior(Stage):
    """p(y | x), proportional to exp(l_y + sum_j cgf((x W + b + L_y)_j)); see estimators/generative.py."""

    W: Any
    b: Any
    L: Any
    l: Any  # noqa: E741 - the formula's name
    unit: Any
    n: int
    n_classes: int

    def apply(self, ops, x):
        field = ops.let("field", ops.cast(ops.affine(x, self.W, self.b), "float64"))
        scores = ops.each(self.L, lambda row: formulas.cgf(ops, self.unit, field + row, self.n)) + self.l
        return ops.cast(ops.softmax(scores, self.n_classes, self.n_classes), ops.dtype(x))


@dataclass(frozen=True, kw_only=True)
class Label(Stage):
    """The label of the largest of some numbers."""

    classes: Any

    def apply(self, ops, x):
        return ops.take(self.classes, ops.argmax(x))


@dataclass(frozen=True, kw_only=True)
class Decision(Inputs):
    """The score of an outlier detector of one layer, less its threshold; see estimators/outliers.py and inputs/extent.py."""

    least: Any
    most: Any
    width: Any
    slack: Any
    W: Any
    b: Any
    c: Any
    visible: Any
    hidden: Any
    sizes: tuple[int, int]
    top: float
    offset: float

    def apply(self, ops, x):
        wide = ops.let("wide", ops.cast(x, "float64"))
        beyond = ops.clip(ops.maximum(wide - self.most, self.least - wide) - self.slack, 0.0, None)
        e = ops.let("e", ops.clip(beyond / self.width, None, FURTHEST))
        cost = ops.let("cost", ops.sum(ops.where(e < 1.0, e * ops.clip(e, None, 1.0), e * 2.0 - 1.0)))
        v = ops.let("v", super().apply(ops, ops.cast(ops.clip(wide, self.least, self.most), ops.dtype(x))))
        field = ops.let("field", ops.cast(ops.affine(v, self.W, self.c), "float64"))
        states = ops.let("states", ops.cast(v, "float64"))
        score = ops.let("score", ops.sum(states * self.b) + formulas.cgf(ops, self.hidden, field, self.sizes[1]))
        for unit, i, j, _ in self.visible.parts(self.sizes[0]):
            own = ops.let("own", ops.columns(states, i, j)) if j - i < self.sizes[0] else states
            base = formulas.base(ops, unit, own, j - i)
            score = score if base is None else ops.let("score", score - base)
        penalty = max(2.0 * (self.top - self.offset), 1.0)
        return ops.where(cost > 0.0, ops.clip(score, None, self.top) - cost * penalty, score) - self.offset


@dataclass(frozen=True, kw_only=True)
class Sign(Stage):
    """-1 for an outlier, whose decision is negative, else 1."""

    def apply(self, ops, x):
        return ops.cast(ops.where(x < 0.0, -1.0, 1.0), "int64")


class Output(NamedTuple):
    """What one method of a model computes.

    Attributes
    ----------
    method : name of the method in Python
    name : its name in an ONNX graph, that of scikit-learn's converters where they have one
    stages : what it computes
    source : the method whose output its stages take; None for the rows
    flat : whether an output of one column has one dimension
    """

    method: str
    name: str
    stages: list[Stage]
    source: str | None = None
    flat: bool = False


class Description(NamedTuple):
    """What a model computes from rows of n_features numbers of a type."""

    kind: str
    n_features: int
    feature_names: list[str] | None
    dtype: str
    input_dtype: str
    outputs: list[Output]


def is_prepared(model: Estimator | TableModel) -> bool:
    """Whether a preparation makes the model's rows of the columns of a table, and not as they are."""
    preparation = getattr(model, "preparation_", None)
    return preparation is not None and preparation.visible_ != "auto"


def describe(model: Estimator | TableModel, input_dtype: str | None = None) -> Description:
    """The `Description` of a fitted model; rows have the model's precision where input_dtype is None.

    Raises
    ------
    NotFittedError
    ValueError
        names what cannot be exported, and why.
    TypeError
        if it is no model of this library.
    """
    if isinstance(model, TableModel):
        check_is_fitted(model)
        model = model.estimator_
    if not isinstance(model, Estimator):
        raise TypeError(f"model={model!r}: give a fitted model of fastdbn")
    check_is_fitted(model)
    first = model.as_rbm() if isinstance(model, BernoulliRBM) else model
    input_dtype = first.dtype if input_dtype is None else input_dtype
    if input_dtype not in ("float32", "float64"):
        raise ValueError(f"input_dtype={input_dtype!r}: give 'float32' or 'float64'")
    layers = first._layers() if hasattr(first, "_layers") else first._stack()
    if layers[0].missing == "sample":
        warn(
            "missing='sample' draws missing values, which an export cannot: outside of fastdbn NaN gives NaN. Fill rows in by "
            "`impute` first, or fit with missing='drop'",
            DataWarning,
        )
    names = getattr(model, "feature_names_in_", None)
    return Description(
        type(model).__name__,
        model.n_features_in_,
        None if names is None else [str(name) for name in names],
        first.dtype,
        input_dtype,
        list(_outputs(model, input_dtype)),
    )


def _outputs(model, input_dtype) -> Iterator[Output]:
    if isinstance(model, (DBNClassifier, GenerativeDBNClassifier)):
        generative, softmax = isinstance(model, GenerativeDBNClassifier), Means(unit=get_unit("softmax"), n=len(model.classes_))
        yield Output("predict_proba", "probabilities", _posterior(model) if generative else [*_network(model), softmax])
        yield Output("predict", "label", [Label(classes=_labels(model.classes_))], "predict_proba")
    elif isinstance(model, DBNRegressor):
        to_targets = Scale(scale=model.target_scale_, shift=model.target_mean_)
        yield Output("predict", "variable", [*_network(model), to_targets], flat=model._flat)
    elif isinstance(model, DBNAutoencoder):
        stages, (shift, scale, _) = _network(model), model.scaling_
        back = [] if scale is None else [Unscale(scale=scale, shift=shift)]
        n = 1 + 2 * model._n_encoding()
        yield Output("transform", "variable", stages[:n])
        yield Output("reconstruct", "reconstruction", stages[n:] + back, "transform")
    elif isinstance(model, DBNOutlierDetector):
        yield Output("decision_function", "scores", [_decision(model, input_dtype)])
        yield Output("predict", "label", [Sign()], "decision_function")
    else:
        yield Output("transform", "variable", _stack(model._stack(), not isinstance(model, BernoulliRBM)))


def _labels(classes):
    """Class labels as an array of text or of whole numbers, as scikit-learn's converters have them."""
    if classes.dtype.kind in "US" or (classes.dtype == object and all(isinstance(label, str) for label in classes)):
        return classes.astype(str)
    with np.errstate(invalid="ignore"):
        whole = classes.astype(np.int64)
    if (whole != classes).any():
        raise ValueError(
            f"classes {classes[:5]} are neither text nor whole numbers, and ONNX files hold labels of these types only"
        )
    return whole


def _inputs(rbm, n, dtype, threshold, clips, **more):
    """The `Inputs` of an RBM or a network, or of a stage that begins with them."""
    stage, (shift, scale, clip) = more.pop("stage", Inputs), rbm.scaling_
    low, high = ranges.bounds(get_unit(rbm.visible_), rbm.scaling_, n) if clips and threshold is None else (-np.inf, np.inf)
    return stage(
        dtype=dtype,
        low=low if np.any(np.isfinite(low)) else None,
        high=high if np.any(np.isfinite(high)) else None,
        shift=shift,
        scale=scale,
        clip=clip,
        threshold=threshold,
        **more,
    )


def _means(unit, n):
    for part in unit.parts(n):
        formulas.check_formula(part.unit, "mean", formulas.NO_MEAN)
    return Means(unit=unit, n=n)


def _network(network):
    """The stages of a network that was back-propagated: its inputs, then two for each layer."""
    forward = forward_of(network)
    lacks = network._layers()[0].missing == "drop"
    stages = [_inputs(network, network.n_features_in_, network.dtype, forward.threshold, True, lacks=lacks)]
    for unit, W, b in zip(forward.units[1:], network.coefs_, network.intercepts_, strict=True):
        stages += [Affine(W=W, b=b), _means(unit, len(b))]
    return stages


def _of_layer(rbm, clips, **more):
    """`_inputs` of a layer of a stack."""
    return _inputs(rbm, rbm.n_features_in_, rbm.dtype, threshold_of(rbm), clips, lacks=rbm.missing == "drop", **more)


def _stack(layers, clips=True):
    """The stages of RBMs from below; the lowest clips its rows."""
    stages = []
    for i, rbm in enumerate(layers):
        hidden = _means(get_unit(rbm.hidden_), len(rbm.intercept_hidden_))
        stages += [_of_layer(rbm, clips and i == 0), Affine(W=rbm.components_.T, b=rbm.intercept_hidden_), hidden]
    return stages


def _posterior(model):
    *lower, top = model.layers_
    unit, n = get_unit(top.hidden_), len(top.intercept_hidden_)
    formulas.check_formula(unit, "log normaliser", formulas.NO_CGF)
    L, l = (x.astype(np.float64) for x in (model.label_components_.T, model.label_intercept_))  # noqa: E741
    labelled = Posterior(W=top.components_.T, b=top.intercept_hidden_, L=L, l=l, unit=unit, n=n, n_classes=len(l))
    return [*_stack(lower), _of_layer(top, not lower), labelled]


def _decision(model, input_dtype):
    rbm, extent = model.layers_[0], model.extent_
    if len(model.layers_) > 1:
        raise ValueError(
            f"a DBNOutlierDetector of {len(model.layers_)} layers cannot be exported, because its score is a mean over random "
            "draws: give hidden_layer_sizes one layer"
        )
    visible, hidden = get_unit(rbm.visible_), get_unit(rbm.hidden_)
    for part in visible.parts(rbm.n_features_in_):
        formulas.check_formula(part.unit, "base measure", formulas.NO_BASE)
    formulas.check_formula(hidden, "log normaliser", formulas.NO_CGF)
    return _of_layer(
        rbm,
        True,
        stage=Decision,
        least=extent.low,
        most=extent.high,
        width=extent.width,
        slack=extent.slack(input_dtype),
        W=rbm.components_.T,
        b=rbm.intercept_visible_.astype(np.float64),
        c=rbm.intercept_hidden_,
        visible=visible,
        hidden=hidden,
        sizes=(rbm.n_features_in_, len(rbm.intercept_hidden_)),
        top=model.top_,
        offset=model.offset_,
    )
