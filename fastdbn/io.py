"""Estimators as model files, and back: which tensors and which entries of the record (modelfile.py) each class has."""

import itertools
from pathlib import Path

import numpy as np

from fastdbn import modelfile, variance
from fastdbn.autoencoder import DBNAutoencoder
from fastdbn.backends import Params
from fastdbn.bernoulli_rbm import BernoulliRBM
from fastdbn.chains import FAST
from fastdbn.data import Scaling
from fastdbn.dbn import DBN
from fastdbn.finetune import DBNClassifier, DBNRegressor
from fastdbn.generative import GenerativeDBNClassifier
from fastdbn.monitors import MONITORS
from fastdbn.optim import at_epoch
from fastdbn.outliers import DBNOutlierDetector
from fastdbn.rbm import RBM
from fastdbn.supervised import Supervised
from fastdbn.unit import Unit
from fastdbn.units import Mixed, get_unit, named, softmax, visible_unit
from fastdbn.wake_sleep import METRICS as UP_DOWN

CLASSES = {
    cls.__name__: cls
    for cls in (RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor, DBNAutoencoder)
}


# ---- values that JSON does not have


def _encode(value, name, epochs=0):
    """A parameter as JSON: units by name, tuples marked, schedules by the values that they took."""
    if isinstance(value, Unit):
        if isinstance(named(value), str):
            return {"unit": value.name}
        raise ValueError(f"{name}={value.name!r} is a unit record of your own, which a model file cannot hold: pickle the model")
    if isinstance(value, Mixed):
        return {"mixed": [[_encode(unit, name), start, stop] for unit, start, stop, _ in value.columns]}
    if isinstance(value, slice):
        return {"slice": [_encode(x, name) for x in (value.start, value.stop, value.step)]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(x, name, epochs) for x in value]}
    if isinstance(value, (list, np.ndarray)):
        return [_encode(x, name, epochs) for x in value]
    if isinstance(value, np.generic):
        return value.item()
    if name == "class_weight" and isinstance(value, dict):
        return {"dict": [[_encode(k, name), _encode(v, name)] for k, v in value.items()]}
    if name == "rbm_params" and isinstance(value, dict):
        return {"dict": [[key, _encode(x, key, epochs)] for key, x in value.items()]}
    if name == "callback":
        return None
    if name == "pretrain" and not isinstance(value, bool):
        return True  # a network that was given: a copy of it is in the file
    if callable(value):
        return [at_epoch(value, epoch, name) for epoch in range(max(epochs, 1))]
    if name == "random_state" and not (value is None or isinstance(value, int)):
        return None
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f"{name}={value!r} cannot be saved: give a finite number")
    return value


def _decode(value):
    if isinstance(value, list):
        return [_decode(x) for x in value]
    if isinstance(value, dict):
        if set(value) == {"slice"}:
            return slice(*value["slice"])
        if set(value) == {"mixed"}:
            parts = [(_decode(unit), slice(start, stop)) for unit, start, stop in value["mixed"]]
            return visible_unit(parts, parts[-1][1].stop)
        if set(value) == {"tuple"}:
            return tuple(_decode(x) for x in value["tuple"])
        if set(value) == {"dict"}:
            return {_decode(k): _decode(v) for k, v in value["dict"]}
        if value.get("unit") == "softmax" and "group" in value:  # as files said it before "softmax:K"
            return softmax(int(value["group"]))
        return get_unit(value["unit"])
    return value


def _unit_from(value):
    return named(get_unit(_decode(value)))


def _count(value, limit=2**63):
    """A whole number in [0, limit)."""
    number = int(value)
    if not 0 <= number < limit:
        raise ValueError(f"{number} lies outside [0, {limit})")
    return number


def _encode_params(estimator):
    epochs = max(
        (
            getattr(estimator, name, 0) or 0
            for name in ("n_iter_", "max_iter", "up_down_iter")
            if isinstance(getattr(estimator, name, 0), int)
        ),
        default=0,
    )
    return {name: _encode(value, name, epochs) for name, value in estimator.get_params(deep=False).items()}


def _encode_labels(classes):
    """Class labels and their NumPy type; strings and numbers of any width come back as they were."""
    kind = classes.dtype.kind
    if kind == "O" and all(isinstance(x, str) for x in classes):
        return {"dtype": "object", "labels": list(classes)}
    if kind in "biufU":
        return {"dtype": classes.dtype.str, "labels": classes.tolist()}
    raise ValueError(f"class labels of type {classes.dtype} cannot be saved: use strings, numbers or booleans")


def _decode_labels(record):
    return np.array(record["labels"], dtype=np.dtype(record["dtype"]))


def _put_scaling(scaling, tensors):
    if scaling.scale is None:
        return None
    tensors["scaling.shift"], tensors["scaling.scale"] = scaling.shift, scaling.scale
    return {"clip": bool(scaling.clip)}


def _get_scaling(record, tensors, n_features):
    if record is None:
        return Scaling()
    shift = _tensor(tensors, "scaling.shift", (n_features,))
    return Scaling(shift, _positive(tensors, "scaling.scale", n_features), bool(record["clip"]))


