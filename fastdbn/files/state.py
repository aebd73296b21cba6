"""Estimators as model files, and back: which tensors and which entries of the record (format.py) each class has."""

import itertools
import reprlib
from pathlib import Path

import numpy as np

from fastdbn.estimators.autoencoder import DBNAutoencoder
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier, DBNRegressor
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.outliers import DBNOutlierDetector
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.supervised import Supervised
from fastdbn.estimators.wake_sleep import METRICS as UP_DOWN
from fastdbn.estimators.wake_sleep import refuse_counts
from fastdbn.files import entries, format
from fastdbn.files.entries import (
    check_fields,
    count,
    decode_labels,
    decode_params,
    encode,
    encode_history,
    encode_labels,
    encode_params,
    entry,
    positive,
    tensor,
    unit_of,
)
from fastdbn.files.layers import check_chains, check_scaling, get_rbm, get_scaling, put_rbm, put_scaling
from fastdbn.files.run import get_optimizer, get_run, put_optimizer, put_run
from fastdbn.inputs.extent import Extent
from fastdbn.support import checks
from fastdbn.units import get_unit

SQUARES = 1e154
"""Targets and scores are below the root of the greatest float64 number, because their squares are finite."""

CLASSES = {
    cls.__name__: cls
    for cls in (RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor, DBNAutoencoder)
}


