"""Features of unlabelled data for few labels: logistic regression on pixels, on PCA and on the hidden means of an RBM.

The RBM and PCA see all training digits without their labels. Logistic regression sees 10, 30 or 100 labels of each class.
Accuracy on test digits is a mean over three draws of the labels.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from common import arguments, digits, few, finish, lines, say
from fastdbn import DBN, RBM


def main():
    args = arguments(__doc__)
    data = digits(args)
    epochs, units, counts = (2, (32, 32), (5, 10)) if args.quick else (20, (500, 500), (10, 30, 100))
    dbn = DBN(units, rbm=RBM(n_iter=epochs), random_state=0, n_jobs=args.jobs).fit(data.X)
    pca = PCA(min(64, data.X.shape[1] // 2), random_state=0).fit(data.X)
    kinds = {
        "pixels": (data.X, data.X_test),
        "PCA": (pca.transform(data.X), pca.transform(data.X_test)),
        "DBN features": (dbn.transform(data.X), dbn.transform(data.X_test)),
    }
    curves = {}
    say(f"{data.name}, labels", *(count * 10 for count in counts))
    for name, (train, test) in kinds.items():
        curves[name] = [np.mean([score(train, test, data, count, seed) for seed in range(3)]) for count in counts]
        say(f"test accuracy, {name}", *(f"{value:.3f}" for value in curves[name]))
    finish(args, lines(curves, [count * 10 for count in counts], "labels", "test accuracy"))


def score(train, test, data, count, seed):
    """Test accuracy from `count` labels of each class."""
    rows = few(data.y, count, seed)
    return LogisticRegression(C=0.3, max_iter=500).fit(train[rows], data.y[rows]).score(test, data.y_test)


if __name__ == "__main__":
    main()
