"""Models as files: safetensors, with everything else in one JSON text and a hash over both. Never pickle.

The metadata key ``fastdbn`` holds canonical JSON (sorted keys, no spaces): format_version, class, params, classes, scaling,
feature_names, state, layers, sha256. The hash covers the tensors in name order (name, type, shape, bytes) and the JSON
without the hash itself. A path never holds half a model (atomic.py). Loading checks the hash, the schema, shapes, types and
finiteness before anything is used.
"""

import errno
import hashlib
import json
import re

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from fastdbn.support.atomic import replacing

FORMAT_VERSION = 1
DEPTH, DIGITS = 20, 20
"""How deep the record's JSON may be nested, and how many characters its whole numbers may have."""
_KEYS = {"format_version", "class", "params", "classes", "scaling", "feature_names", "state", "layers", "sha256"}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


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
    OSError
        if it cannot be written; its `filename` is the path.
    """
    tensors = {name: np.ascontiguousarray(x) for name, x in tensors.items()}
    record["sha256"] = digest(tensors, record)
    with replacing(path) as aside:
        try:
            save_file(tensors, aside, metadata={"fastdbn": canonical(record)})
        except SafetensorError as error:
            number = re.search(r"(?:os error|code:) (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, f"the model was not saved: {error}") from error


def read(path):
    """(record, tensors) of a file, its hash checked. What it makes us allocate is in proportion to its length.

    Raises
    ------
    ValueError
        if it is no model file, or a damaged one; the message names it.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("fastdbn")
            if text is None:
                raise ValueError(f"{path} was not written by fastdbn: it has no 'fastdbn' metadata")
            tensors = {name: _tensor(path, file, name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from None
    record = _parse(path, text)
    if not isinstance(record, dict) or not set(record) >= {"format_version", "sha256"}:
        raise ValueError(f"{path} is damaged: its metadata lacks entries")
    if record["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {record['format_version']!r:.20}; this fastdbn reads version {FORMAT_VERSION}: use the "
            "version of fastdbn that wrote it, or a newer one"
        )
    if set(record) != _KEYS:
        raise ValueError(f"{path} is damaged: its metadata has entries {sorted(record)!r:.200}")
    if record["sha256"] != digest(tensors, record):
        raise ValueError(f"{path} is damaged: its contents do not match its hash")
    return record, tensors


def _tensor(path, file, name):
    """A tensor of a file, whose type and shape are checked before it is read."""
    part = file.get_slice(name)
    kind, shape = part.get_dtype(), part.get_shape()
    if kind not in ("F32", "F64"):
        raise ValueError(f"{path}: tensor {name!r:.80} has type {kind}, not F32 or F64")
    if not 1 <= len(shape) <= 2 or 0 in shape:
        raise ValueError(f"{path}: tensor {name!r:.80} has shape {shape!r:.80}, not one or two sizes of at least 1")
    return file.get_tensor(name)


def _parse(path, text):
    """The record of its JSON, which is as `canonical` writes it, so that no entry stands twice and all numbers are finite."""
    try:
        record = json.loads(text, parse_int=_integer)
        level = [record]
        for _ in range(DEPTH):
            level = [value for value in level if isinstance(value, (dict, list))]
            level = [x for value in level for x in (value.values() if isinstance(value, dict) else value)]
        if level:
            raise ValueError(f"it is nested {DEPTH} deep or deeper")
        if canonical(record) != text:
            raise ValueError("it is not in the canonical form")
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its metadata is no JSON of ours ({error})") from None
    return record


def _integer(text):
    if len(text) > DIGITS:
        raise ValueError(f"it has a whole number of {len(text)} digits")
    return int(text)
