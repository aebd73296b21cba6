"""Each operation of the CPU backend on one thread, by pytest-benchmark: `pytest benchmarks`.

`extra_info` holds samples per second and, where the operation is a matrix product with trimmings, the share of that product's
own time through NumPy. Timing never fails.
"""

import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fastdbn import rng
from fastdbn.backends import Hyper, Params, Side, Source, Weights, get_backend
from fastdbn.optim import step_hyper
from fastdbn.units import get_unit

B, NV, NH = 100, 784, 500
BERNOULLI, GAUSSIAN = get_unit("bernoulli"), get_unit("gaussian")


@pytest.fixture(scope="module")
def setup():
    """Backend and buffers of a 784-500 layer with minibatches of 100."""
    with threadpool_limits(1):
        backend, draw = get_backend(1), np.random.default_rng(0)
        yield {
            "backend": backend,
            "v": (draw.random((B, NV)) < 0.14).astype(np.float32),
            "h": draw.random((B, NH), dtype=np.float32),
            "params": Params(backend.array(draw.normal(0, 0.01, (NV, NH))), backend.zeros(NV), backend.zeros(NH)),
            "velocity": Params(backend.zeros(NV, NH), backend.zeros(NV), backend.zeros(NH)),
            "rows": np.arange(B, dtype=np.uint32),
            "key": rng.key(1, 2, rng.stream(rng.HIDDEN)),
        }


def product_seconds(a, b, repeats=50):
    """Median time of one matrix product with its output given."""
    out, times = np.empty((a.shape[0], b.shape[1]), np.float32), []
    for _ in range(repeats):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def report(benchmark, limit=None):
    """Samples per second and the share of the limit."""
    median = benchmark.stats.stats.median
    benchmark.extra_info["samples/s"] = B / median
    if limit is not None:
        benchmark.extra_info["of limit"] = limit / median


def test_conditional_up(benchmark, setup):
    s, p = setup, setup["params"]
    mean, states = s["backend"].zeros(B, NH), s["backend"].zeros(B, NH)
    benchmark(s["backend"].conditional, BERNOULLI, s["v"], p.W, p.c, mean, states, s["rows"], s["key"])
    report(benchmark, product_seconds(s["v"], p.W))


def test_conditional_down(benchmark, setup):
    s, p = setup, setup["params"]
    mean, states = s["backend"].zeros(B, NV), s["backend"].zeros(B, NV)
    benchmark(s["backend"].conditional, BERNOULLI, s["h"], p.W, p.b, mean, states, s["rows"], s["key"], transpose=True)
    report(benchmark, product_seconds(s["h"], p.W.T))


def test_update(benchmark, setup):
    s = setup
    side = Side(s["v"], s["h"], None)
    hyper = Hyper(1e-6, 0.5, 2e-4)
    benchmark(s["backend"].update, s["params"], s["velocity"], side, side, 0.01, 0.01, hyper)
    report(benchmark, 2 * product_seconds(s["v"].T, s["h"]))


@pytest.mark.parametrize("unit", [BERNOULLI, GAUSSIAN], ids=["bernoulli", "gaussian"])
def test_activate(benchmark, setup, unit):
    s = setup
    mean, states = s["backend"].zeros(B, NH), s["backend"].zeros(B, NH)
    benchmark(s["backend"].activate, unit, s["params"].c, mean, states, s["rows"], s["key"])
    report(benchmark)


@pytest.mark.parametrize("threshold", [None, 0.5, "sample"])
def test_take(benchmark, setup, threshold):
    s = setup
    data, out = s["backend"].load(Source(s["v"], threshold=threshold)), s["backend"].zeros(B, NV)
    benchmark(s["backend"].take, data, s["rows"], s["key"], out)
    report(benchmark)


def test_mask(benchmark, setup):
    s = setup
    benchmark(s["backend"].mask, s["h"], 0.2, s["rows"], s["key"], s["backend"].zeros(B, NH))
    report(benchmark)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_descend(benchmark, setup, rule):
    s, p, zeros = setup, setup["params"], setup["backend"].zeros
    weights = Weights(p.W.copy(), zeros(NH), zeros(NV, NH), zeros(NH), zeros(NV, NH), zeros(NH))
    if rule == "sgd":
        weights = weights._replace(second_W=None, second_bias=None)
    x, mean, hyper = np.random.default_rng(1).random((B, NV), np.float32), zeros(B, NV), step_hyper("float32", rule, 0.0, 0.0, 1)
    benchmark(s["backend"].descend, rule, hyper, x, s["h"], weights, BERNOULLI, x, mean)
    report(benchmark, product_seconds(s["h"], p.W.T) + product_seconds(x.T, s["h"]))