def save(estimator, path):
    """Write a fitted estimator to a safetensors file, which replaces an existing file in one step.

    What is written is checked as `load` checks it, so that every file that is written can be read.

    Parameters
    ----------
    estimator : RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor or DBNAutoencoder
    path : str or path
        Of a symbolic link the target is replaced. An existing file keeps its mode.

    Raises
    ------
    ValueError
        for what a file cannot hold, such as unit records of one's own, numbers that are not finite, and parameters that `fit`
        would refuse.
    OSError
        if the file cannot be written, for example because the disk is full. An existing file is left as it was.
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
        _put_threshold(estimator, tensors, state)
    if isinstance(estimator, GenerativeDBNClassifier):
        classes = _put_labels(estimator, tensors)
    if isinstance(estimator, Supervised):
        scaling = put_scaling(estimator.scaling_, tensors)
        classes = _put_network(estimator, tensors, state)
    if getattr(estimator, "_left_out", ()):
        state["left_out"] = list(estimator._left_out)
    put_run(estimator, state)
    names = getattr(estimator, "feature_names_in_", None)
    record = {
        "format_version": format.FORMAT_VERSION,
        "class": type(estimator).__name__,
        "params": encode_params(estimator),
        "classes": classes,
        "scaling": scaling,
        "feature_names": None if names is None else [str(name) for name in names],
        "state": state,
        "layers": layers,
    }
    _read_as(f"this {type(estimator).__name__} cannot be saved", record, dict(tensors))
    format.write(path, tensors, record)


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor or DBNAutoencoder

    Raises
    ------
    FileNotFoundError
        if there is no such file.
    ValueError
        if it is no model of this library, or is damaged; the message names the file and says what is wrong.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        return _read_as(f"{path} does not hold what its class needs", *format.read(path))
    except MemoryError:
        raise ValueError(f"{path} does not fit into memory") from None


def _read_as(what, record, tensors):
    """The estimator of a record and tensors; the message of an error begins with `what`."""
    try:
        return _build(record, tensors)
    except KeyError as error:
        raise ValueError(f"{what}: it lacks {error}") from None
    except (ArithmeticError, AttributeError, IndexError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None


def _build(record, tensors):
    name = entry(record, "class", str)
    if name not in CLASSES:
        raise ValueError(f"class={name!r:.80} is none of {', '.join(CLASSES)}")
    cls = CLASSES[name]
    estimator, state = cls(**decode_params(record)), entry(record, "state", dict)
    untied = "up_down" in state
    layers = [get_rbm(layer, tensors, f"layers.{i}.", untied) for i, layer in enumerate(entry(record, "layers", list))]
    _check_neighbours(layers)
    if issubclass(cls, Supervised):
        _get_network(estimator, record, tensors, layers)
    elif not layers or (len(layers) > 1 and not issubclass(cls, DBN)):
        raise ValueError(f"{len(layers)} layers")
    elif cls is RBM:
        if record["params"] != record["layers"][0]["params"]:
            raise ValueError("the parameters of the RBM are not those of its layer")
        estimator = layers[0]
    elif issubclass(cls, DBN):
        _get_stack(estimator, state, layers)
        if cls is DBNOutlierDetector:
            _get_threshold(estimator, tensors, state)
        if cls is GenerativeDBNClassifier:
            _get_labels(estimator, record["classes"], tensors)
    get_run(estimator, state)
    estimator.n_features_in_ = layers[0].n_features_in_ if layers else len(estimator.coefs_[0])
    scaling = get_scaling(record["scaling"], tensors, estimator.n_features_in_)
    if layers:
        layers[0].scaling_ = scaling
        check_scaling(layers[0])
    if isinstance(estimator, Supervised):
        estimator.scaling_ = scaling
    if cls is BernoulliRBM:
        _get_engine(estimator, layers[0])
    if tensors:
        raise ValueError(f"tensors that do not belong: {reprlib.repr(sorted(tensors))}")
    if record["classes"] is not None and not hasattr(estimator, "classes_"):
        raise ValueError(f"classes, of which a {cls.__name__} has none")
    if "left_out" in state:
        estimator._left_out = _get_left_out(entry(state, "left_out", list), estimator.n_features_in_)
    if record["feature_names"] is not None:
        names = entry(record, "feature_names", list)
        if len(names) != estimator.n_features_in_ or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{len(names)} feature names for {estimator.n_features_in_} features, or some that are no text")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    return estimator


def _get_left_out(places, n_features):
    """Columns of the table on the command line that are no features, in order."""
    if not all(type(j) is int and 0 <= j < n_features + len(places) for j in places) or sorted(set(places)) != places:
        raise ValueError(f"left_out={reprlib.repr(places)} beside {n_features} features")
    return tuple(places)


# ---- the classes


def _check_neighbours(layers):
    for i, (below, above) in enumerate(itertools.pairwise(layers), 1):
        sizes = len(below.components_), above.n_features_in_
        units = below.hidden_, above.visible_
        if sizes[0] != sizes[1] or units[0] != units[1]:
            raise ValueError(f"layer {i} has {sizes[1]} visible units ({units[1]}) on {sizes[0]} hidden ones ({units[0]})")


def _get_engine(estimator, rbm):
    """Let an RBM be the engine of a BernoulliRBM."""
    if rbm._chains is None:
        raise KeyError("layers.0.chains")
    if (rbm.visible_, rbm.hidden_) != ("bernoulli", "bernoulli") or rbm.scaling_.scale is not None:
        raise ValueError(f"{rbm.visible_} visible and {rbm.hidden_} hidden units, or a scaling, where all are Bernoulli")
    if estimator.n_components != len(rbm.components_):
        raise ValueError(f"n_components={estimator.n_components!r} where {len(rbm.components_)} were fitted")
    check_chains(rbm, estimator._engine(rbm.dtype)._settings())
    estimator._rbm = rbm
    estimator._publish()


def _put_stack(dbn, tensors, state):
    """The entries of a DBN's layers; what else it keeps goes into tensors and state."""
    state["draws"] = dbn._draws
    if hasattr(dbn, "up_down_iter_"):
        history = encode_history(dbn.up_down_history_)
        state["up_down"] = {"n_iter": dbn.up_down_iter_, "step": dbn._up_down_step, "history": history}
    return [put_rbm(rbm, tensors, f"layers.{i}.") for i, rbm in enumerate(dbn.layers_)]


