"""What is known of the columns of user data: the same for dense and CSR, in one pass, and never at the price of a copy."""

import numpy as np
import pytest
from room import at_most
from scipy import sparse

from fastdbn import DBN, RBM, BernoulliRBM
from fastdbn.estimators.rows import check_values
from fastdbn.inputs import data, ranges
from fastdbn.inputs.choice import choose
from fastdbn.maths import rng
from fastdbn.units import get_unit

KINDS = ["float32", "float64", "uint8", "bool", "int64", "fortran", "strided", "csr float32", "csr int64", "csr untidy"]


def make(kind, rows=37, width=11, seed=0):
    """(data of a kind, the same as a dense float64 matrix): small whole numbers, many of them zero, one column constant."""
    draw = np.random.default_rng(seed)
    dense = np.where(draw.random((rows, width)) < 0.4, draw.integers(1, 4, (rows, width)), 0)
    dense = (
        (dense > 0).astype(int) if kind == "bool" else dense - (kind not in ("uint8", "bool")) * (draw.random(dense.shape) < 0.1)
    )
    dense[:, 0] = 1
    dense[:, 3] = 0
    if kind == "fortran":
        return np.asfortranarray(dense, np.float32), dense.astype(np.float64)
    if kind == "strided":
        return np.repeat(dense, 2, axis=1).astype(np.float64)[:, ::2], dense.astype(np.float64)
    if kind == "csr untidy":  # duplicates that add up, columns out of order, and stored zeros
        i, j = np.nonzero(dense)
        values = dense[i, j].astype(np.float32)
        order = np.lexsort((-j, i))
        i, j, values = np.repeat(i[order], 3), np.repeat(j[order], 3), np.repeat(values[order], 3)
        values = np.where(np.arange(len(values)) % 3 == 0, values + 2, np.where(np.arange(len(values)) % 3 == 1, -2, 0))
        starts = np.searchsorted(i, np.arange(rows + 1))
        return sparse.csr_matrix((values.astype(np.float32), j, starts), dense.shape), dense.astype(np.float64)
    if kind.startswith("csr"):
        return sparse.csr_matrix(dense.astype(kind[4:])), dense.astype(np.float64)
    return dense.astype(kind), dense.astype(np.float64)


