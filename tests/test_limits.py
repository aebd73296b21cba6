"""Every integer type of the kernels at its limit, and sums that float32 could not hold, with all other sizes tiny."""

import numpy as np
import pytest
from scipy import sparse

from fastdbn import RBM
from fastdbn.backends.cpu import pool, workspace
from fastdbn.backends.cpu.binary import COLUMNS, SEGMENT
from fastdbn.backends.cpu.simd import GROUPS, SUMS
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Phase, Source
from fastdbn.maths import rng
from fastdbn.units import get_unit

KEY = rng.key(0, 0, 0)


def step(positive, negative, nv, nh):
    """The velocity of one composed step from nothing, as host arrays."""
    backend = get_backend(1)
    params, velocity = (Params(*(backend.zeros(*s) for s in ((nv, nh), (nv,), (nh,)))) for _ in range(2))
    phases = (Phase(v, h, None) for v, h in (positive, negative))
    backend.update(params, velocity, *phases, (1 / len(positive[0]), 1 / len(negative[0])), Hyper(1.0, 0.0, 0.0))
    return velocity


@pytest.mark.parametrize(
    ("rows", "chains"),
    [(32767, 32767), (32768, 32767), (32767, 32768), (70000, 100), (100, 70000), (70000, 70000)],
    ids=str,
)
def test_rows_and_chains_of_any_number(rows, chains):
    """Lists of either phase, or none: the step is that of float64 products."""
    draw = np.random.default_rng(0)
    v, h = ((draw.random((rows + chains, n)) < 0.2).astype(np.float32) for n in (5, 3))
    positive, negative = (v[:rows], h[:rows]), (v[rows:], h[rows:])
    velocity = step(positive, negative, 5, 3)
    expected = (positive[0].T.astype(float) @ positive[1]) / rows - (negative[0].T.astype(float) @ negative[1]) / chains
    np.testing.assert_allclose(velocity.W, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("rows", "chains"), [(65400, 100), (65500, 100), (70000, 100), (100, 70000)], ids=str)
def test_persistent_chains_beside_many_rows(rows, chains):
    """Whole minibatches in one call: chains that are like the data cancel them."""
    X = np.zeros((rows, 4), np.float32)
    X[:, :2] = 1
    options = {"n_iter": 1, "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0, "random_state": 0}
    rbm = RBM(2, visible="bernoulli", persistent=True, n_chains=chains, batch_size=rows, **options).fit(X)
    assert abs(rbm._velocity.W).max() < 0.05


def test_sums_of_more_rows_than_float32_counts():
    """Ones of 2^24 rows and more, where adding one to a float32 sum changes nothing."""
    ones, none = np.ones((17_825_792, 1), np.float32), np.zeros((1, 1), np.float32)
    assert [float(x[0]) for x in step((ones, ones), (none, none), 1, 1)[1:]] == [1.0, 1.0]


@pytest.mark.parametrize("form", [np.float32, np.int64, sparse.csr_matrix], ids=lambda f: f.__name__)
def test_totals_of_counts(form):
    """A row of as many counts as float32 holds is kept to the last one; more are refused."""
    most = 1 << 24
    X = np.array([[most - 1, 1], [0, 3]])
    rbm = RBM(2, visible="replicated-softmax", n_iter=0, random_state=0).fit(form(X))
    assert rbm.totals_.ravel().tolist() == [most, 3]
    assert rbm.reconstruct(form(X)).sum(axis=1) == pytest.approx([most, 3])
    X[0, 1] = 2
    with pytest.raises(ValueError, match=r"sum to at most 16,777,216.*; row 0 has 16,777,217"):
        rbm.fit(form(X) if form is not np.float32 else X.astype(float))
    with pytest.raises(ValueError, match="totals=16777217: give a whole number from 0 to 16777216"):
        rbm.sample(1, totals=most + 1)


@pytest.mark.parametrize(("n_jobs", "threads"), [(None, 6), (-1, 6), (-2, 5), (-6, 1), (-9, 1), (1, 1), (1024, 1024)])
def test_numbers_of_threads(n_jobs, threads, monkeypatch):
    """Negative numbers count from all processors down, as in joblib."""
    monkeypatch.setattr(pool, "available_threads", lambda: 6)
    assert get_backend(n_jobs).n_threads == threads


@pytest.mark.parametrize("n_jobs", [0, 1025, 2**31, True, 2.0, "2"])
def test_numbers_that_are_none_of_threads(n_jobs):
    with pytest.raises(ValueError, match=f"^n_jobs={n_jobs!r}: give None or -1"):
        get_backend(n_jobs)


def test_threads_without_work_take_no_memory(monkeypatch):
    """Buffers of training are for as many threads as have work."""
    counts = []
    monkeypatch.setattr(
        workspace, "make_workspace", lambda problem, n, make=workspace.make_workspace: counts.append(n) or make(problem, n)
    )
    RBM(65, n_iter=1, n_jobs=1024, visible="bernoulli").fit(np.eye(4, dtype=np.float32))
    assert counts == [1]


def test_numbers_in_tables_and_segments_fit_16_bits():
    assert GROUPS * SUMS * COLUMNS <= 1 << 16
    assert SEGMENT <= 1 << 16


def test_products_whose_weights_lie_beyond_32_bits():
    """A row of W that begins at element 2^31; the others are never touched, so they take no memory."""
    backend, shape = get_backend(1), (32769, 65536)
    W, x, out = np.zeros(shape, np.float32), np.zeros((1, shape[0]), np.float32), np.empty((1, shape[1]), np.float32)
    x[0, -1], W[-1] = 1, 3
    backend.field(x, W, out)
    assert (out == 3).all()


@pytest.mark.parametrize("shape", [(2**31 - 1, 1), (65537, 65537)], ids=str)
def test_rows_whose_data_lie_beyond_32_bits(shape):
    backend, X, out = get_backend(1), np.zeros(shape, np.uint8), np.empty((3, shape[1]), np.float32)
    X[-1, -1] = 1
    rows = np.array([0, shape[0] - 1, 1], np.uint32)
    backend.load_rows(backend.load(Source(X)), rows, KEY, out)
    assert out[:, -1].tolist() == [0, 1, 0]


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_index_types_of_csr(kind):
    """The types of indices and indptr do not matter."""
    X = sparse.random(40, 30, 0.2, "csr", np.float32, random_state=0)
    X.data[:] = 1
    X.indices, X.indptr = X.indices.astype(kind), X.indptr.astype(kind)
    dense, rbm = X.toarray(), RBM(3, n_iter=1, random_state=0, visible="bernoulli")
    assert np.array_equal(rbm.fit(X).components_, RBM(**rbm.get_params()).fit(dense).components_)
    np.testing.assert_allclose(rbm.transform(X), rbm.transform(dense), rtol=1e-6)


@pytest.mark.parametrize("row", [0, 2**31, 2**32 - 1])
@pytest.mark.parametrize("step", [2**31, 2**32 - 1])
def test_noise_at_the_ends_of_its_counters(row, step):
    """What kernels draw is what the formula draws, for the last row, minibatch, stream and columns."""
    backend, n = get_backend(1), 9
    key = rng.key(2**64 - 1, step, rng.stream(rng.VISIBLE, 127, 2**20 - 1))
    mean, states = backend.zeros(1, n), backend.zeros(1, n)
    backend.activate(get_unit("bernoulli"), backend.zeros(n), mean, states, np.array([row], np.uint32), key)
    expected = np.empty(n, np.float32)
    rng.uniforms_32(expected, 0, np.uint32(row), key)
    assert np.array_equal(states[0], expected < 0.5)
