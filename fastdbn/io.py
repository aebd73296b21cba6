"""Estimators as model files, and back: which tensors and which entries of the record (modelfile.py) each class has."""

import itertools
from pathlib import Path

import numpy as np

from fastdbn import modelfile
from fastdbn.autoencoder import DBNAutoencoder
from fastdbn.bernoulli_rbm import BernoulliRBM
from fastdbn.dbn import DBN
from fastdbn.entries import count, decode_labels, decode_params, encode, encode_labels, encode_params, positive, tensor, unit_from
from fastdbn.finetune import DBNClassifier, DBNRegressor
from fastdbn.generative import GenerativeDBNClassifier
from fastdbn.layerfile import get_rbm, get_scaling, put_rbm, put_scaling
from fastdbn.outliers import DBNOutlierDetector
from fastdbn.rbm import RBM
from fastdbn.supervised import Supervised
from fastdbn.wake_sleep import METRICS as UP_DOWN

CLASSES = {
    cls.__name__: cls
    for cls in (RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor, DBNAutoencoder)
}


def save(estimator, path):
    """Write a fitted estimator to a safetensors file; an existing file is replaced.

    Parameters
    ----------
    estimator : RBM, BernoulliRBM, DBN, DBNClassifier or DBNRegressor
    path : str or path

    Raises
    ------
    ValueError
        for what a file cannot hold (unit records of one's own).
    OSError
        if the file cannot be written; an existing one is left as it was.
    """
    tensors, layers, state, classes, scaling = {}, [], {}, None, None
    dbn = estimator if isinstance(estimator, DBN) else getattr(estimator, "dbn_", None)
    if isinstance(estimator, RBM):
        layers, scaling = [put_rbm(estimator, tensors, "layers.0.")], put_scaling(estimator.scaling_, tensors)
    elif isinstance(estimator, BernoulliRBM):
        layers = [put_rbm(estimator._fitted(), tensors, "layers.0.")]
    elif dbn is not None:
        layers, scaling = _put_stack(dbn, tensors, state), put_scaling(dbn.layers_[0].scaling_, tensors)
    if isinstance(estimator, DBNOutlierDetector):
        state["offset"] = estimator.offset_
    if isinstance(estimator, GenerativeDBNClassifier):
        classes = _put_labels(estimator, tensors)
    if isinstance(estimator, Supervised):
        scaling = put_scaling(estimator.scaling_, tensors)
        classes = _put_network(estimator, tensors, state)
    names = getattr(estimator, "feature_names_in_", None)
    record = {
        "format_version": modelfile.FORMAT_VERSION,
        "class": type(estimator).__name__,
        "params": encode_params(estimator),
        "classes": classes,
        "scaling": scaling,
        "feature_names": None if names is None else [str(name) for name in names],
        "state": state,
        "layers": layers,
    }
    modelfile.write(path, tensors, record)


def _put_stack(dbn, tensors, state):
    """The entries of a DBN's layers; what else it keeps goes into tensors and state."""
    state["draws"] = dbn._draws
    if hasattr(dbn, "up_down_iter_"):
        history = {name: [float(x) for x in dbn.up_down_history_[name]] for name in UP_DOWN}
        state["up_down"] = {"n_iter": dbn.up_down_iter_, "step": dbn._up_down_step, "history": history}
    return [put_rbm(rbm, tensors, f"layers.{i}.") for i, rbm in enumerate(dbn.layers_)]


def _put_labels(estimator, tensors):
    """The classes of a generative classifier, as an entry; their weights go into tensors."""
    tensors["labels.components"], tensors["labels.intercept"] = estimator.label_components_, estimator.label_intercept_
    tensors["labels.velocity.W"], tensors["labels.velocity.b"] = estimator._label_velocity
    return encode_labels(estimator.classes_)


def _put_network(estimator, tensors, state):
    """The classes of a back-propagated network, or None, as an entry; weights, targets and the rest go into tensors and state."""
    for i, (W, c) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        tensors[f"network.{i}.W"], tensors[f"network.{i}.c"] = W, c
    state |= {
        "visible": encode(estimator.visible_, "visible"),
        "n_iter": estimator.n_iter_,
        "step": estimator._step,
        "seed": str(estimator.seed_),
        "history": {name: [float(x) for x in values] for name, values in estimator.history_.items()},
    }
    if isinstance(estimator, DBNRegressor):
        tensors["target.mean"], tensors["target.scale"] = estimator.target_mean_, estimator.target_scale_
        state["flat"] = estimator._flat
    return encode_labels(estimator.classes_) if isinstance(estimator, DBNClassifier) else None


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    RBM, BernoulliRBM, DBN, DBNClassifier or DBNRegressor

    Raises
    ------
    FileNotFoundError
        if there is no such file.
    ValueError
        if it is no model of this library, or is damaged; the message says what is wrong.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no model file at {path}")
    record, tensors = modelfile.read(path)
    try:
        return _build(record, tensors)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not hold what its class needs: {error}") from None


