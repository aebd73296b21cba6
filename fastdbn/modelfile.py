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

from fastdbn.atomic import replacing

FORMAT_VERSION = 1
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
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, f"the model was not saved: {error}") from error


def read(path):
    """(record, tensors) of a file, its hash checked."""
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("fastdbn")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is no readable safetensors file ({error})") from None
    if text is None:
        raise ValueError(f"{path} was not written by fastdbn: it has no 'fastdbn' metadata")
    try:
        record = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its metadata is no JSON ({error})") from None
    if not isinstance(record, dict) or not set(record) >= {"format_version", "sha256"}:
        raise ValueError(f"{path} is damaged: its metadata lacks entries")
    if record["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {record['format_version']!r}; this fastdbn reads version {FORMAT_VERSION}: use the "
            "version of fastdbn that wrote it, or a newer one"
        )
    if set(record) != _KEYS:
        raise ValueError(f"{path} is damaged: its metadata has entries {sorted(record)}")
    try:
        whole = record["sha256"] == digest(tensors, record)
    except ValueError:  # numbers that JSON can spell but not hold, such as 1e999
        whole = False
    if not whole:
        raise ValueError(f"{path} is damaged: its contents do not match its hash")
    for name, x in tensors.items():
        if x.dtype not in (np.float32, np.float64):
            raise ValueError(f"{path}: tensor {name} has type {x.dtype}, not a float type")
        if not np.isfinite(x).all():
            raise ValueError(f"{path}: tensor {name} holds values that are not finite")
    return record, tensors
