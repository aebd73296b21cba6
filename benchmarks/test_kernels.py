"""Each operation of the backend protocol on one thread, by pytest-benchmark: `pytest benchmarks -n 0`.

`extra_info` holds samples per second. For operations that consist mostly of matrix products it also holds the share of the
time of those products alone, through NumPy. Timing never fails. Everything goes through the protocol
(fastdbn/backends/protocol.py), so the kernels behind it may change.
"""

import statistics
import timeit
from typing import Any, NamedTuple

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.works import DECAY, MOMENTUM, WORKS, data
from fastdbn import RBM, evaluate
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Below, Hyper, Params, Phase, Source, Weights
from fastdbn.maths import rng
from fastdbn.maths.optim import RULES, STATES, step_hyper
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.layer import Layer, Settings, State
from fastdbn.units import UNITS, get_unit

B, NV, NH, CLASSES, ROWS = 100, 784, 500, 10, 2000
BERNOULLI, GAUSSIAN = get_unit("bernoulli"), get_unit("gaussian")
KINDS = {"density 0.14": "W1", "density 0.5": "W1d", "real": "W8r", "csr": "text"}
HYPER = Hyper(1e-6, MOMENTUM, DECAY)
pytestmark = pytest.mark.benchmark(max_time=0.3)


class Bench(NamedTuple):
    """A backend on one thread with the buffers of a 784-500 layer, minibatches of 100, and the rows and key of a draw."""

    backend: Any
    draw: Any
    params: Params
    rows: Any
    key: Any

    def zeros(self, *shape):
        return self.backend.zeros(*shape)

    def real(self, *shape):
        return self.backend.array(self.draw.random(shape, dtype=np.float32))

    def visible(self, kind, width=NV):
        """Visible states as training has them: rows of data, taken."""
        source, _ = load(self, kind, width)
        out = self.backend.states(BERNOULLI, B, width)
        self.backend.load_rows(source, self.rows, self.key, out)
        return out

    def hidden(self):
        """Hidden states, as many ones as zeros."""
        values = (self.draw.random((B, NH)) < 0.5).astype(np.float32)
        return self.backend.states(BERNOULLI, B, NH, values)


@pytest.fixture
def bench():
    with threadpool_limits(1, user_api="blas"):
        backend, draw = get_backend(1), np.random.default_rng(0)
        W = backend.array(draw.normal(0, 0.01, (NV, NH)).astype(np.float32))
        params = Params(W, backend.zeros(NV), backend.zeros(NH))
        rows = backend.array(draw.permutation(ROWS)[:B].astype(np.uint32))
        yield Bench(backend, draw, params, rows, rng.key(1, 2, rng.stream(rng.HIDDEN)))


def load(bench, kind, width=NV):
    """Data of a kind, loaded; and the host's."""
    work = WORKS[KINDS[kind]]
    X, _ = data(work._replace(rows=ROWS, sizes=(width, NH)))
    return bench.backend.load(Source(X, threshold=None if kind == "real" else 0.5)), X


def products(*shapes):
    """Median seconds of matrix products (rows, inner, columns), one after another, with their outputs given."""
    draw = np.random.default_rng(0)
    each = [
        (draw.random((m, k), np.float32), draw.random((k, n), np.float32), np.empty((m, n), np.float32)) for m, k, n in shapes
    ]
    return statistics.median(timeit.repeat(lambda: [np.matmul(a, b, out=out) for a, b, out in each], number=5, repeat=10)) / 5


def timed(benchmark, function, *arguments, **more):
    """Time a function that has run once, so that compiling is left out."""
    function(*arguments, **more)
    benchmark(function, *arguments, **more)


def report(benchmark, *shapes, samples=B):
    """Samples per second, and the share of the products of these shapes."""
    median = benchmark.stats.stats.median
    benchmark.extra_info["samples/s"] = samples / median
    if shapes:
        benchmark.extra_info["of limit"] = products(*shapes) / median


@pytest.mark.parametrize("kind", KINDS)
def test_load(benchmark, bench, kind):
    _, X = load(bench, kind)
    timed(benchmark, bench.backend.load, Source(X, threshold=None if kind == "real" else 0.5))
    report(benchmark, samples=ROWS)


@pytest.mark.parametrize("threshold", [None, 0.5, "sample"])
@pytest.mark.parametrize("kind", KINDS)
def test_take(benchmark, bench, kind, threshold):
    _, X = load(bench, kind)
    source, out = bench.backend.load(Source(X, threshold=threshold)), bench.backend.states(BERNOULLI, B, NV)
    timed(benchmark, bench.backend.load_rows, source, bench.rows, bench.key, out)
    report(benchmark)


