"""Every operation of the CPU backend against the slow versions, at odd and tiny sizes, at any thread count, by both routes."""

import itertools

import naive
import numpy as np
import pytest
from scipy import sparse

from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Below, Hyper, Params, Phase, Source, Weights
from fastdbn.maths import rng
from fastdbn.maths.optim import STATES, step_hyper
from fastdbn.units import get_unit, softmax

SIZES = [(1, 1, 1), (3, 5, 2), (7, 33, 17), (100, 270, 530)]
TOLERANCE = {"float32": 2e-4, "float64": 1e-11}
BERNOULLI = get_unit("bernoulli")
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def arrays(dtype, *shapes, seed=0):
    draw = np.random.default_rng(seed)
    return [np.ascontiguousarray(draw.normal(size=shape), dtype=dtype) for shape in shapes]


def close(a, b, dtype):
    return np.allclose(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@both_types
@sizes
@pytest.mark.parametrize("transpose", [False, True])
def test_field(size, dtype, transpose, product_route):
    """x W and x W', with W in either memory order."""
    B, nv, nh = size
    x, W = arrays(dtype, (B, nh if transpose else nv), (nv, nh))
    expected = x.astype(float) @ (W.T if transpose else W).astype(float)
    backend = get_backend(1, dtype)
    for layout in (W, np.asfortranarray(W)):
        out = backend.zeros(*expected.shape)
        backend.field(x, layout, out, transpose)
        assert close(out, expected, dtype)


@both_types
@sizes
def test_conditional_is_field_and_activate(size, dtype):
    """Means are right, draws compare the keyed uniforms with them, and the fused pass gives the same bits as the two."""
    B, nv, nh = size
    x, W, bias = arrays(dtype, (B, nv), (nv, nh), (nh,))
    W /= np.sqrt(nv)
    backend, rows = get_backend(1, dtype), np.random.default_rng(1).integers(0, 2**32, B, dtype=np.uint32)
    key = rng.key(2**40 + 5, 9, rng.stream(rng.HIDDEN, 1))
    mean, states = backend.zeros(B, nh), backend.states(BERNOULLI, B, nh)
    backend.conditional(BERNOULLI, x, W, bias, mean, states, rows, key)
    assert close(mean, naive.sigmoid(x.astype(float) @ W + bias), dtype)
    few = slice(0, 5)
    u = naive.uniforms((min(B, 5), nh), rows[few], 9, int(rng.stream(rng.HIDDEN, 1)), (5, 2**8))
    clear = np.abs(u - mean[few]) > 1e-6
    assert np.array_equal((u < mean[few])[clear], states[few].astype(bool)[clear])
    again, drawn = backend.zeros(B, nh), backend.states(BERNOULLI, B, nh)
    backend.field(x, W, again)
    backend.activate(BERNOULLI, bias, again, drawn, rows, key)
    assert again.tobytes() == mean.tobytes()
    assert drawn.tobytes() == states.tobytes()
    backend.conditional(BERNOULLI, x, W, bias, again)
    assert again.tobytes() == mean.tobytes()


@both_types
@sizes
@pytest.mark.parametrize("unit", [BERNOULLI, get_unit("gaussian"), softmax()], ids=["bernoulli", "gaussian", "softmax"])
def test_inverse_temperatures(size, dtype, unit):
    """A number for each row multiplies its field + bias; ones change no bit, and log normalisers leave the field as it is."""
    B, nv, nh = size
    x, W, bias = arrays(dtype, (B, nv), (nv, nh), (nh,))
    W /= np.sqrt(nv)
    backend, rows, key = get_backend(1, dtype), np.arange(B, dtype=np.uint32), rng.key(3, 1, 4)
    beta = np.random.default_rng(2).random(B).astype(dtype)
    s = (x.astype(float) @ W + bias) * beta[:, None]
    mean, states, field = backend.zeros(B, nh), backend.states(unit, B, nh), backend.zeros(B, nh)
    backend.conditional(unit, x, W, bias, mean, states, rows, key, beta=backend.constant(beta))
    expected = {"bernoulli": naive.sigmoid, "softmax": naive.softmax, "gaussian": lambda s: s}[unit.name](s)
    assert close(mean, expected, dtype)
    backend.field(x, W, field)
    again, drawn, out, before = field.copy(), backend.states(unit, B, nh), np.empty(B), field.copy()
    backend.activate(unit, bias, again, drawn, rows, key, backend.constant(beta))
    assert close(again, expected, dtype)
    backend.cgf(unit, bias, field, out, backend.constant(beta))
    cgf = {
        "bernoulli": lambda s: np.logaddexp(0, s).sum(axis=1),
        "softmax": lambda s: np.logaddexp.reduce(s, axis=1),
        "gaussian": lambda s: 0.5 * (s * s).sum(axis=1),
    }[unit.name]
    assert close(out, cgf(s), dtype)
    assert field.tobytes() == before.tobytes()
    backend.conditional(unit, x, W, bias, mean, states, rows, key, beta=backend.constant(np.ones(B)))
    backend.conditional(unit, x, W, bias, again, drawn, rows, key)
    assert again.tobytes() + drawn.tobytes() == mean.tobytes() + states.tobytes()


@both_types
@sizes
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_and_update(size, dtype, weighted, product_route):
    """Both phases of the gradient, with differing numbers of rows where unweighted, and the SGD step made of them."""
    B, nv, nh = size
    chains = B if weighted else B + 3
    v0, h0, vk, hk, W, b, c, dW, db, dc = arrays(
        dtype, (B, nv), (B, nh), (chains, nv), (chains, nh), (nv, nh), (nv,), (nh,), (nv, nh), (nv,), (nh,)
    )
    weight = np.abs(arrays(dtype, (B,), seed=3)[0]) if weighted else None
    backend = get_backend(1, dtype)
    positive, negative = Phase(v0, h0, weight), Phase(vk, hk, weight)
    expected = naive.statistics(*(x.astype(float) for x in (v0, h0, vk, hk)), 0.5, 0.25, weight)
    out = Params(backend.zeros(nv, nh), backend.zeros(nv), backend.zeros(nh))
    backend.statistics(positive, negative, (0.5, 0.25), out)
    for a, e in zip(out, expected, strict=True):
        assert close(a, e, dtype)
    params, velocity = Params(W.copy(), b.copy(), c.copy()), Params(dW.copy(), db.copy(), dc.copy())
    backend.update(params, velocity, positive, negative, (0.5, 0.25), Hyper(0.1, 0.9, 0.01))
    for p, d, old, old_d, g, decay in zip(params, velocity, (W, b, c), (dW, db, dc), expected, (0.01, 0, 0), strict=True):
        new, new_d = naive.update(old.astype(float), old_d.astype(float), g, 0.1, 0.9, decay)
        assert close(p, new, dtype)
        assert close(d, new_d, dtype)


@both_types
@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "int64", "bool", "csr", "int16"])
def test_load_rows(kind, dtype):
    """Rows of any kind of data, scaled and clipped, or compared with a threshold as they are; the source is left as it was."""
    for threshold, scaled in itertools.product((None, 0.4, "sample"), (False, True)):
        draw = np.random.default_rng(2)
        dense = draw.integers(0, 2, (40, 7)) if kind != "float64" else draw.random((40, 7))
        X = sparse.csr_matrix(dense.astype(np.float64)) if kind == "csr" else dense.astype(kind)
        before = X.copy()
        shift, scale = (draw.normal(size=7) * 0.1, draw.random(7) * 2) if scaled else (None, None)
        backend, rows = get_backend(1, dtype), draw.integers(0, 40, 11).astype(np.uint32)
        out, key = backend.zeros(11, 7), rng.key(11, 3, rng.stream(rng.DATA))
        backend.load_rows(backend.load(Source(X, shift, scale, scaled, threshold)), rows, key, out)
        expected = np.asarray(dense, float)[rows]
        if scaled and threshold != 0.4:
            expected = np.clip((expected - shift) * scale, 0, 1)
        expected = expected.astype(dtype)
        if threshold == "sample":
            expected = naive.uniforms((11, 7), rows, 3, int(key.stream), (11, 0)) < expected
        elif threshold is not None:
            expected = expected > threshold
        assert np.allclose(out, expected, atol=1e-6), (threshold, scaled)
        assert (X != before).sum() == 0


