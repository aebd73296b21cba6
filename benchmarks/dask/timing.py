"""The time of rounds: of layers, and of rounds that compute nothing, from which the costs of the model come.

Workers are processes of this machine, with a thread each. Computing is what Dask's task stream says of the busiest worker, sums
included. All else is communication: what is sent, what the scheduler does, and waiting for the other worker.
"""

import collections
import os
import statistics
import time

import dask.array as da
import numpy as np
from distributed import get_task_stream

from benchmarks.dask import model
from benchmarks.dask.local import cluster
from fastdbn.dask import DaskRBM
from fastdbn.dask.rounds import Part, Work, carried_out
from fastdbn.dask.shards import Shards, Sync

LAYERS = {"784-500": (784, 500), "4096-4096": (4096, 4096)}
WORKERS = 2
ROUNDS = 6


def _echo(shard, state, job, does):
    return Part([state], {}, 1)


def _sum(state, job, round_, part):
    return part.arrays[0]


def empty_rounds(client, n_shards, numbers, n_rounds):
    """Seconds of a round of so many shards that compute nothing and send so many float32 numbers."""
    shards = Shards.of(da.zeros((64, 2), chunks=8), client, Sync("average", 1), n_shards, False)
    state, rounds = np.zeros(numbers, np.float32), [(None, dict.fromkeys(range(n_shards)))]
    work = Work(_echo, _sum)
    carried_out(shards, shards, work, state, None, rounds)
    started = time.perf_counter()
    carried_out(shards, shards, work, state, None, rounds)
    one = time.perf_counter() - started
    started = time.perf_counter()
    carried_out(shards, shards, work, state, None, rounds * n_rounds)
    return (time.perf_counter() - started - one) / (n_rounds - 1)


def costs(client):
    """(latency, overhead, bandwidth) of a cluster of `WORKERS`, from rounds of 1 and 8 shards, and of large states."""
    few, many = (statistics.median(empty_rounds(client, n, 1, 20) for _ in range(3)) for n in (1, 8))
    overhead = (many - few) / 7
    latency = max((few - 3 * overhead) / 3, 0.0)
    size = 1 << 24
    large = statistics.median(empty_rounds(client, WORKERS, size, ROUNDS) for _ in range(3))
    small = statistics.median(empty_rounds(client, WORKERS, 1, 20) for _ in range(3))
    sent = (1 - 1 / WORKERS) * 2 * WORKERS * 4 * size
    return latency, overhead, sent / (large - small)


def fit_seconds(client, sizes, kind, every, n_shards, rounds):
    """(seconds, those of computing) of a round of a layer: two fits of an epoch, one of which has so many rounds more."""
    nv, nh = sizes
    batch = 32 if kind == "average" else 32 * every * n_shards
    model_ = DaskRBM(
        nh, visible="bernoulli", sync=kind, sync_every=every, n_shards=n_shards, batch_size=batch, random_state=0, n_iter=1
    )
    times, busy = [], []
    for n in (1, 1 + rounds):
        X = da.random.default_rng(0).integers(0, 2, (32 * every * n_shards * n, nv), dtype=np.uint8, chunks=(32 * every, nv))
        found = []
        model_.set_params(callbacks=[lambda metrics, found=found, **_: found.append(metrics["seconds"])])
        with get_task_stream(client) as stream:
            model_.fit(X.persist())
        times.append(found[0])
        busy.append(computing(stream.data))
    return (times[1] - times[0]) / rounds, (busy[1] - busy[0]) / rounds


def computing(tasks):
    """Seconds that the busiest worker computed in rounds."""
    of = collections.Counter()
    for task in tasks:
        if str(task["key"]).partition("-")[0] in ("trained", "gradient", "added", "merged", "seen"):
            spans = (span for span in task["startstops"] if span["action"] == "compute")
            of[task["worker"]] += sum(span["stop"] - span["start"] for span in spans)
    return max(of.values())


CASES = [
    ("784-500", "average", 10, 24),
    ("784-500", "average", 100, 8),
    ("784-500", "gradient", 64, 8),
    ("4096-4096", "average", 10, 2),
    ("4096-4096", "gradient", 32, 2),
]
"""(layer, sync, minibatches of 32 rows of each shard in a round, rounds that are timed)."""


def run(args, known):
    """(name, figures) of the costs, and of each case."""
    if "costs" not in known:
        with cluster(WORKERS) as (_, client):
            known["costs"] = dict(zip(("latency", "overhead", "bandwidth"), costs(client), strict=True))
        yield "costs", known["costs"]
    for layer, kind, every, rounds in CASES:
        name = f"{layer}, {kind}, {every} minibatches"
        if name in known:
            continue
        with cluster(WORKERS) as (_, client):
            fit_seconds(client, LAYERS[layer], kind, every, WORKERS, 1)  # loads what there is to load
            measured, busy = fit_seconds(client, LAYERS[layer], kind, every, WORKERS, rounds)
        what = model.of_layer(*LAYERS[layer], kind, 32 * every, WORKERS, WORKERS)
        cost = model.Costs(**known["costs"], rate=what.work / busy)
        predicted = model.seconds(cost, what)[1]
        yield (
            name,
            {
                "seconds of a round": measured,
                "computing": busy,
                "share of communication": 1 - busy / measured,
                "predicted seconds": predicted,
                "predicted share": 1 - busy / predicted,
                "operations a second": cost.rate,
            },
        )


def scaling(args, known):
    """(number of workers, rows a second) for 784-500, rounds of 100 minibatches of 4 shards."""
    for n in (1, 2, 3, 4):
        if f"{n} workers" in known:
            continue
        with cluster(n) as (_, client):
            fit_seconds(client, LAYERS["784-500"], "average", 100, 4, 1)
            seconds, _ = fit_seconds(client, LAYERS["784-500"], "average", 100, 4, 4)
        yield f"{n} workers", {"rows a second": 4 * 3200 / seconds, "cores": len(os.sched_getaffinity(0))}