@pytest.mark.parametrize("drawn", [False, True], ids=["means", "drawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_conditional_up(benchmark, bench, kind, drawn):
    b, p = bench.backend, bench.params
    noise = (b.states(BERNOULLI, B, NH), bench.rows, bench.key) if drawn else ()
    timed(benchmark, b.conditional, BERNOULLI, bench.visible(kind), p.W, p.c, bench.zeros(B, NH), *noise)
    report(benchmark, (B, NV, NH))


@pytest.mark.parametrize("unit", [BERNOULLI, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_conditional_down(benchmark, bench, unit):
    b, p = bench.backend, bench.params
    states, mean = b.states(unit, B, NV), bench.zeros(B, NV)
    timed(benchmark, b.conditional, unit, bench.hidden(), p.W, p.b, mean, states, bench.rows, bench.key, transpose=True)
    report(benchmark, (B, NH, NV))


@pytest.mark.parametrize("transpose", [False, True], ids=["up", "down"])
def test_field(benchmark, bench, transpose):
    x, out = bench.real(B, NH if transpose else NV), bench.zeros(B, NV if transpose else NH)
    timed(benchmark, bench.backend.field, x, bench.params.W, out, transpose)
    report(benchmark, (B, NH, NV) if transpose else (B, NV, NH))


@pytest.mark.parametrize("name", [*UNITS, "softmax:10", "binomial:16"])
def test_activate(benchmark, bench, name):
    """Means and draws; of counts, for rows of 100 words."""
    b, unit, values = bench.backend, get_unit(name), np.zeros((B, NH), np.float32)
    values[:, 0] = 100 if unit.keeps_total else 0
    timed(benchmark, b.activate, unit, bench.params.c, bench.zeros(B, NH), b.states(unit, B, NH, values), bench.rows, bench.key)
    report(benchmark)


@pytest.mark.parametrize("kind", KINDS)
def test_update(benchmark, bench, kind):
    velocity = Params(bench.zeros(NV, NH), bench.zeros(NV), bench.zeros(NH))
    positive, negative = (Phase(bench.visible(kind), bench.real(B, NH), None) for _ in range(2))
    timed(benchmark, bench.backend.update, bench.params, velocity, positive, negative, (0.01, 0.01), HYPER)
    report(benchmark, (NV, B, NH), (NV, B, NH))


@pytest.mark.parametrize("kind", KINDS)
def test_statistics(benchmark, bench, kind):
    out = Params(bench.zeros(NV, NH), bench.zeros(NV), bench.zeros(NH))
    positive, negative = (Phase(bench.visible(kind), bench.real(B, NH), None) for _ in range(2))
    timed(benchmark, bench.backend.statistics, positive, negative, (0.01, 0.01), out)
    report(benchmark, (NV, B, NH), (NV, B, NH))


@pytest.mark.parametrize("work", ["W1", "W1d", "W1g", "W1p", "W3", "W5", "W6", "W6b", "text"])
def test_cd_steps(benchmark, bench, work):
    """Whole minibatches as training does them: in one compiled call where the backend has one, else composed."""
    work = WORKS[work]
    n = 10 * work.batch if work.values == "csr" else max(2000, 10 * work.batch)
    X, _ = data(work._replace(rows=n))
    b, visible = bench.backend, GAUSSIAN if work.values == "normal" else BERNOULLI
    source = b.load(Source(X, threshold=None if work.values == "normal" else 0.5))
    zero = Params(np.zeros((work.nv, work.nh), np.float32), np.zeros(work.nv, np.float32), np.zeros(work.nh, np.float32))
    W = bench.draw.normal(0, 0.01, (work.nv, work.nh)).astype(np.float32)
    settings = Settings(work.k, work.persistent, work.batch, 1e-3, MOMENTUM, DECAY, work.batch)
    layer, state = Layer(visible, BERNOULLI, source, n, None, 0, 1), State(zero._replace(W=W), zero, None, 0, 0)
    run, order = ContrastiveDivergence(b, layer, settings, state), bench.draw.permutation(n).astype(np.uint32)
    run.begin_epoch()
    with b.single_threaded():
        timed(benchmark, run.steps, order)
    up, down = (work.batch, work.nv, work.nh), (work.batch, work.nh, work.nv)
    one = products(up, *[down, up] * work.k, *[(work.nv, work.batch, work.nh)] * 2)
    median = benchmark.stats.stats.median
    benchmark.extra_info |= {"samples/s": n / median, "of limit": one * n / work.batch / median}


@pytest.mark.parametrize("run", [evaluate.ais, evaluate.reverse_ais], ids=["forward", "reverse"])
@pytest.mark.parametrize("density", [0.14, 0.5])
def test_ais(benchmark, bench, run, density):
    """100 chains; a step is the products of one Gibbs step. samples/s are chains times inverse temperatures."""
    steps, X = 20, (bench.draw.random((ROWS, NV)) < density).astype(np.float32)
    rbm, options = RBM(NH, n_iter=0, n_jobs=1, random_state=0).fit(X), {"n_steps": steps, "random_state": 0}
    if run is evaluate.reverse_ais:
        options["burn_in"] = 1
    timed(benchmark, run, rbm, B, **options)
    median = benchmark.stats.stats.median
    limit = steps * products((B, NV, NH), (B, NH, NV))
    benchmark.extra_info |= {"samples/s": B * steps / median, "of limit": limit / median}


@pytest.mark.parametrize("unit", [BERNOULLI, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_cgf_shifted(benchmark, bench, unit):
    """Every unit of 100 rows flipped, for the exact pseudo-likelihood."""
    b, p = bench.backend, bench.params
    timed(benchmark, b.cgf_shifted, unit, p.c, bench.zeros(B, NH), p.W, bench.zeros(B, NV), np.empty((B, NV)))
    report(benchmark)


@pytest.mark.parametrize("unit", [BERNOULLI, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_cgf(benchmark, bench, unit):
    timed(benchmark, bench.backend.cgf, unit, bench.params.c, bench.zeros(B, NH), np.empty(B))
    report(benchmark)


@pytest.mark.parametrize("unit", [BERNOULLI, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_base(benchmark, bench, unit):
    b = bench.backend
    states = bench.visible("density 0.14") if unit is BERNOULLI else b.states(unit, B, NV, np.zeros((B, NV), np.float32))
    timed(benchmark, b.base, unit, states, np.empty(B))
    report(benchmark)


def test_dot(benchmark, bench):
    timed(benchmark, bench.backend.dot, bench.visible("density 0.14"), bench.params.b, np.empty(B))
    report(benchmark)


def test_norm(benchmark, bench):
    timed(benchmark, bench.backend.norm, bench.params.W)


def test_scale_rows(benchmark, bench):
    timed(benchmark, bench.backend.scale, bench.real(B, NH), bench.backend.array(np.ones(B, np.float32)))
    report(benchmark)


def test_mask(benchmark, bench):
    timed(benchmark, bench.backend.mask, bench.real(B, NH), 0.2, bench.rows, bench.key, bench.zeros(B, NH))
    report(benchmark)


@pytest.mark.parametrize("kind", ["softmax", "squared"])
def test_loss(benchmark, bench, kind):
    b, numbers = bench.backend, np.arange(B) % CLASSES
    target = b.array(numbers if kind == "softmax" else np.eye(CLASSES, dtype=np.float32)[numbers])
    weight, delta = b.array(np.ones(B, np.float32)), bench.zeros(B, CLASSES)
    timed(benchmark, b.loss, kind, bench.real(B, CLASSES), target, weight, 0.01, delta)
    report(benchmark)


@pytest.mark.parametrize("rate", [0.0, 0.2])
@pytest.mark.parametrize("rule", RULES)
def test_backward_and_step(benchmark, bench, rule, rate):
    zeros, second = bench.zeros, STATES[rule] == 2
    states = zeros(NV, NH), zeros(NH), zeros(NV, NH) if second else None, zeros(NH) if second else None
    weights, hyper = Weights(bench.params.W, zeros(NH), *states), step_hyper("float32", rule, 1e-6, 0.0, 1)
    means, delta = bench.real(B, NV), bench.real(B, NH)
    timed(
        benchmark,
        bench.backend.backward_and_step,
        *(rule, hyper, means, delta, weights, Below(BERNOULLI, means, zeros(B, NV), rate, bench.rows, bench.key)),
    )
    report(benchmark, (B, NH, NV), (NV, B, NH))


@pytest.mark.parametrize("kind", ["real", "density 0.14"])
def test_backward_and_step_to_data(benchmark, bench, kind):
    weights = Weights(bench.params.W, bench.zeros(NH), bench.zeros(NV, NH), bench.zeros(NH), None, None)
    hyper = step_hyper("float32", "sgd", 1e-6, 0.0, 1)
    timed(benchmark, bench.backend.backward_and_step, "sgd", hyper, bench.visible(kind), bench.real(B, NH), weights)
    report(benchmark, (NV, B, NH))


def test_limit_columns(benchmark, bench):
    timed(benchmark, bench.backend.limit_columns, bench.params.W, 0.1, bench.zeros(NH))
