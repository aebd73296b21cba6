"""Subnormal numbers: kernels take them for zeros on every thread, the caller keeps its mode, and bits agree all the same."""

import platform
import threading

import numpy as np
import pytest
from llvmlite import binding, ir
from small import binary, bits, small

from fastdbn import DBN, RBM, DBNClassifier
from fastdbn.backends.cpu import flush, jit
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.cpu.jit import inlinable, kernel
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params
from fastdbn.evaluate.ais import Chains
from fastdbn.evaluate.schedule import inverse_temperatures

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"), reason="the mode is set on x86 and ARM alone"
)
OFF = 3
"""Inputs that are never on: the first so many."""


def tiny(dtype):
    """A subnormal number of a precision, which stays one when it is halved."""
    return np.finfo(dtype).tiny / np.dtype(dtype).type(4)


def caller_keeps_subnormals():
    """Whether arithmetic outside of kernels still has them."""
    return all((np.full(9, tiny(dtype)) * dtype(0.5) != 0).all() for dtype in (np.float32, np.float64))


@inlinable
def _half(x):
    return x * x.dtype.type(0.5)


@kernel
def halves(x, fail):
    """Half of x; fails in a way of its own if `fail` is 1, and in one of NumPy's if it is 2."""
    if fail == 1:
        raise ValueError("as was asked")
    out = _half(x)
    return x[:0].max() if fail == 2 else out.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_flush_and_give_the_mode_back(dtype):
    """Operands and results are flushed; the caller's mode is back after a return and after either failure."""
    x = np.full(9, tiny(dtype))
    for fail in (0, 1, 2):
        if fail:
            with pytest.raises(ValueError, match="as was asked" if fail == 1 else "zero-size"):
                halves(x, fail)
        else:
            assert halves(x, 0) == 0
            assert halves(np.full(9, np.finfo(dtype).tiny), 0) == 0
            assert halves(np.ones(9, dtype), 0) == 4.5
        assert caller_keeps_subnormals()


def test_every_thread_flushes():
    """The mode is a thread's own: a new thread's kernels flush as well, and it keeps its mode too."""
    found = []
    thread = threading.Thread(target=lambda: found.extend([halves(np.full(9, tiny(np.float32)), 0), caller_keeps_subnormals()]))
    thread.start()
    thread.join()
    assert found == [0, True]


def test_the_mode_is_set_once(monkeypatch):
    """Once where a kernel begins, not in the functions that it calls; and the kernel is what it was to its users."""
    monkeypatch.setattr(jit, "cache_folder", lambda: None)  # what comes from the cache has no text to read

    def run(x):
        return _half(x).sum()

    made = kernel(run)
    made.compile("float32(float32[::1])")
    assert made.py_func is run
    assert len(made.signatures) == 1
    if platform.machine() in ("x86_64", "AMD64"):
        calls = [line for line in made.inspect_llvm(made.signatures[0]).splitlines() if "call" in line and "mxcsr" in line]
        assert [("stmxcsr" in line) for line in calls].count(True) == 1


def test_the_code_for_arm():
    """It has not run on ARM, but LLVM's code for it is right: the word is read, set, and put back after the work."""
    triple = "aarch64-unknown-linux-gnu"
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        target = binding.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip("this LLVM knows no ARM")
    module, place = ir.Module(), ir.FloatType().as_pointer()
    module.triple = triple
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [place]), "square")
    builder = ir.IRBuilder(function.append_basic_block())
    restore = flush.BEGIN["aarch64"](builder)
    x = builder.load(function.args[0])
    builder.store(builder.fmul(x, x), function.args[0])
    restore()
    builder.ret_void()
    text = target.create_target_machine().emit_assembly(binding.parse_assembly(str(module)))
    words = [line.split()[0] for line in text.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
    assert words == ["mrs", "orr", "msr", "ldr", "fmul", "str", "msr", "ret"]
    assert "#0x1000000" in text


def never_on():
    """Rows whose first inputs are never on."""
    X = binary(width=20)
    X[:, :OFF] = 0
    return X


def seeded(rbm):
    """A machine whose first inputs hold subnormal weights and velocities, and are so improbable that no chain turns them on."""
    dtype = rbm.components_.dtype
    rbm._velocity = Params(*(x.copy() for x in rbm._velocity))
    rbm.components_, rbm.intercept_visible_ = rbm.components_.copy(), rbm.intercept_visible_.copy()
    rbm.components_[:, :OFF] = rbm._velocity.W[:OFF] = tiny(dtype)
    rbm.intercept_visible_[:OFF], rbm._velocity.b[:OFF] = -80, tiny(dtype)
    return rbm.set_params(n_iter=1, warm_start=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"persistent": True, "n_chains": 13}], ids=["CD", "PCD"])
