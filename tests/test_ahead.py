"""The second process of `fastdbn train`: it begins only where it helps, compiles what fine-tuning needs, and never ends a fit."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from small import binary

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor
from fastdbn.backends.cpu import pool
from fastdbn.callbacks import ProgressBar
from fastdbn.cli import ahead

X, Y = binary(40, 6), np.arange(40) % 2
MODELS = {
    "classifier": DBNClassifier((4, 3), rbm=RBM(n_iter=1), max_iter=9, callbacks=[ProgressBar()]),
    "regressor": DBNRegressor((4,), rbm=RBM(n_iter=1), max_iter=9),
    "autoencoder": DBNAutoencoder((4, 2), rbm=RBM(n_iter=1), max_iter=9),
}


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What is started, and an empty cache; two processors."""
    calls = []

    class Process:
        def __init__(self, command, stdin, **_):
            self.ended = []
            calls.append((command, pickle.load(stdin), self.ended))

        def kill(self):
            self.ended.append("killed")

        def wait(self):
            self.ended.append("waited for")

    monkeypatch.setattr(ahead.subprocess, "Popen", Process)
    monkeypatch.setattr(ahead, "cache_folder", lambda: str(tmp_path))
    monkeypatch.setattr(pool, "available_threads", lambda: 2)
    return calls


@pytest.mark.parametrize("name", MODELS)
def test_what_is_compiled(name, started):
    """The model without pretraining, on a few rows; the process has ended when the block has, also where that fails."""
    with pytest.raises(KeyboardInterrupt), ahead.compiled_ahead(MODELS[name], np.tile(X, (9, 1)), np.tile(Y, 9)):
        raise KeyboardInterrupt
    [(command, (model, rows, y), ended)] = started
    assert command == [sys.executable, "-c", ahead.PROGRAM]
    assert type(model) is type(MODELS[name]) and (model.pretrain, model.max_iter, model.callbacks) == (False, 1, None)
    assert MODELS[name].pretrain is True
    assert len(rows) == len(y) == ahead.ROWS
    assert ended == ["killed", "waited for"]
    exec(ahead.PROGRAM.replace("pickle.load(sys.stdin.buffer)", "given"), {"given": (model, rows, y)})


def test_where_it_would_not_help(started, monkeypatch, tmp_path):
    """Without pretraining, on one thread, with kernels in the cache, without a cache."""
    for model in (DBN((4,)), DBNClassifier((4,), pretrain=False), DBNClassifier((4,), n_jobs=1)):
        with ahead.compiled_ahead(model, X, Y):
            pass
    (tmp_path / "backprop_steps.steps.0.nbc").touch()
    with ahead.compiled_ahead(MODELS["classifier"], X, Y):
        pass
    monkeypatch.setattr(ahead, "cache_folder", lambda: None)
    with ahead.compiled_ahead(MODELS["classifier"], X, Y):
        pass
    assert not started


def test_it_never_ends_a_fit(started, monkeypatch):
    """A process that cannot begin, and data that cannot be sent, are no errors."""

    def fails(*_, **__):
        raise OSError("no processes")

    with ahead.compiled_ahead(MODELS["classifier"].__class__((4,), rbm=RBM(learning_rate=lambda epoch: 0.1)), X, Y):
        pass
    monkeypatch.setattr(ahead.subprocess, "Popen", fails)
    with ahead.compiled_ahead(MODELS["classifier"], X, Y):
        pass
    assert not started


def test_the_program_runs(monkeypatch):
    """In a new process, on what it is sent, without a word."""
    monkeypatch.setattr(ahead, "_lacking", lambda: True)
    monkeypatch.setattr(pool, "available_threads", lambda: 2)
    ended, begin = [], subprocess.Popen

    class Process(begin):
        def kill(self):
            ended.append(self.wait(300))

    monkeypatch.setattr(ahead.subprocess, "Popen", Process)
    with ahead.compiled_ahead(MODELS["classifier"], X, Y):
        pass
    assert ended == [0]
    assert "FASTDBN_QUIET" in os.environ
