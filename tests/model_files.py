"""Model files as someone who knows the format writes them: their record and tensors, changed and sealed with a right hash."""

import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from fastdbn.files import format


def opened(path):
    """(record, tensors) of a file, unchecked."""
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return json.loads(file.metadata()["fastdbn"]), tensors


def rewrite(path, change):
    """Change a file's record and tensors, by a function of them or several."""
    record, tensors = opened(path)
    for each in change if isinstance(change, list) else [change]:
        each(record, tensors)
    record["sha256"] = format.digest(tensors, record)
    save_file({k: np.ascontiguousarray(x) for k, x in tensors.items()}, path, metadata={"fastdbn": format.canonical(record)})


# ---- changes


def tensor(name, value):
    """Replace a tensor by a function of it."""
    return lambda record, tensors: tensors.update({name: value(tensors[name])})


def item(*path_and_value):
    """Set an entry of the record, by the keys that lead to it."""
    *path, last, value = path_and_value

    def change(record, tensors):
        for key in path:
            record = record[key]
        record[last] = value

    return change


def state(*path_and_value):
    """Set an entry of the state."""
    return item("state", *path_and_value)


def layer(i, *path_and_value):
    """Set an entry of a stack's layer."""
    return item("state", "layers", i, *path_and_value)


def drop(name):
    """Remove a tensor."""
    return lambda record, tensors: tensors.pop(name)
