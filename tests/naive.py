"""Slow, clear versions of every operation, from the formulas; NumPy in float64, nothing of fastdbn."""

import itertools

import numpy as np

MASK = 0xFFFFFFFF


def philox(counter, key):
    """Philox-4x32-10 on Python integers (Salmon et al. 2011, section 3)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def uniform(unit, row, step, stream, key):
    """The float32 uniform of a unit."""
    return (philox((unit // 4, row, step, stream), key)[unit % 4] >> 8) * 2.0**-24


def uniforms(shape, rows, step, stream, key):
    """Uniforms of a whole matrix."""
    return np.array([[uniform(j, int(r), step, stream, key) for j in range(shape[1])] for r in rows]).reshape(shape)


def sigmoid(s):
    return 1.0 / (1.0 + np.exp(-s))


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def bits(n):
    """All 2^n vectors of zeros and ones."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=n)))


def one_hots(n):
    """All one-of-n vectors."""
    return np.eye(n)


def product(values, n):
    """All vectors of n of the values."""
    return np.array(list(itertools.product(values, repeat=n)), float)


def energy(v, h, W, b, c, base):
    """E(v, h) by loops over units; base is the visible units' base energy."""
    total = sum(base(x) for x in v)
    for i in range(len(v)):
        total -= b[i] * v[i]
        for j in range(len(h)):
            total -= v[i] * W[i, j] * h[j]
    return total - sum(c[j] * h[j] for j in range(len(h)))


def free_energy(v, states, base_h, W, b, c, base):
    """-log of the sum over all hidden states, of base energies base_h, of exp(-E)."""
    terms = [-energy(v, h, W, b, c, base) - own for h, own in zip(states, base_h, strict=True)]
    top = max(terms)
    return -(top + np.log(sum(np.exp(t - top) for t in terms)))


def statistics(v0, h0, vk, hk, positive, negative, weight=None):
    """(W, b, c) gradients of CD, row by row."""
    nv, nh = v0.shape[1], h0.shape[1]
    gW, gb, gc = np.zeros((nv, nh)), np.zeros(nv), np.zeros(nh)
    for v, h, scale in ((v0, h0, positive), (vk, hk, -negative)):
        for r in range(len(v)):
            w = 1.0 if weight is None else weight[r]
            gW += scale * np.outer(v[r], h[r])
            gb += scale * w * v[r]
            gc += scale * h[r]
    return gW, gb, gc


def update(W, velocity, gradient, rate, momentum, decay):
    """One SGD step; decay is inside of the rate."""
    velocity = momentum * velocity + rate * (gradient - decay * W)
    return W + velocity, velocity


def shrink(W, amount):
    """The soft threshold, weight by weight."""
    return np.array([[np.sign(w) * max(abs(w) - amount, 0.0) for w in row] for row in W])


def limit_columns(W, longest):
    """Columns longer than `longest`, cut to it."""
    return W * np.minimum(1.0, longest / np.linalg.norm(W, axis=0))


def centered_update(params, velocity, gradients, offsets, rate, momentum, decay):
    """One SGD step of the machine of -energy (v - mu)' W (h - la) + (v - mu)' b~ + (h - la)' c~, given and returned as plain.

    gradients are those of W, b~ and c~: differences of the means of (v - mu)(h - la)', v - mu and h - la.
    """
    (W, b, c), (mu, la) = params, offsets
    b, c = b + W @ la, c + W.T @ mu
    moved = [update(x, v, g, rate, momentum, d) for x, v, g, d in zip((W, b, c), velocity, gradients, (decay, 0, 0), strict=True)]
    (W, b, c), velocity = zip(*moved, strict=True)
    return (W, b - W @ la, c - W.T @ mu), velocity


def softmax_loss(z, target, weight):
    """(weighted sum of cross-entropies, derivative by z)."""
    p = softmax(z)
    n = np.arange(len(z))
    delta = p.copy()
    delta[n, target] -= 1
    return -(weight * np.log(p[n, target])).sum(), delta * weight[:, None]


def squared_loss(z, target, weight):
    """(weighted sum of half squared errors, derivative by z)."""
    d = z - target
    return 0.5 * (weight[:, None] * d * d).sum(), d * weight[:, None]


def sgd(p, g, velocity, rate, momentum, decay):
    velocity = momentum * velocity - rate * (g + decay * p)
    return p + velocity, velocity


def adam(p, g, m, v, step, rate, decay, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma and Ba 2015, algorithm 1."""
    g = g + decay * p
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g * g
    m_hat, v_hat = m / (1 - beta_1**step), v / (1 - beta_2**step)
    return p - rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def log_bernoulli(x, given, W, bias):
    """The mean over rows of log p(x | given), x Bernoulli given states through weights."""
    p = sigmoid(given @ W + bias)
    return np.mean(np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=1))


def numerical_gradient(function, *arrays, step=1e-6):
    """Central differences of a function of arrays by each of their numbers."""
    gradients = []
    for which, x in enumerate(arrays):
        gradient = np.empty_like(x)
        for i in range(x.size):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[which].ravel()[i] += sign * step
                ends.append(function(*moved))
            gradient.ravel()[i] = (ends[0] - ends[1]) / (2 * step)
        gradients.append(gradient)
    return gradients
