"""Whole epochs beside peers on the same work and threads, by pytest-benchmark: `pytest benchmarks`.

`extra_info` holds samples per second and the share of the dense limit, measured in the same run.
"""

import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.contenders import CONTENDERS
from benchmarks.works import WORKS, data, dense_limit


@pytest.mark.parametrize("contender", ["fastdbn", "NumPy", "scikit-learn"])
@pytest.mark.parametrize("name", ["W1", "W3", "W6"])
def test_epoch(benchmark, name, contender):
    work = WORKS[name]._replace(rows=2000)
    with threadpool_limits(1):
        epoch, products, limits = CONTENDERS[contender](work, data(work), 1), dense_limit(work), []
        benchmark.pedantic(epoch, rounds=5, warmup_rounds=1)
        for _ in range(100):
            start = time.perf_counter()
            products()
            limits.append(time.perf_counter() - start)
    median = benchmark.stats.stats.median
    benchmark.extra_info["samples/s"] = work.rows / median
    benchmark.extra_info["of limit"] = float(np.median(limits)) / work.batch * work.rows / median
