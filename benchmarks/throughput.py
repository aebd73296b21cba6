"""Training throughput beside peers and the dense limit: `python -m benchmarks.throughput [--works W1,W3] [--threads 1]`.

Contenders take turns, an epoch each, for a number of rounds; medians are reported, with the spread, in microseconds per
sample. "of limit" is the dense limit's time over fastdbn's: 1 would be the speed of the matrix products alone.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.contenders import CONTENDERS
from benchmarks.machine import describe
from benchmarks.works import WORKS, data, dense_limit


def seconds(function):
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(work, threads, rounds):
    """Microseconds per sample of each contender and of the limit, a list over rounds."""
    X, limit, epochs, words = data(work), dense_limit(work), {}, {}
    for name, make in CONTENDERS.items():
        try:
            epochs[name] = make(work, X, threads)
        except ImportError as error:
            words[name] = str(error)
    times = {name: [] for name in ("limit", *epochs)}
    repeats = max(1, int(0.3 / max(min(seconds(limit) for _ in range(3)), 1e-6)))
    for _ in range(rounds):
        total = seconds(lambda: [limit() for _ in range(repeats)])
        times["limit"].append(total / repeats / work.batch * 1e6)
        for name, epoch in epochs.items():
            times[name].append(seconds(epoch) / work.rows * 1e6)
    return times, words


def main():
    """Run, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", default=",".join(WORKS), help="which of " + ", ".join(WORKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", help="JSON file, such as benchmarks/results/throughput.json")
    args = parser.parse_args()
    results = {}
    with threadpool_limits(args.threads):
        machine = describe(args.threads)
        print(f"{machine['cpu']}, {args.threads} thread(s), microseconds per sample, medians of {args.rounds} rounds")
        print(f"{'':<5}{'limit':>8}" + "".join(f"{name:>14}" for name in CONTENDERS) + f"{'of limit':>10}{'samples/s':>11}")
        for name in args.works.split(","):
            times, words = measure(WORKS[name], args.threads, args.rounds)
            median = {who: float(np.median(t)) for who, t in times.items()}
            cells = "".join(f"{median[who]:>14.1f}" if who in median else f"{'-':>14}" for who in CONTENDERS)
            ratio = median["limit"] / median["fastdbn"]
            print(f"{name:<5}{median['limit']:>8.1f}{cells}{ratio:>10.2f}{1e6 / median['fastdbn']:>11.0f}", flush=True)
            results[name] = {
                "work": WORKS[name]._asdict(),
                "median_us": median,
                "range_us": {who: [min(t), max(t)] for who, t in times.items()},
                "left_out": words,
                "ratio": {who: median[who] / median["fastdbn"] for who in median if who != "fastdbn"},
            }
    if args.out:
        Path(args.out).write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
