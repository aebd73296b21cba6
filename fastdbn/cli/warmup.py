"""Compile the kernels that the estimators use into the disk cache, so that no later process waits for them.

A kernel is compiled for the types of its arguments. So the estimators do everything once, on a few rows, for all chosen units,
precisions and kinds of data. Whatever they need gets compiled.
"""

import contextlib
import functools
import itertools
import json
import tempfile
import time
import warnings
from typing import NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.backends.cpu import jit
from fastdbn.backends.cpu.jit import cache_folder, count_kernels, keep_quiet, used_files
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.regressor import DBNRegressor
from fastdbn.machine.block import BLOCK
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.report import FitWarning, progress
from fastdbn.units import UNITS

DTYPES = ("float32", "float64")
DATA = ("float32", "float64", "uint8", "bool", "int64", "int32")
"""Types of the values in X that the estimators read as they are."""
COMMON = ("bernoulli", "gaussian", "softmax")
"""Unit types that are compiled by default. Each pair of two takes half a minute."""
ROWS, WIDTH = 6, 4
MANY = BLOCK + 1
"""Rows of more than one block, for which weights are laid out anew."""
THREADED = 128, 320
"""Rows and columns of a layer that is large enough for two threads."""


class Report(NamedTuple):
    """Kernels compiled now, kernels found in the cache, the cache's folder."""

    compiled: int
    cached: int
    folder: str


def warmup(dtype=DTYPES, units=COMMON, data=DATA, verbose=1):
    """Compile into the cache what the estimators need.

    Parameters
    ----------
    dtype : str or sequence of str, default ("float32", "float64")
        Precisions of the estimators.
    units : str or sequence of str, default ("bernoulli", "gaussian", "softmax")
        Names of unit types, for both sides of an RBM.
    data : str or sequence of str, default ("float32", "float64", "uint8", "bool", "int64", "int32")
        Types of the data, dense and CSR. Memory maps and other read-only arrays need no kernels of their own.
    verbose : int, default 1
        1 prints a line for each step to stderr.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        for an unknown name.
    OSError
        if no cache folder can be written. Set the environment variable FASTDBN_CACHE_DIR to one that can.
    """
    chosen = []
    for name, values, allowed in (("dtype", dtype, DTYPES), ("units", units, tuple(UNITS)), ("data", data, DATA)):
        values = (values,) if isinstance(values, str) else tuple(values)
        chosen.append([checks.choice(value, name, allowed) for value in values])
    folder = cache_folder()
    try:
        if folder is None:
            raise OSError("no folder can be made")
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        message = f"compiled kernels cannot be kept: {error}; set FASTDBN_CACHE_DIR to a folder that can be written"
        raise OSError(message) from None
    keep_quiet()  # what is compiled is said line by line, or not at all
    compiled = cached = 0
    record = f"warm.{jit.machine()}"  # lists the kernels of each step; a step whose files are all there is not done again
    done = json.loads(_read(record) or "{}")
    for label, key, step in _steps(*chosen):
        started, (misses, hits), files = time.perf_counter(), count_kernels(), used_files()
        if key in done and None not in map(_read, done[key]):
            new, old = 0, len(done[key])
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FitWarning)  # fits of a few rows learn nothing
                step()
            new, old = count_kernels()[0] - misses, count_kernels()[1] - hits
            done[key] = sorted(used_files() - files)
            jit.write(record, json.dumps(done).encode())
        compiled, cached = compiled + new, cached + old
        if verbose:
            progress(f"{label}: {new} compiled, {old} in the cache already, {time.perf_counter() - started:.1f} s")
    return Report(compiled, cached, folder)


def _read(name):
    """The contents of a file of the cache, or None if it is lost or damaged."""
    with contextlib.suppress(OSError, ValueError):
        return jit.read(name)


def _steps(dtypes, units, kinds):
    """(label, name in the record, function) of each step of the work."""
    for dtype in dtypes:
        above = [unit for unit in units if not (UNITS[unit].keeps_total or UNITS[unit].parameters)]  # those that can be hidden
        work = [(f"RBM of {v} and {h} units", _use_rbm, (dtype, v, h, kinds)) for v, h in itertools.product(units, above)]
        work += [(f"networks of {unit} units", _use_networks, (dtype, unit, kinds[0])) for unit in above]
        if "bernoulli" in units:
            work.append(("generative classifiers", _use_generative, (dtype, kinds[0])))
        if dtype in kinds and "bernoulli" in units:
            work.append(("BernoulliRBM", _use_bernoulli_rbm, (dtype,)))
        for what, use, arguments in work:
            yield f"{dtype}, {what}", repr((what, *arguments)), functools.partial(use, *arguments)


def _data(unit, kind, real=False, rows=ROWS, width=WIDTH):
    """Data for a unit type: one of K or counts if it needs them, otherwise zeros and ones, or real numbers in [0, 1]."""
    draw = rng.host_generator(0, 0, rng.stream(rng.INIT))
    if unit == "softmax":
        return np.eye(width)[draw.integers(0, width, rows)].astype(kind)
    X = draw.random((rows, width))
    return (X if real and not UNITS[unit].keeps_total else X < 0.5).astype(kind)