def _get_stack(dbn, state, layers):
    """Give a DBN its layers, and what else it keeps."""
    sizes = checks.layer_sizes(dbn.hidden_layer_sizes)
    if sizes != tuple(len(rbm.components_) for rbm in layers) or [rbm.layer_ for rbm in layers] != list(range(len(sizes))):
        raise ValueError(f"hidden_layer_sizes={reprlib.repr(sizes)} do not suit the layers")
    for rbm, new in zip(layers, dbn._new_layers(), strict=True):
        check_chains(rbm, new._settings())
    dbn.layers_, dbn._draws = layers, count(state, "draws")
    if "up_down" in state:
        record = entry(state, "up_down", dict)
        dbn.up_down_iter_, dbn._up_down_step = count(record, "n_iter"), count(record, "step")
        dbn.up_down_history_ = entries.history(record, UP_DOWN, dbn.up_down_iter_)


def _put_threshold(detector, tensors, state):
    """Put the threshold of an outlier detector, its greatest score and the extent of its data into tensors and state."""
    state["offset"], state["top"] = float(detector.offset_), float(detector.top_)
    tensors |= {f"extent.{name}": np.asarray(x, np.float64) for name, x in detector.extent_._asdict().items()}


def _get_threshold(detector, tensors, state):
    """Give an outlier detector its threshold, its greatest score and the extent of its data."""
    detector._share()
    detector.offset_, detector.top_ = (float(entry(state, name, (int, float))) for name in ("offset", "top"))
    if not -SQUARES < detector.offset_ <= detector.top_ < SQUARES:
        raise ValueError(f"offset={detector.offset_!r} and top={detector.top_!r}: scores below {SQUARES:g}, in this order")
    n = detector.layers_[0].n_features_in_
    low, high = (tensor(tensors, f"extent.{name}", (n,), np.float64) for name in ("low", "high"))
    if (low > high).any():
        raise ValueError("extent.low exceeds extent.high")
    detector.extent_ = Extent(low, high, positive(tensors, "extent.width", n))


def _put_labels(estimator, tensors):
    """The classes of a generative classifier, as an entry; their weights go into tensors."""
    W, b = estimator._label_velocity
    arrays = {
        "components": estimator.label_components_,
        "intercept": estimator.label_intercept_,
        "velocity.W": W,
        "velocity.b": b,
    }
    tensors |= {f"labels.{name}": np.asarray(x, estimator.dtype) for name, x in arrays.items()}
    return encode_labels(estimator.classes_)


def _get_labels(estimator, labels, tensors):
    """Give a generative classifier its classes and their weights."""
    estimator._schedule(**estimator._up_down_parameters(), weight_decay=0.0, batch_size=1)
    refuse_counts(get_unit(estimator.layers_[0].visible_))
    estimator.classes_ = decode_labels(labels)
    n, nh, dtype = len(estimator.classes_), len(estimator.layers_[-1].components_), estimator.dtype
    estimator.label_components_ = tensor(tensors, "labels.components", (nh, n), dtype)
    estimator.label_intercept_ = tensor(tensors, "labels.intercept", (n,), dtype)
    velocity = ("labels.velocity.W", (n, nh)), ("labels.velocity.b", (n,))
    estimator._label_velocity = tuple(tensor(tensors, name, shape, dtype) for name, shape in velocity)
    check_fields("labels", estimator.label_components_, estimator.label_intercept_, 1.0, get_unit("softmax"))


def _put_network(estimator, tensors, state):
    """The classes of a back-propagated network, or None, as an entry; weights, targets and the rest go into tensors and state."""
    for i, arrays in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        tensors |= {f"network.{i}.{name}": np.asarray(x, estimator.dtype) for name, x in zip("Wc", arrays, strict=True)}
    state |= {
        "visible": encode(estimator.visible_, "visible"),
        "n_iter": estimator.n_iter_,
        "step": estimator._step,
        "seed": str(estimator.seed_),
        "history": encode_history(estimator.history_),
    }
    put_optimizer(estimator, tensors, state)
    if isinstance(estimator, DBNRegressor):
        tensors["target.mean"], tensors["target.scale"] = estimator.target_mean_, estimator.target_scale_
        state["flat"] = estimator._flat
    return encode_labels(estimator.classes_) if isinstance(estimator, DBNClassifier) else None


