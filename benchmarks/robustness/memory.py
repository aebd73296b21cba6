"""Resident memory stays flat over thousands of predictions and fits."""

import gc
import warnings

from sklearn.base import clone

from benchmarks.memory import sizes
from benchmarks.robustness import threads

COUNT, OF, FITS, SPARE = 11_000, "predictions and fits, one fit in eleven", 11, 4.0
"""SPARE are the megabytes by which memory may grow from the first tenth on: what the allocator does with its free lists."""


def run(first, count):
    """It begins anew wherever it stopped, because memory is that of one process."""
    warnings.simplefilter("ignore")
    total = first + count
    before = highest = 0.0
    for i in range(total):
        model = i % len(threads.MODELS)
        if i % FITS == 0:
            clone(threads.MODELS[model]).fit(threads.X, threads.Y)
        else:
            rows = threads.X[: 1 + i % len(threads.X)]
            threads.FITTED[model].transform(rows)
        if i % max(1, total // 100) == 0:
            gc.collect()
            now = sizes()["VmRSS"]
            before = now if i <= total // 10 else before
            highest = max(highest, now)
    grown = highest - before
    failures = [f"memory grew by {grown:.1f} MB"] * (grown > SPARE)
    yield count, {"MB at first": round(before, 1), "MB more at most": round(grown, 1)}, failures