@both_types
@sizes
def test_losses_and_rows(size, dtype):
    """Losses with their derivatives, row weights, products, norms and log normalisers."""
    B, n, _ = size
    backend = get_backend(1, dtype)
    z, t, w = arrays(dtype, (B, n), (B, n), (B,))
    w = np.abs(w)
    target = np.random.default_rng(0).integers(0, n, B)
    delta = backend.zeros(B, n)
    for kind, answer in (("softmax", target), ("squared", t)):
        loss = backend.loss(kind, z, answer, w, 0.5, delta)
        expected, slope = getattr(naive, f"{kind}_loss")(z.astype(float), answer, w.astype(float))
        assert np.isclose(loss, expected, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-6)
        assert close(delta, 0.5 * slope, dtype)
    out = np.empty(B)
    backend.dot(z, t[0], out)
    assert close(out, z.astype(float) @ t[0], dtype)
    backend.dot(z, t, out)
    assert close(out, (z.astype(float) * t).sum(axis=1), dtype)
    backend.cgf(BERNOULLI, t[0], z, out)
    assert close(out, np.logaddexp(0, z.astype(float) + t[0]).sum(axis=1), dtype)
    shifted, step = np.empty((B, 3)), arrays(dtype, (B, 3), seed=1)[0]
    backend.cgf_shifted(BERNOULLI, t[0], z, t[:1].repeat(3, axis=0), step, shifted)
    assert close(shifted, np.logaddexp(0, z[:, None].astype(float) + t[0] + step[:, :, None] * t[0]).sum(axis=2), dtype)
    kept = backend.zeros(B, 3)
    backend.cgf_shifted(BERNOULLI, t[0], z, t[:1].repeat(3, axis=0), step, kept)
    assert np.array_equal(kept, shifted.astype(dtype))
    backend.cgf_shifted(softmax(), t[0], z, t[:1].repeat(3, axis=0), step, shifted)
    assert close(shifted, np.logaddexp.reduce(z[:, None].astype(float) + t[0] + step[:, :, None] * t[0], axis=2), dtype)
    backend.base(get_unit("gaussian"), z, out)
    assert close(out, (0.5 * z.astype(float) ** 2 + 0.5 * np.log(2 * np.pi)).sum(axis=1), dtype)
    assert np.isclose(backend.norm(z), np.linalg.norm(z.astype(float)))
    scaled = z.copy()
    backend.scale(scaled, w)
    assert close(scaled, z * w[:, None], dtype)


