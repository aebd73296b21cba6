"""Classify with 100 labels: a network that is pretrained on all rows, beside the same network without pretraining.

10 digits of each class have a label, all others have none. The pretrained network is then trained once more, by the labels that
it finds itself for other rows (Lee 2013, "Pseudo-label"). Accuracy on test digits is a mean over draws of the labels. Settings
are those of benchmarks/mnist, which were chosen on validation rows.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from common import arguments, bars, digits, few, finish, say
from fastdbn import DBN, RBM, DBNClassifier

RATE = 1e-3


def fine_tuned(args, units, pretrain, dropout, X, y, max_iter, batch_size, weights=None):
    """A network after back-propagation, at a rate that falls to 0."""
    rates = [RATE * (1 - epoch / max_iter) for epoch in range(max_iter)]
    options = {"alpha": 0.0, "learning_rate_init": rates, "max_iter": max_iter, "random_state": 0, "n_jobs": args.jobs}
    model = DBNClassifier(units, pretrain=pretrain, dropout=dropout, batch_size=batch_size, **options)
    return model.fit(X, y, sample_weight=weights)


def main():
    args = arguments(__doc__)
    data = digits(args)
    units, epochs = ((32, 32), 2) if args.quick else ((500, 500), 20)
    max_iter, others = (5, 200) if args.quick else (400, 10_000)
    dbn = DBN(units, rbm=RBM(n_iter=epochs, batch_size=100, learning_rate=0.1), random_state=0, n_jobs=args.jobs).fit(data.X)
    scores = {}

    def score(name, model):
        scores.setdefault(name, []).append(model.score(data.X_test, data.y_test))

    for seed in range(1 if args.quick else 3):
        rows = few(data.y, 10, seed)
        X, y = data.X[rows], data.y[rows]
        score("logistic regression", LogisticRegression(C=0.3, max_iter=500).fit(X, y))
        score("network, not pretrained", fine_tuned(args, units, False, (0.2, 0.5, 0.5), X, y, max_iter, 100))
        model = fine_tuned(args, units, dbn, (0.3, 0.6, 0.6), X, y, max_iter, 100)
        score("DBN, pretrained on all rows", model)

        some = data.X[np.random.default_rng(seed).permutation(len(data.X))[:others]]
        found = model.predict_proba(some)
        labels = np.r_[model.classes_[found.argmax(axis=1)], np.repeat(y, others // 1000 + 1)]
        weights = np.r_[found.max(axis=1) ** 2, np.ones(len(labels) - others)]
        both = np.r_[some, np.repeat(X, others // 1000 + 1, axis=0)]
        score("DBN, and labels that it found", fine_tuned(args, units, dbn, (0.2, 0.5, 0.5), both, labels, 5, 100, weights))
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    for name, value in means.items():
        say(f"{data.name}, 100 labels, test accuracy, {name}", f"{value:.3f}")
    finish(args, bars(means, f"test accuracy on {data.name} with 100 labels"))


if __name__ == "__main__":
    main()
