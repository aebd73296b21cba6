"""Throughput beside peers and the dense limit: `python -m benchmarks.throughput [--works W1,W3] [--threads 2] [--markdown]`.

All contenders run in one process and take turns, an epoch each, for a number of rounds. Each work has a process of its own,
because the speed of fresh memory depends on what a process did before. "of limit" is the dense limit's time over fastdbn's: 1
is the speed of the matrix products alone. On several threads fastdbn on one thread takes turns too.

The JSON file is written after each work. Works that it holds from the same machine, versions and sources stay in it, so a long
run may be made in parts.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders import CONTENDERS, LeftOutError, prepare
from benchmarks.machine import describe, in_words
from benchmarks.tables import ONE, line, notes, row, top
from benchmarks.works import WORKS, data, dense_limit

PAUSE = 0.01
"""Seconds before each timing, in which the last contender's idle threads stop spinning."""
LIMIT_SECONDS = 0.2
"""How long the dense limit is timed in a round."""
AT_HAND = 2**28
"""Bytes that are asked for and freed before each timing. A virtual machine returns free memory to its host after some seconds,
and whoever asks for it next waits for the host: 240 ms for the result of W8."""


def seconds(function):
    """Wall time of one call, after a pause, with free memory at hand."""
    time.sleep(PAUSE)
    np.ones(AT_HAND, np.uint8)
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(work, threads, rounds):
    """Microseconds per sample of the limit and of each contender, a list over rounds; and a word about those left out."""
    with threadpool_limits(threads, user_api="blas"):
        return _measure(work, threads, rounds)


def _measure(work, threads, rounds):
    X, y = data(work)
    products, samples = dense_limit(work)
    repeats = max(1, int(LIMIT_SECONDS / min(seconds(products) for _ in range(3))))
    runs, words = {"limit": (lambda: [products() for _ in range(repeats)], repeats * samples)}, {}
    for name in CONTENDERS:
        try:
            runs[name] = prepare(name, work, X, y, threads)
        except LeftOutError as error:
            words[name] = str(error)
    if threads > 1:
        runs[ONE] = prepare("fastdbn", work, X, y, 1)
    times = {name: [] for name in runs}
    for run, _ in runs.values():  # fastdbn's second fit goes on from the first, and loads what kernels that takes
        run()
    for _ in range(rounds):
        for name, (run, rows) in runs.items():
            times[name].append(seconds(run) / rows * 1e6)
    return times, words


def main():
    """Run, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--works", default=",".join(WORKS), help="some of " + ", ".join(WORKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=float, default=1.0, help="share of each work's rows, for a quick look")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, to be pasted")
    parser.add_argument("--out", help="JSON file; benchmarks/results/throughput[-N-threads][-no-extension]-CORE.json by default")
    args = parser.parse_args()
    unknown = [name for name in args.works.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"no work {', '.join(unknown)}: give some of {', '.join(WORKS)}")
    machine, works = describe(args.threads), {}
    threads, extension = "" if args.threads == 1 else f"-{args.threads}-threads", "" if machine["extension"] else "-no-extension"
    out = args.out or store.of_core(f"throughput{threads}{extension}", machine)
    print(in_words(machine) + f"\nmicroseconds per sample, medians of {args.rounds} rounds\n")
    print(top(args.threads, args.markdown))
    for name in args.works.split(","):
        work = WORKS[name]
        work = work._replace(rows=max(int(work.rows * args.rows), min(work.rows, 2 * work.batch)))
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            us, words = alone.submit(measure, work, args.threads, args.rounds).result()
        works[name] = {"description": work.describe(), "work": work._asdict(), "us": us, "left_out": words}
        print(line(row(name, works[name], machine), args.threads, args.markdown), flush=True)
        store.add(out, machine, "works", name, works[name])
    print("\n" + "\n".join(("- " if args.markdown else "") + note for note in notes(works)))


if __name__ == "__main__":
    main()
