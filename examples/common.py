"""What the examples share: the command line, the data sets, and the place of the picture."""

import argparse
import gzip
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

STARTED = time.perf_counter()


class Images(NamedTuple):
    """Rows of pixels in [0, 1], with labels."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    name: str


def arguments(doc, **flags):
    """The options of an example, whose docstring is `doc`; flags are those of its own, with what each does."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the data sets; data of scikit-learn where absent")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to save the picture")
    parser.add_argument("--quick", action="store_true", help="a few rows and epochs, to see that it runs")
    parser.add_argument("--jobs", type=int, metavar="N", help="threads [all processors]")
    for name, told in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=told)
    return parser.parse_args()


def file_of(args, *names):
    """The path of a file below the data folder, or None if it is not there."""
    path = args.data and args.data.joinpath(*names)
    return path if path and path.exists() else None


def idx(path):
    """The array of a gzipped idx file of bytes."""
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def digits(args):
    """MNIST from FOLDER/mnist, or the 8x8 digits of scikit-learn."""
    if file_of(args, "mnist") is None:
        X, y = load_digits(return_X_y=True)
        X, X_test, y, y_test = train_test_split(X / 16, y, test_size=397, stratify=y, random_state=0)
        return Images(X, y, X_test, y_test, "8x8 digits")
    parts = [idx(args.data / "mnist" / f"{part}-ubyte.gz") for part in ("train-images-idx3", "train-labels-idx1")]
    tests = [idx(args.data / "mnist" / f"{part}-ubyte.gz") for part in ("t10k-images-idx3", "t10k-labels-idx1")]
    (X, y), (X_test, y_test) = parts, tests
    return Images(X.reshape(len(X), -1) / 255, y, X_test.reshape(len(X_test), -1) / 255, y_test, "MNIST")


def few(y, n, seed=0):
    """n rows of each class, drawn by a seed."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.choice(np.flatnonzero(y == label), n, replace=False) for label in np.unique(y)])


def say(what, *numbers):
    """Print a line of the result."""
    print(f"{what:<64}" + "".join(f" {number:>15}" for number in numbers), flush=True)


def finish(args, figure):
    """Save the picture where --out says, and tell the time: of the clock, and of all processors together."""
    if args.out:
        figure.savefig(args.out, bbox_inches="tight")
    print(f"{time.perf_counter() - STARTED:.0f} seconds, {time.process_time():.0f} of processors")


def grid(rows, n):
    """A figure with a line of n images for each entry of a dict of rows of pixels."""
    side = round(next(iter(rows.values())).shape[1] ** 0.5)
    figure, axes = pyplot.subplots(len(rows), 1, figsize=(0.6 * n, 0.9 * len(rows)), dpi=100)
    for ax, (name, X) in zip(axes, rows.items(), strict=True):
        tiles = np.asarray(X[:n], float).reshape(-1, side, side)
        ax.imshow(np.hstack(np.pad(tiles, ((0, 0), (1, 1), (1, 1)))), cmap="gray", vmin=0, vmax=1)
        ax.set_title(name, loc="left", fontsize=9)
        ax.axis("off")
    figure.tight_layout()
    return figure


def bars(scores, xlabel):
    """A figure with a bar for each entry of a dict of numbers."""
    figure, ax = pyplot.subplots(figsize=(6, 0.5 + 0.35 * len(scores)))
    drawn = ax.barh(
        list(scores), list(scores.values()), color=["#4c72b0" if "DBN" in name or "RBM" in name else "#b0b0b0" for name in scores]
    )
    ax.bar_label(drawn, fmt="%.3f", padding=3)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(x=0.12)
    return figure


def lines(curves, x, xlabel, ylabel):
    """A figure with a line over x for each entry of a dict of lists."""
    figure, ax = pyplot.subplots(figsize=(6, 3.6))
    for name, values in curves.items():
        ax.plot(x, values, marker="o", label=name)
    ax.set_xscale("log")
    ax.set_xticks(x, [str(value) for value in x])
    ax.minorticks_off()
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