def _forms(unit, kind):
    """Data of a kind in all forms: dense and CSR; of zeros and ones, and real."""
    for real in (False, True) if kind.startswith("float") else (False,):
        X = _data(unit, kind, real)
        yield from (X, sparse.csr_matrix(X))


def _use_rbm(dtype, visible, hidden, kinds):
    common = {"visible": visible, "hidden": hidden, "dtype": dtype, "n_iter": 1, "batch_size": 4, "random_state": 0}

    def fit(X, weighted=False, width=WIDTH, **more):
        return RBM(width, **(common | more)).fit(X, sample_weight=np.ones(X.shape[0]) if weighted else None)

    for X in itertools.chain.from_iterable(_forms(visible, kind) for kind in kinds):
        for binarize in (None, 0.5, "sample") if visible == "bernoulli" else (None,):
            fit(X, binarize=binarize)
        if visible != "softmax":
            fit(X, scale="minmax")
        fit(X, persistent=True, k=2)
        fit(X, weighted=True)
    kind, (rows, width) = kinds[0], THREADED
    for real, n_jobs, persistent, weighted in itertools.product((False, True), (1, 2), (False, True), (False, True)):
        X = _data(visible, kind, real and kind.startswith("float"), rows, width)
        fit(X, weighted, width, persistent=persistent, n_jobs=n_jobs, batch_size=rows)
    if not (UNITS[visible].keeps_total or UNITS[visible].parameters):
        for weighted in (False, True):
            fit(_data(visible, kind), weighted, centering=None)
            more = {"persistent": True, "temperatures": 2, "fast_learning_rate": 0.01, "l1": 0.01, "max_norm": 1.0}
            fit(_data(visible, kind), weighted, **more)
            lacking = _data(visible, dtype)
            lacking[0] = np.nan  # so that minibatches are composed of single operations
            fit(lacking, weighted, missing="sample", **more)
    for X in _forms(visible, kind):
        rbm = fit(X)
        for use in (rbm.transform, rbm.score_samples, rbm.reconstruct, rbm.gibbs):
            for rows in (X, X[:1], *((_data(visible, kind, rows=MANY),) if isinstance(X, np.ndarray) else ())):
                use(rows)
        rbm.sample(2, n_steps=2)


def _use_networks(dtype, unit, kind):
    """Use stacks with hidden units of a type, and back-propagation through them."""
    common = {"rbm": RBM(visible="bernoulli", hidden=unit, n_iter=1), "dtype": dtype, "random_state": 0}
    X, y = _data("bernoulli", kind), np.arange(ROWS) % 2
    for propagate in ("mean", "sample"):
        dbn = DBN((WIDTH, WIDTH, WIDTH), propagate=propagate, **common).fit(X)
        for use in (dbn.score_samples, dbn.transform, dbn.reconstruct):
            use(X)
        dbn.sample(2, n_steps=2)
    for solver, bound, dropout in (("adam", None, 0.0), ("sgd", 1.0, (0.1, 0.5, 0.5))):
        more = common | {"solver": solver, "max_norm": bound, "dropout": dropout, "max_iter": 1}
        for model, target in ((DBNClassifier, y), (DBNRegressor, y + 0.5), (DBNRegressor, np.column_stack([y, y]))):
            fitted = model((WIDTH, WIDTH), **more).fit(X, target, sample_weight=np.ones(ROWS))
            for use in (fitted.predict, fitted.transform):
                for rows in (X, X[:1], _data("bernoulli", kind, rows=MANY)):
                    use(rows)
            fitted.partial_fit(X, target)


def _use_generative(dtype, kind):
    """Train stacks of binary units together, without labels and with them, and draw from them."""
    common = {"rbm": RBM(visible="bernoulli", n_iter=1), "dtype": dtype, "random_state": 0}
    X, y, weights = _data("bernoulli", kind), np.arange(ROWS) % 2, np.ones(ROWS)
    DBN((WIDTH, WIDTH), **common).fit(X).up_down(X, 1).up_down(X, 1, sample_weight=weights).sample(2, n_steps=2)
    for known in (y, np.where(np.arange(ROWS) < ROWS - 2, y, -1)):
        model = GenerativeDBNClassifier((WIDTH, WIDTH), unlabelled=-1, **common).fit(X, known)
        model.up_down(X, known, 1).up_down(X, known, 1, sample_weight=weights)
        for use in (model.predict, model.score_samples):
            use(X)
        model.predict_proba(X, n_samples=2)
        for label in (None, 1):
            model.sample(2, n_steps=2, label=label)


def _use_bernoulli_rbm(dtype):
    for X in _forms("bernoulli", dtype):
        rbm = BernoulliRBM(WIDTH, batch_size=4, n_iter=1, random_state=0).fit(X)
        for use in (rbm.transform, rbm.score_samples, rbm.gibbs):
            use(X)