# ---- one RBM, and the classes


def _put_rbm(rbm, tensors, prefix):
    tensors[prefix + "components"] = rbm.components_
    tensors[prefix + "intercept_hidden"] = rbm.intercept_hidden_
    tensors[prefix + "intercept_visible"] = rbm.intercept_visible_
    for name, x in zip("Wbc", rbm._velocity, strict=True):
        tensors[f"{prefix}velocity.{name}"] = x
    if rbm._chains is not None:
        tensors[prefix + "chains"] = rbm._chains
    for name, x in rbm._kept.items():
        tensors[f"{prefix}kept.{name}"] = x
    if get_unit(rbm.visible_).keeps_total:
        tensors[prefix + "totals"] = rbm.totals_
    if hasattr(rbm, "generative_components_"):
        tensors[prefix + "generative"] = rbm.generative_components_
    return {
        "params": _encode_params(rbm),
        "visible": _encode(rbm.visible_, "visible"),
        "hidden": _encode(rbm.hidden_, "hidden"),
        "n_iter": rbm.n_iter_,
        "step": rbm._step,
        "draws": rbm._draws,
        "seed": str(rbm.seed_),
        "layer": rbm.layer_,
        "history": {name: [None if np.isnan(x) else float(x) for x in values] for name, values in rbm.history_.items()},
    }


def _decode_params(record):
    """Constructor arguments. A model from a GPU computes on one where there is one."""
    params = {name: _decode(value) for name, value in record["params"].items()}
    return params | {"device": "auto"} if params.get("device") == "cuda" else params


def _get_rbm(record, tensors, prefix):
    rbm = RBM(**_decode_params(record))
    rbm.components_ = _tensor(tensors, prefix + "components", (None, None))
    nh, nv = rbm.components_.shape
    rbm.intercept_hidden_ = _tensor(tensors, prefix + "intercept_hidden", (nh,))
    rbm.intercept_visible_ = _tensor(tensors, prefix + "intercept_visible", (nv,))
    shapes = ((nv, nh), (nv,), (nh,))
    rbm._velocity = Params(*(_tensor(tensors, f"{prefix}velocity.{n}", s) for n, s in zip("Wbc", shapes, strict=True)))
    rbm._chains = _tensor(tensors, prefix + "chains", (None, nh)) if prefix + "chains" in tensors else None
    of_options = dict.fromkeys((*variance.NAMES, variance.BASE, "offset_v"), (nv,)) | {"offset_h": (nh,)}
    of_options |= {"activity": (nh,), "learning_rate": (1,)} | dict(zip(FAST, shapes, strict=True))
    names = {name: f"{prefix}kept.{name}" for name in of_options}
    rbm._kept = {name: _tensor(tensors, at, of_options[name]) for name, at in names.items() if at in tensors}
    if prefix + "generative" in tensors:
        rbm.generative_components_ = _tensor(tensors, prefix + "generative", (nh, nv))
    rbm.visible_, rbm.hidden_ = _unit_from(record["visible"]), _unit_from(record["hidden"])
    parts = get_unit(rbm.visible_).parts(nv)
    if parts[-1].stop != nv:
        raise ValueError(f"a mixed layer of {parts[-1].stop} columns where there are {nv}")
    if get_unit(rbm.visible_).keeps_total:
        rbm.totals_ = _tensor(tensors, prefix + "totals", (None, sum(part.unit.keeps_total for part in parts)))
    rbm.n_iter_, rbm._step, rbm._draws = (_count(record[name]) for name in ("n_iter", "step", "draws"))
    rbm.seed_, rbm.layer_ = _count(record["seed"], 2**64), _count(record["layer"])
    rbm.history_ = _history(record["history"], rbm.n_iter_)
    rbm.scaling_, rbm.n_features_in_ = Scaling(), nv
    return rbm


def _history(record, epochs):
    """A history as arrays; a monitor that the file's version did not have is NaN throughout."""
    missing = [None] * epochs
    return {name: np.array(record.get(name, missing), np.float64) for name in MONITORS}


def _tensor(tensors, name, shape):
    """Take a tensor out of those of a file; None in its shape stands for any size."""
    x = tensors.pop(name)
    if x.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, x.shape, strict=True)):
        raise ValueError(f"tensor {name} of shape {x.shape} where {shape} belongs")
    return x


