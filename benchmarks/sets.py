"""Data sets on which defaults are judged: images, spoken digits and tables, as splits into training and test rows.

A function of each set takes the folder of those that do not come with scikit-learn. It yields (X, y, test, test_y) for every
split. Columns of tables are prepared by the training rows alone.
"""

import csv
import itertools
from pathlib import Path

import numpy as np
from scipy import signal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.mnist import images

NUMBERS = "diabetes", "mpg"
"""Sets whose targets are numbers."""
TABLES = "breast cancer", "wine", "diabetes", "titanic", "mpg"
SPLITS = 20
"""Of sets without test rows of their own."""


def _splits(X, y, n, classes=True):
    """n splits (train, test) of 80 and 20 %, stratified where y are classes."""
    for seed in range(n):
        stratify = y if classes else None
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=stratify, random_state=seed)
        yield X_train, y_train, X_test, y_test


def digits(_):
    X, y = load_digits(return_X_y=True)
    yield from _splits(X / 16, y, SPLITS)


def wine(_):
    yield from _splits(*load_wine(return_X_y=True), SPLITS)


def diabetes(_):
    yield from _splits(*load_diabetes(return_X_y=True), SPLITS, classes=False)


def titanic(folder):
    yield from _table(folder, "titanic", "survived", leave_out=["alive"])


def mpg(folder):
    yield from _table(folder, "mpg", "mpg", leave_out=["name"], classes=False)


def _table(folder, name, target, leave_out, classes=True):
    """Splits of a table: numbers take the median where they are missing and are standardised, all else becomes one-hot."""
    with open(Path(folder) / "tables" / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    y = np.array([float(row[target]) for row in rows])
    names = [column for column in rows[0] if column not in (target, *leave_out)]
    texts = [i for i, column in enumerate(names) if not all(_is_number(row[column]) for row in rows)]
    numbers = [i for i in range(len(names)) if i not in texts]
    X = np.array([[row[c] if i in texts else float(row[c] or "nan") for i, c in enumerate(names)] for row in rows], object)
    filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    prepare = ColumnTransformer([("numbers", filled, numbers), ("texts", one_hot, texts)])
    for X_train, y_train, X_test, y_test in _splits(X, y, SPLITS, classes):
        yield prepare.fit_transform(X_train).astype(float), y_train, prepare.transform(X_test).astype(float), y_test


def _is_number(text):
    try:
        return text == "" or np.isfinite(float(text))
    except ValueError:
        return False


def breast_cancer(_):
    yield from _splits(*load_breast_cancer(return_X_y=True), SPLITS)


def mnist(folder):
    """The training rows in three orders, each begun at other 10,000 rows, because most fits take the first ones only."""
    data = images.load(folder)
    X, test = images.grey(data.X), images.grey(data.test)
    for start in range(0, 30_000, 10_000):
        yield np.roll(X, -start, axis=0), np.roll(data.y, -start), test, data.test_y


def pneumonia28(folder):
    z = np.load(Path(folder) / "pneumonia28" / "pneumonia28.npz")
    X, y, test, test_y = (z[name] for name in ("train_images", "train_labels", "test_images", "test_labels"))
    yield from 10 * [(X.reshape(len(X), -1) / 255.0, y.ravel(), test.reshape(len(test), -1) / 255.0, test_y.ravel())]


def spoken(folder):
    """Spoken digits as log spectra: 40 bands of 20 stretches of time each."""
    z = np.load(Path(folder) / "fsdd" / "fsdd.npz")
    wave, parts = z["signal"] / 32768.0, itertools.pairwise(z["offset"])
    X = np.array([_bands(wave[start:stop]) for start, stop in parts])
    yield from _splits(X, z["label"], SPLITS)


def _bands(wave, bands=40, stretches=20):
    _, _, power = signal.spectrogram(wave, 8000, nperseg=256, noverlap=192)
    edges = np.unique(np.round(np.geomspace(2, 128, bands + 1)).astype(int))
    low = np.array([power[a:b].mean(axis=0) for a, b in itertools.pairwise(edges)])
    columns = np.linspace(0, low.shape[1], stretches + 1).astype(int)
    return np.log(1e-10 + np.array([low[:, a : max(b, a + 1)].mean(axis=1) for a, b in itertools.pairwise(columns)])).ravel()


SETS = {
    "digits": digits,
    "breast cancer": breast_cancer,
    "wine": wine,
    "diabetes": diabetes,
    "titanic": titanic,
    "mpg": mpg,
    "pneumonia28": pneumonia28,
    "spoken digits": spoken,
    "mnist": mnist,
}
