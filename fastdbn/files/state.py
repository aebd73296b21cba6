"""Saving and loading by what estimators say they consist of.

A class declares the attributes that its fit leaves, each with a field:

    _saved = fields(components_=Tensor("n_hidden", "n_features"), n_iter_=count("n_epochs"), layers_=Series(lambda i: Part(RBM)))

A field writes an attribute and reads it: a tensor, a JSON entry (entries.py), or what is made of such, a named tuple, a list or
another estimator. In the file it has the attribute's name without underscores at its ends. A shape consists of numbers, None for
any size, and names of sizes. The first field that has a name sets its size, and the others must agree.

What is read may come from anyone. A field checks the type, shape, range and finiteness of what it reads. What must hold between
attributes is checked by the `_check_loaded` of the class, and of those that it derives from.
"""

import contextlib
import functools
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fastdbn.files import format
from fastdbn.files.parameters import decode_estimator, encode_estimator, entry, of_kind
from fastdbn.support.checks import refuse

ABSENT = object()
"""Stands for an attribute that an estimator does not have."""
FINITE = "finite", np.isfinite
NOT_NEGATIVE = "at least 0", lambda x: x >= 0
POSITIVE = "positive, with finite reciprocals", lambda x: x > 1.0 / np.finfo(np.float64).max
SQUARES = 1e154
"""Numbers below this, the root of the greatest float64 number, have finite squares."""
SMALL = f"below {SQUARES:g} in size", lambda x: np.abs(x) < SQUARES


NOT_YET = "it is the checkpoint of a fit that cannot be used yet: go on with it by fit(X, resume=path)"


def fields(**of_attributes):
    """A declaration: the field of each attribute."""
    return MappingProxyType(of_attributes)


class Place(NamedTuple):
    """Where an estimator stands in a file: its path there ("layers.0."), the tensors of the file, and the sizes known so far.

    A partial estimator may lack those of `Later`: it is that of a checkpoint.
    """

    estimator: Any
    path: str
    tensors: dict
    sizes: dict
    partial: bool = False

    def size(self, symbol, n, name):
        """n, which the size that `symbol` names must be."""
        known = n if symbol is None else self.sizes.setdefault(symbol, n)
        refuse(n != known, f"{self.path}{name} has {n} where {symbol} is {known}")
        return n

    def inside(self, name):
        """The place of the members of a field."""
        return self._replace(path=f"{self.path}{name}.")


# ---- fields: put gives the JSON entry of a value, and get the value of an entry


class Tensor:
    """An array of finite numbers in the estimator's precision or another; holds is what else they are, (words, check).

    Its JSON entry is null.
    """

    def __init__(self, *shape, dtype=None, holds=FINITE):
        self.shape, self.dtype, self.holds = shape, dtype, holds

    def put(self, place, name, value):
        place.tensors[place.path + name] = np.asarray(value, self.dtype or place.estimator.dtype)

    def get(self, place, name, entry):
        path, dtype = place.path + name, np.dtype(self.dtype or place.estimator.dtype)
        refuse(entry is not None, f"{path} is a tensor, and its entry is not null")
        x = place.tensors.pop(path)
        refuse(x.ndim != len(self.shape), f"tensor {path} of shape {x.shape} where ({', '.join(map(str, self.shape))}) belongs")
        for symbol, n in zip(self.shape, x.shape, strict=True):
            place.size(symbol, n, f"{name} of shape {x.shape}")
        refuse(x.dtype != dtype, f"tensor {path} of type {x.dtype} where {dtype} belongs")
        for words, holds in (FINITE, self.holds):
            refuse(not holds(x).all(), f"tensor {path} holds values that are not {words}")
        return x


class Record:
    """A named tuple or a dict, with a field for each member."""

    def __init__(self, kind, **of_members):
        self.kind, self.fields = kind, of_members

    def put(self, place, name, value):
        members = value if isinstance(value, dict) else dict(zip(self.fields, value, strict=True))
        return put_all(self.fields, place.inside(name), members)

    def get(self, place, name, entry):
        return self.kind(**get_all(self.fields, place.inside(name), of_kind(entry, name, dict)))


class Series:
    """A list of as many members as `symbol` says; field(i) is the field of member number i."""

    def __init__(self, field, symbol=None):
        self.field, self.symbol = field, symbol

    def put(self, place, name, value):
        return [self.field(i).put(place.inside(name), str(i), x) for i, x in enumerate(value)]

    def get(self, place, name, entry):
        place.size(self.symbol, len(of_kind(entry, name, list)), name)
        return [self.field(i).get(place.inside(name), str(i), x) for i, x in enumerate(entry)]


class Part:
    """Another estimator, of the given class or one that derives from it."""

    def __init__(self, kind):
        self.kind = kind

    def put(self, place, name, value):
        return put_estimator(value, place.tensors, f"{place.path}{name}.")

    def get(self, place, name, entry):
        return get_estimator(entry, self.kind, place.tensors, f"{place.path}{name}.", place.estimator, place.partial)


