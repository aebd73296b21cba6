"""Entries of a model file: parameters, units, labels, counts and tensors, as JSON and arrays hold them and as estimators do."""

import numpy as np

from fastdbn.monitors import MONITORS
from fastdbn.optim import at_epoch
from fastdbn.unit import Unit
from fastdbn.units import Mixed, get_unit, named, softmax, visible_unit


def encode(value, name, epochs=0):
    """A parameter as JSON: units by name, tuples marked, schedules by the values that they took."""
    if isinstance(value, Unit):
        if isinstance(named(value), str):
            return {"unit": value.name}
        raise ValueError(f"{name}={value.name!r} is a unit record of your own, which a model file cannot hold: pickle the model")
    if isinstance(value, Mixed):
        return {"mixed": [[encode(unit, name), start, stop] for unit, start, stop, _ in value.columns]}
    if isinstance(value, slice):
        return {"slice": [encode(x, name) for x in (value.start, value.stop, value.step)]}
    if isinstance(value, tuple):
        return {"tuple": [encode(x, name, epochs) for x in value]}
    if isinstance(value, (list, np.ndarray)):
        return [encode(x, name, epochs) for x in value]
    if isinstance(value, np.generic):
        return value.item()
    if name == "class_weight" and isinstance(value, dict):
        return {"dict": [[encode(k, name), encode(v, name)] for k, v in value.items()]}
    if name == "rbm_params" and isinstance(value, dict):
        return {"dict": [[key, encode(x, key, epochs)] for key, x in value.items()]}
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


def decode(value):
    if isinstance(value, list):
        return [decode(x) for x in value]
    if isinstance(value, dict):
        if set(value) == {"slice"}:
            return slice(*value["slice"])
        if set(value) == {"mixed"}:
            parts = [(decode(unit), slice(start, stop)) for unit, start, stop in value["mixed"]]
            return visible_unit(parts, parts[-1][1].stop)
        if set(value) == {"tuple"}:
            return tuple(decode(x) for x in value["tuple"])
        if set(value) == {"dict"}:
            return {decode(k): decode(v) for k, v in value["dict"]}
        if value.get("unit") == "softmax" and "group" in value:  # as files said it before "softmax:K"
            return softmax(int(value["group"]))
        return get_unit(value["unit"])
    return value


def unit_from(value):
    return named(get_unit(decode(value)))


def count(value, limit=2**63):
    """A whole number in [0, limit)."""
    number = int(value)
    if not 0 <= number < limit:
        raise ValueError(f"{number} lies outside [0, {limit})")
    return number


def encode_params(estimator):
    epochs = max(
        (
            getattr(estimator, name, 0) or 0
            for name in ("n_iter_", "max_iter", "up_down_iter")
            if isinstance(getattr(estimator, name, 0), int)
        ),
        default=0,
    )
    return {name: encode(value, name, epochs) for name, value in estimator.get_params(deep=False).items()}


def encode_labels(classes):
    """Class labels and their NumPy type; strings and numbers of any width come back as they were."""
    kind = classes.dtype.kind
    if kind == "O" and all(isinstance(x, str) for x in classes):
        return {"dtype": "object", "labels": list(classes)}
    if kind in "biufU":
        return {"dtype": classes.dtype.str, "labels": classes.tolist()}
    raise ValueError(f"class labels of type {classes.dtype} cannot be saved: use strings, numbers or booleans")


def decode_labels(record):
    return np.array(record["labels"], dtype=np.dtype(record["dtype"]))


def decode_params(record):
    """Constructor arguments. A model from a GPU computes on one where there is one."""
    params = {name: decode(value) for name, value in record["params"].items()}
    return params | {"device": "auto"} if params.get("device") == "cuda" else params


def history(record, epochs):
    """A history as arrays; a monitor that the file's version did not have is NaN throughout."""
    missing = [None] * epochs
    return {name: np.array(record.get(name, missing), np.float64) for name in MONITORS}


def tensor(tensors, name, shape):
    """Take a tensor out of those of a file; None in its shape stands for any size."""
    x = tensors.pop(name)
    if x.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, x.shape, strict=True)):
        raise ValueError(f"tensor {name} of shape {x.shape} where {shape} belongs")
    return x


def positive(tensors, name, n):
    x = tensor(tensors, name, (n,))
    if not (x > 0).all():
        raise ValueError(f"tensor {name} holds values that are not positive")
    return x
