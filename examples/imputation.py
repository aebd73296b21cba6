"""Repair digits of which four in five pixels are missing: an RBM beside a Gaussian distribution of all pixels.

Both learn from complete training digits. The RBM fills in the expectation given the pixels that are there, by a Gibbs chain in
which these stay fixed. The Gaussian has its expectation in closed form. The picture has digits, what is left of them, and
both repairs.
"""

import numpy as np

from common import arguments, digits, finish, grid, say
from fastdbn import RBM

MISSING = 0.8
NOISE = 0.02
"""Variance that is added to the pixels seen, without which the Gaussian does worse."""


def gaussian(X, rows, missing):
    """The conditional means of missing pixels under a Gaussian distribution with the mean and the covariances of X."""
    mean, cov, filled = X.mean(axis=0), np.cov(X.T), rows.copy()
    for row, gap in zip(filled, missing, strict=True):
        seen = np.ix_(~gap, ~gap)
        weights = np.linalg.solve(cov[seen] + NOISE * np.eye(np.sum(~gap)), row[~gap] - mean[~gap])
        row[gap] = mean[gap] + cov[np.ix_(gap, ~gap)] @ weights
    return np.clip(filled, 0, 1)


def main():
    args = arguments(__doc__)
    data = digits(args)
    epochs, units, n, n_steps = (2, 32, 20, 20) if args.quick else (20, 500, 500, 500)
    rates = [0.1 * (1 - epoch / epochs) for epoch in range(epochs)]
    options = {"n_iter": epochs, "batch_size": 100, "learning_rate": rates, "random_state": 0, "n_jobs": args.jobs}
    rbm = RBM(units, persistent=True, **options).fit(data.X)

    rows = data.X_test[:n]
    missing = np.random.default_rng(0).random(rows.shape) < MISSING
    mean = np.broadcast_to(data.X.mean(axis=0), rows.shape)
    repairs = {
        "mean digit": np.where(missing, mean, rows),
        "Gaussian": gaussian(data.X, rows, missing),
        "RBM": rbm.impute(rows, missing, n_steps=n_steps, random_state=0),
    }
    for name, filled in repairs.items():
        say(f"{data.name}, squared error of a missing pixel, {name}", f"{np.mean((filled - rows)[missing] ** 2):.4f}")
    repairs.pop("mean digit")
    finish(args, grid({"data": rows, "a fifth of the pixels": np.where(missing, 0.5, rows), **repairs}, 10))


if __name__ == "__main__":
    main()
