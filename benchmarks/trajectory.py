"""Trajectory tempering against exact sums: `python -m benchmarks.trajectory [--data F]`.

Small machines learn MNIST's zeros and ones, and a mixture of four modes, by plain persistent chains and by trajectory tempering.
All states are enumerated, so likelihoods, log Z and the shares of the modes are exact. An entry is written after every fit, and a
later run goes on from there. Seconds are of the processor, on one thread, without the enumerations.

Targets: log Z within 0.2 nats at ten checkpoints. At the end the chains have the model's shares within 3 standard errors, where
plain chains have not. On MNIST the best likelihood that plain chains reach is reached in at most 1.5 times their seconds.
"""

import time

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from benchmarks.mnist import images
from fastdbn import RBM, evaluate
from fastdbn.machine.enumeration import Enumeration

KINDS = {"plain": None, "trajectory": 0.25}
SEEDS, CHECKPOINTS, EPOCHS = 3, 10, 30
UNITS, BATCH = 14, 100
NEAR, SHARE, SLOWER = 0.2, 3.0, 1.5
"""The targets: nats, standard errors, and times the seconds on `TIMED`."""
TIMED = "zeros and ones"
MEASURED, DRAWN = 2000, 20000
"""Rows whose likelihood is measured, and draws from the model that give its shares."""
RATES = {"zeros and ones": (0.05, 0.01), "four modes": (0.1,)}
"""First learning rates, which fall linearly to 0."""


def zeros_and_ones(folder):
    """(rows, the means of both digits)."""
    mnist = images.load(folder)
    X, y = images.thresholded(mnist.X), mnist.y
    return X[y < 2].astype(np.float32), np.array([X[y == digit].mean(axis=0) for digit in (0, 1)])


def four_modes(_):
    """(rows near four patterns in unequal shares, the patterns)."""
    draw = np.random.default_rng(0)
    patterns = draw.integers(2, size=(4, 32))
    rows = patterns[draw.choice(4, 4000, p=[0.1, 0.2, 0.3, 0.4])]
    return np.abs(rows - (draw.random(rows.shape) < 0.02)).astype(np.float32), patterns


SETS = {"zeros and ones": zeros_and_ones, "four modes": four_modes}


def shares(V, modes):
    """The share of rows that are nearest to each mode."""
    distance = (modes**2).sum(axis=1) - 2 * V @ modes.T
    return np.bincount(distance.argmin(axis=1), minlength=len(modes)) / len(V)


def measure(X, modes, target, rate, seed):
    """Exact likelihoods and seconds of every epoch, errors of log Z, and how far the chains' shares are from the model's."""
    found = {"likelihood": [], "seconds": [], "log_z_error": []}
    rows = X[np.linspace(0, len(X) - 1, MEASURED).astype(int)]
    spent = time.process_time()

    def note(estimator, epoch, metrics, **_):
        nonlocal spent
        found["seconds"].append(time.process_time() - spent)
        begun, log_z = time.process_time(), evaluate.log_z(estimator)
        found["likelihood"].append(float(evaluate.log_likelihood(estimator, rows, log_z).mean()))
        if epoch % (EPOCHS // CHECKPOINTS) == 0 and target is not None:
            found["log_z_error"].append(metrics["log_z"] - log_z)
        spent += time.process_time() - begun

    rates = [rate * (1 - epoch / EPOCHS) for epoch in range(EPOCHS)]
    options = {"learning_rate": rates, "batch_size": BATCH, "n_iter": EPOCHS, "monitor_interval": EPOCHS // CHECKPOINTS}
    rbm = RBM(UNITS, persistent=True, trajectory=target, random_state=seed, n_jobs=1, callbacks=[note], **options).fit(X)
    exact = shares(Enumeration(rbm.machine_).draw(DRAWN, 0), modes).clip(1 / DRAWN, 1 - 1 / DRAWN)
    chains = shares(rbm.machine_.visible(rbm._chains, draw=True, random_state=0), modes)
    errors = np.abs(chains - exact) / np.sqrt(exact * (1 - exact) / len(rbm._chains))
    return found | {"model_shares": exact.tolist(), "chain_shares": chains.tolist(), "share_error": float(errors.max())}


def seconds_to(run, likelihood):
    """Seconds until a likelihood is reached; infinite if it never is."""
    reached = np.asarray(run["likelihood"]) >= likelihood
    return run["seconds"][int(reached.argmax())] if reached.any() else np.inf


def print_rows(name, rate, runs):
    """A line for each seed: error of log Z, those of shares, likelihoods, seconds. What misses a target has a cross."""
    for seed in range(SEEDS):
        plain, tempered = (runs[f"{name}, rate {rate:g}, {kind}, seed {seed}"] for kind in KINDS)
        best, error = max(plain["likelihood"]), np.abs(tempered["log_z_error"]).max()
        ratio = seconds_to(tempered, best) / seconds_to(plain, best)
        missed = error > NEAR or not tempered["share_error"] < SHARE < plain["share_error"] or (ratio > SLOWER and name == TIMED)
        numbers = tempered["share_error"], plain["share_error"], best, plain["likelihood"][-1], tempered["likelihood"][-1]
        numbers = error, *numbers, seconds_to(tempered, best), seconds_to(plain, best), ratio
        cells = "".join(f"{number:>10.2f}" for number in numbers)
        print(f"{name:<16}{rate:>10g}{seed:>10}{cells}{' ✗' if missed else ''}", flush=True)


def main():
    """Run, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--sets", default=",".join(SETS), help="names between commas")
    parser.add_argument("--out", default=store.FOLDER / "trajectory.json")
    args = parser.parse_args()
    machine = describe(1)
    names = "rate", "seed", "log Z", "shares", "plain's", "best", "at end", "tempered", "s to best", "plain's", "ratio"
    print(" " * 16 + "".join(f"{name:>10}" for name in names))
    for name in args.sets.split(","):
        X, modes = SETS[name](args.data)
        for rate in RATES[name]:
            for seed in range(SEEDS):
                for kind, target in KINDS.items():
                    key = f"{name}, rate {rate:g}, {kind}, seed {seed}"
                    if key not in store.kept(args.out, machine, "results"):
                        store.add(args.out, machine, "results", key, measure(X, modes, target, rate, seed))
            print_rows(name, rate, store.kept(args.out, machine, "results"))


if __name__ == "__main__":
    main()
