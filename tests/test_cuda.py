"""The CUDA backend against the CPU's: every operation at odd and tiny sizes, in both precisions, in the simulator or on a GPU.

Run with `NUMBA_ENABLE_CUDASIM=1 pytest tests/test_cuda*.py`, or with `pytest --device cuda` where there is a GPU.
"""

import numpy as np
import pytest

from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.protocol import Below, Centering, Hyper, Params, Phase, Source, Weights
from fastdbn.maths import rng
from fastdbn.maths.optim import STATES, step_hyper
from fastdbn.units import get_unit
from fastdbn.units.mixed import mixed

pytestmark = pytest.mark.usefixtures("cuda_device")

SIZES = [(1, 1, 1), (5, 9, 7)]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
UNITS = {name: get_unit(name) for name in ("bernoulli", "gaussian", "softmax")}
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
sizes = pytest.mark.parametrize("size", SIZES, ids=str)
units = pytest.mark.parametrize("name", UNITS)


def backends(dtype):
    from fastdbn.backends.cuda.backend import CUDA

    return CUDA(1, dtype), CPU(1, dtype)


def close(a, b, dtype):
    return np.allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def normals(*shapes, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.normal(size=shape) for shape in shapes]


def both(dtype, run):
    """run(backend, constant) on either backend, CUDA first; lists of what it gives as host arrays."""
    return [[np.asarray(x) for x in run(backend, backend.constant)] for backend in backends(dtype)]


@both_types
def test_noise(dtype):
    """Uniforms are the same bits, seen through draws at every 24-bit threshold; normals agree to 4 ulp, at odd lengths too."""
    rows, n = np.arange(2**32 - 3, 2**32, dtype=np.uint32), 7
    key = rng.key(2**63 + 12345, 77, rng.stream(rng.HIDDEN, 3, 2))
    expected = np.empty((3, n), dtype)
    for fill, unit in ((rng.uniforms, None), (rng.normals, UNITS["gaussian"])):
        for i, row in enumerate(rows):
            fill(expected[i], 0, row, key)
        unit = unit or UNITS["bernoulli"]._replace(mean=_same, draw=_noise)
        gpu = backends(dtype)[0]
        mean, states = gpu.zeros(3, n), gpu.states(unit, 3, n)
        gpu.activate(unit, gpu.zeros(n), mean, states, gpu.array(rows), key)
        ulp = np.abs(gpu.to_host(states) - expected) / np.spacing(np.abs(expected))
        assert ulp.max() <= (0 if fill is rng.uniforms else 4)


def _same(s):
    return s


def _noise(s, mean, noise):
    return noise


@both_types
@sizes
@units
@pytest.mark.parametrize("transpose", [False, True])
def test_conditional(size, dtype, name, transpose):
    """Means to rounding; draws equal where the means leave no doubt; W in either memory order."""
    (B, n_in, n), unit = size, UNITS[name]
    x, W, bias = normals((B, n_in), (n, n_in) if transpose else (n_in, n), n)
    rows = np.random.default_rng(1).integers(0, 2**32, B, dtype=np.uint32)
    key = rng.key(2**40 + 5, 9, rng.stream(rng.HIDDEN, 1))
    for order in "CF":

        def run(b, constant, order=order):
            mean, states = b.zeros(B, n), b.states(unit, B, n)
            weights = constant(np.asarray(W, dtype, order=order))
            b.conditional(unit, constant(x), weights, constant(bias), mean, states, b.array(rows), key, transpose)
            tempered, beta = b.zeros(B, n), constant(np.linspace(0, 1, B))
            b.conditional(unit, constant(x), weights, constant(bias), tempered, transpose=transpose, beta=beta)
            return b.to_host(mean), b.to_host(states), b.to_host(tempered)

        (mean, states, tempered), expected = both(dtype, run)
        assert close(mean, expected[0], dtype)
        assert close(states, expected[1], dtype)
        assert close(tempered, expected[2], dtype)


