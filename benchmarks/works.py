"""The works that are timed: what a minibatch is, its data, and the matrix products that it cannot do without.

Data are Bernoulli noise around random prototypes, of a given density of ones, float32; made here, so that they are the same
anywhere. The dense limit of a work is the time of its matrix products alone through NumPy's BLAS, `out=` given: five for CD-1
(up, down, up, two statistics), 3 + 2k for CD-k.
"""

from typing import NamedTuple

import numpy as np


class Work(NamedTuple):
    """An RBM of nv x nh units trained by CD-k with a batch size; momentum 0.5, weight decay 2e-4, learning rate 0.05."""

    name: str
    nv: int
    nh: int
    batch: int
    k: int = 1
    density: float = 0.14
    rows: int = 10_000


WORKS = {
    work.name: work
    for work in (
        Work("W1", 784, 500, 100),
        Work("W2", 784, 1024, 128, rows=6400),
        Work("W3", 784, 500, 10, rows=3000),
        Work("W4", 2000, 2000, 256, rows=2560),
        Work("W5", 784, 500, 100, k=10, rows=2000),
        Work("W6", 64, 256, 10),
        Work("W6b", 64, 256, 32, rows=20_000),
        Work("W1d", 784, 500, 100, density=0.5),
    )
}
LEARNING_RATE, MOMENTUM, DECAY = 0.05, 0.5, 2e-4


def data(work, seed=0):
    """(rows, nv) zeros and ones, float32: noise around ten prototypes, so that there is something to learn."""
    draw = np.random.default_rng(seed)
    prototypes = draw.random((10, work.nv)) < work.density
    flip = draw.random((work.rows, work.nv), dtype=np.float32) < 0.2
    noise = draw.random((work.rows, work.nv), dtype=np.float32) < work.density
    return np.where(flip, noise, prototypes[draw.integers(0, 10, work.rows)]).astype(np.float32)


def dense_limit(work):
    """A function that does one minibatch's matrix products and nothing else."""
    draw = np.random.default_rng(1)
    v, h = (draw.random((work.batch, n), dtype=np.float32) for n in (work.nv, work.nh))
    W = draw.random((work.nv, work.nh), dtype=np.float32)
    up, down, statistics = np.empty_like(h), np.empty_like(v), np.empty_like(W)

    def products():
        np.matmul(v, W, out=up)
        for _ in range(work.k):
            np.matmul(h, W.T, out=down)
            np.matmul(v, W, out=up)
        np.matmul(v.T, h, out=statistics)
        np.matmul(v.T, h, out=statistics)

    return products
