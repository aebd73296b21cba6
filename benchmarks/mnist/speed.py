"""Speed to quality: seconds of training until the test log-likelihood of a 784-500 RBM reaches -100 and -90 nats.

Both train by PCD on the same thresholded pixels, on the same threads, in the same run, and take turns epoch by epoch. Each has
the settings with which it was soonest on the validation rows (`--validate` tries all of them). After every epoch the same
quick AIS measures the likelihood. Its time does not count, nor does compiling.
"""

import itertools
import time

import numpy as np

from benchmarks.mnist.likelihood import PCD, QUICK, binarised
from fastdbn import RBM, evaluate

GOALS = (-100.0, -90.0)
BATCH = 100
GRID = {"rate": (0.05, 0.1), "epochs": (10, 20)}
"""The rate falls in a line to 0 over the epochs, after which a contender is given up."""
BEST = {"fastdbn": {"rate": 0.1, "epochs": 10}, "PyTorch": {"rate": 0.05, "epochs": 10}}
"""What --validate found soonest to -90 nats."""


def rate_of(settings, epoch):
    """The learning rate of an epoch."""
    return settings["rate"] * (1 - epoch / settings["epochs"])


class Fastdbn:
    """fastdbn through its public estimator, one epoch a call, so the cost of a call is counted."""

    def __init__(self, X, settings, threads, seed):
        self.X, self.epochs = X, settings["epochs"]
        options = PCD | {"batch_size": BATCH, "centering": "data", "n_jobs": threads, "random_state": seed}
        rates = [rate_of(settings, epoch) for epoch in range(self.epochs)]
        RBM(500, **options, learning_rate=0.0, n_iter=1).fit(X[: 2 * BATCH])  # compiles
        self.rbm = RBM(500, **options, learning_rate=rates, n_iter=1, warm_start=True)

    def epoch(self, _):
        self.rbm.fit(self.X)

    def model(self):
        return self.rbm


class PyTorch:
    """The loop of torch_rbm.py."""

    def __init__(self, X, settings, threads, seed):
        from benchmarks.mnist.torch_rbm import TorchRBM

        self.X, self.settings, self.epochs = X, settings, settings["epochs"]
        self.rbm = TorchRBM(X, 500, BATCH, 1, True, threads, seed)

    def epoch(self, epoch):
        self.rbm.epoch(rate_of(self.settings, epoch))

    def model(self):
        model = RBM(500, visible="bernoulli", scale="none", n_iter=0).fit(self.X[:2])
        model.components_ = np.ascontiguousarray(self.rbm.W.numpy().T)
        model.intercept_visible_, model.intercept_hidden_ = self.rbm.b.numpy(), self.rbm.c.numpy()
        return model


CONTENDERS = {"fastdbn": Fastdbn, "PyTorch": PyTorch}


def race(X, held, racers, rows):
    """Curves of (seconds, nats) after every epoch, the racers taking turns, each until it reaches the last goal or its end."""
    curves, seconds = {name: [] for name in racers}, dict.fromkeys(racers, 0.0)
    for epoch in range(max(racer.epochs for racer in racers.values())):
        for name, racer in racers.items():
            if epoch >= racer.epochs or (curves[name] and curves[name][-1][1] >= GOALS[-1]):
                continue
            start = time.perf_counter()
            racer.epoch(epoch)
            seconds[name] += time.perf_counter() - start
            model = racer.model()
            found = evaluate.ais(model, n_steps=QUICK, X=rows, random_state=epoch)
            nats = float(np.mean(-model.free_energy(held)) - found.log_z)
            curves[name].append((seconds[name], nats))
            print(f"{name} epoch {epoch + 1} {seconds[name]:.1f} s {nats:.1f} nats", flush=True)
    return curves


def sooner(curve, goal):
    """Seconds until a curve reaches a goal, or infinity."""
    return next((seconds for seconds, nats in curve if nats >= goal), float("inf"))


def speed(run):
    """Seconds until -100 and -90 nats, fastdbn and PyTorch, and how many times sooner fastdbn is there."""
    X, held = binarised(run, "thresholded")
    rows, threads = X[:10_000], run.threads or 2
    if run.validate:
        found = {}
        for values in itertools.product(*GRID.values()):
            settings = dict(zip(GRID, values, strict=True))
            curves = race(X, held, {name: make(X, settings, threads, 0) for name, make in CONTENDERS.items()}, rows)
            found |= {f"{name} {settings} -90 nats, seconds": sooner(curve, GOALS[-1]) for name, curve in curves.items()}
        return found
    times = {(name, goal): [] for name in CONTENDERS for goal in GOALS}
    for seed in range(run.seeds):
        curves = race(X, held, {name: make(X, BEST[name], threads, seed) for name, make in CONTENDERS.items()}, rows)
        for name, goal in times:
            times[name, goal].append(sooner(curves[name], goal))
    results = {}
    for goal in GOALS:
        for name in CONTENDERS:
            values = times[name, goal]
            results[f"{goal:g} nats, seconds, {name}"] = {"mean": float(np.mean(values)), "seeds": values}
        ratio = np.median(np.divide(times["PyTorch", goal], times["fastdbn", goal]))
        results[f"{goal:g} nats, times sooner than PyTorch"] = float(ratio)
    return results