@both_types
@pytest.mark.parametrize("weighted", [False, True])
def test_update(dtype, weighted):
    """Both phases of the gradient, with differing numbers of rows where unweighted, and the step made of them."""
    B, chains, nv, nh = 5, 5 if weighted else 3, 9, 7
    v, h, cv, ch, *six = normals((B, nv), (B, nh), (chains, nv), (chains, nh), (nv, nh), nv, nh, (nv, nh), nv, nh)
    weight = np.linspace(0.5, 2, B) if weighted else None

    def run(b, constant):
        params, velocity = Params(*map(b.array, six[:3])), Params(*map(b.array, six[3:]))
        given = None if weight is None else constant(weight)
        positive, negative = (Phase(constant(x), b.array(y), given) for x, y in ((v, h), (cv, ch)))
        if weighted:
            b.scale(positive.h, given)
            b.scale(negative.h, given)
        b.update(params, velocity, positive, negative, (0.5, 0.25), Hyper(0.1, 0.9, 0.01))
        return [b.to_host(x) for x in (*params, *velocity)]

    for a, e in zip(*both(dtype, run), strict=True):
        assert close(a, e, dtype)


@both_types
def test_centred_update(dtype):
    """Offsets move, and what centring takes goes from the weights and from both biases."""
    v, h, cv, ch, W, b_, c, mu, la = normals((5, 9), (5, 7), (3, 9), (3, 7), (9, 7), 9, 7, 9, 7)

    def run(b, constant):
        params, velocity = Params(*map(b.array, (W, b_, c))), Params(b.array(0.1 * W), b.array(b_), b.array(c))
        centering = Centering(b.array(mu), b.array(la), 0.25, 0.5)
        phases = (Phase(constant(x), constant(y), None) for x, y in ((v, h), (cv, ch)))
        b.update(params, velocity, *phases, (0.5, 0.25), Hyper(0.1, 0.9, 0.01), centering)
        return [b.to_host(x) for x in (*params, *velocity, *centering[:2])]

    for a, e in zip(*both(dtype, run), strict=True):
        assert close(a, e, dtype)


@both_types
def test_parts(dtype):
    """Layers of several unit types, one of which keeps its rows' totals."""
    parts = [("bernoulli", slice(0, 3)), ("replicated-softmax", slice(3, 8)), ("gaussian", slice(8, 10))]
    unit = mixed(parts, 10, get_unit)
    field, bias = normals((4, 10), 10)
    counts, rows, key = np.arange(40.0).reshape(4, 10) % 7, np.arange(4, dtype=np.uint32), rng.key(3, 1, 4)

    def run(b, constant):
        mean, states, alone, out = b.array(field), b.states(unit, 4, 10, counts), b.array(field), np.empty(4)
        b.activate(unit, constant(bias), alone)
        b.activate(unit, constant(bias), mean, states, b.array(rows), key)
        kept = b.array(field)
        b.activate(unit, constant(bias), kept, states)
        results = []
        for given in (None, states):
            b.cgf(unit, constant(bias), constant(field), out, states=given)
            results.append(out.copy())
        b.base(unit, states, out)
        return *(b.to_host(x) for x in (mean, states, alone, kept)), *results, out

    for a, e in zip(*both(dtype, run), strict=True):
        assert np.allclose(a, e, rtol=20 * TOLERANCE[dtype], atol=20 * TOLERANCE[dtype])


@both_types
@pytest.mark.parametrize("kind", ["bits", "real", "csr"])
@pytest.mark.parametrize("threshold", [None, 0.4, "sample"])
@pytest.mark.parametrize("streamed", [False, True])
def test_take(dtype, kind, threshold, streamed, monkeypatch):
    """Rows of data that are kept on the device or streamed through the two buffers, scaled, clipped and binarised."""
    from scipy import sparse

    draw = np.random.default_rng(2)
    X = draw.integers(0, 2, (9, 7)).astype(np.uint8) if kind == "bits" else draw.random((9, 7))
    X = sparse.csr_matrix(X * (X > 0.5)) if kind == "csr" else X
    shift, scale = (draw.normal(size=7) * 0.1, draw.random(7) * 2) if kind == "real" else (None, None)
    source, key = Source(X, shift, scale, scale is not None, threshold), rng.key(11, 3, rng.stream(rng.DATA))

    def run(b, constant):
        if streamed and b.name == "cuda":
            monkeypatch.setattr(b, "fits", lambda size: False)
        data, out, taken = b.load(source, for_training=True), b.zeros(4, 7), []
        for _ in range(3):
            b.load_rows(data, b.array(draw_rows), key, out)
            taken.append(b.to_host(out))
        return taken

    draw_rows = draw.integers(0, 9, 4).astype(np.uint32)
    for a, e in zip(*both(dtype, run), strict=True):
        assert np.array_equal(a, e)


