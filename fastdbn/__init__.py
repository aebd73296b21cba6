"""fastdbn: Deep Belief Networks and Restricted Boltzmann Machines, trained fast and exactly.

The public names are imported at their first use, so that ``import fastdbn`` alone is cheap.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "RBM": "estimators.rbm",
    "BernoulliRBM": "estimators.bernoulli_rbm",
    "DBN": "estimators.dbn",
    "DBNClassifier": "estimators.finetune",
    "DBNRegressor": "estimators.regressor",
    "DBNAutoencoder": "estimators.autoencoder",
    "GenerativeDBNClassifier": "estimators.generative",
    "DBNOutlierDetector": "estimators.outliers",
    "DivergenceError": "training.training",
    "Preparation": "preparation.preparation",
    "TableModel": "estimators.table_model",
    "Windows": "signals.windows",
    "LogMel": "signals.log_mel",
    "Machine": "machine.machine",
    "DataWarning": "support.report",
    "EstimateWarning": "support.report",
    "FitWarning": "support.report",
    "Unit": "units.unit",
    "load": "estimators.load",
    "export_onnx": "exits.onnx_file",
    "to_numpy": "exits.numpy_source",
    "to_torch": "exits.torch_modules",
    "from_sklearn": "exits.sklearn_rbm",
    "to_sklearn": "exits.sklearn_rbm",
    "from_rbms": "exits.rbms_file",
    "to_rbms": "exits.rbms_file",
    "show_versions": "report.environment",
    "write_report": "report.page",
}

_MODULES = "callbacks", "evaluate", "plot"

__all__ = ["__version__", *_MODULES, *_HOMES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"fastdbn.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fastdbn.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fastdbn' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
