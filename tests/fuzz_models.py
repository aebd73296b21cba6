"""The files that the fuzzer changes: a model of each class, and the checkpoint of a fit of each, in each of its stages."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
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
    TableModel,
    load,
)
from fastdbn.callbacks import Checkpoint
from fastdbn.estimators import resume

PLAIN = {"n_iter": 2, "random_state": 0}
STACK = {"rbm": RBM(n_iter=2), "random_state": 0}
NET = {"rbm": RBM(n_iter=1), "max_iter": 2, "random_state": 0}
CHAINS = {"persistent": True, "n_chains": 3, "temperatures": 3, "fast_learning_rate": 0.1, "sparsity_target": 0.1}
MODELS = {
    "rbm": RBM(4, scale="standard", **PLAIN),
    "bernoulli": BernoulliRBM(4, batch_size=5, **PLAIN),
    "dbn": DBN(
        (4, 3), rbm=[RBM(learning_rate=[0.1, 0.05], scale="minmax", n_iter=2), RBM(learning_rate=0.1, n_iter=2)], random_state=0
    ),
    "up-down": GenerativeDBNClassifier((4, 3), up_down_iter=1, **STACK),
    "outliers": DBNOutlierDetector((4,), contamination=0.1, **STACK),
    "classifier": DBNClassifier((4, 3), class_weight={"ant": 1.0, "bee": 2.0}, early_stopping=True, **NET),
    "regressor": DBNRegressor((4,), **NET),
    "autoencoder": DBNAutoencoder((4, 3), **NET | {"rbm": RBM(scale="minmax", n_iter=1)}),
    "chains": RBM(4, centering="data", **CHAINS, **PLAIN),
    "trajectory": RBM(4, persistent=True, n_chains=3, trajectory=0.9, learning_rate=0.5, **PLAIN),
    "variance": RBM(4, visible="gaussian-variance", **PLAIN),
    "counts": RBM(4, visible="replicated-softmax", **PLAIN),
    "mixed": RBM(4, visible=[("bernoulli", slice(0, 4)), ("gaussian", slice(4, 6))], **PLAIN),
}
"""One model of each class, and RBMs that keep what others do not."""
TABLE = {
    "prepared": RBM(4, **PLAIN),
    "table": DBNClassifier((4,), **NET),
}
"""Models of a table, which have a preparation."""
LAYER = {"batch_size": 20, "random_state": 0}
CHECKPOINTS = {
    "rbm, 2 of 3 epochs": (RBM(4, n_iter=3, **LAYER), 2),
    "chains, 2 of 3 epochs": (RBM(4, n_iter=3, persistent=True, n_chains=3, sparsity_target=0.1, **LAYER), 2),
    "dbn, first layer": (DBN((4, 3), rbm=RBM(n_iter=2), random_state=0), 2),
    "outliers, second layer": (DBNOutlierDetector((4, 3), rbm=RBM(n_iter=2), random_state=0), 3),
    "up-down, first epoch": (GenerativeDBNClassifier((4, 3), rbm=RBM(n_iter=1), up_down_iter=3, random_state=0), 3),
    "classifier, pretraining": (DBNClassifier((4, 3), **NET), 1),
    "classifier, best epoch": (DBNClassifier((4,), early_stopping=True, **NET | {"max_iter": 4}), 3),
    "regressor, fine-tuning": (DBNRegressor((4,), **NET | {"max_iter": 3}), 2),
    "autoencoder, fine-tuning": (DBNAutoencoder((4, 3), **NET), 3),
}
"""A fit of each class with checkpoints, and the epoch of the one that is kept."""
PEOPLE = [[i * 1.5 if i % 9 else None, f"2020-01-{i % 28 + 1:02d}", i % 2, "abc"[i % 3]] for i in range(40)]
"""A table, for models with a preparation."""
DRAW = np.random.default_rng(0)
X = (DRAW.random((40, 6)) < 0.4).astype(np.float32)
LABELS = np.array(["ant", "bee"])[X[:, 0].astype(int)]
QUICK = ["rbm", "bernoulli", "dbn", "up-down", "outliers", "classifier", "regressor", "autoencoder"]
QUICK += ["table", "rbm, 2 of 3 epochs", "dbn, first layer", "classifier, best epoch"]
"""Those whose kernels most tests compile."""


class Stop(Exception):
    """Ends a fit."""


class After:
    """A callback that ends a fit in the epoch after some others, whose checkpoint is there by then."""

    def __init__(self, epochs):
        self.left = epochs

    def __call__(self, **_):
        self.left -= 1
        if self.left < 0:
            raise Stop


class Original(NamedTuple):
    """What is mutated: the bytes of a file, the model in it, and of a checkpoint the fit and the model that it ends with."""

    data: bytes
    model: Any
    estimator: Any = None
    y: Any = None
    end: Any = None

    def read(self, path):
        """The model of a file that was made from this one."""
        return load(path) if self.estimator is None else resume.found(clone(self.estimator), path)[0]

    def complete(self, path):
        """The fit that goes on from a checkpoint."""
        return clone(self.estimator).fit(X, self.y, resume=path)


def targets(estimator):
    return X[:, :2] * 3.0 + 10.0 if isinstance(estimator, DBNRegressor) else LABELS


def checkpoint(name, folder):
    """The original of a checkpoint."""
    estimator, epochs = CHECKPOINTS[name]
    y = targets(estimator)
    part = clone(estimator).set_params(callbacks=[After(epochs), Checkpoint(folder)])
    try:
        part.fit(X, y)
    except Stop:
        path = part.callbacks[1].last
    return Original(path.read_bytes(), resume.found(clone(estimator), path)[0], estimator, y, clone(estimator).fit(X, y))


def originals(folder, names):
    """{name: Original} of some models and checkpoints; their files are written to new folders in a folder."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, name in enumerate(names):
            place = Path(folder) / str(i)
            place.mkdir()
            if name in CHECKPOINTS:
                found[name] = checkpoint(name, place)
                continue
            noise = DRAW.normal(size=X.shape) if name == "variance" else 0.0
            data = (X + noise, targets(MODELS[name])) if name in MODELS else (PEOPLE, LABELS)
            model = clone(MODELS[name] if name in MODELS else TableModel(TABLE[name])).fit(*data)
            if name == "prepared":
                model.estimator_.command_ = ("train", "people.csv")
            model.save(place / "model")
            found[name] = Original((place / "model").read_bytes(), load(place / "model"))
    return found


ALL = [*MODELS, *TABLE, *CHECKPOINTS]
