"""What tells the data of a fit from others, without the data themselves: type, shape and a hash."""

import functools
import hashlib
import reprlib
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.files.parameters import of_kind, whole
from fastdbn.support.checks import refuse
from fastdbn.support.stored import Stored

BLOCK = 1 << 24
"""Bytes that are hashed at once, so that a memory map is not read into memory as a whole."""
MOST = 16
"""A fit has fewer arrays."""


class Fingerprint(NamedTuple):
    """Of an array or a CSR matrix. Equal numbers of another type differ."""

    dtype: str
    shape: tuple
    sha256: str


@functools.singledispatch
def fingerprint(x):
    """The `Fingerprint` of an array, a CSR matrix, rows in a file, or a list of texts."""
    hashed = hashlib.sha256()
    if isinstance(x, Stored):
        for part in x.blocks():
            hashed.update(part.view(np.uint8))
        return Fingerprint(x.dtype.name, x.shape, hashed.hexdigest())
    parts = (x.data, x.indices, x.indptr) if sparse.issparse(x) else (np.asarray(x),)
    for part in parts:
        if part.dtype.kind in "OU":
            hashed.update("\0".join(map(str, part.ravel())).encode())
            continue
        rows = max(1, BLOCK // max(1, part.nbytes // max(len(part), 1)))
        for start in range(0, len(part), rows):
            hashed.update(np.ascontiguousarray(part[start : start + rows]).view(np.uint8))
    kind = ("csr " if sparse.issparse(x) else "") + (x if sparse.issparse(x) else parts[0]).dtype.name
    return Fingerprint(kind, tuple(map(int, np.shape(x) or x.shape)), hashed.hexdigest())


def differences(found, known):
    """In words, what differs between the fingerprints of two fits, {name: Fingerprint} each."""
    for name in sorted({*found, *known}):
        ours, theirs = found.get(name), known.get(name)
        if ours is None or theirs is None:
            yield f"{name} is given only {'here' if theirs is None else 'there'}"
        elif ours.shape != theirs.shape:
            yield f"{name} has shape {theirs.shape} there and {ours.shape} here"
        elif ours.dtype != theirs.dtype:
            yield f"{name} is {theirs.dtype} there and {ours.dtype} here"
        elif ours.sha256 != theirs.sha256:
            yield f"{name} has other values"


def encode(prints):
    """Fingerprints as JSON."""
    return {name: [x.dtype, list(x.shape), x.sha256] for name, x in prints.items()}


def decode(record, name):
    """What `encode` made JSON of."""
    refuse(len(of_kind(record, name, dict)) > MOST, f"{name} has {len(record)} entries")
    found = {}
    for key, value in record.items():
        known = isinstance(value, list) and [type(x) for x in value] == [str, list, str] and len(value[1]) <= 2
        refuse(not known, f"{name}: {reprlib.repr(value)} is not a fingerprint")
        found[key] = Fingerprint(value[0], tuple(whole(n, name) for n in value[1]), value[2])
    return found
