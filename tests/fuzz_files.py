"""Fuzz `fastdbn.load` with mutated model files of every class: ``python -m tests.fuzz_files --count 100000``.

Each mutation has a seed. It changes bytes, the header of safetensors, entries of the record, or tensors. Records and tensors are
sealed with a right hash, so that the checks behind the hash are met. A file must lead to one of these:

    refused   a ValueError that names the file
    same      a model with the weights of the original
    other     another model; what it computes for a few rows is finite
    loaded    another model whose unit types would take minutes to compile: it is loaded alone

Anything else is a failure: another exception, numbers that are not finite, more memory or time than the limits. It is printed
with its seed, and ``--first SEED --count 1`` repeats it. The exit status is 1 if there was one.
"""

import argparse
import collections
import contextlib
import copy
import itertools
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from sklearn.base import BaseEstimator

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    load,
)
from fastdbn.files import format
from fastdbn.units import get_unit

SPARE, SECONDS, SHARE = 1 << 30, 60, 2000
"""Bytes that a worker may take beyond what it has at first, seconds for one file, and files of one worker."""
PLAIN = {"n_iter": 2, "random_state": 0}
STACK = {"rbm": RBM(n_iter=2), "random_state": 0}
NET = {"rbm": RBM(n_iter=1), "max_iter": 2, "random_state": 0}
CHAINS = {"persistent": True, "n_chains": 3, "temperatures": 3, "fast_learning_rate": 0.1, "sparsity_target": 0.1}
MODELS = {
    "rbm": RBM(4, scale="standard", **PLAIN),
    "bernoulli": BernoulliRBM(4, batch_size=5, **PLAIN),
    "dbn": DBN(
        (4, 3), rbm=[RBM(learning_rate=[0.1, 0.05], scale="minmax", n_iter=2), RBM(learning_rate=0.1, n_iter=2)], random_state=0
    ),
    "up-down": GenerativeDBNClassifier((4, 3), up_down_iter=1, **STACK),
    "outliers": DBNOutlierDetector((4,), contamination=0.1, **STACK),
    "classifier": DBNClassifier((4, 3), class_weight={"ant": 1.0, "bee": 2.0}, early_stopping=True, **NET),
    "regressor": DBNRegressor((4,), **NET),
    "autoencoder": DBNAutoencoder((4, 3), **NET | {"rbm": RBM(scale="minmax", n_iter=1)}),
    "chains": RBM(4, centering="data", **CHAINS, **PLAIN),
    "variance": RBM(4, visible="gaussian-variance", **PLAIN),
    "counts": RBM(4, visible="replicated-softmax", **PLAIN),
    "mixed": RBM(4, visible=[("bernoulli", slice(0, 4)), ("gaussian", slice(4, 6))], **PLAIN),
}
"""One model of each class, and RBMs that keep what others do not."""
QUICK = list(MODELS)[:8]
"""Those whose kernels most tests compile."""


def originals(folder, names):
    """Fit the models and save them; {name: path}."""
    draw, paths = np.random.default_rng(0), {}
    X = (draw.random((40, 6)) < 0.4).astype(np.float32)
    labels = np.array(["ant", "bee"])[X[:, 0].astype(int)]
    targets = {"regressor": X[:, :2] * 3.0 + 10.0, "classifier": labels, "up-down": labels}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            paths[name] = Path(folder) / name
            noise = draw.normal(size=X.shape) if name == "variance" else 0.0
            MODELS[name].fit(X + noise, targets.get(name)).save(paths[name])
    return paths


# ---- mutations


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


# ---- outcomes


def parts(model):
    """A model and the models that it holds."""
    yield model
    for value in vars(model).values():
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, BaseEstimator):
                yield from parts(part)


def weights(model):
    """The bytes of all arrays of a model."""
    arrays = [x for part in parts(model) for key, x in sorted(vars(part).items()) if key.endswith("_")]
    arrays = itertools.chain.from_iterable(x if isinstance(x, list) else [x] for x in arrays)
    return b"".join(x.tobytes() for x in arrays if isinstance(x, np.ndarray) and x.dtype.kind == "f")


def kinds(model):
    """Unit types and precision of all parts of a model: what its kernels depend on."""
    names = "visible_", "hidden_", "dtype", "device"
    return [[repr(getattr(part, name, None)) for name in names] for part in parts(model)]


def options(model):
    """The parameters that are no numbers: those of training that its kernels depend on."""
    params = [(key, x) for part in parts(model) for key, x in part.get_params(deep=False).items()]
    return [(key, x) for key, x in params if x is None or isinstance(x, (bool, str))]


