"""Entries of a model file: parameters, units, labels, numbers and tensors, as JSON and arrays hold them and as estimators do.

What is read may come from anyone. So each entry has its type, each number its range, and nothing is allocated or counted out
that the file does not hold.
"""

import reprlib

import numpy as np

from fastdbn.maths.optim import at_epoch
from fastdbn.units import Mixed, check_groups, get_unit, named, visible_unit
from fastdbn.units.unit import Unit

AHEAD = 1000
"""Epochs of which a file holds the values of a schedule at least, for the rest of a training that goes on from there."""
FURTHEST = 100_000
"""Epochs of one more fit of which it holds them at most."""
COUNTS = 2**53
"""Epochs, minibatches and draws are fewer."""
WIDE = 1 << 24
"""Bytes that labels of fixed width may take however short most of them are."""
FIELDS = {"float32": 1e15, "float64": 1e120}
"""The greatest input of a unit for which squares and sums stay finite."""


# ---- parameters


def encode(value, name, epochs=0):
    """A parameter as JSON: units by name, tuples marked, schedules by the values that they took.

    Raises
    ------
    ValueError
        for a value that a file cannot hold.
    """
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
        return encode(value.item(), name)
    if isinstance(value, np.dtype):
        return value.name
    if name == "class_weight" and isinstance(value, dict):
        return {"dict": [[encode(k, name), encode(v, name)] for k, v in value.items()]}
    if name == "rbm_params" and isinstance(value, dict):
        return {"dict": [[key, encode(x, key, epochs)] for key, x in value.items()]}
    if name == "callback":
        return None
    if name == "pretrain" and not isinstance(value, bool):
        return True  # a network that was given: a copy of it is in the file
    if callable(value):
        return _taken(value, name, epochs)
    if name == "random_state" and not isinstance(value, int):
        return None
    if isinstance(value, int) and (name == "random_state" or abs(value) < 2**63):
        return value if abs(value) < 2**63 else value % 2**64
    if value is None or isinstance(value, str) or (isinstance(value, float) and np.isfinite(value)):
        return value
    raise ValueError(f"{name}={reprlib.repr(value)} cannot be saved: give a value that JSON can hold")


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