def _build(record, tensors):
    cls = CLASSES[record["class"]]
    estimator = cls(**decode_params(record))
    layers = [get_rbm(layer, tensors, f"layers.{i}.") for i, layer in enumerate(record["layers"])]
    _check_neighbours([rbm.components_.T for rbm in layers])
    state = record["state"]
    if issubclass(cls, Supervised):
        _build_network(estimator, record, tensors, layers)
    elif issubclass(cls, DBN):
        _build_stack(estimator, state, layers)
        if cls is DBNOutlierDetector:
            estimator.offset_ = float(state["offset"])
        if cls is GenerativeDBNClassifier:
            _build_labels(estimator, record["classes"], tensors, len(layers[-1].components_))
    elif len(layers) != 1:
        raise ValueError(f"{len(layers)} layers")
    estimator.n_features_in_ = layers[0].n_features_in_ if layers else estimator.coefs_[0].shape[0]
    scaling = get_scaling(record["scaling"], tensors, estimator.n_features_in_)
    if layers:
        layers[0].scaling_ = scaling
    if hasattr(estimator, "coefs_"):
        estimator.scaling_ = scaling
    if cls is RBM:
        vars(estimator).update(vars(layers[0]) | estimator.get_params())
    elif cls is BernoulliRBM:
        if layers[0]._chains is None:
            raise KeyError("layers.0.chains")
        estimator._rbm = layers[0]
        estimator._publish()
    if tensors:
        raise ValueError(f"tensors that do not belong: {sorted(tensors)}")
    if record["feature_names"] is not None:
        names = np.array([str(name) for name in record["feature_names"]], dtype=object)
        if len(names) != estimator.n_features_in_:
            raise ValueError(f"{len(names)} feature names for {estimator.n_features_in_} features")
        estimator.feature_names_in_ = names
    return estimator


def _build_labels(estimator, labels, tensors, nh):
    estimator.classes_ = decode_labels(labels)
    n = len(estimator.classes_)
    estimator.label_components_ = tensor(tensors, "labels.components", (nh, n))
    estimator.label_intercept_ = tensor(tensors, "labels.intercept", (n,))
    estimator._label_velocity = tensor(tensors, "labels.velocity.W", (n, nh)), tensor(tensors, "labels.velocity.b", (n,))


def _build_stack(dbn, state, layers):
    dbn.layers_, dbn._draws = layers, count(state["draws"])
    if "up_down" in state:
        record = state["up_down"]
        dbn.up_down_iter_, dbn._up_down_step = count(record["n_iter"]), count(record["step"])
        dbn.up_down_history_ = {name: np.array(record["history"][name], np.float64) for name in UP_DOWN}


def _check_neighbours(weights):
    for below, above in itertools.pairwise(weights):
        if below.shape[1] != above.shape[0]:
            raise ValueError(f"sizes of neighbouring layers differ: weights {below.shape} and {above.shape}")


def _build_network(estimator, record, tensors, layers):
    state = record["state"]
    depth = sum(name.startswith("network.") and name.endswith(".W") for name in tensors)
    estimator.coefs_ = [tensor(tensors, f"network.{i}.W", (None, None)) for i in range(depth)]
    estimator.intercepts_ = [tensor(tensors, f"network.{i}.c", (W.shape[1],)) for i, W in enumerate(estimator.coefs_)]
    _check_neighbours(estimator.coefs_)
    pretrained = [rbm.components_.shape[::-1] for rbm in layers]
    hidden = estimator.coefs_[: depth // 2 if isinstance(estimator, DBNAutoencoder) else depth - 1]
    if layers and pretrained != [W.shape for W in hidden]:
        raise ValueError(f"a network whose hidden layers are not those that were pretrained, {pretrained}")
    estimator.visible_ = unit_from(state["visible"])
    estimator.n_iter_, estimator._step = count(state["n_iter"]), count(state["step"])
    estimator.seed_ = count(state["seed"], 2**64)
    estimator.history_ = {str(name): list(values) for name, values in state["history"].items()}
    n_out = len(estimator.intercepts_[-1])
    if record["classes"] is not None:
        estimator.classes_ = decode_labels(record["classes"])
        if len(estimator.classes_) != n_out:
            raise ValueError(f"{len(estimator.classes_)} classes for {n_out} outputs")
    elif not isinstance(estimator, DBNAutoencoder):
        estimator.target_mean_ = tensor(tensors, "target.mean", (n_out,))
        estimator.target_scale_ = positive(tensors, "target.scale", n_out)
        estimator._flat = bool(state["flat"])
    estimator.dbn_ = None
    if layers:
        estimator.dbn_ = estimator._dbn()
        _build_stack(estimator.dbn_, state, layers)
        estimator.dbn_.n_features_in_, estimator.dbn_.random_state = layers[0].n_features_in_, estimator.seed_
