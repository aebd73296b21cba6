"""An estimator that is not fitted as JSON: the name of its class, and its parameters.

What is read may come from anyone. Classes are those that registered themselves, and their constructors know the names of their
parameters. The values pass the checks of `fit` before the estimator leaves `load`.
"""

import reprlib

import numpy as np

from fastdbn.maths.optim import at_epoch
from fastdbn.support.checks import MOST_LAYERS, is_missing, refuse
from fastdbn.units import Mixed, get_unit, named
from fastdbn.units.unit import Unit

CLASSES: dict[str, type] = {}
"""The classes that a file may name."""
AHEAD = 1000
"""A file holds the values of a schedule for at least so many epochs, because a later fit may go on from there."""
FURTHEST = 100_000
"""It holds them for at most so many epochs of one more fit."""
COUNTS = 2**53
"""Whole numbers in a file are below this, so that JSON holds them exactly in every language."""


def register(cls):
    """Let files name a class."""
    CLASSES[cls.__name__] = cls


def encode_estimator(estimator, epochs=0):
    """{"class", "params"}; a callable of the epoch becomes its values to the end of one more fit, or of `AHEAD` epochs."""
    name, cls = type(estimator).__name__, type(estimator)
    refuse(CLASSES.get(name) is not cls, f"class={name!r} is none of {', '.join(CLASSES)}")
    done = max(getattr(estimator, "n_iter_", 0), getattr(estimator, "up_down_iter_", 0))
    planned = [x for name, x in estimator.get_params().items() if name.rpartition("__")[2] in _EPOCHS]
    planned = [x for x in planned if isinstance(x, int)]
    epochs = max(epochs, AHEAD, done + min(max(planned, default=0), FURTHEST))
    params = estimator._saved_params()
    return {"class": name, "params": {key: encode(x, key, epochs) for key, x in params.items()}}


_EPOCHS = "n_iter", "max_iter", "up_down_iter"


def decode_estimator(record, kind):
    """The unfitted estimator of a record, of the class `kind` or one that derives from it."""
    name, known = entry(record, "class", str), [key for key, cls in CLASSES.items() if issubclass(cls, kind)]
    refuse(name not in known, f"class={name!r:.80} is none of {', '.join(known)}")
    params = {key: decode(value, key) for key, value in entry(record, "params", dict).items()}
    if params.get("device") == "cuda":
        params["device"] = "auto"  # a model from a GPU computes on one where there is one
    return CLASSES[name](**params)


def encode(value, name, epochs=0):
    """A parameter as JSON: units by name, tuples marked, schedules as the values that they took.

    Raises
    ------
    ValueError
        for a value that a file cannot hold.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if name == "callbacks" or (name == "random_state" and not isinstance(value, int)):
        return None
    if isinstance(value, Unit):
        own = not isinstance(named(value), str)
        refuse(own, f"{name}={value.name!r} is a unit record of your own, which a model file cannot hold: pickle the model")
        return {"unit": value.name}
    if isinstance(value, Mixed):
        return [encode((unit, slice(start, stop)), name) for unit, start, stop, _ in value.columns]
    if isinstance(value, slice):
        return {"slice": [encode(x, name) for x in (value.start, value.stop, value.step)]}
    if isinstance(value, tuple):
        return {"tuple": [encode(x, name, epochs) for x in value]}
    if isinstance(value, list):
        return [encode(x, name, epochs) for x in value]
    if isinstance(value, np.dtype):
        return value.name
    if name == "unlabelled" and value is not None and is_missing(value):
        return {"missing": None}
    if isinstance(value, dict) and name == "class_weight":
        return {"dict": [[encode(k, name), encode(x, str(k), epochs)] for k, x in value.items()]}
    if name == "rbm" and value is not None:
        return {"estimator": encode_estimator(value, epochs)}
    refuse(
        name == "noise" and callable(value),
        f"noise={reprlib.repr(value)} is a function, which a model file cannot hold: call set_params(noise=None), because "
        "denoising does not need it, or pickle the model",
    )
    if callable(value):
        return _taken(value, name, epochs)
    if name == "random_state" and abs(value) >= 2**63:
        return value % 2**64
    held = value is None or isinstance(value, (str, int)) or (isinstance(value, float) and np.isfinite(value))
    large = isinstance(value, int) and abs(value) >= 2**63
    refuse(large or not held, f"{name}={reprlib.repr(value)} cannot be saved: give a value that JSON can hold")
    return value


def _taken(schedule, name, epochs):
    """The values of a schedule at so many epochs, or as far as it goes, without repeats at the end: the last one holds."""
    values = [at_epoch(schedule, 0, name)]
    for epoch in range(1, epochs):
        try:
            values.append(at_epoch(schedule, epoch, name))
        except Exception:  # a callable of the user may fail in any way beyond the epochs that it was made for
            break
    while values[-2:-1] == values[-1:]:
        values.pop()
    return values


def decode(value, name):
    """What `encode` made JSON of."""
    if isinstance(value, list):
        refuse(name == "rbm" and len(value) > MOST_LAYERS, f"rbm has {len(value)} RBMs, and networks up to {MOST_LAYERS} layers")
        return [decode(x, name) for x in value]
    if not isinstance(value, dict):
        return value
    refuse(len(value) != 1, f"{name}={reprlib.repr(value)} is not a value that this parameter takes")
    ((kind, content),) = value.items()
    if kind == "unit":
        return get_unit(content)
    if kind == "estimator" and name == "rbm":
        return decode_estimator(content, CLASSES["RBM"])
    if kind == "missing" and name == "unlabelled":
        return np.nan
    if kind == "tuple":
        return tuple(decode(x, name) for x in content)
    if kind == "dict":
        return {decode(k, name): decode(x, name) for k, x in content}
    if kind == "slice":
        return slice(*(x if x is None else whole(x, "slice", -COUNTS) for x in content))
    raise ValueError(f"{name}={reprlib.repr(value)} is not a value that this parameter takes")


# ---- checks of JSON


def entry(record, name, kind):
    """The entry of a record, of the given type."""
    if not isinstance(record, dict):  # messages are made where they are needed: they take longer than the checks
        raise ValueError(f"{reprlib.repr(record)} where a record with {name!r} belongs")
    return of_kind(record[name], name, kind)


def of_kind(value, name, kind):
    """A value, which must have the given type; True is no number."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}={reprlib.repr(value)} is not of type {getattr(kind, '__name__', 'number')}")
    return value


def whole(value, name, least=0, below=COUNTS):
    """A whole number in [least, below)."""
    if not (type(value) is int and least <= value < below):
        raise ValueError(f"{name}={reprlib.repr(value)} is not a whole number in [{least}, {below})")
    return value
