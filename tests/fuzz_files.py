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
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
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
    Preparation,
    load,
)
from fastdbn.units import get_unit
from tests.mutations import mutated

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
    "trajectory": RBM(4, persistent=True, n_chains=3, trajectory=0.9, learning_rate=0.5, **PLAIN),
    "variance": RBM(4, visible="gaussian-variance", **PLAIN),
    "counts": RBM(4, visible="replicated-softmax", **PLAIN),
    "prepared": RBM(4, visible=[("gaussian", slice(0, 2)), ("bernoulli", slice(2, 4)), ("softmax", slice(4, 7))], **PLAIN),
    "mixed": RBM(4, visible=[("bernoulli", slice(0, 4)), ("gaussian", slice(4, 6))], **PLAIN),
}
"""One model of each class, and RBMs that keep what others do not."""
PEOPLE = [[i * 1.5 if i % 9 else None, f"2020-01-{i % 28 + 1:02d}", i % 2, "abc"[i % 3]] for i in range(40)]
"""A table for the model that has a preparation."""
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
            preparation = Preparation().fit(PEOPLE) if name == "prepared" else None
            MODELS[name].fit(X + noise if preparation is None else preparation.transform(PEOPLE), targets.get(name))
            if preparation is not None:
                MODELS[name].preparation_ = preparation
                MODELS[name].command_ = ("train", "people.csv")
            MODELS[name].save(paths[name])
    return paths


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
        if hasattr(model, "preparation_"):
            X = model.preparation_.transform([["1.5", None, 1, "x"]])
            model.preparation_.inverse_transform(model.sample(2, 2))
            model.transform(np.where(np.abs(X) < 1e30, X, 0.0))
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
