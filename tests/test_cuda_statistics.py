"""What the same noise leaves to differ between the GPU and the CPU: single draws, and what a hundred minibatches make of them."""

import numpy as np
import pytest
from runs import run_of

from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.protocol import Params
from fastdbn.maths import rng
from fastdbn.units import get_unit

pytestmark = pytest.mark.usefixtures("cuda_device")

DRAWS = {"bernoulli": 60_000, "spin": 4_000, "binomial:3": 4_000, "softmax:4": 4_000, "gaussian": 4_000, "noisy-relu": 4_000}
ON_A_GPU = 2_000_000
"""The same where they take no time."""


def gpu(dtype):
    from fastdbn.backends.cuda.backend import CUDA
    from fastdbn.backends.cuda.jit import SIMULATED

    return CUDA(1, dtype), SIMULATED


@pytest.mark.parametrize("name", DRAWS)
def test_share_of_equal_draws(name):
    """Given equal fields, one step of sampling differs in less than one draw of 10,000; real ones are equal within 1e-5."""
    b, simulated = gpu("float32")
    columns, unit = 8, get_unit(name)
    n = (DRAWS[name] if simulated else ON_A_GPU) // columns
    draw, drawn = np.random.default_rng(7), []
    field, rows = 2 * draw.normal(size=(n, columns)).astype(np.float32), draw.integers(0, 2**32, n, dtype=np.uint32)
    for backend in (b, CPU(1, "float32")):
        mean, states = backend.array(field), backend.states(unit, n, columns)
        key = rng.key(2**45 + 3, 12, rng.stream(rng.HIDDEN))
        backend.activate(unit, backend.zeros(columns), mean, states, backend.array(rows), key)
        drawn.append(backend.to_host(states))
    near = 1e-5 * (1 + np.abs(drawn[1])) if unit.support == "real" or name == "noisy-relu" else 0
    assert len(np.unique(drawn[0])) > 1
    assert np.mean(np.abs(drawn[0] - drawn[1]) <= near) >= 1 - 1e-4


MINIBATCHES, BATCH = 100, 4
ROWS = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]], np.float32)
STATES = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(np.float64)


def trained(backend, seed):
    """Numbers of an RBM of 4 and 3 units after 100 minibatches: log-likelihood of the rows, length of W, visible biases."""
    draw = np.random.default_rng(3)
    start = Params(0.1 * draw.normal(size=(4, 3)), np.zeros(4), np.zeros(3))
    run = run_of(start, ROWS, backend=backend, batch_size=BATCH, seed=seed, learning_rate=0.2, momentum=0.5)
    order = draw.integers(0, 4, MINIBATCHES * BATCH).astype(np.uint32)
    with backend.single_threaded():
        run.begin_epoch()
        run.steps(order)
    W, b, c = (backend.to_host(x).astype(np.float64) for x in run.problem.params)

    def energies(v):
        return -v @ b - np.logaddexp(0, v @ W + c).sum(axis=1)

    likelihood = -energies(ROWS.astype(np.float64)).mean() - np.logaddexp.reduce(-energies(STATES))
    return [likelihood, np.linalg.norm(W), *b]


def test_a_hundred_minibatches():
    """Parameters after 100 minibatches are draws of one distribution on both: the means over runs of other seeds agree within
    4.5 standard errors, computed from the CPU's spread.
    """
    b, simulated = gpu("float32")
    runs = 4 if simulated else 200
    found = np.array([trained(b, seed) for seed in range(runs)])
    expected = np.array([trained(CPU(1, "float32"), 1000 + seed) for seed in range(500)])
    error = expected.std(axis=0, ddof=1) * np.sqrt(1 / len(found) + 1 / len(expected))
    assert expected[:, 0].mean() > -2.3  # it has learnt: knowing nothing is 4 log 2 = 2.77 nats
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) < 4.5 * error).all()
