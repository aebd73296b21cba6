"""Small estimators, data for them, and the bytes of an RBM's parameters: shared by the tests of estimators."""

import numpy as np
import pytest

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

PARAMETERS = ("components_", "intercept_hidden_", "intercept_visible_")


def bits(model):
    """The bytes of all parameters, to compare exactly."""
    return b"".join(np.ascontiguousarray(getattr(model, name)).tobytes() for name in PARAMETERS)


def binary(n=61, width=12, seed=0):
    """Two noisy prototypes: data with something to learn."""
    draw = np.random.default_rng(seed)
    prototypes = draw.integers(0, 2, (2, width))
    X = prototypes[draw.integers(0, 2, n)] ^ (draw.random((n, width)) < 0.1)
    return X.astype(np.float32)


def small(**more):
    return RBM(**{"n_components": 7, "n_iter": 3, "batch_size": 20, "random_state": 0} | more)


NETWORK = {"hidden_layer_sizes": (4, 3), "rbm": RBM(n_iter=1, batch_size=20), "random_state": 0}
TRAINED = NETWORK | {"batch_size": 20, "max_iter": 1}
ESTIMATORS = [
    RBM(4, n_iter=1, random_state=0),
    BernoulliRBM(4, n_iter=1, random_state=0),
    DBN(**NETWORK),
    DBNOutlierDetector(**NETWORK),
    GenerativeDBNClassifier(up_down_iter=1, **NETWORK),
    DBNClassifier(**TRAINED),
    DBNRegressor(**TRAINED),
    DBNAutoencoder(**TRAINED),
]
"""One of every class, tiny: fitted in milliseconds by kernels that most tests compile."""
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
