"""Models as files: safetensors, with everything else in one JSON text and a hash over both. Never pickle.

The metadata key ``fastdbn`` holds canonical JSON (sorted keys, no spaces): format_version, class, params, state, sha256. The hash
covers the tensors in the order of their names (name, type, shape, bytes) and the JSON without the hash itself. A path never holds
half a model (atomic.py). This file checks bytes, hash and types; state.py checks what they mean.
"""

import errno
import hashlib
import json
import re

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fastdbn.support.atomic import replacing
from fastdbn.support.checks import refuse

FORMAT_VERSION = 2
DEPTH, DIGITS = 20, 20
"""How deep the record's JSON may be nested, and how many characters its whole numbers may have."""


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _check_text(record):
    """Refuse halves of characters (lone surrogates), which JSON may hold, and files of other kinds may not."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        text = ascii(error.object[max(0, error.start - 20) : error.end + 20])
        raise ValueError(f"{text} holds half a character ({error.reason}): give labels and names of Unicode text") from None


def digest(tensors, record):
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        x = np.ascontiguousarray(tensors[name])
        hashed.update(f"{name} {x.dtype.str} {x.shape}\n".encode())
        hashed.update(x.reshape(-1).view(np.uint8))
    hashed.update(canonical({key: value for key, value in record.items() if key != "sha256"}).encode())
    return hashed.hexdigest()


def write(path, tensors, record):
    """Write tensors and the record, to which the hash is added, to a file that appears whole or not at all.

    Raises
    ------
    ValueError
        if a text of the record is no Unicode.
    OSError
        if it cannot be written; its `filename` is the path.
    """
    tensors = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
    record = record | {"format_version": FORMAT_VERSION}
    _check_text(record)
    record["sha256"] = digest(tensors, record)
    with replacing(path) as aside:
        try:
            save_file(tensors, aside, metadata={"fastdbn": canonical(record)})
        except SafetensorError as error:
            number = re.search(r"(?:os error|code:) (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, f"the model was not saved: {error}") from error


def read(path):
    """(record, tensors) of a file, its version and hash checked. What it makes us allocate is in proportion to its length.

    Raises
    ------
    ValueError
        if it is no model file, or a damaged one; the message names it.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("fastdbn")
            refuse(text is None, f"{path} was not written by fastdbn: it has no 'fastdbn' metadata")
            tensors = {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): give one that a model's save or fastdbn train wrote"
        ) from None
    record = _parse(path, text)
    sealed = isinstance(record, dict) and set(record) >= {"format_version", "sha256"}
    refuse(not sealed, f"{path} is damaged: its metadata lacks entries")
    version = record["format_version"]
    refuse(
        version == 1,
        f"{path} is a model of fastdbn 0.1.0 (format version 1), which this fastdbn does not read: train the model again, or "
        "load it with fastdbn 0.1.0",
    )
    refuse(
        version != FORMAT_VERSION,
        f"{path} has format version {version!r:.20}; this fastdbn reads version {FORMAT_VERSION}: use the version of fastdbn "
        "that wrote it, or a newer one",
    )
    refuse(record["sha256"] != digest(tensors, record), f"{path} is damaged: its contents do not match its hash")
    return {key: value for key, value in record.items() if key not in ("format_version", "sha256")}, tensors


def _tensor(path, file, name):
    """A tensor of a file, whose type and shape are checked before it is read."""
    part = file.get_slice(name)
    kind, shape = part.get_dtype(), part.get_shape()
    refuse(kind not in ("F32", "F64"), f"{path}: tensor {name!r:.80} has type {kind}, not F32 or F64")
    sizes = 1 <= len(shape) <= 2 and 0 not in shape
    refuse(not sizes, f"{path}: tensor {name!r:.80} has shape {shape!r:.80}, not one or two sizes of at least 1")
    return file.get_tensor(name)


def _parse(path, text):
    """The record of its JSON, which is as `canonical` writes it, so that no entry stands twice and all numbers are finite."""
    try:
        record = json.loads(text, parse_int=_integer)
        level = [record]
        for _ in range(DEPTH):
            level = [value for value in level if isinstance(value, (dict, list))]
            level = [x for value in level for x in (value.values() if isinstance(value, dict) else value)]
        refuse(level, f"it is nested {DEPTH} deep or deeper")
        refuse(canonical(record) != text, "it is not in the canonical form")
        _check_text(record)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its metadata are not JSON that fastdbn wrote ({error})") from None
    return record


def _integer(text):
    refuse(len(text) > DIGITS, f"it has a whole number of {len(text)} digits")
    return int(text)