@both_types
def test_moves(dtype):
    """Numbers held at others or at zero, by number or by row; rows gathered and put back."""
    x, values, rows = *normals((4, 7), (4, 7)), np.array([2, 0, 3], np.uint32)
    by_number = np.random.default_rng(1).random((4, 7)) < 0.5

    def run(b, constant):
        held, emptied, kept, out, joined = b.array(x), b.array(x), b.array(x), b.zeros(3, 7), b.zeros(4, 14)
        b.join(joined, constant(x), constant(values))
        scaled, columns = b.array(x), [np.empty(7), np.empty(7)]
        b.scale(scaled, constant(np.arange(7.0)), columns=True)
        b.scale(scaled, constant(np.arange(4.0)))
        b.square_sums(scaled, None, columns[0])
        b.square_sums(scaled, constant(np.arange(4.0)), columns[1])
        b.assign_where(held, b.array(by_number), constant(values))
        b.assign_where(emptied, constant(by_number))
        b.assign_where(kept, b.array(by_number[:, :1].copy()), constant(values))
        vector, copied = b.array(x[0]), b.zeros(4, 7)
        b.assign_where(vector, b.array(by_number[0]), b.zeros(7))
        b.copy(kept, copied)
        b.copy(constant(x), out, rows=b.array(rows))
        b.copy(b.part(constant(values), 0, 3), kept, places=b.array(rows))
        return [b.to_host(y) for y in (held, emptied, kept, out, joined, scaled, vector, copied)] + columns

    for a, e in zip(*both(dtype, run), strict=True):
        assert close(a, e, dtype)


@both_types
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_units_and_weights(dtype, weighted):
    """The running activity and what it pulls; the soft threshold; a bound on columns; weights in Fortran order are moved too."""
    h, W = normals((5, 7), (9, 7))
    weight = np.linspace(0.5, 2, 5) if weighted else None

    def run(b, constant):
        means, activity, weights = b.array(h), b.array(np.linspace(0.1, 0.5, 7)), b.array(np.asfortranarray(W))
        offset, rows = b.zeros(7), None if weight is None else constant(weight)
        b.sparsify(means, rows, activity, 0.1, 0.3, offset, 0.25)
        b.sparsify(means, rows, activity, 0.1, 0.3)
        b.shrink(weights, 0.4)
        sparse = b.to_host(weights)
        b.limit_columns(weights, 1.5, b.zeros(7))
        return [b.to_host(x) for x in (means, activity, weights, offset)] + [sparse]

    for a, e in zip(*both(dtype, run), strict=True):
        assert close(a, e, dtype)


@both_types
@units
def test_numbers_for_the_host(dtype, name):
    """Log normalisers, also tempered and shifted, base measures, products of rows, norms."""
    unit, (B, n) = UNITS[name], (3, 7)
    x, y, bias, W, step = normals((B, n), (B, n), n, (2, n), (B, 2))

    def run(b, constant):
        outs = [np.empty(B) for _ in range(5)]
        b.cgf(unit, constant(bias), constant(x), outs[0])
        b.cgf(unit, constant(bias), constant(x), outs[1], constant(np.linspace(0, 1, B)))
        b.base(unit, constant(x), outs[2])
        b.dot(constant(x), constant(bias), outs[3])
        b.dot(constant(x), constant(y), outs[4])
        shifted = np.empty((B, 2))
        b.cgf_shifted(unit, constant(bias), constant(x), constant(W), constant(step), shifted)
        kept = b.zeros(B, 2)
        b.cgf_shifted(unit, constant(bias), constant(x), constant(W), constant(step), kept)
        return *outs, shifted, b.to_host(kept), b.norm(constant(x)), b.norm(constant(bias))

    for a, e in zip(*both(dtype, run), strict=True):
        assert close(a, e, dtype)