def _positive(tensors, name, n):
    x = _tensor(tensors, name, (n,))
    if not (x > 0).all():
        raise ValueError(f"tensor {name} holds values that are not positive")
    return x


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
        layers, scaling = [_put_rbm(estimator, tensors, "layers.0.")], _put_scaling(estimator.scaling_, tensors)
    elif isinstance(estimator, BernoulliRBM):
        layers = [_put_rbm(estimator._fitted(), tensors, "layers.0.")]
    elif dbn is not None:
        layers = [_put_rbm(rbm, tensors, f"layers.{i}.") for i, rbm in enumerate(dbn.layers_)]
        state["draws"] = dbn._draws
        if hasattr(dbn, "up_down_iter_"):
            history = {name: [float(x) for x in dbn.up_down_history_[name]] for name in UP_DOWN}
            state["up_down"] = {"n_iter": dbn.up_down_iter_, "step": dbn._up_down_step, "history": history}
        scaling = _put_scaling(dbn.layers_[0].scaling_, tensors)
    if hasattr(estimator, "offset_"):
        state["offset"] = estimator.offset_
    if hasattr(estimator, "label_components_"):
        tensors["labels.components"], tensors["labels.intercept"] = estimator.label_components_, estimator.label_intercept_
        tensors["labels.velocity.W"], tensors["labels.velocity.b"] = estimator._label_velocity
        classes = _encode_labels(estimator.classes_)
    if hasattr(estimator, "coefs_"):
        scaling = _put_scaling(estimator.scaling_, tensors)
        for i, (W, c) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
            tensors[f"network.{i}.W"], tensors[f"network.{i}.c"] = W, c
        history = {name: [float(x) for x in values] for name, values in estimator.history_.items()}
        state |= {
            "visible": _encode(estimator.visible_, "visible"),
            "n_iter": estimator.n_iter_,
            "step": estimator._step,
            "seed": str(estimator.seed_),
            "history": history,
        }
        if hasattr(estimator, "classes_"):
            classes = _encode_labels(estimator.classes_)
        elif hasattr(estimator, "target_mean_"):
            tensors["target.mean"], tensors["target.scale"] = estimator.target_mean_, estimator.target_scale_
            state["flat"] = estimator._flat
    names = getattr(estimator, "feature_names_in_", None)
    record = {
        "format_version": modelfile.FORMAT_VERSION,
        "class": type(estimator).__name__,
        "params": _encode_params(estimator),
        "classes": classes,
        "scaling": scaling,
        "feature_names": None if names is None else [str(name) for name in names],
        "state": state,
        "layers": layers,
    }
    modelfile.write(path, tensors, record)


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
    estimator = cls(**_decode_params(record))
    layers = [_get_rbm(layer, tensors, f"layers.{i}.") for i, layer in enumerate(record["layers"])]
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
    scaling = _get_scaling(record["scaling"], tensors, estimator.n_features_in_)
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
    estimator.classes_ = _decode_labels(labels)
    n = len(estimator.classes_)
    estimator.label_components_ = _tensor(tensors, "labels.components", (nh, n))
    estimator.label_intercept_ = _tensor(tensors, "labels.intercept", (n,))
    estimator._label_velocity = _tensor(tensors, "labels.velocity.W", (n, nh)), _tensor(tensors, "labels.velocity.b", (n,))


def _build_stack(dbn, state, layers):
    dbn.layers_, dbn._draws = layers, _count(state["draws"])
    if "up_down" in state:
        record = state["up_down"]
        dbn.up_down_iter_, dbn._up_down_step = _count(record["n_iter"]), _count(record["step"])
        dbn.up_down_history_ = {name: np.array(record["history"][name], np.float64) for name in UP_DOWN}


def _check_neighbours(weights):
    for below, above in itertools.pairwise(weights):
        if below.shape[1] != above.shape[0]:
            raise ValueError(f"sizes of neighbouring layers differ: weights {below.shape} and {above.shape}")


def _build_network(estimator, record, tensors, layers):
    state = record["state"]
    depth = sum(name.startswith("network.") and name.endswith(".W") for name in tensors)
    estimator.coefs_ = [_tensor(tensors, f"network.{i}.W", (None, None)) for i in range(depth)]
    estimator.intercepts_ = [_tensor(tensors, f"network.{i}.c", (W.shape[1],)) for i, W in enumerate(estimator.coefs_)]
    _check_neighbours(estimator.coefs_)
    pretrained = [rbm.components_.shape[::-1] for rbm in layers]
    hidden = estimator.coefs_[: depth // 2 if isinstance(estimator, DBNAutoencoder) else depth - 1]
    if layers and pretrained != [W.shape for W in hidden]:
        raise ValueError(f"a network whose hidden layers are not those that were pretrained, {pretrained}")
    estimator.visible_ = _unit_from(state["visible"])
    estimator.n_iter_, estimator._step = _count(state["n_iter"]), _count(state["step"])
    estimator.seed_ = _count(state["seed"], 2**64)
    estimator.history_ = {str(name): list(values) for name, values in state["history"].items()}
    n_out = len(estimator.intercepts_[-1])
    if record["classes"] is not None:
        estimator.classes_ = _decode_labels(record["classes"])
        if len(estimator.classes_) != n_out:
            raise ValueError(f"{len(estimator.classes_)} classes for {n_out} outputs")
    elif not isinstance(estimator, DBNAutoencoder):
        estimator.target_mean_ = _tensor(tensors, "target.mean", (n_out,))
        estimator.target_scale_ = _positive(tensors, "target.scale", n_out)
        estimator._flat = bool(state["flat"])
    estimator.dbn_ = None
    if layers:
        estimator.dbn_ = estimator._dbn()
        _build_stack(estimator.dbn_, state, layers)
        estimator.dbn_.n_features_in_, estimator.dbn_.random_state = layers[0].n_features_in_, estimator.seed_
