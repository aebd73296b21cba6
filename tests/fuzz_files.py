"""Fuzz `fastdbn.load` and `resume=` with mutated models and checkpoints: ``python -m tests.fuzz_files --count 100000``.

Each mutation has a seed. It changes bytes, the header of safetensors, entries of the record, or tensors. Records and tensors are
sealed with a right hash, so that the checks behind the hash are met. A file must lead to one of these:

    refused   a ValueError that names the file
    same      a model with the weights of the original; a fit that goes on from such a checkpoint has the same bits
    other     another model; what it computes for a few rows is finite. A fit from such a checkpoint may also diverge
    loaded    another model whose unit types would take minutes to compile: it is loaded alone

Anything else is a failure: another exception, numbers that are not finite, more memory or time than the limits. It is printed
with its seed, and ``--first SEED --count 1`` repeats it. The exit status is 1 if there was one.
"""

import argparse
import collections
import contextlib
import functools
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

from fastdbn import DivergenceError, TableModel
from fastdbn.units import get_unit
from tests.fuzz_models import ALL, PEOPLE, originals
from tests.mutations import mutated

SPARE, SECONDS, SHARE = 1 << 30, 60, 20_000
"""Bytes that a worker may take beyond what it has at first, seconds for one file, and files of one worker."""
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
            TableModel.of(model).transform(PEOPLE[:4])
            TableModel.of(model).sample(2, n_steps=2)
        if training:
            y = getattr(model, "classes_", np.zeros(1))
            y = np.resize(y, 4) if hasattr(model, "classes_") else np.zeros((4, len(getattr(model, "target_mean_", [0]))))
            with contextlib.suppress(ValueError, ArithmeticError):  # parameters of a fit, and divergence, are the caller's
                model.partial_fit(X, y.ravel() if getattr(model, "_flat", False) else y)
    return None


def outcome(path, original):
    """(outcome, detail) of the file at a path, which was made from an original."""
    try:
        model = original.read(path)
        same = type(model) is type(original.model) and weights(model) == weights(original.model)
        if kinds(model) != kinds(original.model):
            return "loaded", ""
        if original.estimator is not None:
            return go_on(path, original, same)
    except ValueError as error:
        return ("refused", "") if str(path) in str(error) else ("FAILED", f"the message does not name the file: {error!r:.200}")
    except BaseException as error:
        return "FAILED", f"load or resume raises {error!r:.200}"
    try:
        wrong = use(model, options(model) == options(original.model))
    except BaseException as error:
        return "FAILED", f"use raises {error!r:.300}"
    return ("FAILED", wrong) if wrong else ("same" if same else "other", "")


def go_on(path, original, same):
    """(outcome, detail) of a fit that goes on from a checkpoint."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = original.complete(path)
        except DivergenceError:
            return "other", ""
    wrong = use(model, False)
    return ("FAILED", wrong) if wrong else ("same" if same and weights(model) == weights(original.end) else "other", "")


def judge(seed, files, folder):
    """(seed, name, what was changed, outcome, detail) of a seed; files are the originals by name."""
    name = list(files)[seed % len(files)]
    what, data = mutated(seed, files[name].data)
    path = Path(folder) / f"mutated-{os.getpid()}"
    path.write_bytes(data)
    return seed, name, what, *outcome(path, files[name])


def limit_memory(spare):
    """Let this process take so many bytes more than it has; returns the limits before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + spare, before[1]))
    return before


def hurry():
    """Let scikit-learn read the signature of a class once, which else takes a quarter of the time."""
    BaseEstimator._get_param_names = classmethod(functools.cache(BaseEstimator._get_param_names.__func__))


def prepared(folder, names=ALL):
    """The originals, once all that computes with them is compiled."""
    files = originals(folder, names)
    for name, original in files.items():
        path = Path(folder) / "whole"
        path.write_bytes(original.data)
        result, detail = outcome(path, original)
        assert result == "same", f"{name}: {result} {detail}"
        if original.estimator is None:
            use(original.read(path), True)
    return files


def work(first, count):
    """Judge seeds one after another, and print each result as a line of JSON."""
    hurry()
    with tempfile.TemporaryDirectory() as folder:
        files = prepared(folder)
        limit_memory(SPARE)
        for seed in range(first, first + count):
            print(json.dumps([seed]), flush=True)
            signal.alarm(SECONDS)
            result = judge(seed, files, folder)
            signal.alarm(0)
            print(json.dumps(result), flush=True)


def run(first, count):
    """The results of some seeds from worker processes, each of which begins where the one before it ended."""
    while count > 0:
        command = [sys.executable, "-m", "tests.fuzz_files", "--worker", "--first", str(first), "--count"]
        last = None
        with subprocess.Popen([*command, str(min(count, SHARE))], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                last = json.loads(line)
                if len(last) > 1:
                    yield last
        if last is None:
            raise SystemExit(f"a worker ended with status {process.returncode} before its first file")
        if len(last) == 1:
            yield last[0], "?", "?", "FAILED", f"the process ended with status {process.returncode} (-14: {SECONDS} s)"
        first, count = last[0] + 1, count - (last[0] + 1 - first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="mutations")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.first, args.count)
    counts, totals = collections.Counter(), collections.Counter()
    for seed, name, what, result, detail in run(args.first, args.count):
        counts[what, result] += 1
        totals[result] += 1
        if result == "FAILED":
            print(f"FAILED: seed {seed}, {name}, {what}: {detail}", flush=True)
    for (what, result), n in sorted(counts.items()):
        print(f"{what:>20} {result:>8} {n:>8}")
    print(f"{sum(totals.values())} files:", ", ".join(f"{n} {result}" for result, n in totals.most_common()))
    return int(totals["FAILED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
