"""Accuracy on scikit-learn's 8x8 digits over model seeds: `python -m benchmarks.digits [--seeds 10]`.

The split is that of `fastdbn train`: stratified 80/20, seed 0. All defaults; the plain network is `pretrain=False`, the peer
scikit-learn's MLPClassifier with the same layers and up to 200 epochs.
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from fastdbn import DBNClassifier

MODELS = {
    "DBNClassifier": lambda seed: DBNClassifier(random_state=seed),
    "DBNClassifier, pretrain=False": lambda seed: DBNClassifier(pretrain=False, random_state=seed),
    "scikit-learn MLPClassifier": lambda seed: MLPClassifier((256, 256), random_state=seed),
}


def main():
    """Run, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", default=store.FOLDER / "digits.json")
    args = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.2, stratify=y, random_state=0)
    results = {}
    print(f"{'':<32}{'mean':>7}{'s.d.':>7}{'min':>7}{'max':>7}{'seconds':>9}   test accuracy in %, {args.seeds} seeds")
    for name, make in MODELS.items():
        make(0).fit(X_train[:100], y_train[:100])
        scores, times = [], []
        for seed in range(args.seeds):
            start = time.perf_counter()
            model = make(seed).fit(X_train, y_train)
            times.append(time.perf_counter() - start)
            scores.append(100 * model.score(X_test, y_test))
        line = [np.mean(scores), np.std(scores, ddof=1), min(scores), max(scores), np.median(times)]
        print(f"{name:<32}" + "".join(f"{x:>7.2f}" for x in line[:4]) + f"{line[4]:>9.2f}", flush=True)
        results[name] = {"accuracy": scores, "seconds": times}
    store.write(args.out, describe(None), results=results)


if __name__ == "__main__":
    main()