def rows(model):
    """A few rows on the model's own scale."""
    first = next((part for part in parts(model) if hasattr(part, "components_") and hasattr(part, "visible_")), model)
    draw, n = np.random.default_rng(0), model.n_features_in_
    X = np.zeros((4, n))
    for unit, start, stop, _ in get_unit(first.visible_).parts(n):
        if unit.keeps_total:
            X[:, start:stop] = 1
        elif unit.group != 1:
            X[:, start : stop : unit.group_size(stop - start)] = 1
        elif unit.support == "real":
            X[:, start:stop] = draw.normal(size=(4, stop - start))
        else:
            X[:, start:stop] = draw.random((4, stop - start)) < 0.5
    return getattr(first, "scaling_", None).invert(X) if hasattr(first, "scaling_") else X


def use(model, training):
    """Compute with a loaded model and train it a little; returns what is wrong, or None."""
    X = rows(model)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name in ("transform", "predict", "predict_proba", "score_samples", "decision_function"):
            if hasattr(model, name):
                out = np.asarray(getattr(model, name)(X))
                if out.dtype.kind == "f" and not np.isfinite(out).all():
                    return f"{name} is not finite"
        if hasattr(model, "sample") and getattr(model, "dbn_", model) is not None:
            model.sample(2, 2)
        if training:
            y = getattr(model, "classes_", np.zeros(1))
            y = np.resize(y, 4) if hasattr(model, "classes_") else np.zeros((4, len(getattr(model, "target_mean_", [0]))))
            with contextlib.suppress(ValueError, ArithmeticError):  # parameters of a fit, and divergence, are the caller's
                model.partial_fit(X, y.ravel() if getattr(model, "_flat", False) else y)
    return None


def outcome(path, original):
    """(outcome, detail) of the file at a path; original is the model that it was made from."""
    try:
        model = load(path)
    except ValueError as error:
        return ("refused", "") if str(path) in str(error) else ("FAILED", f"the message does not name the file: {error!r:.200}")
    except BaseException as error:
        return "FAILED", f"load raises {error!r:.200}"
    same = type(model) is type(original) and weights(model) == weights(original)
    if kinds(model) != kinds(original):
        return "loaded", ""
    try:
        wrong = use(model, options(model) == options(original))
    except BaseException as error:
        return "FAILED", f"use raises {error!r:.300}"
    return ("FAILED", wrong) if wrong else ("same" if same else "other", "")


def judge(seed, files, models, folder):
    """(seed, model, what was changed, outcome, detail) of a seed; files are the bytes of the originals."""
    name = list(files)[seed % len(files)]
    what, data = mutated(seed, files[name])
    path = Path(folder) / f"mutated-{os.getpid()}"
    path.write_bytes(data)
    return seed, name, what, *outcome(path, models[name])


def limit_memory(spare):
    """Let this process take so many bytes more than it has; returns the limits before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + spare, before[1]))
    return before


def work(first, count, folder):
    """Judge seeds one after another, and print each result as a line of JSON."""
    paths = {name: Path(folder) / name for name in MODELS}
    files, models = {name: path.read_bytes() for name, path in paths.items()}, {name: load(path) for name, path in paths.items()}
    for path in paths.values():
        use(load(path), True)  # compiles what is needed
    limit_memory(SPARE)
    for seed in range(first, first + count):
        print(json.dumps([seed]), flush=True)
        signal.alarm(SECONDS)
        result = judge(seed, files, models, folder)
        signal.alarm(0)
        print(json.dumps(result), flush=True)


def run(first, count, folder):
    """The results of some seeds from worker processes, each of which begins where the one before it ended."""
    while count > 0:
        command = [sys.executable, "-m", "tests.fuzz_files", "--worker", folder, "--first", str(first), "--count"]
        process = subprocess.run([*command, str(min(count, SHARE))], stdout=subprocess.PIPE, text=True, check=False)
        lines = [json.loads(line) for line in process.stdout.splitlines()]
        yield from (line for line in lines if len(line) > 1)
        if not lines:
            raise SystemExit(f"a worker ended with status {process.returncode} before its first file")
        if len(lines[-1]) == 1:
            yield lines[-1][0], "?", "?", "FAILED", f"the process ended with status {process.returncode} (-14: {SECONDS} s)"
        done = lines[-1][0] + 1 - first
        first, count = first + done, count - done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="mutations")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.first, args.count, args.worker)
    counts, totals = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        originals(folder, MODELS)
        for seed, name, what, result, detail in run(args.first, args.count, folder):
            counts[what, result] += 1
            totals[result] += 1
            if sum(totals.values()) % SHARE == 0:
                print(f"{sum(totals.values())} files: {dict(totals)}", file=sys.stderr, flush=True)
            if result == "FAILED":
                print(f"FAILED: seed {seed}, {name}, {what}: {detail}", flush=True)
    for (what, result), n in sorted(counts.items()):
        print(f"{what:>20} {result:>8} {n:>8}")
    print(f"{sum(totals.values())} files:", ", ".join(f"{n} {result}" for result, n in totals.most_common()))
    return int(totals["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
