"""Remove salt-and-pepper noise from digits: a denoising autoencoder beside a median filter.

The autoencoder learns from clean digits to which noise is added anew in each minibatch. A quarter of the pixels of the test
digits are then black or white. The picture has originals, noisy digits, and both results.
"""

import numpy as np
from scipy.ndimage import median_filter

from common import arguments, digits, finish, grid, say
from fastdbn import RBM, DBNAutoencoder

LEVEL = 0.25


def main():
    args = arguments(__doc__)
    data = digits(args)
    epochs, units = (2, 64) if args.quick else (10, 512)
    rates = [0.003 * (1 - epoch / epochs) for epoch in range(epochs)]
    options = {"pretrain": False, "noise": "salt-and-pepper", "noise_level": LEVEL, "max_iter": epochs, "n_jobs": args.jobs}
    layers = RBM(visible="bernoulli", scale="none")
    model = DBNAutoencoder((units,), rbm=layers, batch_size=100, learning_rate_init=rates, random_state=0, **options).fit(data.X)

    clean, draw = data.X_test, np.random.default_rng(0)
    noisy = np.where(draw.random(clean.shape) < LEVEL, draw.integers(0, 2, clean.shape), clean)
    side = round(clean.shape[1] ** 0.5)
    rows = {
        "noisy": noisy,
        "3x3 median filter": median_filter(noisy.reshape(-1, side, side), (1, 3, 3)).reshape(clean.shape),
        "denoising autoencoder": model.denoise(noisy),
    }
    for name, X in rows.items():
        say(f"{data.name}, mean squared error, {name}", f"{np.mean((X - clean) ** 2):.4f}")
    finish(args, grid({"clean": clean, **rows}, 10))


if __name__ == "__main__":
    main()
