"""fastdbn: Deep Belief Networks and Restricted Boltzmann Machines, trained fast and exactly.

The public names are imported at their first use, so that ``import fastdbn`` alone is cheap.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "RBM": "rbm",
    "BernoulliRBM": "bernoulli_rbm",
    "DBN": "dbn",
    "DBNClassifier": "finetune",
    "DBNRegressor": "finetune",
    "DBNAutoencoder": "autoencoder",
    "GenerativeDBNClassifier": "generative",
    "DBNOutlierDetector": "outliers",
    "DivergenceError": "train",
    "DataWarning": "report",
    "FitWarning": "report",
    "Unit": "unit",
    "load": "io",
    "show_versions": "versions",
}

__all__ = ["__version__", "evaluate", *_HOMES]


def __getattr__(name):
    if name == "evaluate":
        return importlib.import_module("fastdbn.evaluate")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fastdbn.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fastdbn' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
