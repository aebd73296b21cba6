"""The works that are timed: what each does, its data, and the matrix products that it needs.

Data are made here, so they are the same anywhere. They are noise around ten prototypes, so there is something to learn.

The dense limit of a work is the time of its matrix products alone through NumPy's BLAS, `out=` given, and nothing else:
3 + 2k for CD-k and PCD-k (up, k times down and up, two statistics); for back-propagation three a layer, less the first
layer's delta; one for a transform. Text is trained in proportion to its non-zeros; its dense limit is for information.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

VALUES = {
    "binary": "binary, density {}",
    "unit": "real in [0, 1]",
    "normal": "Gaussian visible units",
    "csr": "CSR, density {}",
}


MOMENTUM, DECAY = 0.5, 2e-4


class Work(NamedTuple):
    """A task on a network of given sizes, from below.

    task: "cd" (an epoch of RBM training), "fine-tune" (an epoch of back-propagation), "transform" (hidden means of all rows),
    "predict" (classes of one row, `rows` times).
    values: "binary" (zeros and ones of a density), "unit" (uniform in [0, 1]), "normal" (standardised columns), "csr"
    (binary, sparse).
    """

    name: str
    task: str
    sizes: tuple
    batch: int
    k: int = 1
    values: str = "binary"
    density: float = 0.14
    persistent: bool = False
    rows: int = 10_000
    decay: float = DECAY

    @property
    def nv(self):
        return self.sizes[0]

    @property
    def nh(self):
        return self.sizes[1]

    @property
    def learning_rate(self):
        """0.05, and a tenth of it for Gaussian units, whose gradients are larger."""
        return 0.005 if self.values == "normal" else 0.05

    def describe(self):
        """The work in a few words."""
        words = ["-".join(map(str, self.sizes))]
        if self.task == "cd":
            words += [f"batch {self.batch}", f"{'PCD' if self.persistent else 'CD'}-{self.k}"]
        elif self.task == "fine-tune":
            words += [f"batch {self.batch}", "back-propagation"]
        else:
            words.append({"transform": f"transform of {self.rows} rows", "predict": "predict, one row a call"}[self.task])
        return ", ".join([*words, VALUES[self.values].format(self.density)])


NETWORK = (784, 500, 500, 2000, 10)
WORKS = {
    work.name: work
    for work in (
        Work("W1", "cd", (784, 500), 100),
        Work("W2", "cd", (784, 1024), 128, rows=6400),
        Work("W3", "cd", (784, 500), 10, rows=4000),
        Work("W4", "cd", (2000, 2000), 256, rows=3072),
        Work("W5", "cd", (784, 500), 100, k=10, rows=3000),
        Work("W6", "cd", (64, 256), 10),
        Work("W6b", "cd", (64, 256), 32, rows=20_000),
        Work("W7", "fine-tune", NETWORK, 100, rows=6000),
        Work("W8", "transform", (784, 500), 60_000, rows=60_000),
        Work("W8r", "transform", (784, 500), 60_000, values="unit", rows=60_000),
        Work("W1d", "cd", (784, 500), 100, density=0.5),
        Work("W1g", "cd", (784, 500), 100, values="normal"),
        Work("W1p", "cd", (784, 500), 100, persistent=True),
        Work("W1b", "cd", (784, 500), 4096, rows=12_288),
        Work("W1n", "cd", (784, 100), 100),
        Work("text", "cd", (20_000, 256), 100, values="csr", density=0.005, rows=4000),
        Work("one", "predict", NETWORK, 1, rows=300),
        Work("one small", "predict", (30, 64, 2), 1, values="unit", rows=1000),
    )
}


def data(work, seed=0):
    """(rows, nv) float32 array or CSR matrix, and the number of each row's prototype, its label."""
    draw = np.random.default_rng(seed)
    y = draw.integers(0, min(10, work.sizes[-1]), work.rows)
    shape = work.rows, work.nv
    if work.values == "unit":
        return draw.random(shape, dtype=np.float32), y
    if work.values == "normal":
        X = draw.standard_normal((10, work.nv))[y] + draw.standard_normal(shape)
        return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32), y
    if work.values == "csr":
        return _topics(draw, work, y), y
    prototypes = draw.random((10, work.nv)) < work.density
    flip = draw.random(shape, dtype=np.float32) < 0.2
    noise = draw.random(shape, dtype=np.float32) < work.density
    return np.where(flip, noise, prototypes[y]).astype(np.float32), y


def _topics(draw, work, y):
    """CSR rows of ones: half of a row's columns from its topic's tenth of them, half from all; about `density` of them."""
    half = round(work.density * work.nv / 2)
    topics = np.array([draw.choice(work.nv, work.nv // 10, replace=False) for _ in range(10)])
    own = topics[y[:, None], draw.integers(0, topics.shape[1], (work.rows, half))]
    columns = [np.unique(row) for row in np.hstack([own, draw.integers(0, work.nv, (work.rows, half))])]
    starts = np.cumsum([0, *map(len, columns)])
    indices = np.concatenate(columns).astype(np.int32)
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, starts.astype(np.int32)), shape=(work.rows, work.nv))


def dense_limit(work):
    """A function that does the matrix products of one minibatch, or of all rows of a transform, and the number of samples in
    it."""
    draw = np.random.default_rng(1)
    arrays = [draw.random((work.batch, n), dtype=np.float32) for n in work.sizes]
    weights = [draw.random(shape, dtype=np.float32) for shape in pairwise(work.sizes)]
    outs, grads = [np.empty_like(a) for a in arrays], [np.empty_like(W) for W in weights]

    def forward():
        for x, W, out in zip(arrays, weights, outs[1:], strict=False):
            np.matmul(x, W, out=out)

    def fine_tune():
        forward()
        for layer in range(len(weights) - 1, -1, -1):
            np.matmul(arrays[layer].T, arrays[layer + 1], out=grads[layer])
            if layer:
                np.matmul(arrays[layer + 1], weights[layer].T, out=outs[layer])

    def cd():
        forward()
        for _ in range(work.k):
            np.matmul(arrays[1], weights[0].T, out=outs[0])
            forward()
        for _ in range(2):
            np.matmul(arrays[0].T, arrays[1], out=grads[0])

    return {"cd": cd, "fine-tune": fine_tune}.get(work.task, forward), work.batch
