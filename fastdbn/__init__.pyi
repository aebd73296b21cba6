"""The public names for editors and type checkers, which do not run the imports of __init__.py."""

from fastdbn import callbacks as callbacks
from fastdbn import evaluate as evaluate
from fastdbn import plot as plot
from fastdbn.estimators.autoencoder import DBNAutoencoder as DBNAutoencoder
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM as BernoulliRBM
from fastdbn.estimators.dbn import DBN as DBN
from fastdbn.estimators.finetune import DBNClassifier as DBNClassifier
from fastdbn.estimators.generative import GenerativeDBNClassifier as GenerativeDBNClassifier
from fastdbn.estimators.load import load as load
from fastdbn.estimators.outliers import DBNOutlierDetector as DBNOutlierDetector
from fastdbn.estimators.rbm import RBM as RBM
from fastdbn.estimators.regressor import DBNRegressor as DBNRegressor
from fastdbn.estimators.table_model import TableModel as TableModel
from fastdbn.exits.numpy_source import to_numpy as to_numpy
from fastdbn.exits.onnx_file import export_onnx as export_onnx
from fastdbn.exits.rbms_file import from_rbms as from_rbms
from fastdbn.exits.rbms_file import to_rbms as to_rbms
from fastdbn.exits.sklearn_rbm import from_sklearn as from_sklearn
from fastdbn.exits.sklearn_rbm import to_sklearn as to_sklearn
from fastdbn.exits.torch_modules import to_torch as to_torch
from fastdbn.machine.machine import Machine as Machine
from fastdbn.preparation.preparation import Preparation as Preparation
from fastdbn.report.environment import show_versions as show_versions
from fastdbn.report.page import write_report as write_report
from fastdbn.signals.log_mel import LogMel as LogMel
from fastdbn.signals.windows import Windows as Windows
from fastdbn.support.report import DataWarning as DataWarning
from fastdbn.support.report import EstimateWarning as EstimateWarning
from fastdbn.support.report import FitWarning as FitWarning
from fastdbn.training.training import DivergenceError as DivergenceError
from fastdbn.units.unit import Unit as Unit

__version__: str
