"""`out=`: results in the user's array, memory maps in and out, with the bits of a new array."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from small import ESTIMATORS, binary, each_estimator

from fastdbn import DBN, RBM, BernoulliRBM, DBNRegressor

X, Y = binary(40, 6), np.array(["no", "yes"])[np.arange(40) % 2]
METHODS = "transform", "predict"


def fitted(estimator):
    numbers = isinstance(estimator, DBNRegressor)
    return clone(estimator).fit(X, np.arange(40.0) % 2 if numbers else Y)


@each_estimator
def test_results_are_in_the_array(estimator, tmp_path):
    """The array itself comes back, with the bits of a new one; so does a memory map, from a memory map."""
    model = fitted(estimator)
    np.save(tmp_path / "X.npy", X)
    given = np.load(tmp_path / "X.npy", mmap_mode="r")
    for method in filter(lambda name: hasattr(model, name), METHODS):
        use = getattr(model, method)
        plain = use(X)
        for data in (X, sparse.csr_matrix(X), given):
            out = np.empty_like(plain)
            assert use(data, out=out) is out
            assert np.array_equal(out, plain) or sparse.issparse(data)
        if plain.dtype.kind != "U":
            out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", plain.dtype, plain.shape)
            assert use(given, out=out) is out
            out.flush()
            assert np.array_equal(np.load(tmp_path / "out.npy"), plain)


@each_estimator
def test_arrays_that_do_not_suit(estimator):
    """Refused, with what is wrong and what to give."""
    model = fitted(estimator)
    for method in filter(lambda name: hasattr(model, name), METHODS):
        use = getattr(model, method)
        plain = use(X)
        read_only, wide = plain.copy(), np.empty((2 * len(plain), *plain.shape[1:]), plain.dtype)
        read_only.flags.writeable = False
        wanted = re.escape(f"give a writable C-contiguous array of shape {plain.shape} and type {plain.dtype}")
        for out, fault in (
            (plain[:-1].copy(), f"has shape {plain[:-1].shape}"),
            (np.empty(plain.shape, complex), "has type complex128"),
            (wide[::2], "is not C-contiguous"),
            (read_only, "cannot be written"),
            (np.ma.array(plain), "out="),
            ([1, 2], r"out=[1, 2]"),
        ):
            with pytest.raises(ValueError, match=f"{re.escape(fault)}.*{wanted}"):
                use(X, out=out)


def test_an_array_that_is_the_data():
    """Blocks of results would overwrite rows that are not read yet."""
    square = binary(40, 6)
    model = RBM(6, n_iter=1, random_state=0).fit(square)
    with pytest.raises(ValueError, match=r"out shares memory with X: .*, apart from X"):
        model.transform(square, out=square)


@pytest.mark.parametrize("path", [True, False])
def test_an_array_in_the_file_of_the_data(path, tmp_path):
    """A second map of a file shares no memory with the first, and yet its rows."""
    square, file = binary(40, 6).astype(np.float32), tmp_path / "rows.npy"
    np.save(file, square)
    model = RBM(6, n_iter=1, random_state=0).fit(square)
    with pytest.raises(ValueError, match=r"out lies in the file of X"):
        model.transform(str(file) if path else np.load(file, mmap_mode="r"), out=np.load(file, mmap_mode="r+"))
    assert np.array_equal(np.load(file), square)


def test_no_copy():
    """Blocks are computed in place where the precision is the model's, and converted where BernoulliRBM keeps that of X."""
    model = DBN((5, 4), rbm=RBM(n_iter=1), random_state=0).fit(X)
    lower = np.empty((40, 5), np.float32)
    assert np.array_equal(model.transform(X, 0, lower), model.transform(X, layer=0))
    drop_in = BernoulliRBM(4, n_iter=1, random_state=0).fit(X)
    exact = np.empty((40, 4))
    assert np.array_equal(drop_in.transform(X.astype(np.float64), out=exact), drop_in.transform(X).astype(np.float64))


def test_every_class_is_tried():
    assert {type(estimator).__name__ for estimator in ESTIMATORS if hasattr(estimator, "transform")} >= {"RBM", "DBNClassifier"}