class Later:
    """What is there once a later stage of a fit has begun: a checkpoint lacks all such attributes of a class, or none."""

    def __init__(self, field):
        self.put, self.get = field.put, field.get


class Maybe:
    """What may be lacking: `absent` then stands for it. blank(value) says whether there is nothing to write."""

    def __init__(self, field, absent=ABSENT, blank=lambda value: value is None):
        self.field, self.absent, self.blank, self.get = field, absent, blank, field.get

    def put(self, place, name, value):
        return ABSENT if self.blank(value) else self.field.put(place, name, value)


# ---- the loop


@functools.cache
def declared(cls):
    """The fields of a class and of those that it derives from, by attribute."""
    return {name: field for base in reversed(cls.__mro__) for name, field in vars(base).get("_saved", {}).items()}


def put_all(fields, place, values):
    """The entries of some values."""
    held = {name.strip("_"): (fields[name], value) for name, value in values.items() if value is not ABSENT}
    state = {key: field.put(place, key, value) for key, (field, value) in held.items()}
    return {key: entry for key, entry in state.items() if entry is not ABSENT}


def get_all(fields, place, state):
    """The values of some entries."""
    others = sorted(set(state) - {name.strip("_") for name in fields})
    refuse(others, f"{place.path}{', '.join(others):.80} do not belong")
    keys_later = {name.strip("_") for name, field in fields.items() if isinstance(field, Later)}
    may_lack = keys_later if place.partial and not keys_later & set(state) else ()
    values = {}
    for name, field in fields.items():
        key = name.strip("_")
        absent = field.absent if isinstance(field, Maybe) else ABSENT
        lacking = key not in state and not isinstance(field, Maybe) and key not in may_lack
        refuse(lacking and "run" in state and not place.partial, NOT_YET)
        refuse(lacking, f"it lacks {place.path}{key}")
        value = field.get(place, key, state[key]) if key in state else absent
        if value is not ABSENT:
            values[name] = value
    return values


def put_estimator(estimator, tensors, path=""):
    """The record of an estimator; its arrays go into tensors, under names that begin with the path."""
    record, fields = encode_estimator(estimator), declared(type(estimator))
    values = {name: getattr(estimator, name, ABSENT) for name in fields}
    return record | {"state": put_all(fields, Place(estimator, path, tensors, {}), values)}


def get_estimator(record, kind, tensors, path="", owner=None, partial=False):
    """The estimator of a record, of a class; its arrays are taken out of tensors. owner is the estimator that it is part of."""
    estimator, state = decode_estimator(record, kind), entry(record, "state", dict)
    refuse(len(record) > 3, f"{path or 'the record'} has more entries than class, params and state")
    for name, value in get_all(declared(type(estimator)), Place(estimator, path, tensors, {}, partial), state).items():
        setattr(estimator, name, value)
    for base in reversed(type(estimator).__mro__):
        vars(base).get("_check_loaded", lambda *_: None)(estimator, owner)
    return estimator


def save(estimator, path, partial=False):
    """Write a fitted estimator to a file, or a partial one. What is written is checked as `load` checks it, so that every file
    can be read."""
    tensors: dict[str, np.ndarray] = {}
    with _explained(f"this {type(estimator).__name__} cannot be saved"):
        record = put_estimator(estimator, tensors)
        _whole(record, dict(tensors), partial)
    format.write(path, tensors, record)


def check_parameters(estimator):
    """Refuse parameters that no file can hold."""
    with _explained(f"this {type(estimator).__name__} cannot be saved"):
        encode_estimator(estimator)


def load(path):
    """The estimator of a file that `save` wrote; a ValueError that names the file for any other."""
    return _load(path, False)[0]


def load_checkpoint(path):
    """(estimator, its parameters as JSON) of a file; the estimator may lack what is there `Later`."""
    return _load(path, True)


def _load(path, partial):
    if not Path(path).is_file():
        raise FileNotFoundError(f"no model file at {path}: give the path of one that a model's save or fastdbn train wrote")
    try:
        record, tensors = format.read(path)
        with _explained(f"{path} does not hold what its class needs"):
            return _whole(record, tensors, partial), record["params"]
    except MemoryError:
        raise ValueError(f"{path} does not fit into memory") from None


def _whole(record, tensors, partial):
    estimator = get_estimator(record, object, tensors, partial=partial)
    fitted = partial or getattr(estimator, "__sklearn_is_fitted__", lambda: True)()
    refuse(not fitted, NOT_YET)
    refuse(tensors, f"{len(tensors)} tensors do not belong, such as {min(tensors, default='')!r:.80}")
    return estimator


@contextlib.contextmanager
def _explained(what):
    """Errors of a record and tensors as a ValueError whose message begins with `what`."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{what}: it lacks {error}") from None
    except (ArithmeticError, AttributeError, IndexError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from None
