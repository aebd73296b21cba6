"""Whole minibatches and annealing in one kernel of the CUDA backend, against its operations and the CPU's."""

import numpy as np
import pytest
from test_cuda import UNITS, close, normals

from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.protocol import Hyper, Params, Source
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.layer import Layer, Settings, State
from fastdbn.units import softmax

pytestmark = pytest.mark.usefixtures("cuda_device")


def run_on(b, X, hidden, persistent, k=2):
    """A run of 8 visible and 5 hidden units, minibatches of 4 and 3 chains, in its third epoch."""
    W, c, velocity = normals((8, 5), 5, (8, 5), seed=4)
    state = State(Params(0.3 * W, 0.1 * c[:1].repeat(8), c), Params(0.01 * velocity, np.zeros(8), np.zeros(5)), None, 2, 6)
    data = b.load(Source(X, threshold="sample" if X.max() < 1 else None), for_training=True)
    layer = Layer(UNITS["bernoulli"], hidden, data, len(X), None, 1, 2**35 + 7)
    run = ContrastiveDivergence(b, layer, Settings(k, persistent, 3, 0.1, 0.5, 1e-3, 4), state)
    run.begin_epoch()
    return run


@pytest.mark.parametrize(("dtype", "hidden"), [("float32", "bernoulli"), ("float64", "gaussian")])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("data", ["binary", "probabilities"])
def test_many_minibatches_in_one_kernel(dtype, hidden, persistent, data, monkeypatch):
    """The kernel of whole minibatches gives what the operations give, and both what the CPU gives."""
    from fastdbn.backends.cuda.backend import CUDA

    draw = np.random.default_rng(0)
    X = draw.integers(0, 2, (11, 8)).astype(dtype) if data == "binary" else draw.random((11, 8)) * 0.99
    results, hyper, one = [], Hyper(0.1, 0.5, 1e-3), np.arange(4, dtype=np.uint32)
    for b, fused in ((CUDA(1, dtype), True), (CUDA(1, dtype), False), (CPU(1, dtype), True)):
        if b.name == "cuda":
            assert not b.cd_steps(run_on(b, X, softmax(), persistent).problem, b.array(one), 4, 0, 0, hyper)
        if not fused:
            monkeypatch.setattr(b, "cd_steps", lambda *given: False)
        run = run_on(b, X, UNITS[hidden], persistent)
        run.steps(draw_order(11))
        p = run.problem
        chains = (p.states,) if persistent else ()  # other states are scratch: a kernel may keep them as words alone
        results.append([b.to_host(x) for x in (*p.params, *p.velocity, *chains)])
    for a, composed, e in zip(*results, strict=True):
        assert close(a, composed, dtype)
        assert close(a, e, dtype)


def draw_order(n):
    return np.random.default_rng(5).permutation(n).astype(np.uint32)


@pytest.mark.parametrize(("dtype", "visible"), [("float32", "bernoulli"), ("float64", "gaussian")])
@pytest.mark.parametrize("reverse", [False, True])
def test_annealing_in_one_kernel(dtype, visible, reverse, monkeypatch):
    """The kernel of many steps of annealing gives what the operations and the CPU give, over several launches."""
    from fastdbn import RBM
    from fastdbn.backends.cuda import backend
    from fastdbn.evaluate.ais import Chains
    from fastdbn.evaluate.schedule import inverse_temperatures

    X = np.random.default_rng(0).integers(0, 2, (20, 7)).astype(dtype)
    model, results, fused = RBM(5, visible=visible, n_iter=2, dtype=dtype, random_state=0).fit(X), [], []
    anneal = backend.CUDA.anneal
    monkeypatch.setattr(backend.CUDA, "anneal", lambda *given: fused.append(anneal(*given)) or fused[-1])
    monkeypatch.setattr(backend, "ANNEALED", 4)
    for device, bound in (("cuda", backend.PERSISTENT), ("cuda", 0), ("cpu", 0)):
        monkeypatch.setattr(backend, "PERSISTENT", bound)
        chains = Chains(model.to_device(device), np.linspace(-1, 1, 7), 5, seed=3)
        chains.start_at_base()
        results.append(chains.anneal(inverse_temperatures("linear", 6), reverse))
        results.append(chains.backend.to_host(chains.v))
    assert fused[0] is not None
    assert fused[1] is None
    for a, composed, e in zip(results[:2], results[2:4], results[4:], strict=True):
        assert close(a, composed, dtype)
        assert close(a, e, dtype)
