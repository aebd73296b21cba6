"""Data loaded for training: what is packed, that packed data are the data, and the memory that loading and training hold."""

import numpy as np
import pytest
from room import at_most
from scipy import sparse

from fastdbn import RBM
from fastdbn.backends.cpu import loading, steps
from fastdbn.backends.cpu.loading import DENSE, ONES, PACKED, SPARSE
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Source
from fastdbn.maths import rng
from fastdbn.training import monitors
from fastdbn.units import get_unit

DTYPES = ["float32", "float64", "uint8", "int64", "int32", "bool", "int16", "float16"]
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
WIDTHS = 1, 63, 64, 65, 130
rows_of = np.random.default_rng(9).integers(0, 150, 40).astype(np.uint32)


def binary(width, density=0.3, rows=150):
    return (np.random.default_rng(4).random((rows, width)) < density).astype(np.float64)


def check(X, kind, dtype="float32", n_threads=1, **how):
    """Load X in both ways: the kind is as said, and the rows taken are the same."""
    before, backend = X.copy(), get_backend(n_threads, dtype)
    source = Source(X, **how)
    plain, packed = backend.load(source), backend.load(source, for_training=True)
    assert packed.kind == kind
    one, two = backend.zeros(len(rows_of), X.shape[1]), backend.zeros(len(rows_of), X.shape[1])
    key = rng.key(3, 1, rng.stream(rng.DATA))
    backend.load_rows(plain, rows_of, key, one)
    backend.load_rows(packed, rows_of, key, two)
    assert np.array_equal(one, two)
    assert (X != before).sum() == 0
    assert X.dtype == before.dtype
    if kind == PACKED:
        assert packed.words.shape == (X.shape[0], -(-X.shape[1] // 64))
        assert all(x.size == 0 for x in packed.values)
        assert packed.columns.size == 0
    return one


@both_types
@pytest.mark.parametrize("kind", DTYPES)
def test_dense_zeros_and_ones(kind, dtype):
    """They are packed from every type, whether read-only, in the order of columns, or in steps."""
    for width in WIDTHS:
        X = binary(width)
        assert np.array_equal(check(X.astype(kind), PACKED, dtype), X[rows_of])
        frozen = X.astype(kind)
        frozen.flags.writeable = False
        check(frozen, PACKED, dtype)
        if dtype == "float32" and kind == "float32":
            check(np.asfortranarray(X, kind), PACKED)
            check(np.repeat(X.astype(kind), 2, axis=1)[:, ::2], PACKED)


@both_types
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_dense_real_values(kind, dtype):
    """Real values stay as they are, unless a threshold makes them binary; draws are made anew for each epoch."""
    X = np.random.default_rng(0).random((150, 70)).astype(kind)
    assert np.allclose(check(X, DENSE, dtype), X[rows_of])
    assert np.array_equal(check(X, PACKED, dtype, threshold=0.4), X[rows_of].astype(dtype) > np.dtype(dtype).type(0.4))
    check(X, DENSE, dtype, threshold="sample")
    check(X.round(), DENSE, dtype, threshold="sample")
    check(X.round(), PACKED, dtype, threshold=-0.5)


@both_types
def test_whole_numbers(dtype):
    """Numbers of 0 to 255 are packed by their threshold, and kept without one; signs and twos are no ones."""
    X = np.random.default_rng(0).integers(0, 256, (150, 70)).astype(np.uint8)
    assert np.array_equal(check(X, PACKED, dtype, threshold=127), X[rows_of] > 127)
    assert np.array_equal(check(X, DENSE, dtype), X[rows_of])
    for other in (2, -1):
        check((binary(70) * other).astype(np.int64), DENSE, dtype)


@both_types
def test_scaled_data(dtype):
    """Scaling comes before the question whether data are binary, for arrays and CSR."""
    X, shift, scale = 3 + 4 * binary(70), np.full(70, 3.0), np.full(70, 0.25)
    for stored, real in ((X, DENSE), (sparse.csr_matrix(X), SPARSE)):
        check(stored, PACKED, dtype, shift=shift, scale=scale)
        check(stored, real, dtype, shift=shift, scale=scale / 3)
        check(stored, PACKED, dtype, shift=shift, scale=scale * 3, clip=True)
        check(stored, PACKED, dtype, shift=shift, scale=scale / 3, threshold=0.2)
    ones = sparse.csr_matrix(binary(70, 0.01))
    assert (check(ones, PACKED, dtype, shift=np.full(70, -1.0), scale=np.full(70, 1.0), clip=True) == 1).all()
    check(ones, SPARSE, dtype, shift=np.full(70, -0.5), scale=np.full(70, 1.0))


def test_numbers_that_round_to_binary():
    """What counts is the number in the precision of the work."""
    X = binary(70) * (1 + 1e-12) + 1e-60
    check(X, PACKED, "float32")
    check(X, DENSE, "float64")


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("place", [(0, 0), (63, 69), (64, 3), (149, 69)], ids=str)
def test_one_number_that_is_not_binary(place, n_threads, monkeypatch, split_everything):
    """It is found wherever it is, and keeps all data as they are."""
    monkeypatch.setattr(loading, "AT_ONCE", 70 * 64)
    X = binary(70).astype(np.float32)
    check(X, PACKED, n_threads=n_threads)
    X[place] = 0.5
    check(X, DENSE, n_threads=n_threads)
    check(sparse.csr_matrix(X), SPARSE, n_threads=n_threads)


# ---- CSR


@both_types
@pytest.mark.parametrize("kind", [d for d in DTYPES if d != "float16"])
def test_csr_of_zeros_and_ones(kind, dtype):
    """A few ones stay lists, more are packed."""
    for width in WIDTHS:
        few, many = binary(width, 0.01), binary(width, 0.3)
        few[7, 0] = 1
        few[8:140, 0] = 0
        assert np.array_equal(
            check(sparse.csr_matrix(few.astype(kind)), ONES if few.mean() < 1 / 32 else PACKED, dtype), few[rows_of]
        )
        assert np.array_equal(check(sparse.csr_matrix(many.astype(kind)), PACKED, dtype), many[rows_of])


def lists(values=None, order=None, density=0.01, width=130):
    """A CSR matrix of a few ones, with other values or another order of its entries."""
    X = sparse.csr_matrix(binary(width, density).astype(np.float32))
    if values is not None:
        X.data[:] = np.resize(values, X.nnz)
    if order is not None:
        i = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        by = np.lexsort((-X.indices, i))
        X.indices[:], X.data[:] = X.indices[by], X.data[by]
    return X


def test_csr_thresholds():
    """Lists are kept where the threshold keeps zeros and ones; else what it makes of them is packed."""
    X = lists()
    ones = X.toarray()[rows_of]
    for threshold in (0, 0.5, 0.99):
        assert np.array_equal(check(X, ONES, threshold=threshold), ones)
    assert (check(X, PACKED, threshold=-0.1) == 1).all()
    assert (check(X, PACKED, threshold=1) == 0).all()
    check(X, SPARSE, threshold="sample")


def test_csr_of_other_values():
    """Explicit zeros, twos and real values are not taken for ones."""
    for values, kind in (([1, 0], PACKED), ([1, 2], SPARSE), ([0.5], SPARSE), ([1, -1], SPARSE), ([0], PACKED)):
        X = lists(values)
        assert np.array_equal(check(X, kind), X.toarray()[rows_of])
        assert np.array_equal(check(X, PACKED, threshold=0.5), X.toarray()[rows_of] > 0.5)


def test_csr_out_of_order():
    X = lists(order="descending", density=0.02)
    assert not X.has_sorted_indices
    assert np.array_equal(check(X, PACKED), X.toarray()[rows_of])


def test_csr_with_duplicates():
    """Entries of one column add up, to ones or to more, whatever each of them is."""
    draw = np.random.default_rng(2)
    columns = np.repeat(draw.integers(0, 130, 150), 2)
    for values, kind in (([1, 1], SPARSE), ([0.25, 0.75], PACKED), ([3, -2], PACKED), ([1, -1], PACKED), ([100, 156], SPARSE)):
        stored = np.uint8 if 156 in values else np.float32
        X = sparse.csr_matrix((np.resize(values, 300).astype(stored), columns, np.arange(151) * 2), (150, 130))
        expected = np.zeros((150, 130))
        expected[np.arange(150), columns[::2]] = sum(values)
        assert np.array_equal(check(X, kind), expected[rows_of])
        assert np.array_equal(check(X, PACKED, threshold=0.5), expected[rows_of] > 0.5)
    apart = np.column_stack([draw.integers(0, 60, 150), draw.integers(60, 130, 150)])
    X = sparse.csr_matrix((np.ones(450, np.float32), apart[:, [0, 1, 0]].ravel(), np.arange(151) * 3), (150, 130))
    assert check(X, SPARSE).max() == 2  # a column again, but not next to itself


@pytest.mark.parametrize("stored", [np.float32, np.uint8, np.int64])
def test_csr_without_entries(stored):
    """Nothing but zeros, in some rows or in all."""
    X = sparse.csr_matrix((150, 130), dtype=stored)
    assert not check(X, ONES).any()
    assert not check(X, ONES, threshold=0.5).any()
    assert (check(X, PACKED, threshold=-1) == 1).all()
    assert np.isfinite(RBM(3, n_iter=1, visible="bernoulli").fit(sparse.csr_matrix((20, 6), dtype=np.float32)).components_).all()


def test_csr_with_wide_indices():
    """Index arrays of 64 bits, and ones that may not be written."""
    X = lists()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    for part in (X.indices, X.indptr, X.data):
        part.flags.writeable = False
    assert np.array_equal(check(X, ONES), X.toarray()[rows_of])


# ---- memory


@pytest.mark.parametrize("real", [False, True])
def test_wide_csr_trains_without_a_dense_copy(real, monkeypatch):
    """Memory is in proportion to the weights, the buffers of a minibatch and the entries; not even bits are kept of zeros."""
    monkeypatch.setattr(monitors, "WATCHED", 10)  # rows whose reconstruction is measured are dense, a fixed number of them
    n, width, hidden, batch, entries = 20_000, 20_000, 8, 20, 20
    draw = np.random.default_rng(0)
    step = width // entries
    columns = (draw.integers(0, step, (n, entries)) + step * np.arange(entries)).ravel().astype(np.int32)
    values = draw.random(n * entries, dtype=np.float32) if real else np.ones(n * entries, np.float32)
    X = sparse.csr_matrix((values, columns, np.arange(n + 1, dtype=np.int32) * entries), (n, width))
    rbm = RBM(hidden, batch_size=batch, n_iter=1, random_state=0, n_jobs=1).fit(X[:100])  # what kernels hold does not count
    limit = 20 * 4 * width * hidden + 15 * 4 * batch * width + 16 * n * entries
    assert limit < n * width / 8
    with at_most(limit):
        rbm.fit(X)


def test_memory_map_packs_to_bits(tmp_path):
    """200,000 x 784 bytes of a file become words of 64 columns, and nothing else is held."""
    rows, width = 200_000, 784
    X = np.memmap(tmp_path / "X", np.uint8, "w+", shape=(rows, width))
    X[::50, ::2] = 200
    X[-1] = 200
    X = np.memmap(tmp_path / "X", np.uint8, "r", shape=(rows, width))
    size = rows * -(-width // 64) * 8
    with at_most(size + 2**22):
        found = get_backend(1).load(Source(X, threshold=127), for_training=True)
    words = found.words
    assert found.kind == PACKED
    assert words.nbytes == size
    assert sum(np.unpackbits(part.view(np.uint8)).sum(dtype=int) for part in np.array_split(words, 20)) == 4000 * 392 + 784
    (tmp_path / "X").unlink()


def test_one_kernel_for_all_data():
    """Whatever holds the data, whole minibatches are compiled once."""
    bernoulli = get_unit("bernoulli")
    steps.cd_steps.cache_clear()  # a kernel that no other test has called
    real = np.random.default_rng(0).random((40, 9))
    for X in (real, real.round()):
        for kind in ("float32", "float64", "uint8", "int64", "bool"):
            frozen = X.astype(kind)
            frozen.flags.writeable = False
            layouts = X.astype(kind), np.asfortranarray(X, kind), np.repeat(X, 2, axis=1).astype(kind)[:, ::2]
            for data in (*layouts, frozen, sparse.csr_matrix(X.astype(kind))):
                RBM(5, n_iter=1, visible="bernoulli", binarize="sample" if X is real else None).fit(data)
    assert len(steps.cd_steps(bernoulli, bernoulli).signatures) == 1
