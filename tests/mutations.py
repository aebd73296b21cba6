"""Random changes of model files: bytes, the header of safetensors, entries of the record, or tensors. A right hash seals them."""

import copy
import json
import struct

import numpy as np
from safetensors.numpy import save

from fastdbn.files import format

NUMBERS = [0, 1, -1, 2, 7, 10**5, 2 * 10**8, 2**31, 2**53, 2**63, 2**64 - 1, 10**15, -(2**63), 0.5, -0.5, 1e-300, 1e15, 1e300]
TEXTS = ["", "x", "0", "-1", "bernoulli", "gaussian", "softmax", "softmax:2", "softmax:999999999", "binomial:3", "binomial:1000"]
TEXTS += [
    "binomial:1000000",
    "spin",
    "auto",
    "sample",
    "cuda",
    "float64",
    "<U500000000",
    "(9999999,)f8",
    "object",
    "9" * 30,
    "\ud800",
]
MARKED = [
    {"unit": "spin"},
    {"tuple": [1, 2]},
    {"slice": [0, 2**62, None]},
    {"dict": [["a", 1]]},
    {"mixed": [["bernoulli", 0, 6]]},
    {"estimator": {"class": "RBM", "params": {"k": 2}}},
]
LONG = "long whole number"
"""Stands for a number of 5,000 digits, which `json` does not write."""


def value(draw, like):
    """A value for an entry: a number near the old one, or anything."""
    if isinstance(like, (int, float)) and not isinstance(like, bool) and draw.random() < 0.5:
        return [like + 1, like - 1, -like, like * 2, like * 1000, float(like)][draw.integers(6)]
    nested = None
    for _ in range([3, 15, 30, 500][draw.integers(4)]):
        nested = [nested]
    others = [[], {}, [1], ["a"], [[1, 2]], [None] * 5, "x" * 10**5, nested, LONG]
    pool = [[None, True, False], NUMBERS, TEXTS, copy.deepcopy(MARKED), others]
    choices = pool[draw.integers(len(pool))]
    return choices[draw.integers(len(choices))]


def places(tree, levels=30):
    """(container, key) of all entries of a tree, down to so many levels."""
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in list(keys):
        yield tree, key
        if levels:
            yield from places(tree[key], levels - 1)


def change_record(draw, record, tensors):
    """Replace, remove, double, move or add an entry."""
    found = list(places(record))
    (tree, key), (other, its) = (found[i] for i in draw.integers(len(found), size=2))
    way = draw.integers(12)
    if way <= 7:
        tree[key] = value(draw, tree[key])
    elif way == 8:
        del tree[key]
    elif way == 9:
        tree[key] = json.loads(json.dumps(other[its]))
    elif isinstance(tree, list):
        tree.insert(key, json.loads(json.dumps(tree[key])))
    else:
        tree[["more", "unit", "seed", ""][draw.integers(4)]] = value(draw, 1)


def change_tensor(draw, record, tensors):
    """Change values, type or shape of a tensor; remove, rename or double it."""
    names = sorted(tensors)
    name, other = (names[i] for i in draw.integers(len(names), size=2))
    x, way = tensors[name].copy(), draw.integers(12)
    if way <= 4:
        huge = [0.0, -1.0, 1.5, 3.0, 1e-320, 1e-40, 1e6, 1e12, 1e15, 1e20, 3e38, 1e300, -1e300, np.inf, np.nan]
        with np.errstate(over="ignore", invalid="ignore"):
            at = ... if draw.random() < 0.3 or not x.size else tuple(draw.integers(n) for n in x.shape)
            x[at] = np.array(huge[draw.integers(len(huge))]).astype(x.dtype)
    elif way == 5:
        with np.errstate(invalid="ignore"):
            x = x.astype([np.float16, np.float64, np.float32, np.int32, np.bool_][draw.integers(5)])
    elif way == 6:
        x = [x.T, x[:-1], x[:0], x.ravel(), x[None], np.concatenate([x, x]), np.repeat(x, 2, -1), x[..., :1]][draw.integers(8)]
    elif way == 7:
        del tensors[name]
        return
    elif way == 8:
        tensors[["more", "layers.0.chains", "chains", "coefs.9", other][draw.integers(5)]] = x
        return
    elif way == 9:
        x = tensors[other].copy()
    else:
        x = (x * draw.normal(1.0, 0.1, x.shape)).astype(x.dtype)
    tensors[name] = np.ascontiguousarray(x)


def sealed(draw, record, tensors):
    """The bytes of a file with a right hash, where the record can be written at all."""
    text = None
    try:
        record["sha256"] = format.digest(tensors, record)
        text = format.canonical(record)
        if LONG in text:  # a number that `digest` cannot hash
            text = text.replace(f'"{LONG}"', "1" * 5000)
        if draw.random() < 0.02:
            text = text.replace('{"', '{"class":"RBM","', 1)
    except (ValueError, RecursionError, TypeError):
        text = repr(record)
    return save(tensors, metadata={"fastdbn": text})


def change_header(draw, data):
    """Change an entry of the header of safetensors, or its length."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    found = [place for place in places(header) if draw.random() < 0.5 or "fastdbn" not in place[0]]
    tree, key = found[draw.integers(len(found))]
    kinds = ["F16", "BF16", "F64", "I64", "BOOL", "F8_E4M3", "C64", "F4", [2**62, 0], [1] * 70, [2**40], [0, 2**42], [1, 0]]
    tree[key] = kinds[draw.integers(len(kinds))] if draw.random() < 0.5 else value(draw, tree[key])
    text = json.dumps(header).encode()
    claimed = [len(text), len(text), len(text), 0, 2**40, 2**63, length][draw.integers(7)]
    return struct.pack("<Q", claimed) + text + data[8 + length :]


def change_bytes(draw, data):
    """Flip, put in, take out or cut off bytes."""
    data = bytearray(data)
    for _ in range(draw.integers(1, 4)):
        at = int(draw.integers(max(len(data), 1) if draw.random() < 0.5 else min(len(data), 400) or 1))
        way = draw.integers(5)
        if way <= 1 and data:
            data[at] ^= int(draw.integers(1, 256))
        elif way == 2:
            data[at:at] = bytes(draw.integers(256, size=draw.integers(1, 9), dtype=np.uint8))
        elif way == 3:
            del data[at : at + int(draw.integers(1, 9))]
        else:
            del data[at:]
    return bytes(data)


def mutated(seed, data):
    """(what was changed, the bytes of the changed file) of a seed and the bytes of a model file."""
    draw = np.random.default_rng(seed)
    way = draw.random()
    if way < 0.15:
        return "bytes", change_bytes(draw, data)
    if way < 0.3:
        return "header", change_header(draw, data)
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    record = json.loads(header.pop("__metadata__")["fastdbn"])
    kinds = {"F32": np.float32, "F64": np.float64}
    tensors = {
        name: np.frombuffer(data[8 + length :][slice(*x["data_offsets"])], kinds[x["dtype"]]).reshape(x["shape"])
        for name, x in header.items()
    }
    for _ in range([1, 1, 1, 2, 3][draw.integers(5)]):
        (change_record if draw.random() < 0.6 else change_tensor)(draw, record, tensors)
        if not (tensors and isinstance(record, dict)):
            break
    return "record or tensors", sealed(draw, record, tensors)
