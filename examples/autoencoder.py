"""Compress digits to codes of 16 numbers and decode them, beside PCA with 16 components.

The picture has digits, and what either makes of them.
"""

import numpy as np
from sklearn.decomposition import PCA

from common import arguments, digits, finish, grid, say
from fastdbn import RBM, DBNAutoencoder


def main():
    args = arguments(__doc__)
    data = digits(args)
    X = data.X[:20_000]
    units, epochs = (32, 2) if args.quick else (400, 20)
    layers = [RBM(n_iter=epochs), RBM(hidden="gaussian", learning_rate=0.001, n_iter=epochs)]  # codes of real numbers
    options = {"max_iter": epochs, "batch_size": 100, "random_state": 0, "n_jobs": args.jobs}
    model = DBNAutoencoder((units, 16), rbm=layers, **options).fit(X)
    pca = PCA(16, random_state=0).fit(X)
    decoded = {"PCA": pca.inverse_transform(pca.transform(data.X_test)), "autoencoder": model.reconstruct(data.X_test)}
    for name, rows in decoded.items():
        say(f"{data.name}, squared error of a test digit, {name}", f"{np.sum((rows - data.X_test) ** 2, axis=1).mean():.2f}")
    finish(args, grid({"data": data.X_test, **decoded}, 10))


if __name__ == "__main__":
    main()
