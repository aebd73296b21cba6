"""Fitted attributes that stand in a file as JSON: counts, seeds, unit types, class labels, names, histories.

Reading them checks types and ranges, and allocates nothing that the file does not hold.
"""

import re
import reprlib

import numpy as np

from fastdbn.files.parameters import decode, encode, entry, of_kind, whole
from fastdbn.support.checks import refuse
from fastdbn.units import check_groups, get_unit, named, visible_unit

WIDE = 1 << 24
"""Labels of fixed width may take so many bytes, however short most of them are."""


class Entry:
    """An attribute as JSON: encode(value), and decode(JSON, name, place), which raises ValueError (place: state.py)."""

    def __init__(self, encode, decode):
        self.encode, self.decode = encode, decode

    def put(self, place, name, value):
        return self.encode(value)

    def get(self, place, name, entry):
        return self.decode(entry, name, place)


def count(symbol=None, least=0):
    """A whole number; it is the size that `symbol` names, if that is given."""
    return Entry(int, lambda value, name, place: place.size(symbol, whole(value, name, least), name))


FLAG = Entry(bool, lambda value, name, place: of_kind(value, name, bool))
NUMBER = Entry(float, lambda value, name, place: float(of_kind(value, name, (int, float))))


def _seed(text, name, place):
    digits = of_kind(text, name, str).isascii() and text.isdecimal() and len(text) <= 20
    refuse(not digits, f"{name}={reprlib.repr(text)} is not a whole number")
    return whole(int(text), name, below=2**64)


SEED = Entry(str, _seed)
"""A 64-bit number as text, because JSON's numbers are not that exact everywhere."""


def choice(symbol, sizes):
    """One of some texts, each with the size that `symbol` names if it is chosen."""

    def read(value, name, place):
        refuse(of_kind(value, name, str) not in sizes, f"{name}={reprlib.repr(value)} is none of {', '.join(sizes)}")
        place.size(symbol, sizes[value], name)
        return value

    return Entry(str, read)


def unit(symbol):
    """The unit type of as many units as `symbol` says; by name where the name gives it back."""

    def read(value, name, place):
        value, n = decode(value, name), place.sizes[symbol]
        found = visible_unit(value, n) if isinstance(value, list) else get_unit(value, name)
        check_groups(found, n, name)
        return named(found)

    return Entry(lambda value: encode(value, "unit"), read)


def _names(value, name, place):
    n = place.sizes["n_features"]
    texts = len(of_kind(value, name, list)) == n and all(isinstance(x, str) for x in value)
    refuse(not texts, f"{len(value)} {name} for {n} features, or some that are no text")
    return np.array(value, dtype=object)


NAMES = Entry(lambda value: [str(x) for x in value], _names)
"""The names of the features."""


def _words(value, name, place):
    refuse(not all(isinstance(x, str) for x in of_kind(value, name, list)), f"{name}={reprlib.repr(value)} are no words")
    return tuple(value)


WORDS = Entry(list, _words)
"""A command line."""


def _hash(value, name, place):
    refuse(not re.fullmatch("[0-9a-f]{64}", of_kind(value, name, str)), f"{name}={reprlib.repr(value)} is no SHA-256")
    return value


HASH = Entry(str, _hash)
"""A SHA-256, in hexadecimal digits."""


def _columns(value, name, place):
    n = place.sizes["n_features"] + len(of_kind(value, name, list))
    rising = sorted({whole(j, name, below=n) for j in value}) == value
    refuse(not rising, f"{name}={reprlib.repr(value)} beside {place.sizes['n_features']} features")
    return tuple(value)


COLUMNS = Entry(list, _columns)
"""The columns of a table, in order, that are not among the features."""


def history(symbol, names=None):
    """Measures by name, float64, one for each epoch; those of `names` that the file lacks are NaN throughout."""

    def read(columns, name, place):
        n = place.sizes[symbol]
        known = isinstance(columns, dict) and set(columns) <= set(names or columns)
        refuse(not known, f"{name}={reprlib.repr(columns)} where there are {', '.join(names or ['measures'])}")
        refuse(bool(names and n) and not columns, f"{name} is empty after {n} epochs")
        for key, values in columns.items():
            numbers = len(of_kind(values, key, list)) == n and all(x is None or type(x) in (int, float) for x in values)
            refuse(not numbers, f"{name}: {key}={reprlib.repr(values)} are no numbers, one for each of {n} epochs")
        return {key: np.array(columns.get(key, [None] * n), np.float64) for key in names or columns}

    return Entry(
        lambda columns: {k: [float(x) if np.isfinite(x) else None for x in values] for k, values in columns.items()}, read
    )


# ---- class labels

TYPES = {"object": str, "<U": str, "|b1": bool, "|i1": int, "|u1": int}
TYPES |= {f"<{kind}{size}": of for kind, of in (("i", int), ("u", int), ("f", float)) for size in (2, 4, 8)}
"""What labels are in JSON, by NumPy's name of their type; text of fixed width is as narrow as it can be."""


def _encode_labels(classes):
    kind, labels = classes.dtype.kind, classes.tolist()
    dtype = {"O": "object", "U": "<U"}.get(kind, classes.dtype.newbyteorder("<").str)
    plain = dtype in TYPES and all(isinstance(x, TYPES[dtype]) for x in labels)
    refuse(not plain, f"class labels of type {classes.dtype} cannot be saved: use strings, numbers or booleans")
    return {"dtype": dtype, "labels": labels}


def _decode_labels(record, name, place):
    dtype, labels = entry(record, "dtype", str), entry(record, "labels", list)
    of, shown = TYPES.get(dtype), f"{name} of type {dtype!r:.20}: {reprlib.repr(labels)}"
    refuse(of is None or not all(type(x) is of for x in labels), f"{shown} are no labels of this type")
    lengths = [len(x) for x in labels] if dtype == "<U" else [0]
    wide = 4 * max(lengths, default=0) * len(labels) > WIDE + 256 * sum(lengths)
    refuse(wide, f"{shown} have up to {max(lengths, default=0)} characters, most far fewer: use an array of type object")
    classes = np.array(labels, dtype)
    refuse(classes.tolist() != labels, f"{shown} are not what this type holds")
    distinct = len(classes) >= 2 and (classes[:-1] < classes[1:]).all()
    refuse(not distinct, f"{shown}: a classifier has two or more labels, sorted and distinct")
    place.size("n_classes", len(classes), name)
    return classes


LABELS = Entry(_encode_labels, _decode_labels)
"""Class labels and their NumPy type; text and numbers of any width come back as they were."""