@pytest.fixture(params=["small", "large"])
def block_size(request, monkeypatch):
    """Blocks of a row or two, and one block for all."""
    if request.param == "small":
        monkeypatch.setattr(data, "BYTES", 150)
        monkeypatch.setattr(data, "STORED", 9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_columns(kind, weighted, block_size):
    """Range, mean, variance and shares above a threshold are those of the dense matrix, weighted by repeating rows."""
    X, dense = make(kind)
    before = X.copy()
    counts = np.random.default_rng(1).integers(0, 4, len(dense)) if weighted else np.ones(len(dense), int)
    weights = counts / counts.mean() if weighted else None
    repeated = np.repeat(dense, counts, axis=0)
    for threshold in (-0.5, 0.5, 1.0):
        known = data.columns(X, weights, threshold)
        assert np.array_equal(known.low, dense.min(axis=0))
        assert np.array_equal(known.high, dense.max(axis=0))
        assert np.allclose(known.mean, repeated.mean(axis=0), rtol=1e-12)
        assert np.allclose(known.above, (repeated > threshold).mean(axis=0), rtol=1e-12)
    assert data.columns(X, weights).above is None
    assert np.array_equal(data.column_range(X), (dense.min(axis=0), dense.max(axis=0)))
    assert np.allclose(data.column_variance(X, known.mean, weights), repeated.var(axis=0), atol=1e-12)
    assert np.array_equal((X != before).sum(), 0)
    if sparse.issparse(X):
        assert np.array_equal(X.indices, before.indices)


def test_variance_far_from_zero():
    """A column of small changes about a large value keeps its variance; a constant one has its mean exactly."""
    X = np.full((1000, 2), 1e8 + 0.1)
    X[::2, 0] += 1
    known = data.columns(X)
    assert known.mean[1] == X[0, 1]
    assert np.allclose(data.column_variance(X, known.mean), [0.25, 0], rtol=1e-7)
    assert choose(X, "auto", "auto")[1].scale[1] == 1


@pytest.mark.parametrize("kind", ["dense", "csr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(kind, value, block_size):
    """A first fit finds them in the pass that it makes anyway; later ones and a stack's as well."""
    X, _ = make("float32")
    X = np.clip(X, 0, 1)
    bad = X.copy()
    bad[-1, 4] = value
    if kind == "csr":
        X, bad = sparse.csr_matrix(X), sparse.csr_matrix(bad)
    where = rf"Input X contains (NaN|infinity) in row {X.shape[0] - 1}, column 4: "
    for model in (RBM(2, n_iter=1), RBM(2, n_iter=1, scale="minmax"), DBN((2,), rbm=RBM(n_iter=1)), BernoulliRBM(2, n_iter=1)):
        with pytest.raises(ValueError, match=where):
            model.fit(bad)
        with pytest.raises(ValueError, match=where):
            model.fit(X).partial_fit(bad)


@pytest.mark.parametrize("kind", ["float32", "uint8", "csr float32", "csr untidy"])
def test_groups(kind, block_size):
    """Sums of groups are found wrong, with row and group, in dense data and CSR alike."""
    unit = get_unit("softmax")._replace(group=3)
    dense = np.eye(3, dtype=int)[np.random.default_rng(0).integers(0, 3, (20, 4))].reshape(20, 12)
    dense[13, 7] += 1

    def stored(dense):
        if not kind.startswith("csr"):
            return dense.astype(kind)
        i, j = np.nonzero(dense)
        values, starts = dense[i, j], np.searchsorted(i, np.arange(len(dense) + 1))
        if kind == "csr untidy":
            j, values, starts = np.repeat(j, 2), np.repeat(values / 2, 2), starts * 2
        return sparse.csr_matrix((values.astype(np.float32), j, starts), dense.shape)

    with pytest.raises(ValueError, match="row 13 has 2 in group 2"):
        ranges.check_groups(stored(dense), unit)
    dense[13] = dense[12]
    ranges.check_groups(stored(dense), unit)


@pytest.mark.parametrize("kind", ["csr float32", "csr untidy"])
def test_content_keys_of_csr(kind):
    """A row's number is that of the dense row."""
    X, dense = make(kind)
    assert np.array_equal(rng.content_keys(X), rng.content_keys(dense))
    assert len(set(rng.content_keys(X))) == len(np.unique(dense, axis=0))


@pytest.mark.parametrize("scale", ["none", "minmax", "standard"])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32"])
def test_statistics_of_a_memory_map_hold_no_copy(dtype, scale, tmp_path):
    """The passes over a file before training hold a few blocks of it, whatever its length."""
    rows, width = 20_000, 784
    X = np.memmap(tmp_path / "X", dtype, "w+", shape=(rows, width))
    X[::3, ::2] = 1
    rbm = RBM(4, visible="gaussian" if scale == "standard" else "auto", scale=scale)
    limit = 8 * data.BYTES
    assert limit < X.nbytes
    with at_most(limit):
        rbm._begin(X, None)
    with at_most(limit):
        check_values(rbm, X)
    with at_most(limit):
        rbm._begin(X, np.ones(rows))
    mean = data.columns(X).mean
    assert np.allclose(mean, np.where(np.arange(width) % 2 == 0, -(-rows // 3) / rows, 0))


@pytest.mark.parametrize("visible", ["auto", "softmax"])
def test_wide_csr_is_never_dense(visible):
    """Statistics of 20,000 columns take memory for the entries of a block and a few numbers a column."""
    rows, width = 5000, 20_000
    draw = np.random.default_rng(0)
    columns = np.sort(draw.integers(0, 200, (rows, 100)) + 200 * np.arange(100), axis=1).ravel()  # one in every 200
    X = sparse.csr_matrix((np.ones(rows * 100, np.float32), columns, np.arange(rows + 1) * 100), (rows, width))
    rbm = RBM(4, visible=get_unit("softmax")._replace(group=200) if visible == "softmax" else "auto", binarize=0.5)
    limit = 64 * rows * 100 + 20 * 8 * width
    assert limit < 8 * 400 * width
    with at_most(limit):
        rbm._begin(X, None)
    with at_most(limit):
        rng.content_keys(X)


@pytest.mark.parametrize("model", [BernoulliRBM(3, n_iter=1, random_state=0), DBN((3, 2), rbm=RBM(n_iter=1), random_state=0)])
def test_scores_of_csr(model):
    """Scores do not depend on whether rows are dense or CSR, nor on the blocks in which they are computed."""
    X = make("bool")[0].astype(np.float32)
    model.fit(X)
    expected = model.score_samples(X)
    assert np.allclose(model.score_samples(sparse.csr_matrix(X)), expected, rtol=1e-5)
    assert np.allclose([model.score_samples(X[i : i + 1])[0] for i in range(len(X))], expected, rtol=1e-5)


def test_rows_are_brought_together_in_small_arrays(monkeypatch):
    """Another layout would be compiled for; of a large array no copy is made."""
    X = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    assert data.source(X, data.Scaling()).X.flags.c_contiguous
    assert np.array_equal(data.source(X, data.Scaling()).X, X)
    monkeypatch.setattr(data, "COPIED", X.nbytes - 1)
    assert data.source(X, data.Scaling()).X is X