def layer(backend, rule, W, bias):
    """Weights under a rule whose states are zero."""
    states = [zeros for _ in range(STATES[rule]) for zeros in (backend.zeros(*W.shape), backend.zeros(len(bias)))]
    return Weights(W.copy(), bias.copy(), *states, *[None] * (4 - len(states)))


@both_types
@sizes
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("inputs", ["real", "binary"])
def test_backward_and_step(size, dtype, rule, inputs):
    """Deltas of the layer below by the old weights, and three steps of weights and biases by each rule."""
    B, n_in, n_out = size
    backend = get_backend(1, dtype)
    x, delta, W, bias = arrays(dtype, (B, n_in), (B, n_out), (n_in, n_out), (n_out,))
    if inputs == "binary":
        x = (x > 1).astype(dtype)
    mean = naive.sigmoid(arrays(dtype, (B, n_in), seed=1)[0].astype(float)).astype(dtype)
    m, below, weights = mean.astype(float), backend.zeros(B, n_in), layer(backend, rule, W, bias)
    p = [(W.astype(float), 0.0, 0.0), (bias.astype(float), 0.0, 0.0)]
    gradients = x.astype(float).T @ delta, delta.sum(axis=0, dtype=float)
    for t in (1, 2, 3):
        expected = (delta.astype(float) @ p[0][0].T) * m * (1 - m)
        backend.backward_and_step(rule, step_hyper(dtype, rule, 0.01, 0.1, t), x, delta, weights, Below(BERNOULLI, mean, below))
        assert close(below, expected, dtype)
        for i, (g, decay) in enumerate(zip(gradients, (0.1, 0.0), strict=True)):
            if rule == "sgd":
                p[i] = (*naive.sgd(p[i][0], g, p[i][1], 0.01, 0.9, decay), 0.0)
            else:
                p[i] = naive.adam(p[i][0], g, *p[i][1:], t, 0.01, decay)
    assert np.allclose(weights.W, p[0][0], rtol=1e-4, atol=1e-4)
    assert np.allclose(weights.bias, p[1][0], rtol=1e-4, atol=1e-4)
    alone = layer(backend, rule, W, bias)
    for t in (1, 2, 3):
        backend.backward_and_step(rule, step_hyper(dtype, rule, 0.01, 0.1, t), x, delta, alone)
    assert np.allclose(alone.W, p[0][0], rtol=1e-4, atol=1e-4)


@both_types
@sizes
@pytest.mark.parametrize("unit", [get_unit("gaussian"), softmax()], ids=["gaussian", "softmax"])
def test_backward_and_step_through_dropout(size, dtype, unit):
    """What the mask of the way up dropped gets no delta; other units' slopes."""
    B, n_in, n_out = size
    backend, rows, key = get_backend(1, dtype), np.arange(B, dtype=np.uint32), rng.key(4, 2, rng.stream(rng.DROPOUT, 1))
    delta, W, bias = arrays(dtype, (B, n_out), (n_in, n_out), (n_out,))
    mean = naive.softmax(arrays(dtype, (B, n_in), seed=1)[0].astype(float)).astype(dtype)
    below, factor = backend.zeros(B, n_in), backend.zeros(B, n_in)
    backend.mask(np.ones((B, n_in), dtype), 0.3, rows, key, factor)
    hyper = step_hyper(dtype, "sgd", 0.01, 0.1, 1)
    backend.backward_and_step("sgd", hyper, mean, delta, layer(backend, "sgd", W, bias), Below(unit, mean, below, 0.3, rows, key))
    expected = (delta.astype(float) @ W.T.astype(float)) * factor
    if unit.name == "softmax":
        m = mean.astype(float)
        expected = m * (expected - (m * expected).sum(axis=1, keepdims=True))
    assert close(below, expected, dtype)


