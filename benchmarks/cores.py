"""What more cores would give: `python -m benchmarks.cores [--works W1,W7] [--batch 1000]`.

Each work's kernel is divided among so many threads as the library divides it (division.py), and each stage takes as long as its
most loaded thread:

    time of a minibatch = sum over stages of the largest of (scale x sum of amount x cost + moved bytes x transfer) + gates x gate

- **Costs** of the amounts come from shares timed alone, one thread of a team at a time, its gate open: least squares over all
  works and numbers of threads. A work's scale makes its time on one thread the measured one.
- **A gate** is timed for the threads that this machine has. For more it is a guess: each takes ARRIVAL longer, because threads
  count themselves in one after the other, on one line of the cache.
- **Transfer**, of bytes that move from core to core, makes up for what real threads take more than that, by all works; or it is
  given by `--transfer`. It is the same for each of more threads: the model knows no limit of the memory, or of the path between
  cores.

Times of as many threads as there are processors are measured and printed beside the prediction. Writes results/cores.json.
"""

import os
import statistics
import time
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.optimize import nnls

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders.with_fastdbn import TASKS
from benchmarks.division import captured, count_minibatches, divide, shorten
from benchmarks.machine import describe, in_words
from benchmarks.works import WORKS, data
from fastdbn.backends.cpu import backprop_steps, pool, steps
from fastdbn.backends.cpu.gate import wait
from fastdbn.backends.devices import get_backend

SECONDS, ROUNDS, GATES = 0.15, 7, 20_000
"""About how long a kernel is timed on one thread, how often, and gates that are timed at once."""
ARRIVAL = 1e-7
"""Seconds for which a line of the cache is on its way from core to core; half of it is usual between neighbours."""
OPEN = 1 << 40
"""What opens a gate for a thread alone."""
COUNTED = ("multiplications", "bytes", "draws", "moved")
"""Amounts that are reported; all others have a cost."""


@njit(nogil=True)
def pass_gates(thread, size, gate, count):
    """Nothing but gates."""
    turn = 0
    for _ in range(count):
        turn = wait(gate, size, turn)


def pinned(kernel, processors):
    """A kernel whose threads have a processor each: the system may put two that wait for each other on one."""

    def run(thread, size, gate, *arguments):
        os.sched_setaffinity(0, {processors[thread]})
        kernel(thread, size, gate, *arguments)

    return run


def seconds(function):
    """Wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def gate_seconds(threads, processors):
    """The median time of a gate."""
    run = pinned(pass_gates, processors)
    pool.team(threads, run, 1)
    return statistics.median(seconds(lambda: pool.team(threads, run, GATES)) / GATES for _ in range(ROUNDS))


def prepare(work, threads):
    """The `Call` of a work by so many threads; on one thread it takes about SECONDS."""
    rows = 3 * work.batch
    while True:
        some = work._replace(rows=rows)
        call = captured(TASKS[work.task](some, *data(some), threads))
        took = seconds(lambda c=call: c.kernel(0, 1, np.zeros(1, np.int64), *c.arguments)) / count_minibatches(call)
        wanted = min(max(4, int(SECONDS / took)), work.rows // work.batch) * work.batch
        if 2 * rows >= wanted:
            return call
        rows = wanted


def at_rest(call):
    """A call whose rates are 0, so that a share that runs alone changes nothing that others would have changed too."""
    still = []
    for x in call.arguments:
        if isinstance(x, steps.Run):
            still.append(x._replace(numbers=np.zeros_like(x.numbers)))
        elif isinstance(x, backprop_steps.Run):
            still.append(x._replace(hyper=np.where(np.arange(x.hyper.shape[1]) == 0, 0, x.hyper).astype(x.hyper.dtype)))
        else:
            still.append(x)
    return call._replace(arguments=tuple(still))


def minibatch_seconds(call, run):
    """The best time of a minibatch by run(arguments): the time of a call less that of its first minibatch."""
    best = [min(seconds(lambda a=arguments: run(a)) for _ in range(ROUNDS)) for arguments in (shorten(call, 1), call.arguments)]
    return (best[1] - best[0]) / (count_minibatches(call) - 1)


def share_seconds(call, thread, size):
    """The time of one thread's share of a minibatch, which runs alone."""
    return minibatch_seconds(at_rest(call), lambda a: call.kernel(thread, size, np.full(1, OPEN), *a))


