"""Whole epochs beside peers on the same work and threads, by pytest-benchmark: `pytest benchmarks -n 0`.

`extra_info` holds samples per second and the share of the dense limit, measured in the same run.
"""

import statistics
import timeit

import pytest
from threadpoolctl import threadpool_limits

from benchmarks.contenders import LeftOutError, prepare
from benchmarks.works import WORKS, data, dense_limit

ROWS = {"W1": 2000, "W3": 1000, "W6": 2000, "W7": 1000, "W1g": 2000, "text": 500}


@pytest.mark.parametrize("contender", ["fastdbn", "PyTorch", "NumPy", "scikit-learn"])
@pytest.mark.parametrize("name", ROWS)
def test_epoch(benchmark, name, contender):
    work = WORKS[name]._replace(rows=ROWS[name])
    with threadpool_limits(1, user_api="blas"):
        try:
            epoch, rows = prepare(contender, work, *data(work), 1)
        except LeftOutError as error:
            pytest.skip(f"{contender}: {error}")
        products, samples = dense_limit(work)
        benchmark.pedantic(epoch, rounds=5)
        limit = statistics.median(timeit.repeat(products, number=3, repeat=10)) / 3 / samples
    per_sample = benchmark.stats.stats.median / rows
    benchmark.extra_info["samples/s"] = 1 / per_sample
    benchmark.extra_info["of limit"] = limit / per_sample
