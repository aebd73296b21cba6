"""The CPU kernels of back-propagation: dropout masks, gradients, losses, update rules; blocks as in cpu_kernels.py."""

import functools

import numpy as np

from fastdbn import optim, rng, scalar
from fastdbn.backends.blas import gemm
from fastdbn.backends.cpu_binary import edge
from fastdbn.backends.cpu_kernels import block, prepare_unit
from fastdbn.backends.jit import inlinable, inlined, kernel

ELEMENTS = 65536
"""A block of an elementwise pass."""


@inlinable
def mask_block(x, rate, rows, key, out, r0, r1, j0, j1):
    """Units whose uniform is under the rate become 0, the others grow by 1 / (1 - rate)."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    kept = one / (one - rate)
    for i in range(r0, r1):
        a, o = x[i, j0:j1], out[i, j0:j1]
        whole = len(o) // 4
        for c in range(whole):
            words = rng.philox(np.uint32(j0 // 4 + c), rows[i], key.step, key.stream, key.k0, key.k1)
            o[4 * c] = zero if rng.uniform_32(words[0]) < rate else a[4 * c] * kept
            o[4 * c + 1] = zero if rng.uniform_32(words[1]) < rate else a[4 * c + 1] * kept
            o[4 * c + 2] = zero if rng.uniform_32(words[2]) < rate else a[4 * c + 2] * kept
            o[4 * c + 3] = zero if rng.uniform_32(words[3]) < rate else a[4 * c + 3] * kept
        for j in range(4 * whole, len(o)):
            o[j] = zero if rng.uniform_32(rng.philox_word(j0 + j, rows[i], key)) < rate else a[j] * kept


@kernel
def mask(first, last, x, rate, rows, key, out):
    for t in range(first, last):
        r0, r1, j0, j1 = block(t, out.shape[0], out.shape[1], False)
        mask_block(x, rate, rows, key, out, r0, r1, j0, j1)


@inlinable
def _delta_block(blas, t, delta, W, out, whole):
    """Block t of out = delta W'; returns its edges."""
    r0, r1, j0, j1 = block(t, out.shape[0], out.shape[1], whole)
    one, zero = out.dtype.type(1), out.dtype.type(0)
    gemm(blas, False, True, one, delta[r0:r1], W[j0:j1], zero, out[r0:r1, j0:j1])
    return r0, r1, j0, j1


@functools.cache
def backward(unit):
    """out = (delta W'), masked where the rate is not 0, times the slope at the means; by blocks of the layer below."""
    prepare_unit(unit)
    slope, whole = unit.slope, unit.group != 1

    def run_units(first, last, blas, group, mean, delta, W, rate, rows, key, out):
        for t in range(first, last):
            r0, r1, j0, j1 = _delta_block(blas, t, delta, W, out, whole)
            if rate > 0:
                mask_block(out, rate, rows, key, out, r0, r1, j0, j1)
            for i in range(r0, r1):
                o, m = out[i, j0:j1], mean[i, j0:j1]
                for j in range(len(o)):
                    o[j] *= slope(m[j])

    def run_groups(first, last, blas, group, mean, delta, W, rate, rows, key, out):
        for t in range(first, last):
            r0, r1, j0, j1 = _delta_block(blas, t, delta, W, out, whole)
            if rate > 0:
                mask_block(out, rate, rows, key, out, r0, r1, j0, j1)
            for i in range(r0, r1):
                for g in range(j0, j1, group):
                    slope(mean[i, g : g + group], out[i, g : g + group], out[i, g : g + group])

    return kernel(run_groups if whole else run_units)


@kernel
def gradient(first, last, blas, x, delta, W, bias):
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for p in range(first, last):
        i0, i1 = edge(p, W.shape[0]), edge(p + 1, W.shape[0])
        gemm(blas, True, False, one, x[:, i0:i1], delta, zero, W[i0:i1])
        if i1 == W.shape[0]:
            for j in range(len(bias)):
                bias[j] = zero
            for r in range(delta.shape[0]):
                for j in range(len(bias)):
                    bias[j] += delta[r, j]


@functools.cache
def step(rule):
    formula = inlined(optim.RULES[rule])

    def run(first, last, p, g, m, v, hyper):
        part = slice(first * ELEMENTS, min(last * ELEMENTS, len(p)))
        p, g, m, v = p[part], g[part], m[part], v[part]
        for i in range(len(p)):
            p[i], m[i], v[i] = formula(p[i], g[i], m[i], v[i], hyper)

    return kernel(run)


@kernel
def softmax_loss(z, target, weight, scale, delta):
    """Sum of weight * -log softmax(z)[target]; delta = scale weight (softmax(z) - one-hot). target (B,) integers."""
    total = 0.0
    for i in range(z.shape[0]):
        scalar.softmax(z[i], delta[i])
        # log of the mean itself would be -inf once it underflows, so: log-sum-exp
        total += np.float64(weight[i]) * np.float64(scalar.logsumexp(z[i]) - z[i, target[i]])
        w = scale * weight[i]
        for j in range(z.shape[1]):
            delta[i, j] *= w
        delta[i, target[i]] -= w
    return total


@kernel
def squared_loss(z, target, weight, scale, delta):
    """Sum of weight * |z - target|^2 / 2; delta = scale weight (z - target)."""
    total = 0.0
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            d = z[i, j] - target[i, j]
            total += 0.5 * np.float64(weight[i]) * np.float64(d) * np.float64(d)
            delta[i, j] = scale * weight[i] * d
    return total


@kernel
def limit_columns(W, longest, squares):
    """Scale down the columns of W whose norm is above longest; squares (n,) is room for the sums."""
    one = W.dtype.type(1)
    for j in range(W.shape[1]):
        squares[j] = 0
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            squares[j] += W[i, j] * W[i, j]
    for j in range(W.shape[1]):
        norm = np.sqrt(squares[j])
        squares[j] = longest / norm if norm > longest else one
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            W[i, j] *= squares[j]
