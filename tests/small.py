"""A small RBM, data for it, and the bytes of its parameters: shared by the tests of the estimator."""

import numpy as np

from fastdbn import RBM

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