def team_seconds(call, threads, processors):
    """The time of a minibatch on real threads."""
    return minibatch_seconds(call, lambda a: pool.team(threads, pinned(call.kernel, processors), *a))


def amounts(tally, thread):
    """A thread's amounts that have a cost, over all stages; "stage" counts these."""
    total = {"stage": float(len(tally.stages[thread]) - 1)}
    for stage in tally.stages[thread]:
        for name, amount in stage.items():
            if name not in COUNTED:
                total[name] = total.get(name, 0.0) + amount
    return total


def fit_costs(shares):
    """Seconds for each amount, from (amounts, seconds) of shares, none negative, by relative errors; and the median error."""
    names = sorted({name for given, _ in shares for name in given})
    matrix = np.array([[given.get(name, 0.0) / took for name in names] for given, took in shares])
    scale = matrix.max(axis=0)
    costs = nnls(matrix / scale, np.ones(len(matrix)))[0] / scale
    return dict(zip(names, costs.tolist(), strict=True)), float(np.median(np.abs(matrix @ costs - 1)))


class Model(NamedTuple):
    """Seconds for each amount, for a moved byte, and for a gate by threads."""

    costs: dict
    transfer: float
    gates: dict


def stage_seconds(stage, model, scale):
    """The time of a thread in a stage."""
    counted = model.costs["stage"] + sum(model.costs.get(name, 0.0) * amount for name, amount in stage.items())
    return scale * counted + model.transfer * stage["moved"]


def predict(tally, model, scale=1.0):
    """Seconds of a minibatch, and for each stage what its most loaded thread does, beside the mean."""
    rows, size = [], len(tally.stages)
    for number in range(len(tally.stages[0]) - 1):
        stages = [thread[number] for thread in tally.stages]
        took = [stage_seconds(stage, model, scale) for stage in stages]
        worst = stages[int(np.argmax(took))]
        row = {"work": "+".join(tally.labels.get(number, ())), "us": max(took) * 1e6, "mean us": sum(took) / size * 1e6}
        for name in COUNTED:
            row[name] = [worst[name], sum(stage[name] for stage in stages) / size]
        rows.append(row)
    return sum(row["us"] for row in rows) / 1e6 + model.gates[size] * len(rows), rows


def scale_of(one, model):
    """Measured over counted time of a work on one thread."""
    return one["real"][1] / predict(one["tallies"][1], model)[0]


def gates_of(sizes, processors):
    """Seconds of a gate by threads, measured where there are so many processors; and which are measured."""
    measured = {n: gate_seconds(n, processors) for n in {1, len(processors), *sizes} if n <= len(processors)}
    most = max(measured)
    return measured | {n: measured[most] + ARRIVAL * (n - most) for n in sizes if n > most}, sorted(measured)