def decode(value):
    """What `encode` made JSON of."""
    if isinstance(value, list):
        return [decode(x) for x in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError(f"{reprlib.repr(value)} is no parameter")
    ((kind, content),) = value.items()
    if kind == "unit":
        return get_unit(content)
    if kind == "tuple":
        values = tuple(decode(x) for x in content)
        if any(isinstance(x, Mixed) for x in values):
            raise ValueError(f"{reprlib.repr(value)} has a mixed layer for a part of one")
        return values
    if kind == "dict":
        return {decode(k): decode(v) for k, v in content}
    if kind == "slice":
        start, stop, step = content
        return slice(*(x if x is None else whole(x, "slice", -COUNTS) for x in (start, stop, step)))
    if kind == "mixed":
        parts = [(decode(unit), slice(whole(start, "mixed"), whole(stop, "mixed"))) for unit, start, stop in content]
        if not all(isinstance(unit, (str, Unit)) for unit, _ in parts):
            raise ValueError(f"{reprlib.repr(value)} has parts that are no unit types")
        return visible_unit(parts, parts[-1][1].stop)
    raise ValueError(f"{reprlib.repr(value)} is no parameter")


def encode_params(estimator):
    """The parameters; of schedules that are callables the values of `AHEAD` epochs, or to the end of one more fit."""
    done = max(getattr(estimator, "n_iter_", 0), getattr(estimator, "up_down_iter_", 0))
    planned = [getattr(estimator, name, 0) for name in ("n_iter", "pretrain_iter", "max_iter", "up_down_iter")]
    planned = [x for value in planned for x in (value if isinstance(value, tuple) else (value,)) if isinstance(x, int)]
    epochs = max(AHEAD, done + min(max(planned), FURTHEST))
    return {name: encode(value, name, epochs) for name, value in estimator.get_params(deep=False).items()}


def decode_params(record):
    """Constructor arguments. A model from a GPU computes on one where there is one."""
    params = {name: decode(value) for name, value in entry(record, "params", dict).items()}
    return params | {"device": "auto"} if params.get("device") == "cuda" else params


def unit_of(record, name, n):
    """The unit type of a layer of n units, by name where that gives it back."""
    unit = get_unit(decode(record[name]), name)
    if unit.parts(n)[-1].stop != n:
        raise ValueError(f"{name}: a mixed layer of {unit.parts(n)[-1].stop} columns where there are {n}")
    check_groups(unit, n, name)
    return named(unit)


# ---- labels


def encode_labels(classes):
    """Class labels and their NumPy type; strings and numbers of any width come back as they were."""
    kind = classes.dtype.kind
    labels = classes.tolist()
    if kind == "O" and all(isinstance(x, str) for x in labels):
        return {"dtype": "object", "labels": labels}
    if kind not in "biufU" or (classes.dtype.itemsize > 8 and kind != "U"):
        raise ValueError(f"class labels of type {classes.dtype} cannot be saved: use strings, numbers or booleans")
    dtype = np.array(labels).dtype if kind == "U" else classes.dtype.newbyteorder("<")  # strings as narrow as they can be
    return {"dtype": dtype.str, "labels": labels}


def decode_labels(record):
    """Class labels, which are two or more, sorted and distinct."""
    kind, labels = entry(record, "dtype", str), entry(record, "labels", list)
    of, dtype = {"b": bool, "f": float, "U": str}.get(kind[1:2], int), kind
    if kind == "object":
        of, dtype = str, "|O"
    elif of is str:
        width = max((len(x) for x in labels if isinstance(x, str)), default=0)
        if 4 * width * len(labels) > WIDE + 256 * sum(len(x) for x in labels if isinstance(x, str)):
            raise ValueError(
                f"classes: labels of up to {width} characters, most of them far shorter: use an array of type object"
            )
        dtype = f"<U{max(width, 1)}"
    elif kind not in ("|b1", "|i1", "|u1", *(f"<{k}{n}" for k in "iuf" for n in (2, 4, 8))):
        raise ValueError(f"classes of type {reprlib.repr(kind)}")
    if not all(type(x) is of for x in labels):
        raise ValueError(f"classes of type {kind:.20} hold {reprlib.repr(labels)}")
    classes = np.array(labels, dtype)
    if kind not in (classes.dtype.str, "object") or classes.tolist() != labels:
        raise ValueError(f"classes of type {kind:.20} do not hold {reprlib.repr(labels)}")
    if len(classes) < 2 or not (classes[:-1] < classes[1:]).all():
        raise ValueError(f"classes={reprlib.repr(labels)}: a classifier has two or more, sorted and distinct")
    return classes


# ---- entries of the record


def entry(record, name, kind):
    """The entry of a record, of the given type."""
    if not isinstance(record, dict):
        raise ValueError(f"{reprlib.repr(record)} where a record with {name!r} belongs")
    value = record[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}={reprlib.repr(value)} is no {getattr(kind, '__name__', 'number')}")
    return value


def whole(value, name, least=0, below=COUNTS):
    """A whole number in [least, below)."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < below:
        raise ValueError(f"{name}={reprlib.repr(value)} is no whole number in [{least}, {below})")
    return value


def count(record, name):
    """A number of epochs, minibatches or draws."""
    return whole(entry(record, name, int), name)


def seed(record):
    """The 64-bit seed, which the record holds as text, because JSON's numbers are not that exact everywhere."""
    text = entry(record, "seed", str)
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise ValueError(f"seed={reprlib.repr(text)} is no whole number")
    return whole(int(text), "seed", below=2**64)


def encode_history(columns):
    """Measures by name as lists; what is no finite number is null."""
    return {name: [float(x) if np.isfinite(x) else None for x in values] for name, values in columns.items()}


def history(record, names, epochs):
    """Measures by name as float64 arrays, none longer than the epochs; those that the file lacks are NaN throughout."""
    columns = entry(record, "history", dict)
    if not set(columns) <= set(names):
        raise ValueError(f"history of {reprlib.repr(sorted(columns))} where there are {', '.join(names)}")
    for name in columns:
        values = entry(columns, name, list)
        if len(values) > epochs or not all(x is None or type(x) in (int, float) for x in values):
            raise ValueError(f"history: {name}={reprlib.repr(values)} are no numbers, one for each of {epochs} epochs")
    missing = [None] * max(map(len, columns.values()), default=0)
    return {name: np.array(columns.get(name, missing), np.float64) for name in names}


# ---- tensors


def tensor(tensors, name, shape, dtype):
    """Take a tensor out of those of a file; None in its shape stands for any size."""
    x = tensors.pop(name)
    if x.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, x.shape, strict=True)):
        raise ValueError(f"tensor {name} of shape {x.shape} where {shape} belongs")
    if x.dtype != dtype:
        raise ValueError(f"tensor {name} of type {x.dtype} where {np.dtype(dtype)} belongs")
    if not np.isfinite(x).all():
        raise ValueError(f"tensor {name} holds values that are not finite")
    return x


def positive(tensors, name, n):
    """A tensor of n scales: positive float64 numbers whose reciprocals are finite."""
    x = tensor(tensors, name, (n,), np.float64)
    if not (x > 1.0 / np.finfo(np.float64).max).all():
        raise ValueError(f"tensor {name} holds values that are not positive, or too small to divide by")
    return x


def check_fields(name, W, bias, states, unit):
    """The greatest state of units of the given type whose inputs have weights W, a bias, and states of up to `states`.

    Raises
    ------
    ValueError
        if their inputs could be so large that what is computed with them is not finite.
    """
    greatest = [float(max(x.max(), -x.min())) for x in (W, bias)]
    field = len(W) * greatest[0] * states + greatest[1]
    if not field <= FIELDS[W.dtype.name]:
        raise ValueError(f"{name}: weights of {greatest[0]:.3g} and biases of {greatest[1]:.3g} leave the finite numbers")
    return greatest_state(unit, W.shape[1], field)


def greatest_state(unit, n, field=1.0):
    """The greatest state of n units of a type: an end of its range, or where it has none about its input."""
    return max(
        max(abs(part.low), abs(part.high)) if np.isfinite([part.low, part.high]).all() else max(field, 1.0)
        for part, *_ in unit.parts(n)
    )
