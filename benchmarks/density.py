"""Is the default RBM a good model of a density? `python -m benchmarks.density FOLDER [--sets baudio]`.

FOLDER has a file NAME.npz with arrays train, valid and test for each set, or text files NAME.train.data, NAME.valid.data and
NAME.test.data with numbers between commas. All values are zeros and ones. The defaults, `persistent=True` and eight other
settings are trained; the one that validates best is the tuned one. Likelihoods are exact where the smaller side has at most
25 units, otherwise by annealed importance sampling. A line is written after every fit, and a later run goes on from there.
Target: with `persistent=True`, the one setting that is for densities, the test likelihood is at most one nat below the tuned one.
"""

import time
from pathlib import Path

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from fastdbn import RBM, evaluate

GIVEN = {"default": {}, "persistent": {"persistent": True}}
TRIED = {
    "CD, rate 0.01": {"learning_rate": 0.01},
    "CD, 60 epochs": {"n_iter": 60},
    "CD-5": {"k": 5},
    "CD, 100 units": {"n_components": 100},
    "PCD, rate falls from 0.1": {"persistent": True, "learning_rate": 0.1},
    "PCD, 60 epochs": {"persistent": True, "n_iter": 60},
    "PCD-5": {"persistent": True, "k": 5},
    "PCD, 100 units": {"persistent": True, "n_components": 100},
}
"""Settings beside the given ones. A rate falls to 0, as the default one does."""
EPOCHS = 20
"""Of settings with a rate of their own."""
EXACT = 25
"""The most units of the smaller side whose states are enumerated."""
CHAINS, STEPS = 100, 5000
"""Of annealed importance sampling."""
TARGET = 1.0


def sets(folder):
    """The names of the sets in a folder."""
    paths = [*Path(folder).glob("*.npz"), *Path(folder).glob("*.train.data")]
    return sorted({path.name.removesuffix(".npz").removesuffix(".train.data") for path in paths})


def load(folder, name):
    """{"train", "valid", "test"}: uint8 zeros and ones of a set."""
    path, parts = Path(folder) / f"{name}.npz", ("train", "valid", "test")
    if path.exists():
        with np.load(path) as file:
            return {part: file[part].astype(np.uint8) for part in parts}
    return {part: np.loadtxt(Path(folder) / f"{name}.{part}.data", np.uint8, delimiter=",", ndmin=2) for part in parts}


def fitted(options, X, seed, threads):
    """An RBM with these options; a rate is the first one of a line down to 0."""
    rbm = RBM(visible="bernoulli", random_state=seed, n_jobs=threads).set_params(**options)
    if rbm.learning_rate is not None:
        epochs = rbm.n_iter or EPOCHS
        rbm.set_params(n_iter=epochs, learning_rate=[rbm.learning_rate * (1 - epoch / epochs) for epoch in range(epochs)])
    return rbm.fit(X)


def score(options, data, seed, threads):
    """Mean log-likelihoods of the parts of a set in nats, and seconds, of an RBM with some options."""
    start = time.perf_counter()
    rbm = fitted(options, data["train"], seed, threads)
    seconds, few = time.perf_counter() - start, min(rbm.components_.shape)
    estimate = None if few <= EXACT else evaluate.ais(rbm, CHAINS, STEPS, X=data["train"], random_state=seed)
    log_z = evaluate.log_z(rbm) if estimate is None else estimate.log_z
    found = {part: float(evaluate.log_likelihood(rbm, X, log_z).mean()) for part, X in data.items()}
    of_z = {"exact": True} if estimate is None else {"std_error": estimate.std_error, "effective_chains": estimate.ess}
    idle = rbm.history_["dead_units"][-1] + rbm.history_["saturated_units"][-1]
    return found | of_z | {"idle_units": float(idle), "seconds": seconds}


def main():
    """Run, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("folder")
    parser.add_argument("--sets", help="names between commas; all of the folder by default")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--given", action="store_true", help="only the defaults and persistent=True")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", default=store.FOLDER / "density.json")
    args = parser.parse_args()
    machine, settings = describe(args.threads), GIVEN if args.given else GIVEN | TRIED
    print(f"{'':<16}{'default':>9}{'persistent':>12}{'tuned':>9}   {'best setting':<26}seconds   mean test log-likelihood, nats")
    for name in args.sets.split(",") if args.sets else sets(args.folder):
        data, found = load(args.folder, name), {}
        for setting, options in settings.items():
            for seed in range(args.seeds):
                key = f"{name}, {setting}, seed {seed}"
                known = store.kept(args.out, machine, "results")
                if key not in known:
                    store.add(args.out, machine, "results", key, score(options, data, seed, args.threads))
            known = store.kept(args.out, machine, "results")
            runs = [known[f"{name}, {setting}, seed {seed}"] for seed in range(args.seeds)]
            found[setting] = {part: float(np.mean([run[part] for run in runs])) for part in ("valid", "test", "seconds")}
        best = max(found, key=lambda setting: found[setting]["valid"])
        default, persistent, tuned = (found[setting]["test"] for setting in ("default", "persistent", best))
        missed = " ✗" if tuned - persistent > TARGET else ""
        numbers = f"{default:>9.2f}{persistent:>12.2f}{tuned:>9.2f}   {best:<26}{found['persistent']['seconds']:>7.1f}"
        print(f"{name:<16}{numbers}{missed}", flush=True)


if __name__ == "__main__":
    main()
