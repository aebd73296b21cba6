"""What each method of a product is worth: `python -m benchmarks.ablation [--works W1,W3] [--rounds 9] [--markdown]`.

Each work is timed with all methods (backends/cpu/binary.py), and with one of them forced away, so that the next cheapest takes
its place. Each of these has a process of its own, and they take turns, an epoch each, for a number of rounds. A ratio is the
time without the method over the time with all, of the same round: 1.2 means that the method saves a sixth. Printed are the
median and the range of the middle half of the rounds. Threads: one.

Kernels without a method are compiled once, into folders beside the usual cache (about two minutes for each method).
"""

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words
from benchmarks.works import WORKS, data

METHODS = {
    "gather": {"ADD": float("inf")},
    "direct": {"ADD_ROW": float("inf")},
    "tables": {"LOOK_UP": float("inf")},
    "codes": {"FIND": float("inf")},
    "tiles": {"PACK_TILES": float("inf")},
    "BLAS": {"PACK": float("inf"), "SMALL": -1.0},
}
"""Constants of binary.py that make a method too dear; BLAS keeps the products of single rows, which it does not pack for."""
ALL = "all"
CHOSEN = "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "text", "one"

_runs: dict = {}


def without(method):
    """Take a method from this process, before any kernel is compiled."""
    if method == ALL:
        return
    from fastdbn.backends.cpu import cache

    os.environ["FASTDBN_CACHE_DIR"] = os.path.join(cache._base(), f"without-{method}")
    from fastdbn.backends.cpu import backprop, binary, blas
    from fastdbn.backends.cpu.jit import inlinable

    for name, value in METHODS[method].items():
        setattr(binary, name, value)
    if method == "tiles":  # back-propagation names them
        addresses = blas.addresses("float32")

        @inlinable
        def multiply(ta, tb, a, b, add, c):
            one = c.dtype.type(1)
            blas.gemm(addresses, ta, tb, one, a, b, one if add else c.dtype.type(0), c)

        @inlinable
        def multiply_and_fetch(ta, tb, a, b, add, c, x, y):
            multiply(ta, tb, a, b, add, c)

        backprop.multiply, backprop.multiply_and_fetch = multiply, multiply_and_fetch


def prepare(name, share):
    """Compile and warm up a work in this process."""
    from threadpoolctl import threadpool_limits

    from benchmarks.contenders import prepare as prepared

    work = WORKS[name]
    work = work._replace(rows=max(int(work.rows * share), min(work.rows, 2 * work.batch)))
    _runs["limits"] = threadpool_limits(1, user_api="blas")
    _runs[name] = prepared("fastdbn", work, *data(work), 1)
    _runs[name][0]()


def once(name):
    """Microseconds per sample of one run of a work."""
    run, samples = _runs[name]
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / samples * 1e6


def measure(name, processes, rounds, share):
    """{method: microseconds per sample, a list over rounds}."""
    for process in processes.values():
        process.submit(prepare, name, share).result()
    times: dict = {method: [] for method in processes}
    for i in range(rounds):
        for method in list(processes)[:: 1 if i % 2 else -1]:  # nobody is always first
            times[method].append(processes[method].submit(once, name).result())
    return times


def cell(times, method):
    """ "1.21 (1.19 to 1.24)": the median ratio of a method, and the middle half of the rounds."""
    ratios = sorted(a / b for a, b in zip(times[method], times[ALL], strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main():
    """Run and print the table."""
    parser = Parser(__doc__)
    parser.add_argument("--works", default=",".join(CHOSEN), help="some of " + ", ".join(WORKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=float, default=1.0, help="share of each work's rows, for a quick look")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, to be pasted")
    args = parser.parse_args()
    unknown = [name for name in args.works.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"no work {', '.join(unknown)}: give some of {', '.join(WORKS)}")
    print(in_words(describe(1)) + f"\ntime without a method over the time with all, {args.rounds} rounds\n")
    columns = ["work", "us per sample", *METHODS]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns) if args.markdown else "".join(f"{x:<22}" for x in columns))
    context = get_context("spawn")
    processes = {method: ProcessPoolExecutor(1, context, without, (method,)) for method in (ALL, *METHODS)}
    for name in args.works.split(","):
        times = measure(name, processes, args.rounds, args.rows)
        cells = [name, f"{statistics.median(times[ALL]):.1f}", *(cell(times, method) for method in METHODS)]
        print("| " + " | ".join(cells) + " |" if args.markdown else "".join(f"{x:<22}" for x in cells), flush=True)
    for process in processes.values():
        process.shutdown()


if __name__ == "__main__":
    main()