@both_types
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@units
def test_back_propagation(dtype, rule, name):
    """Losses and their derivatives, dropout, and three steps down through a layer."""
    unit, (B, n_in, n_out) = UNITS[name], (5, 9, 7)
    z, x, W, bias = normals((B, n_out), (B, n_in), (n_in, n_out), n_out)
    mean = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    target, rows, key = np.arange(B) % n_out, np.arange(B, dtype=np.uint32), rng.key(4, 2, rng.stream(rng.DROPOUT, 1))

    def run(b, constant):
        states = [zeros for _ in range(STATES[rule]) for zeros in (b.zeros(n_in, n_out), b.zeros(n_out))]
        weights = Weights(b.array(W), b.array(bias), *states, *[None] * (4 - len(states)))
        delta, below, kept, given = b.zeros(B, n_out), b.zeros(B, n_in), b.zeros(B, n_in), constant(np.linspace(0.5, 1, B))
        squared = b.loss("squared", constant(z), constant(z[::-1].copy()), given, 0.5, delta)
        derivative = b.to_host(delta)
        loss = b.loss("softmax", constant(z), b.array(target), given, 0.5, delta)
        b.mask(constant(x), 0.3, b.array(rows), key, kept)
        deltas = []
        for t in (1, 2, 3):
            hyper = step_hyper(dtype, rule, 0.01, 0.1, t)
            b.backward_and_step(rule, hyper, kept, delta, weights, Below(unit, constant(mean), below, 0.3, b.array(rows), key))
            deltas.append(b.to_host(below))
        b.backward_and_step(rule, step_hyper(dtype, rule, 0.01, 0.1, 4), kept, delta, weights)
        b.limit_columns(weights.W, 2.0, b.zeros(n_out))
        logistic = float(b.loss(unit, constant(z), constant(np.eye(n_out)[target]), given, 0.5, b.zeros(B, n_out)))
        inside = b.array(z)
        b.loss(unit, inside, constant(np.eye(n_out)[target]), given, 0.5, inside)
        return (
            float(squared),
            derivative,
            float(loss),
            logistic,
            b.to_host(inside),
            b.to_host(delta),
            b.to_host(kept),
            *deltas,
            *map(b.to_host, weights[: 2 * len(states)]),
        )

    for a, e in zip(*both(dtype, run), strict=True):
        assert np.allclose(a, e, rtol=20 * TOLERANCE[dtype], atol=20 * TOLERANCE[dtype])


def test_losses_wait(monkeypatch):
    """Losses are added up on the device and read once, and when its room for them is spent."""

    from fastdbn.backends.cuda import losses

    monkeypatch.setattr(losses, "SLOTS", 3)
    gpu, cpu = backends("float32")
    totals = []
    for b in (gpu, cpu):
        total, n = 0.0, 4
        for i in range(8):
            z = b.constant(np.full((n, 2), float(i)))
            total += b.loss("squared", z, b.zeros(n, 2), b.constant(np.ones(n)), 1.0, b.zeros(n, 2))
        totals.append(total / 2)
    assert totals == [sum(i * i for i in range(8)) * 2.0] * 2


def test_threads():
    """Fits in several Python threads give what each gives alone."""
    from concurrent.futures import ThreadPoolExecutor

    from fastdbn import RBM
    from fastdbn.backends.cuda.jit import SIMULATED

    if SIMULATED:
        pytest.skip("the simulator runs one kernel at a time")
    X = np.random.default_rng(0).integers(0, 2, (64, 9)).astype(np.float32)

    def fit(seed):
        return RBM(7, n_iter=3, batch_size=8, device="cuda", random_state=seed).fit(X).components_.tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(fit, range(8))) == [fit(seed) for seed in range(8)]


def test_no_room():
    """An allocation that does not fit names the sizes and the remedy."""
    from fastdbn.backends.cuda.backend import CUDA

    with pytest.raises(MemoryError, match=r"\(16777216, 16777216\) \(1,125,899,906\.8 MB\).*batch_size"):
        CUDA(1).zeros(2**24, 2**24)


def test_no_room_to_begin_with(monkeypatch):
    """Nor for the context: who holds the memory is named, however the driver says it; other errors pass."""
    from fastdbn.backends.cuda import backend, device

    for text, error in (
        ("cuDevicePrimaryCtxRetain results in CUDA_ERROR_OUT_OF_MEMORY", MemoryError),
        ("CUDA_ERROR_UNKNOWN", OSError),
    ):

        def fail(text=text):
            raise OSError(text)

        with monkeypatch.context() as patch:
            patch.setattr(device.cuda, "stream", fail)
            with pytest.raises(error, match="CUDA_VISIBLE_DEVICES" if error is MemoryError else "UNKNOWN"):
                backend.CUDA(1)


def test_layout():
    """What cuBLAS is told of an array: row-major or turned, and its leading dimension."""
    from fastdbn.backends.cuda.blas import layout

    x = np.zeros((6, 4), np.float32)
    assert layout(x, False) == (False, 4)
    assert layout(x[1:3], True) == (True, 4)
    assert layout(x.T, False) == (True, 4)
    assert layout(np.asfortranarray(x), True) == (False, 6)
    assert layout(x[:1], False) == (False, 4)
    assert layout(np.zeros((6, 1), np.float32), False) == (False, 1)