@both_types
@sizes
def test_mask(size, dtype):
    """Dropout drops where the keyed uniform is under the rate and scales what it keeps."""
    B, n, _ = size
    backend, rows = get_backend(1, dtype), np.arange(B, dtype=np.uint32)
    x, key, out = arrays(dtype, (B, n))[0], rng.key(4, 2, rng.stream(rng.DROPOUT, 1)), backend.zeros(B, n)
    backend.mask(x, 0.3, rows, key, out)
    u = naive.uniforms((min(B, 4), n), rows[:4], 2, int(key.stream), (4, 0))
    assert close(out[:4], np.where(u < np.float32(0.3), 0, x[:4] / 0.7), dtype)


@both_types
def test_max_norm(dtype):
    """Long columns are shortened to the bound, short ones are left."""
    W = arrays(dtype, (9, 5))[0]
    norms = np.linalg.norm(W, axis=0)
    bound = float(np.median(norms))
    expected = W * np.minimum(1, bound / norms)
    get_backend(1, dtype).limit_columns(W, bound, np.empty(5, dtype))
    assert close(W, expected, dtype)


@both_types
@pytest.mark.parametrize("unit", [BERNOULLI, get_unit("gaussian"), softmax(5)], ids=["bernoulli", "gaussian", "softmax"])
def test_same_bits_at_any_thread_count(unit, dtype, split_everything):
    """Operations with many blocks give the same bytes on 1, 2, 3 and 8 threads."""
    B, nv, nh = 1100, 300, 530
    x, W, b, c = arrays(dtype, (B, nv), (nv, nh), (nv,), (nh,))
    results = []
    for threads in (1, 2, 3, 8):
        backend = get_backend(threads, dtype)
        rows, key = np.arange(B, dtype=np.uint32), rng.key(1, 2, 3)
        mean, states = backend.zeros(B, nh), backend.zeros(B, nh)
        backend.conditional(unit, x, W, c, mean, states, rows, key)
        params = Params(W.copy(), b.copy(), c.copy())
        velocity = Params(backend.zeros(nv, nh), backend.zeros(nv), backend.zeros(nh))
        backend.update(params, velocity, Phase(x, mean, None), Phase(x, states, None), (0.1, 0.1), Hyper(0.1, 0.9, 1e-3))
        below = backend.zeros(B, nv)
        weights = layer(backend, "adam", W, c)
        backend.backward_and_step("adam", step_hyper(dtype, "adam", 0.01, 0.1, 1), x, mean, weights, Below(BERNOULLI, x, below))
        backend.mask(mean, 0.4, rows, key, states)
        results.append(b"".join(a.tobytes() for a in (mean, states, *params, *velocity, below, *weights)))
    assert results.count(results[0]) == 4


def test_arguments():
    """Bad n_jobs and dtype are named."""
    for bad, match in (
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"n_jobs": 1.5}, "n_jobs=1.5"),
        ({"n_jobs": 2**31}, "1 to 1024"),
        ({"dtype": "float16"}, "dtype='float16'"),
    ):
        with pytest.raises(ValueError, match=match):
            get_backend(**bad)


@both_types
def test_constants_have_one_type(dtype):
    """Kernels are not compiled again for the read-only arrays of fitted models, and these are not copied."""
    x = np.arange(6, dtype=dtype).reshape(3, 2)
    x.flags.writeable = False
    for frozen in (x, x.T, x[0]):
        constant = get_backend(1, dtype).constant(frozen)
        assert constant.flags.writeable and np.shares_memory(constant, x)
        np.testing.assert_array_equal(constant, frozen)


@both_types
def test_field_of_a_view_of_one_row(dtype):
    """NumPy gives a view of one row a stride of 0 where it likes; the product takes it all the same."""
    x, W = arrays(dtype, (9,), (9, 5))
    out = get_backend(1, dtype).zeros(1, 5)
    get_backend(1, dtype).field(x[None], W, out)
    assert close(out[0], x.astype(float) @ W, dtype)