def _get_network(estimator, record, tensors, layers):
    """Give a back-propagated network its weights, its pretrained layers, and what else it keeps."""
    state, dtype = record["state"], estimator.dtype
    sizes, _ = estimator._check(None)
    shape, estimator.coefs_, estimator.intercepts_ = None, [], []
    for i in range(len(sizes) + 1):
        estimator.coefs_.append(tensor(tensors, f"network.{i}.W", (shape, None), dtype))
        shape = estimator.coefs_[-1].shape[1]
        estimator.intercepts_.append(tensor(tensors, f"network.{i}.c", (shape,), dtype))
    n_in, n_out = len(estimator.coefs_[0]), len(estimator.intercepts_[-1])
    fitted = tuple(len(c) for c in estimator.intercepts_[:-1])
    if fitted != sizes:
        raise ValueError(f"hidden_layer_sizes={reprlib.repr(estimator.hidden_layer_sizes)} where {fitted} were fitted")
    estimator.visible_ = unit_of(state, "visible", n_in)
    _check_means(estimator, n_in)
    estimator.n_iter_, estimator._step = count(state, "n_iter"), count(state, "step")
    get_optimizer(estimator, tensors, state)
    estimator.seed_ = entries.seed(state)
    columns = entries.history(state, tuple(entry(state, "history", dict)), estimator.n_iter_)
    estimator.history_ = {name: values.tolist() for name, values in columns.items()}
    if isinstance(estimator, DBNClassifier):
        estimator.classes_ = decode_labels(record["classes"])
        outputs = len(estimator.classes_)
    elif isinstance(estimator, DBNRegressor):
        outputs = n_out
        _get_targets(estimator, state, tensors, n_out)
    else:
        outputs = n_in
        refuse_counts(get_unit(estimator.visible_))
    if n_out != outputs:
        raise ValueError(f"{n_out} outputs where there are {outputs} classes or features")
    estimator.dbn_ = None
    if layers:
        _get_pretrained(estimator, state, layers)


def _check_means(estimator, n_in):
    """Whether all means of a network are finite."""
    visible, units = get_unit(estimator.visible_), estimator._units(len(estimator.coefs_) - 1)
    states = entries.greatest_state(visible, n_in)
    for i, unit in enumerate([*units, estimator._output_unit()]):
        states = check_fields(f"network.{i}", estimator.coefs_[i], estimator.intercepts_[i], states, unit)


def _get_targets(estimator, state, tensors, n_out):
    """Give a regressor the scale of its targets."""
    estimator.target_mean_ = tensor(tensors, "target.mean", (n_out,), np.float64)
    estimator.target_scale_ = positive(tensors, "target.scale", n_out)
    if not max(np.abs(estimator.target_mean_).max(), estimator.target_scale_.max()) < SQUARES:
        raise ValueError(f"target.mean or target.scale is {SQUARES:g} or larger: predictions would not be finite")
    estimator._flat = entry(state, "flat", bool)
    if estimator._flat and n_out > 1:
        raise ValueError(f"{n_out} outputs where targets were one column")


def _get_pretrained(estimator, state, layers):
    """Give a network its pretrained layers."""
    dbn = estimator._dbn()
    _get_stack(dbn, state, layers)
    hidden = [get_unit(rbm.hidden_) for rbm in layers]
    if hidden != estimator._units(len(layers)) or layers[0].visible_ != estimator.visible_:
        raise ValueError("pretrained layers whose units are not those of the network")
    if layers[0].n_features_in_ != len(estimator.coefs_[0]):
        raise ValueError(f"pretrained layers of {layers[0].n_features_in_} features where there are {len(estimator.coefs_[0])}")
    dbn.n_features_in_, dbn.random_state = layers[0].n_features_in_, estimator.seed_
    estimator.dbn_ = dbn
