"""Exact answers for small Bernoulli machines, by enumeration of all states."""

import numpy as np
from naive import bits, sigmoid


class Machine:
    """A Bernoulli-Bernoulli RBM small enough to enumerate."""

    def __init__(self, nv=6, nh=4, seed=0, scale=1.0):
        draw = np.random.default_rng(seed)
        self.W = draw.normal(size=(nv, nh)) * scale
        self.b, self.c = draw.normal(size=nv) * 0.5, draw.normal(size=nh) * 0.5
        self.V, self.H = bits(nv), bits(nh)

    def free_energy(self, v):
        return -v @ self.b - np.log1p(np.exp(v @ self.W + self.c)).sum(axis=1)

    def log_z(self):
        return np.logaddexp.reduce(-self.free_energy(self.V))

    def log_p(self, v):
        return -self.free_energy(v) - self.log_z()

    def p_v(self):
        return np.exp(self.log_p(self.V))

    def hidden_mean(self, v):
        return sigmoid(v @ self.W + self.c)

    def transition(self):
        """T[v, v'] of one Gibbs step over the visible states."""
        up = self._conditional(self.V @ self.W + self.c, self.H)
        down = self._conditional(self.H @ self.W.T + self.b, self.V)
        return up @ down

    @staticmethod
    def _conditional(fields, states):
        p = sigmoid(fields)[:, None, :]
        return np.prod(np.where(states[None] == 1, p, 1 - p), axis=2)

    def moments(self, weights):
        """(W, b, c) expectations under a distribution over visible states, hidden units by their means."""
        h = self.hidden_mean(self.V)
        return (self.V * weights[:, None]).T @ h, weights @ self.V, weights @ h

    def gradient(self, data):
        """The exact gradient of the mean log-likelihood of rows."""
        return self._difference(data, self.p_v())

    def cd_gradient(self, data, k):
        """The exact expectation of the CD-k gradient for rows."""
        return self._difference(data, self.distribution(data) @ np.linalg.matrix_power(self.transition(), k))

    def distribution(self, data):
        """The share of each visible state among rows."""
        place = (data @ (2 ** np.arange(data.shape[1])[::-1])).astype(int)
        return np.bincount(place, minlength=len(self.V)) / len(data)

    def _difference(self, data, chain):
        positive, negative = self.moments(self.distribution(data)), self.moments(chain)
        return [a - b for a, b in zip(positive, negative, strict=True)]

    def draw(self, n, seed):
        """Rows drawn from p(v)."""
        return self.V[np.random.default_rng(seed).choice(len(self.V), size=n, p=self.p_v())]


def as_rbm(W, b, c, visible="bernoulli", hidden="bernoulli", **params):
    """A fitted `fastdbn.RBM` with parameters given."""
    from fastdbn import RBM, Unit
    from fastdbn.units import get_unit

    unit = visible if isinstance(visible, Unit) else get_unit(visible)
    group = unit.group_size(len(b))
    X = np.tile(np.eye(group), len(b) // group)[:2] if unit.support == "one-of" else np.ones((2, len(b)))
    rbm = RBM(len(c), visible=visible, hidden=hidden, scale="none", n_iter=0, random_state=0, **params).fit(X)
    for name, new in (("components_", W.T), ("intercept_visible_", b), ("intercept_hidden_", c)):
        setattr(rbm, name, np.array(new, rbm.dtype, order="C"))
    return rbm


def log_joint(V, H, W, b, c):
    """(len(V), len(H)) minus energies of all pairs of states, for units whose base measure is zero."""
    return (V @ b)[:, None] + H @ c + V @ W @ H.T


def bars_and_stripes(n=3):
    """All n x n pictures of full rows or of full columns, without duplicates, as rows of n^2 pixels."""
    bars = np.repeat(bits(n), n, axis=1)
    stripes = bars.reshape(-1, n, n).transpose(0, 2, 1).reshape(-1, n * n)
    return np.unique(np.r_[bars, stripes], axis=0)


def condition(p, V, row, missing):
    """The distribution over states V of probabilities p, given that they agree with a row where it is not missing."""
    given = p * (V[:, ~missing] == row[~missing]).all(axis=1)
    return given / given.sum()


class LabelledMachine(Machine):
    """A Bernoulli RBM whose last visible units are one group of labels."""

    def __init__(self, below=3, labels=2, nh=2, seed=0, scale=1.0):
        super().__init__(below + labels, nh, seed, scale)
        self.below = below
        self.V = np.array([np.r_[v, y] for v in bits(below) for y in np.eye(labels)])

    def transition(self):
        """T[(v, y), (v', y')] of one Gibbs step: hidden units given both, v' given them, y' given v' alone."""
        v, y = self.V[:, : self.below], self.V[:, self.below :]
        up = self._conditional(self.V @ self.W + self.c, self.H)
        down = self._conditional(self.H @ self.W[: self.below].T + self.b[: self.below], v)
        return up @ (down * (self.posterior(v) * y).sum(axis=1))

    def posterior(self, v):
        """p(y | v) of states v of the units that are no labels, (len(v), labels)."""
        labels = self.V.shape[1] - self.below
        energies = np.array([self.free_energy(np.c_[v, np.tile(y, (len(v), 1))]) for y in np.eye(labels)]).T
        p = np.exp(energies.min(axis=1, keepdims=True) - energies)
        return p / p.sum(axis=1, keepdims=True)
