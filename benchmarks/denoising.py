"""Denoising of MNIST with salt-and-pepper noise: `python -m benchmarks.denoising [--folder F]`.

At each level a denoising autoencoder learns from clean training images. Noisy test images are then cleaned by it and by a 3x3
median filter. The figure is the mean squared error of a pixel, whose range is [0, 1]. Every model goes to the folder when it is
fitted, and is taken from there when the command is run again. Results go to benchmarks/results/denoising.json.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import median_filter

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from benchmarks.mnist import images
from fastdbn import RBM, DBNAutoencoder, load

LEVELS = 0.05, 0.1, 0.25, 0.5
"""Fractions of the pixels that become black or white."""
BATCH, RATE = 100, 0.003
"""Of fine-tuning; the rate falls to 0."""
REACH = 0.012
"""The largest error at a level of 0.25."""


def noisy(X, level, seed):
    """Images with salt and pepper, drawn by a seed."""
    u = np.random.default_rng(seed).random(X.shape, np.float32)
    return np.where(u < level, (u < level / 2).astype(X.dtype), X)


def error(X, clean):
    """The mean squared error of a pixel."""
    return float(np.square(X - clean, dtype=np.float64).mean())


def median(X):
    """A 3x3 median filter of images."""
    return median_filter(X.reshape(-1, 28, 28), (1, 3, 3)).reshape(X.shape)


def fitted(path, level, X, args):
    """The model of a level, from its file or trained and put there."""
    if path.exists():
        return load(path)
    rates = [RATE * (1 - epoch / args.epochs) for epoch in range(args.epochs)]
    options = {"rbm": RBM(visible="bernoulli", scale="none"), "pretrain": False, "batch_size": BATCH}
    model = DBNAutoencoder(args.units, noise="salt-and-pepper", noise_level=level, learning_rate_init=rates, **options)
    model.set_params(max_iter=args.epochs, random_state=0, n_jobs=args.threads, verbose=1).fit(X).save(path)
    return model


def main():
    """Train and compare at each level, print the table, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--folder", default="denoising-runs", help="where models are kept [denoising-runs]")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--validate", action="store_true", help="the end of the training rows is the test set")
    parser.add_argument("--out", default=store.FOLDER / "denoising.json")
    args = parser.parse_args()
    mnist, folder, results = images.load(args.data), Path(args.folder), {}
    X, test = images.grey(mnist.X), images.grey(mnist.test)
    if args.validate:
        X, test = X[: -images.HELD_OUT], X[-images.HELD_OUT :]
    folder.mkdir(parents=True, exist_ok=True)
    for level in LEVELS:
        name = f"{args.units}-{args.epochs}-{level:g}{'-validate' if args.validate else ''}.safetensors"
        model, seen = fitted(folder / name, level, X, args), noisy(test, level, 1)
        cleaned = {"noisy": seen, "median filter": median(seen), "denoise": model.denoise(seen)}
        results[f"{level:g}"] = {what: error(rows, test) for what, rows in cleaned.items()}
    print_table(results)
    if not args.validate:
        store.write(args.out, describe(args.threads), results=results)


def print_table(results):
    """Print the errors as Markdown, with a cross where the aim is missed."""
    print("| level | noisy | median filter | denoise | |\n|---|---|---|---|---|")
    for level, errors in results.items():
        missed = errors["denoise"] >= errors["median filter"] or (level == "0.25" and errors["denoise"] > REACH)
        print(f"| {level} | " + " | ".join(f"{x:.4f}" for x in errors.values()) + f" | {'✗' if missed else ''} |")


if __name__ == "__main__":
    main()