def test_fused_equals_composed(options, dtype, monkeypatch, split_everything):
    """What begins as a subnormal ends as zero, and all else with the same bits: fused on any number of threads, and composed."""
    found, fused, X = [], CPU.cd_steps, never_on()
    for n_jobs in (0, 1, 3):
        rbm = small(
            dtype=dtype, n_components=70, n_jobs=n_jobs or 1, weight_decay=0.0, visible="bernoulli", centering=None, **options
        )
        rbm = seeded(rbm.set_params(n_iter=1).fit(X))
        monkeypatch.setattr(CPU, "cd_steps", fused if n_jobs else lambda *_: False)
        found.append(bits(rbm.fit(X)) + b"".join(x.tobytes() for x in rbm._velocity))
        assert not rbm.components_[:, :OFF].any()
        assert not rbm._velocity.W[:OFF].any()
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_fine_tuning(solver, split_everything):
    """Subnormal weights become zeros, with the same bits at any number of threads."""
    X, found = never_on(), []
    for n_jobs in (1, 3):
        options = {"solver": solver, "alpha": 0.0, "dropout": 0.0, "pretrain": False, "random_state": 0}
        model = DBNClassifier((70, 67), max_iter=1, n_jobs=n_jobs, **options).fit(X, X[:, 5].astype(int))
        W = model.coefs_[0].copy()
        W[:OFF] = tiny(np.float32)
        model.coefs_ = [W, *model.coefs_[1:]]
        model.set_params(warm_start=True).fit(X, X[:, 5].astype(int))
        assert not model.coefs_[0][:OFF].any()
        found.append(b"".join(x.tobytes() for x in (*model.coefs_, *model.intercepts_)))
    assert found[0] == found[1]


def test_up_down(split_everything):
    """Recognition weights that begin as subnormals end as zeros, all with the same bits at any number of threads."""
    X, found = never_on(), []
    for n_jobs in (1, 3):
        dbn = DBN((66, 5), rbm=RBM(n_iter=1, visible="bernoulli"), n_jobs=n_jobs, random_state=0).fit(X)
        seeded(dbn.layers_[0])
        dbn.up_down(X, 1)
        assert not dbn.layers_[0].components_[:, :OFF].any()
        found.append(b"".join(bits(rbm) for rbm in dbn.layers_) + dbn.layers_[0].generative_components_.tobytes())
    assert found[0] == found[1]


def test_annealing(monkeypatch, split_everything):
    """Log weights of a machine with subnormal parameters: in one call, and composed."""
    found = []
    for fused in (True, False):
        rbm = small(n_components=70, n_iter=1, n_jobs=3, visible="bernoulli").fit(never_on())
        for name in ("components_", "intercept_visible_", "intercept_hidden_"):
            setattr(rbm, name, getattr(rbm, name).copy())
        rbm.components_[:, :OFF] = rbm.intercept_visible_[:OFF] = rbm.intercept_hidden_[:OFF] = tiny(np.float32)
        chains = Chains(rbm, np.linspace(-1, 1, 20), 5, seed=3)
        chains.start_at_base()
        if not fused:
            monkeypatch.setattr(CPU, "anneal", lambda *_: None)
        found.append(chains.anneal(inverse_temperatures("linear", 11), False).tobytes() + chains.v.tobytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_data_of_subnormals(scale):
    """Data that are subnormal in float32 are scaled as the same numbers in float64 are."""
    X = (np.random.default_rng(0).normal(size=(61, 3)) * 1e-40).astype(np.float32)
    found = []
    for given in (X, X.astype(np.float64)):
        visible = "bernoulli" if scale == "minmax" else "gaussian"
        rbm = small(visible=visible, scale=scale, n_iter=0).fit(given)
        found.append(rbm.transform(given))
    assert np.array_equal(*found)
    assert len(np.unique(found[0])) > 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_move(dtype, split_everything):
    """`move` rounds each of its operations, as NumPy does, at any number of threads; subnormal numbers are zeros to it."""
    draw = np.random.default_rng(0)
    shapes, hyper = ((37, 70), (37,), (70,)), (0.3, 0.9, 0.01)
    given = [Params(*(draw.normal(size=s).astype(dtype) for s in shapes)) for _ in range(3)]
    rate, momentum, decay = map(dtype, hyper)
    expected = []
    for name, p, v, g in zip(Params._fields, *given, strict=True):
        v = v * momentum + g * rate
        v = v - p * (rate * decay) if name == "W" else v
        expected += [v, p + v]
    for x in given:
        x.W[OFF], x.b[OFF] = tiny(dtype), tiny(dtype)
    for i, x in enumerate(expected):
        if i < 4:
            x[OFF] = 0
    for n_jobs in (1, 3):
        params, velocity, gradient = (Params(*(y.copy() for y in x)) for x in given)
        get_backend(n_jobs, np.dtype(dtype).name).move(params, velocity, gradient, hyper)
        for e, x in zip(expected, [x for pair in zip(velocity, params, strict=True) for x in pair], strict=True):
            assert np.array_equal(e, x)
