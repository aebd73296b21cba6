"""Are the defaults good enough? `python -m benchmarks.defaults [features|classifier] [--sets digits]`.

features    Dead and saturated units of each layer of a default DBN, and logistic or ridge regression on its features beside the
            same on X itself; both standardised. Targets: at most 5 % of the units; on tables at most 1 point below X (0.02 of
            R2), elsewhere above X.
classifier  The default DBNClassifier beside the best of some settings, which are drawn at random once and compared on validation
            rows. The best one and the defaults are then fitted on all training rows. Target: within 0.3 points, chest X-rays 0.5;
            a standard error is allowed for.

Scores are of test rows, in percent: balanced accuracy, or R2. Small sets are split anew several times. Chest X-rays and MNIST
have test rows of their own. FASTDBN_DATA is the folder of the sets that do not come with scikit-learn. A line is written after
every fit, and a later run goes on from there.
"""

import itertools
import time

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from benchmarks.mnist import images
from benchmarks.sets import NUMBERS, SETS, TABLES
from fastdbn import DBN, RBM, DBNClassifier

CHOICES = {
    "hidden_layer_sizes": [(256, 256), (500,), (500, 500), (128, 128)],
    "learning_rate_init": [None, 0.002, 0.01],
    "dropout": [0.0, 0.2, 0.4],
    "alpha": [0.0, 3.2e-3, 3.2e-2],
    "rbm__n_iter": [20, 50],
    "batch_size": [32, 100],
}
LESS = {"pneumonia28": 0.5}
"""How far the default classifier may be below the tuned one: 0.3, but for these sets."""
BELOW = {False: 1.0, True: 2.0}
"""How far features of tables may be below X: of classes, and of numbers."""


def settings(n, seed=0):
    """n different settings, drawn from all combinations."""
    grid = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    return [grid[i] for i in np.random.default_rng(seed).choice(len(grid), n, replace=False)]


def idle(dbn):
    """Percent of the units of each layer that are dead or saturated."""
    return [100 * float(rbm.history_["dead_units"][-1] + rbm.history_["saturated_units"][-1]) for rbm in dbn.layers_]


def linear(name, X, y, test, test_y):
    """The score of logistic or ridge regression."""
    model = RidgeCV(np.geomspace(0.1, 1000, 9)) if name in NUMBERS else LogisticRegression(max_iter=1000)
    found = make_pipeline(StandardScaler(), model).fit(X, y).predict(test)
    return 100 * float(r2_score(test_y, found) if name in NUMBERS else balanced_accuracy_score(test_y, found))


def of_features(name, split, seed, args):
    """Scores on X and on the features of a default DBN, and its idle units."""
    X, y, test, test_y = split
    start = time.perf_counter()
    dbn = DBN(random_state=seed, n_jobs=args.threads).fit(X)
    seconds = time.perf_counter() - start
    on_features = linear(name, dbn.transform(X), y, dbn.transform(test), test_y)
    return {"X": linear(name, X, y, test, test_y), "features": on_features, "idle": idle(dbn), "seconds": seconds}


def features(name, splits, args, run):
    """The line of a set."""
    found = [run(f"{name}, {i}", of_features, name, split, i, args) for i, split in enumerate(splits)]
    worst = [max(units) for units in zip(*(x["idle"] for x in found), strict=True)]
    less = np.array([x["X"] - x["features"] for x in found])
    error = less.std(ddof=1) / len(less) ** 0.5 if len(less) > 1 else 0.0
    missed = " ✗" if less.mean() - error > (BELOW[name in NUMBERS] if name in TABLES else 0.0) or max(worst) > 5 else ""
    on_x, on_features = (np.mean([x[of] for x in found]) for of in ("X", "features"))
    of_units = ", ".join(f"{x:.0f}" for x in worst)
    return f"{on_x:>9.2f}{on_features:>10.2f}{less.mean():>9.2f} ± {error:<6.2f}{of_units:<10}{missed}"


def score(options, X, y, test, test_y, seed, threads):
    """Percent of test rows that are right. For unbalanced classes it is the mean over the classes."""
    model = DBNClassifier(rbm=RBM(), random_state=seed, n_jobs=threads).set_params(**options).fit(X, y)
    return 100 * float(balanced_accuracy_score(test_y, model.predict(test)))


def classifier(name, splits, args, run):
    """The line of a set."""
    splits, tried, mean = list(splits), [{}, *settings(args.settings)], []
    for number, options in enumerate(tried[1:], 1):
        inner = []
        for i, (X, y, _, _) in enumerate(splits[: args.tuning]):
            A, B, a, b = train_test_split(X, y, test_size=0.2, stratify=y, random_state=100 + i)
            inner.append(run(f"{name}, {i}, validation {number}", score, options, A, a, B, b, i, args.threads))
        mean.append(np.mean(inner))
    found = []
    for number in (0, 1 + int(np.argmax(mean))):
        found.append(
            [run(f"{name}, {i}, test {number}", score, tried[number], *x, i, args.threads) for i, x in enumerate(splits)]
        )
    less = np.subtract(*found[::-1])
    error = less.std(ddof=1) / len(less) ** 0.5 if len(less) > 1 else 0.0
    missed = " ✗" if less.mean() - error > LESS.get(name, 0.3) else ""
    return f"{np.mean(found[0]):>9.2f}{np.mean(found[1]):>10.2f}{less.mean():>9.2f} ± {error:<6.2f}{missed:<10}{tried[number]}"


HEADS = {
    "features": f"{'X':>9}{'features':>10}{'less by':>9}   {'':<6}idle units of the layers, at most, %",
    "classifier": f"{'default':>9}{'tuned':>10}{'less by':>9}   {'':<6}{'':<10}tuned",
}


def main():
    """Run, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("what", nargs="?", choices=HEADS, default="features")
    parser.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--splits", type=int, help="the first ones only")
    parser.add_argument("--rows", type=int, default=10_000, help="the most training rows")
    parser.add_argument("--settings", type=int, default=10)
    parser.add_argument("--tuning", type=int, help="how many splits settings are compared on [all]")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--data", default=images.FOLDER)
    parser.add_argument("--out", help="by default features.json or defaults.json in benchmarks/results")
    args = parser.parse_args()
    out = args.out or store.FOLDER / {"features": "features.json", "classifier": "defaults.json"}[args.what]
    machine = describe(args.threads) | {"rows": args.rows}

    def run(key, function, *arguments):
        known = store.kept(out, machine, "results")
        if key not in known:
            store.add(out, machine, "results", key, function(*arguments))
        return store.kept(out, machine, "results")[key]

    print(f"{'':<16}{HEADS[args.what]}")
    for name in args.sets.split(","):
        if args.what == "features" or name not in NUMBERS:
            splits = ([part[: args.rows] for part in split] for split in itertools.islice(SETS[name](args.data), args.splits))
            print(f"{name:<16}{globals()[args.what](name, splits, args, run)}", flush=True)


if __name__ == "__main__":
    main()
