"""Classify digits and draw new ones of each class by one network: the picture of the README.

The labels are part of the top layer (Hinton, Osindero, Teh 2006). Up-down trains all layers together, by falling rates, so that
the weights settle. Chains of a class begin at the hidden states of training rows of that class. A nearest-neighbour classifier
of real digits says how many of the drawn ones are of their class, beside how many real ones it knows.

    python examples/mnist.py --data FOLDER --out docs/images/mnist.png    MNIST's idx files are in FOLDER/mnist
    python examples/mnist.py --out digits.png                             8x8 digits of scikit-learn
"""

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from fastdbn import RBM, GenerativeDBNClassifier, plot
from fastdbn.tables.read import read_table

STARTED = time.perf_counter()
ROWS, PER_CLASS, DRAWS = 20_000, 10, 100
"""Rows of MNIST that it learns from, draws of each class in the picture, and those that are judged."""


def rows_of(folder):
    """(X, X_test, y, y_test) of MNIST's idx files in FOLDER/mnist, or of the 8x8 digits of scikit-learn."""
    if folder is None:
        X, y = load_digits(return_X_y=True)
        return train_test_split((X / 16).astype(np.float32), y, test_size=397, stratify=y, random_state=0)
    images = folder / "mnist" / "train-images-idx3-ubyte.gz"
    train, test = (read_table(images, split=split)[0] for split in ("train", "test"))
    return train.numbers[:ROWS], test.numbers, train.target[:ROWS], test.target


def trained(X, y, sizes, epochs, batch_size, n_jobs):
    """The network, after pretraining and up-down; epochs are those of the layer, of the top and of up-down."""
    *of_layers, of_all = epochs
    rbms = [RBM(learning_rate=0.1, batch_size=batch_size, n_iter=n) for n in of_layers]
    return GenerativeDBNClassifier(sizes, rbm=rbms, up_down_iter=of_all, random_state=0, n_jobs=n_jobs).fit(X, y)


def picture(model, path):
    """Filters beside drawn digits, in few colours, so that the file is small."""
    figure = Figure(figsize=(10, 5), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    plot.filters(model, units=100, ax=left).set_title("What 100 of the hidden units look for", loc="left")
    plot.samples(model, PER_CLASS, ax=right).set_title("Digits that the network draws, by class", loc="left")
    figure.savefig(path)
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the data sets")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to save the picture")
    parser.add_argument("--quick", action="store_true", help="a few units and epochs, to see that it runs")
    parser.add_argument("--jobs", type=int, metavar="N", help="threads [all processors]")
    args = parser.parse_args()
    X, X_test, y, y_test = rows_of(args.data)
    sizes = (16, 16) if args.quick else (500, 1000)
    epochs, batch_size = ((10, 8, 12), 50) if args.data else ((2, 2, 2) if args.quick else (60, 90, 60), 20)
    model = trained(X, y, sizes, epochs, batch_size, args.jobs)
    print(f"test accuracy of the network: {model.score(X_test, y_test):.4f}")

    labels = np.repeat(model.classes_, DRAWS)
    new = model.sample(len(labels), label=labels, mean=True, random_state=0)
    nearest = KNeighborsClassifier(3).fit(X[:10_000], y[:10_000])
    print(f"drawn digits that nearest neighbours take for their class: {nearest.score(new, labels):.2f}")
    print(f"real digits that they take for their class: {nearest.score(X_test, y_test):.2f}")
    if args.out:
        picture(model, args.out)
    print(f"{time.perf_counter() - STARTED:.0f} seconds, {time.process_time():.0f} of processors")


if __name__ == "__main__":
    main()