def examine(works, sizes, processors):
    """The tallies and times of the works."""
    found = {}
    for work in works:
        call = prepare(work, max(sizes))
        used = {n: min(n, call.threads) for n in sizes}
        tallies = {n: divide(call, used[n]) for n in sizes}
        shares = []
        for n, tally in tallies.items():
            for thread in {0, used[n] // 2, used[n] - 1}:
                shares.append((amounts(tally, thread), share_seconds(call, thread, used[n])))
        real = {n: team_seconds(call, n, processors) for n in sorted(tallies) if n <= len(processors)}
        found[work] = {"threads": used, "tallies": tallies, "shares": shares, "real": real}
    return found


def transfer_of(found, model):
    """Seconds for a byte that another thread wrote: what teams take more than counted, over all works; none is negative."""
    more = moved = 0.0
    for one in found.values():
        for n, took in one["real"].items():
            if n > 1:
                counted, stages = predict(one["tallies"][n], model, scale_of(one, model))
                more, moved = more + took - counted, moved + sum(stage["moved"][0] for stage in stages)
    return max(0.0, more / moved) if moved else 0.0


def report(work, one, model):
    """Print and return the predictions of a work."""
    predictions, scale = {}, scale_of(one, model)
    print(f"\n{work.name}: {work.describe()}; scale {scale:.2f}\n")
    print(f"{'threads':>8}{'used':>6}{'us':>10}{'speed':>8}{'gates':>7}{'balance':>9}{'measured us':>13}{'speed':>8}")
    for n, tally in one["tallies"].items():
        took, stages = predict(tally, model, scale)
        first = predictions[min(predictions)]["us"] if predictions else took * 1e6
        balance = sum(s["mean us"] for s in stages) / sum(s["us"] for s in stages)
        real = one["real"].get(n)
        predictions[n] = {
            "threads": one["threads"][n],
            "us": took * 1e6,
            "us a sample": took * 1e6 / work.batch,
            "speed": first / took / 1e6,
            "gates": len(stages),
            "balance": balance,
            "stages": stages,
            "measured us": real and real * 1e6,
        }
        beside = f"{real * 1e6:>13.1f}{one['real'][1] / real:>8.2f}" if real else ""
        print(f"{n:>8}{one['threads'][n]:>6}{took * 1e6:>10.1f}{first / took / 1e6:>8.2f}{len(stages):>7}{balance:>9.2f}{beside}")
    return predictions


def main():
    """Count, time, print, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--works", default="W1,W2,W4,W7", help="some of " + ", ".join(WORKS))
    parser.add_argument("--threads", default="1,2,8,16,64", help="numbers of threads, from 1 on")
    parser.add_argument("--batch", type=int, help="rows of a minibatch, in place of those of the works")
    parser.add_argument("--transfer", type=float, help="picoseconds for a moved byte, in place of what two threads show")
    parser.add_argument("--out", help="JSON file; benchmarks/results/cores[-BATCH].json by default")
    args = parser.parse_args()
    works = [WORKS[name] for name in args.works.split(",")]
    if args.batch:
        works = [work._replace(batch=args.batch, rows=max(work.rows, 4 * args.batch)) for work in works]
    sizes, machine, processors = [int(n) for n in args.threads.split(",")], describe(None), sorted(os.sched_getaffinity(0))
    print(in_words(machine))
    with get_backend(1).single_threaded():
        found = examine(works, sizes, processors)
        used = sorted({n for one in found.values() for n in one["threads"].values()})
        gates, measured = gates_of(used, processors)
    costs, error = fit_costs([share for one in found.values() for share in one["shares"]])
    model = Model(costs, 0.0, gates)
    model = model._replace(transfer=transfer_of(found, model) if args.transfer is None else args.transfer / 1e12)
    print(f"\npicoseconds, from shares timed alone (median error {error:.0%})")
    print(", ".join(f"{name} {cost * 1e12:.3g}" for name, cost in costs.items()) + f"; a moved byte {model.transfer * 1e12:.3g}")
    print(f"gate, us (measured for {measured}): " + ", ".join(f"{n}: {gates[n] * 1e6:.2f}" for n in sorted(gates)))
    reports = {work.name: {"work": work._asdict(), "threads": report(work, one, model)} for work, one in found.items()}
    out = args.out or store.FOLDER / f"cores{f'-{args.batch}' if args.batch else ''}.json"
    store.write(out, machine, **model._asdict(), error=error, gates_measured=measured, works=reports)


if __name__ == "__main__":
    main()
