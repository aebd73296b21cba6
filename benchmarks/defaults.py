"""Are the defaults good enough? Their accuracy beside that of the best of some settings: `python -m benchmarks.defaults
[--sets digits]`.

Settings are drawn at random once and compared on validation rows of every data set. The best one and the defaults are then
fitted on all training rows and scored on the test rows. Small sets are split anew several times. Chest X-rays have test rows
of their own, so only the seeds differ there. Target: the defaults are within 0.3 points of the tuned mean. FASTDBN_DATA is the
folder of the data sets that do not come with scikit-learn.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from scipy import signal
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from benchmarks import store
from benchmarks.machine import describe
from benchmarks.mnist import images
from fastdbn import RBM, DBNClassifier

CHOICES = {
    "hidden_layer_sizes": [(256, 256), (500,), (500, 500), (128, 128)],
    "learning_rate_init": [None, 0.002, 0.01],
    "dropout": [0.0, 0.2, 0.4],
    "alpha": [0.0, 3.2e-3, 3.2e-2],
    "rbm__n_iter": [20, 50],
    "batch_size": [32, 100],
}
TARGET = 0.3


def settings(n, seed=0):
    """n different settings, drawn from all combinations."""
    grid = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    return [grid[i] for i in np.random.default_rng(seed).choice(len(grid), n, replace=False)]


def _splits(X, y, n):
    """n stratified splits (train, test) of 80 and 20 %."""
    for seed in range(n):
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
        yield X_train, y_train, X_test, y_test


def digits(_):
    X, y = load_digits(return_X_y=True)
    yield from _splits(X / 16, y, 5)


def breast_cancer(_):
    yield from _splits(*load_breast_cancer(return_X_y=True), 10)


def mnist(folder):
    data = images.load(folder)
    yield images.grey(data.X), data.y, images.grey(data.test), data.test_y


def pneumonia28(folder):
    z = np.load(Path(folder) / "pneumonia28" / "pneumonia28.npz")
    X, y, test, test_y = (z[name] for name in ("train_images", "train_labels", "test_images", "test_labels"))
    yield from 10 * [(X.reshape(len(X), -1) / 255.0, y.ravel(), test.reshape(len(test), -1) / 255.0, test_y.ravel())]


def spoken(folder):
    """Spoken digits as log spectra: 40 bands of 20 stretches of time each."""
    z = np.load(Path(folder) / "fsdd" / "fsdd.npz")
    wave, parts = z["signal"] / 32768.0, itertools.pairwise(z["offset"])
    X = np.array([_bands(wave[start:stop]) for start, stop in parts])
    yield from _splits(X, z["label"], 3)


def _bands(wave, bands=40, stretches=20):
    _, _, power = signal.spectrogram(wave, 8000, nperseg=256, noverlap=192)
    edges = np.unique(np.round(np.geomspace(2, 128, bands + 1)).astype(int))
    low = np.array([power[a:b].mean(axis=0) for a, b in itertools.pairwise(edges)])
    columns = np.linspace(0, low.shape[1], stretches + 1).astype(int)
    return np.log(1e-10 + np.array([low[:, a : max(b, a + 1)].mean(axis=1) for a, b in itertools.pairwise(columns)])).ravel()


SETS = {"digits": digits, "breast cancer": breast_cancer, "pneumonia28": pneumonia28, "spoken digits": spoken, "mnist": mnist}


def score(options, X, y, test, test_y, seed, threads):
    """Percent of test rows that are right. For unbalanced classes it is the mean over the classes."""
    model = DBNClassifier(rbm=RBM(), random_state=seed, n_jobs=threads).set_params(**options).fit(X, y)
    return 100 * float(balanced_accuracy_score(test_y, model.predict(test)))


def compare(splits, tried, threads):
    """Accuracies on the test rows of every split, of the defaults and of the settings that validate best."""
    splits = list(splits)
    validation = np.zeros(len(tried))
    for i, (X, y, _, _) in enumerate(splits):
        inner = train_test_split(X, y, test_size=0.2, stratify=y, random_state=100 + i)
        for t, options in enumerate(tried):
            validation[t] += score(options, inner[0], inner[2], inner[1], inner[3], i, threads) / len(splits)
    best = tried[int(validation.argmax())]
    result = {"best": {name: str(value) for name, value in best.items()}, "validation": validation.tolist()}
    for name, options in (("default", {}), ("tuned", best)):
        result[name] = [score(options, *split, i, threads) for i, split in enumerate(splits)]
    return result


def main():
    """Run, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--settings", type=int, default=12)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--data", default=images.FOLDER)
    parser.add_argument("--out", default=store.FOLDER / "defaults.json")
    args = parser.parse_args()
    print(f"{'':<16}{'default':>9}{'tuned':>9}{'less by':>9}   mean balanced accuracy on test rows, %")
    for name in args.sets.split(","):
        start = time.perf_counter()
        result = compare(SETS[name](args.data), settings(args.settings), args.threads)
        default, tuned = (float(np.mean(result[which])) for which in ("default", "tuned"))
        missed = " ✗" if tuned - default > TARGET else ""
        print(f"{name:<16}{default:>9.2f}{tuned:>9.2f}{tuned - default:>9.2f}{missed}", flush=True)
        machine = describe(args.threads)
        store.add(args.out, {}, "results", name, result | {"seconds": time.perf_counter() - start, "machine": machine})


if __name__ == "__main__":
    main()
