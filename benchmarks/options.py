"""Time of a fit with each training option over a plain one: `python -m benchmarks.options [--threads 1] [--rounds 7]`.

W1 on 3,000 rows. An epoch is the difference of fits of 1 and 4 epochs, so checks and setting up are left out. The options take
turns in each round. Printed are the medians of an epoch's microseconds per row, and of its ratios to the plain or persistent
epoch of the same round. Gaps are 5 % of the values of real data, against the same data without gaps.
"""

import time
import warnings

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words
from benchmarks.targets import OPTIONS
from benchmarks.works import MOMENTUM, WORKS, data
from fastdbn import RBM

ROWS = 3000
FEW, MANY = 1, 4
"""Epochs of the two fits."""


class Case:
    """A fit: its parameters, whether its rows have weights, and the case that it is compared with."""

    def __init__(self, base="plain", weighted=False, lacking=False, **given):
        self.base, self.weighted, self.lacking, self.given = base, weighted, lacking, given


PERSISTENT = {"persistent": True}
REAL = {"visible": "gaussian", "learning_rate": 0.005}
CASES = {
    "plain": Case(),
    "weights of rows": Case(weighted=True),
    "L1": Case(l1=1e-4),
    "max-norm": Case(max_norm=3.0),
    "sparsity": Case(sparsity_target=0.1, sparsity_cost=0.1),
    "persistent": Case(**PERSISTENT),
    "fast weights": Case("persistent", **PERSISTENT, fast_learning_rate=0.02),
    "five temperatures": Case("persistent", **PERSISTENT, temperatures=5),
    "real": Case("real", **REAL),
    "missing values": Case("real", lacking=True, missing="sample", **REAL),
}


def microseconds(case, X, weights, threads):
    """Microseconds of an epoch for each row."""
    seconds = []
    for epochs in (FEW, MANY):
        given = {"learning_rate": 0.05} | case.given
        model = RBM(
            500,
            **{"visible": "bernoulli", "scale": "none", "centering": None} | given,
            momentum=MOMENTUM,
            weight_decay=WORKS["W1"].decay,
            batch_size=100,
            n_iter=epochs,
            monitor_interval=MANY,
            random_state=0,
            n_jobs=threads,
        )
        start = time.perf_counter()
        model.fit(X, sample_weight=weights if case.weighted else None)
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / (MANY - FEW) / len(X) * 1e6


def measure(threads, rounds, names):
    """{case: the microseconds of each round}."""
    draw = np.random.default_rng(0)
    binary, _ = data(WORKS["W1"]._replace(rows=ROWS))
    real, _ = data(WORKS["W1g"]._replace(rows=ROWS))
    gaps = np.where(draw.random(real.shape) < 0.05, np.float32(np.nan), real)
    weights = draw.random(ROWS) + 0.5
    of = {name: gaps if CASES[name].lacking else real if "visible" in CASES[name].given else binary for name in names}
    for name in names:
        microseconds(CASES[name], of[name], weights, threads)  # kernels are compiled
    found = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(microseconds(CASES[name], of[name], weights, threads))
    return found


def report(found):
    """A line for each case."""
    print("| option | us a row | times that without | target |\n|---|--:|--:|--:|")
    for name, times in found.items():
        base = CASES[name].base if CASES[name].base in found else name
        ratio = float(np.median(np.array(times) / np.array(found[base])))
        most = OPTIONS.get(name)
        target = "" if most is None else f"{most}{'' if ratio <= most else ' ✗'}"
        print(f"| {name} | {np.median(times):.1f} | {'' if name == base else f'{ratio:.2f}'} | {target} |")


def main():
    parser = Parser(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--options", default=",".join(CASES), help="names of cases; what they are compared with is added")
    parser.add_argument("--out", help="JSON file; benchmarks/results/options-CORE.json by default")
    given = parser.parse_args()
    chosen = {*given.options.split(",")}
    if unknown := chosen - {*CASES}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; give some of {', '.join(CASES)}")
    chosen |= {CASES[name].base for name in chosen}
    warnings.simplefilter("ignore")  # short fits learn little, and say so
    machine = describe(given.threads)
    found = measure(given.threads, given.rounds, [name for name in CASES if name in chosen])
    store.add(given.out or store.of_core("options", machine), describe(None), "threads", str(given.threads), found)
    print(in_words(machine), "\n")
    report(found)


if __name__ == "__main__":
    main()
