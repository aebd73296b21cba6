"""Fits whose workers are killed by SIGKILL at random moments: the same bits, and no long wait."""

import os
import random
import signal
import threading
import time

import dask.array as da
import numpy as np

from benchmarks.dask.local import cluster
from fastdbn import RBM
from fastdbn.dask import DaskDBNClassifier, DaskRBM


def models():
    """The fits that take turns: every kind of round."""
    layer = {"n_components": 16, "random_state": 0, "n_iter": 6, "batch_size": 50, "n_shards": 6}
    network = {
        "hidden_layer_sizes": (16, 8),
        "rbm": RBM(n_iter=2, batch_size=50),
        "random_state": 0,
        "n_shards": 6,
        "max_iter": 4,
    }
    return (
        DaskRBM(sync_every=2, **layer),
        DaskRBM(sync="gradient", persistent=True, **layer | {"batch_size": 1000}),
        DaskDBNClassifier(sync_every=2, **network),
        DaskDBNClassifier(sync="gradient", batch_size=1000, **network | {"rbm": RBM(n_iter=2, batch_size=1000)}),
    )


def weights(model):
    """All weights as bytes."""
    layers = model.coefs_ if hasattr(model, "coefs_") else [model.components_]
    return b"".join(np.ascontiguousarray(x).tobytes() for x in layers)


class Killer(threading.Thread):
    """Kills one of the workers now and then, if another is left, until it has killed `count` or is told to stop."""

    def __init__(self, workers, count, pause, seed):
        super().__init__(daemon=True)
        self.workers, self.count, self.pause, self.random = workers, count, pause, random.Random(seed)
        self.killed, self.stop = 0, threading.Event()

    def run(self):
        while self.killed < self.count and not self.stop.wait(self.random.uniform(0, 2 * self.pause)):
            there = self.workers.scheduler.workers
            nannies = [nanny for nanny in self.workers.workers.values() if nanny.process and nanny.worker_address in there]
            if len(nannies) > 1:
                os.kill(self.random.choice(nannies).process.pid, signal.SIGKILL)
                self.killed += 1


def run(args, known):
    """("figures", figures so far) after each fit."""
    found = known.get("figures", {"kills": 0, "fits": 0, "other bits": 0, "longest wait, s": 0.0})
    draw = np.random.default_rng(0)
    X = (draw.random((4000, 32)) < np.linspace(0.1, 0.6, 32)).astype(np.float32)
    y = (X[:, 16:].sum(axis=1) > 7).astype(int)
    rows = da.from_array(X, chunks=500)
    with cluster(1, processes=False):
        whole = [weights(model.fit(rows, y)) for model in models()]
    last = 0.0

    def beat(**_):
        nonlocal last
        found["longest wait, s"] = max(found["longest wait, s"], time.perf_counter() - last)
        last = time.perf_counter()

    with cluster(args.workers) as (workers, _):
        killer = Killer(workers, args.count - found["kills"], args.pause, found["fits"])
        before, number = found["kills"], found["fits"]
        killer.start()
        while killer.is_alive():
            model, last = models()[number % len(whole)], time.perf_counter()
            same = weights(model.set_params(callbacks=[beat]).fit(rows, y)) == whole[number % len(whole)]
            beat()
            number += 1
            found |= {"kills": before + killer.killed, "fits": number, "other bits": found["other bits"] + (not same)}
            yield "figures", dict(found)
        killer.stop.set()
