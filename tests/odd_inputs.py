"""Odd inputs for every estimator, as Hypothesis makes them, and what must come of each: shared by the suite and the command.

An input is a table of numbers in some container: types, orders and strides of arrays, lists, masks, and sparse matrices of every
kind. A fit must end in one of these:

    fitted     all that the model computes for these rows and others is finite. It is the same for the plain array of the same
               numbers, and a fit to that plain array has the same bits if the container is dense
    refused    a ValueError or TypeError whose message names the argument or the row
    diverged   a DivergenceError, which says what to change

Warnings of NumPy and SciPy are failures.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from small import ESTIMATORS

from fastdbn import BernoulliRBM, DivergenceError

KINDS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
KINDS += ["float16", "float32", "float64", "longdouble", ">f4", ">f8", ">i4", "object"]
VALUES = ["binary", "constant", "real", "counts", "grey", "far", "tiny", "huge", "extreme", "missing", "infinite"]
DENSE = ["C", "F", "reversed", "steps", "transposed", "read-only", "masked", "list", "subclass", "unaligned"]
SPARSE = ["csr", "csc", "coo", "bsr", "lil", "dok", "array", "unsorted", "doubled", "zeros", "int64", "empty"]
TARGETS = ["classes", "words", "flags", "numbers", "column", "rows", "constant", "missing", "short", "huge", "none"]
SIZES, WIDTHS = [0, 1, 2, 3, 17, 60], [0, 1, 2, 5, 65]
SAID = "X", "y", "array", "sample", "feature", "column", "row", "label", "target", "class", "validation_fraction"
"""What the message of a refusal may name."""


class Input(NamedTuple):
    """Rows in their container, the same numbers as a plain float64 array, and the target."""

    X: Any
    plain: Any
    y: Any
    words: str


def numbers(draw, values, shape):
    """Numbers of some kind as float64."""
    if values in ("binary", "far"):
        return (draw.random(shape) < 0.4) * 1.0 + (1.7e9 if values == "far" else 0.0)
    if values == "constant":
        return np.full(shape, draw.choice([0.0, 1.0, 0.25, -3.0, 1e6]))
    if values == "counts":
        return draw.poisson(2.0, shape) * 1.0
    if values == "grey":
        return draw.random(shape)
    X = draw.normal(size=shape)
    if values in ("tiny", "huge"):
        return X * {"tiny": draw.choice([1e-30, 1e-300, 5e-324]), "huge": draw.choice([1e10, 1e30, 1e150, 1e300])}[values]
    if values != "real" and X.size:
        odd = {
            "missing": [np.nan],
            "infinite": [np.inf, -np.inf],
            "extreme": [1e308, -1e308, 3.4e38, 1e-308, 2.0**63, -(2.0**31)],
        }
        X.flat[draw.integers(X.size, size=max(1, X.size // 9))] = draw.choice(odd[values])
    return X


def as_type(X, kind):
    """X in a type, cut to its range where it has one."""
    kind = np.dtype(kind)
    with np.errstate(all="ignore"):
        if kind.kind in "iu":
            X = np.nan_to_num(X, nan=0.0)
            info = np.iinfo(kind)
            return np.clip(X, float(info.min), np.nextafter(float(info.max), 0.0)).astype(kind)
        return X.astype(kind)


def dense(X, how):
    """An array in some container."""
    n, width = X.shape
    if how == "F":
        return np.asfortranarray(X)
    if how == "reversed":
        return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    if how == "steps":
        room = np.zeros((2 * n, 3 * width), X.dtype)
        room[::2, ::3] = X
        return room[::2, ::3]
    if how == "transposed":
        return np.ascontiguousarray(X.T).T
    if how == "read-only":
        X.flags.writeable = False
    if how == "masked":
        return np.ma.masked_array(X, np.zeros(X.shape, bool))
    if how == "subclass":
        return X.view(np.matrix)
    if how == "unaligned" and X.dtype != object:
        room = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape) if X.nbytes else X
        room[...] = X
        return room
    return X.tolist() if how == "list" else X


def as_sparse(X, how, draw):
    """A sparse matrix in some container or of some form."""
    if how in ("csc", "coo", "bsr", "lil", "dok"):
        return sparse.csr_matrix(X).asformat(how)
    if how == "array":
        return sparse.csr_array(X)
    rows = sparse.csr_matrix(X)
    if how == "unsorted":
        for i in range(X.shape[0]):
            part = slice(rows.indptr[i], rows.indptr[i + 1])
            order = draw.permutation(part.stop - part.start)
            rows.indices[part], rows.data[part] = rows.indices[part][order], rows.data[part][order]
        rows.has_sorted_indices = False
    if how == "doubled":
        halves = [np.repeat(x, 2) for x in (rows.data / 2, rows.indices)]
        return sparse.csr_matrix((*halves, 2 * rows.indptr), rows.shape)
    if how == "zeros" and X.size:
        return sparse.csr_matrix((X.ravel(), np.tile(np.arange(X.shape[1]), len(X)), np.arange(len(X) + 1) * X.shape[1]), X.shape)
    if how == "int64":
        rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    return rows


def target(draw, kind, n):
    y = draw.integers(0, 3, n)
    if kind == "words":
        return np.array(["ant", "bee", "fly"])[y]
    if kind in ("column", "rows"):
        return draw.normal(size=(n, 1 if kind == "column" else 2))
    if kind in ("numbers", "huge", "missing"):
        return draw.normal(size=n) * {"huge": 1e300, "missing": np.nan}.get(kind, 1.0)
    return {"classes": y, "flags": y > 0, "constant": np.ones(n), "short": y[:-1]}.get(kind)


@st.composite
def inputs(draw):
    n, width = draw(st.sampled_from(SIZES)), draw(st.sampled_from(WIDTHS))
    values, kind, is_sparse = draw(st.sampled_from(VALUES)), draw(st.sampled_from(KINDS)), draw(st.booleans())
    how, of_y = draw(st.sampled_from(SPARSE if is_sparse else DENSE)), draw(st.sampled_from(TARGETS))
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    X = as_type(numbers(noise, values, (n, width)), kind)
    if is_sparse:
        kind = "float64" if kind in ("float16", "object") or kind.startswith(">") else kind  # types that SciPy takes
        X = np.where(noise.random(X.shape) < 0.5, X, 0).astype(kind)
        X[: 2 if how == "empty" else 0] = 0
        given = as_sparse(X, how, noise)
        X = given.toarray()
    else:
        given = dense(X.copy(), how)
    with np.errstate(all="ignore"):
        return Input(given, X.astype(np.float64), target(noise, of_y, n), f"{n} x {width}, {values}, {kind}, {how}; y: {of_y}")


estimators = st.sampled_from(range(len(ESTIMATORS)))

# ---- what comes of them


def results(model, X):
    """What a model computes for rows, by method."""
    names = "transform", "predict", "predict_proba", "score_samples", "decision_function", "reconstruct"
    return {name: np.asarray(getattr(model, name)(X)) for name in names if hasattr(model, name)}


def learned(model):
    """All floating-point arrays that a fit leaves."""
    found = {}
    for name, value in sorted(vars(model).items()):
        for i, x in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(x, np.ndarray) and x.dtype.kind == "f" and name.endswith("_"):
                found[f"{name}{i}"] = x
            elif name in ("layers_", "dbn_", "_rbm") and x is not None:
                found |= {f"{name}{i}.{key}": y for key, y in learned(x).items()}
    return found


def finite(found, what):
    wrong = [name for name, x in found.items() if x.dtype.kind == "f" and not np.isfinite(x).all()]
    assert not wrong, f"{what}: {', '.join(wrong)} not finite"


def outcome(number, given, other):
    """Fit estimator `number` to an input, and use it for its rows and those of another: the outcome, or an AssertionError."""
    model = clone(ESTIMATORS[number])
    y = given.y if hasattr(model, "predict") else None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.fit(given.X, y)
        except DivergenceError:
            return "diverged"
        except (ValueError, TypeError) as error:
            assert any(word in str(error) for word in SAID), f"this names nothing: {error!r}"
            return "refused"
        finite(learned(model), "learned")
        found = results(model, given.X)
        finite(found, "of these rows")
        for name, x in results(model, given.plain).items():
            same = np.allclose(x, found[name], rtol=1e-4, atol=1e-5) if x.dtype.kind == "f" else (x == found[name]).all()
            assert same, f"{name} differs for the plain array"
        as_given = isinstance(model, BernoulliRBM) and np.asarray(given.X).dtype.name == "float32"  # which it computes in
        if not (sparse.issparse(given.X) or as_given):
            again = learned(clone(ESTIMATORS[number]).fit(given.plain, y))
            different = [name for name, x in learned(model).items() if x.tobytes() != again[name].tobytes()]
            assert not different, f"{', '.join(different)} differ from a fit to the plain array"
        try:
            finite(results(model, other.X), "of other rows")
        except (ValueError, TypeError) as error:
            assert any(word in str(error) for word in SAID), f"this names nothing: {error!r}"
    for warning in said:
        assert not issubclass(warning.category, RuntimeWarning) or "fastdbn" in warning.category.__module__, (
            f"{warning.filename}:{warning.lineno}: {warning.message}"
        )
    return "fitted"
