"""MNIST from its four idx files, and the ways in which its pixels become binary.

A likelihood means nothing unless it says how the pixels were binarised: "thresholded" are 1 where a pixel is above one half,
"stochastic" are drawn once with the grey value as probability, which costs tens of nats of test likelihood.
"""

import gzip
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = os.environ.get("FASTDBN_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
HELD_OUT = 10_000
"""The last training rows, on which settings are chosen. They are never chosen on the test set."""


class Images(NamedTuple):
    """X (60000, 784), test (10000, 784) uint8, their labels y and test_y."""

    X: np.ndarray
    y: np.ndarray
    test: np.ndarray
    test_y: np.ndarray


def _read(path, offset):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def load(folder=None):
    """The images, from a folder that holds the four idx files or has them in `mnist`.

    Raises
    ------
    FileNotFoundError
        if they are not there; the message says which files are wanted.
    """
    folder = Path(folder or FOLDER)
    folder = folder / "mnist" if (folder / "mnist").is_dir() else folder
    names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    paths = [folder / f"{name}-ubyte.gz" for name in names]
    if missing := [path.name for path in paths if not path.exists()]:
        raise FileNotFoundError(f"no {', '.join(missing)} in {folder}: give the folder of MNIST's idx files by --data")
    X, y, test, test_y = (_read(path, offset) for path, offset in zip(paths, (16, 8, 16, 8), strict=True))
    return Images(X.reshape(-1, 784), y, test.reshape(-1, 784), test_y)


def grey(X):
    """float32 in [0, 1]."""
    return (X / np.float32(255)).astype(np.float32)


def thresholded(X):
    """uint8 zeros and ones: 1 where a pixel is above one half."""
    return (X > 127).astype(np.uint8)


def drawn(X, seed=0):
    """uint8 zeros and ones, drawn once with the grey values as probabilities."""
    return (np.random.default_rng(seed).random(X.shape, np.float32) * np.float32(255) < X).astype(np.uint8)
