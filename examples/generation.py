"""Draw digits of each class, and judge them by what a classifier can learn from them.

An RBM with persistent chains learns the digits of each class and draws 200 new ones. A nearest-neighbour classifier that sees
nothing but these is then tested on real digits (Ravuri and Vinyals 2019, "Classification accuracy score"). Beside it: digits
drawn from a Gaussian distribution of each class, with full covariances, and 200 real digits of each class. The picture has a
line of new digits for each class.
"""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from common import arguments, digits, few, finish, grid, say
from fastdbn import RBM


def gaussian(X, n, draw):
    """n rows drawn from a Gaussian distribution with the mean and the covariances of X."""
    return np.clip(draw.multivariate_normal(X.mean(axis=0), np.cov(X.T), n), 0, 1)


def main():
    args = arguments(__doc__)
    data = digits(args)
    X, y = data.X[:10_000], data.y[:10_000]
    classes, draw = np.unique(y), np.random.default_rng(0)
    n, epochs, n_steps = (10, 2, 20) if args.quick else (200, 100, 500)
    rates = [0.1 * (1 - epoch / epochs) for epoch in range(epochs)]
    options = {"visible": "bernoulli", "persistent": True, "n_iter": epochs, "batch_size": 100, "learning_rate": rates}
    units, jobs = 32 if args.quick else 200, args.jobs
    rbms = [RBM(units, random_state=seed, n_jobs=jobs, **options).fit(X[y == label]) for seed, label in enumerate(classes)]
    sources = {
        "RBMs": [rbm.sample(n, n_steps=n_steps, mean=True, random_state=0) for rbm in rbms],
        "Gaussian distributions": [gaussian(X[y == label], n, draw) for label in classes],
        "real digits": [X[few(y, n)]],
    }
    for name, rows in sources.items():
        nearest = KNeighborsClassifier(3).fit(np.concatenate(rows), np.repeat(classes, n))
        say(f"{data.name}, test accuracy, learned from {name}", f"{nearest.score(data.X_test, data.y_test):.3f}")
    finish(args, grid({f"{label}": rows for label, rows in zip(classes, sources["RBMs"], strict=True)}, 10))


if __name__ == "__main__":
    main()
