"""Callbacks: objects that a fit tells where it stands, given to an estimator as ``callbacks=[...]``. docs/callbacks.md has the
protocol."""

from fastdbn.callbacks.callback import Callback
from fastdbn.callbacks.checkpoint import Checkpoint
from fastdbn.callbacks.csv_logger import CSVLogger
from fastdbn.callbacks.early_stopping import EarlyStopping
from fastdbn.callbacks.progress_bar import ProgressBar

__all__ = ["CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "ProgressBar"]
