"""Models to save, and their files as someone who knows the format writes them: changed, and sealed with a right hash."""

import contextlib
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
)
from fastdbn.backends.cpu.backend import CPU
from fastdbn.files import format
from fastdbn.units import softmax

DRAW = np.random.default_rng(0)
X = (DRAW.random((60, 8)) < 0.4).astype(np.float32)
GREY = DRAW.random((60, 8)).astype(np.float32)
LABELS = np.array(["ant", "bee", "fly"])[(3 * GREY[:, 0]).astype(int)]
Y = 10 + 3 * np.column_stack([GREY.sum(axis=1), GREY[:, 0] - GREY[:, 1]])
PLAIN = {"n_iter": 2, "random_state": 0}
TEMPERED = {"persistent": True, "n_chains": 4, "temperatures": 2}
STACK = {"rbm": RBM(n_iter=2), "random_state": 0}
FAST = STACK | {"max_iter": 3}
BINARY, TARGETS, REALS = (X, X[:, 0].astype(int)), (GREY, LABELS), (GREY, Y)
MODELS = {
    "rbm": (RBM(5, **PLAIN), BINARY),
    "standardised": (RBM(5, scale="standard", learning_rate=lambda epoch: 0.01 / (1 + min(epoch, 1)), **PLAIN), BINARY),
    "chains": (RBM(5, n_iter=2, persistent=True, n_chains=7, momentum=[0.5, 0.9], random_state=np.random.default_rng(1)), BINARY),
    "potts": (RBM(5, n_iter=2, hidden=softmax(5), **TEMPERED, random_state=np.random.RandomState(2)), BINARY),
    "bernoulli": (BernoulliRBM(6, **PLAIN), REALS),
    "dbn": (DBN((5, 4), rbm=[RBM(n_iter=2), RBM(n_iter=1)], dtype="float64", random_state=0), BINARY),
    "codes": (DBN((6, 4), rbm=[RBM(hidden="gaussian", scale="minmax", n_iter=2), RBM(n_iter=1)], random_state=0), REALS),
    "outliers": (DBNOutlierDetector((5,), contamination=0.1, **STACK), BINARY),
    "generative": (GenerativeDBNClassifier((5, 6), up_down_iter=0, **STACK), BINARY),
    "up-down": (GenerativeDBNClassifier((5, 4, 6), up_down_iter=2, n_gibbs=lambda epoch: 1 + epoch, **STACK), BINARY),
    "autoencoder": (
        DBNAutoencoder((6, 4), **FAST | {"rbm": [RBM(scale="standard", n_iter=2), RBM(hidden="gaussian", n_iter=2)]}),
        BINARY,
    ),
    "classifier": (DBNClassifier((6, 5), class_weight={0: 1.0, 1: 2.0}, dropout=(0.1, 0.2, 0.2), **FAST), BINARY),
    "texts": (DBNClassifier((6, 4), class_weight={"bee": 2.0}, early_stopping=True, **FAST), TARGETS),
    "plain": (DBNClassifier((6,), pretrain=False, **FAST | {"rbm": RBM(scale="minmax")}), BINARY),
    "flags": (DBNClassifier((6,), pretrain=False, **FAST | {"rbm": RBM(scale="standard")}), (GREY, LABELS == "bee")),
    "regressor": (DBNRegressor((6,), **FAST), BINARY),
    "two outputs": (DBNRegressor((6, 4), max_norm=3.0, **FAST), REALS),
}


RARE = "potts", "codes", "autoencoder"
"""Models of unit types that no other test trains in whole minibatches."""


@contextlib.contextmanager
def no_rare_kernels(name):
    """Let single operations pretrain a model in this block if it is rare, to the same bits."""
    with pytest.MonkeyPatch.context() as patch:
        if name in RARE:
            patch.setattr(CPU, "cd_steps", lambda *_: False)
        yield


def fitted(name):
    estimator, data = MODELS[name]
    with no_rare_kernels(name):
        return clone(estimator).fit(*data)


def written(folder):
    """The bytes of one file of each model."""
    for name in MODELS:
        fitted(name).save(folder / name)
    return {name: (folder / name).read_bytes() for name in MODELS}


def opened(path):
    """(record, tensors) of a file, unchecked."""
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        return json.loads(file.metadata()["fastdbn"]), tensors


def rewrite(path, change):
    """Change a file's record and tensors, by a function of them or several."""
    record, tensors = opened(path)
    for each in change if isinstance(change, list) else [change]:
        each(record, tensors)
    record["sha256"] = format.digest(tensors, record)
    save_file({k: np.ascontiguousarray(x) for k, x in tensors.items()}, path, metadata={"fastdbn": format.canonical(record)})


# ---- changes


def tensor(name, value):
    """Replace a tensor by a function of it."""
    return lambda record, tensors: tensors.update({name: value(tensors[name])})


def item(*path_and_value):
    """Set an entry of the record, by the keys that lead to it."""
    *path, last, value = path_and_value

    def change(record, tensors):
        for key in path:
            record = record[key]
        record[last] = value

    return change


def state(*path_and_value):
    """Set an entry of the state."""
    return item("state", *path_and_value)


def layer(i, *path_and_value):
    """Set an entry of a stack's layer."""
    return item("state", "layers", i, *path_and_value)


def drop(name):
    """Remove a tensor."""
    return lambda record, tensors: tensors.pop(name)
