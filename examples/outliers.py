"""Find what was not there in training: an RBM beside IsolationForest.

Images: each digit in turn is left out of training. The score of a test digit is minus its free energy, higher for more normal
ones. The figure is the area under the ROC curve for telling digits left out from the others. The RBM has persistent chains,
because an outlier score is a density. A one is the simplest digit, and both detectors take it for normal.

A table: breast tumours, of which the benign ones are normal. Here both are as good, and IsolationForest is simpler.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from common import arguments, bars, digits, finish, say
from fastdbn import RBM


def main():
    args = arguments(__doc__)
    data = digits(args)
    X, y = data.X[:15_000], data.y[:15_000]
    held_out = (8,) if args.quick else range(10)
    rbm = RBM(32 if args.quick else 256, persistent=True, n_iter=2 if args.quick else 20, random_state=0, n_jobs=args.jobs)
    scores = {"RBM": [], "IsolationForest": []}
    say(f"{data.name}, digit held out", *scores)
    for digit in held_out:
        normal = data.y_test != digit
        for name, detector in (("RBM", rbm), ("IsolationForest", IsolationForest(random_state=0))):
            found = detector.fit(X[y != digit]).score_samples(data.X_test)
            scores[name].append(roc_auc_score(normal, found))
        say(str(digit), *(f"{values[-1]:.3f}" for values in scores.values()))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    say("mean area under the ROC curve", *(f"{value:.3f}" for value in means.values()))
    table(args)
    finish(args, bars(means, f"area under the ROC curve, a digit of {data.name} held out"))


def table(args):
    """Benign tumours are normal; half of them are training rows."""
    X, y = load_breast_cancer(return_X_y=True)
    train, later = np.flatnonzero(y == 1)[::2], np.r_[np.flatnonzero(y == 1)[1::2], np.flatnonzero(y == 0)]
    rbm = RBM(16, persistent=True, n_iter=20 if args.quick else 200, random_state=0, n_jobs=args.jobs)
    detectors = rbm, IsolationForest(random_state=0)
    areas = [roc_auc_score(y[later], detector.fit(X[train]).score_samples(X[later])) for detector in detectors]
    say("breast tumours, area under the ROC curve", *(f"{area:.3f}" for area in areas))


if __name__ == "__main__":
    main()
