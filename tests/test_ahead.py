"""The second process of `fastdbn train`: it begins only where it helps, compiles what fine-tuning needs, and never ends a fit."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small import binary

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor
from fastdbn.backends.cpu import pool
from fastdbn.callbacks import ProgressBar
from fastdbn.cli import ahead

X, Y = binary(40, 6), np.arange(40) % 2
MODELS = {
    "classifier": DBNClassifier((4, 3), rbm=RBM(n_iter=1), max_iter=9, callbacks=[ProgressBar()], random_state=0),
    "regressor": DBNRegressor((4,), rbm=RBM(n_iter=1), max_iter=9),
    "autoencoder": DBNAutoencoder((4, 2), rbm=RBM(n_iter=1), max_iter=9),
}


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty cache, no shipped kernels, two processors."""
    monkeypatch.setattr(ahead, "cache_folder", lambda: str(tmp_path))
    monkeypatch.setattr(ahead.shipped, "names", lambda: ())
    monkeypatch.setattr(pool, "available_threads", lambda: 2)


@pytest.fixture
def started(empty, monkeypatch):
    """What is started where it would help."""
    calls = []

    class Process:
        def __init__(self, target, args, daemon):
            self.ended = []
            calls.append((target, args, self.ended))

        def start(self):
            pass

        def kill(self):
            self.ended.append("killed")

        def join(self):
            self.ended.append("waited for")

    class Context:
        pass

    Context.Process = Process
    monkeypatch.setattr(ahead.multiprocessing, "get_context", lambda how: Context)
    return calls


@pytest.mark.parametrize("name", MODELS)
def test_what_is_compiled(name, started):
    """The model without pretraining, on a few rows; the process has ended when the block has, also where that fails."""
    with pytest.raises(KeyboardInterrupt), ahead.compiled_ahead(MODELS[name], np.tile(X, (9, 1)), np.tile(Y, 9)):
        raise KeyboardInterrupt
    [(target, (model, rows, y), ended)] = started
    assert target is ahead.compile_for
    assert type(model) is type(MODELS[name])
    assert (model.pretrain, model.max_iter, model.callbacks, model.n_jobs) == (False, 1, None, 1)
    assert MODELS[name].pretrain is True
    assert len(rows) == len(y) == ahead.ROWS
    assert ended == ["killed", "waited for"]
    model.fit(rows, y).transform(rows)


def test_where_it_would_not_help(started, monkeypatch, tmp_path):
    """Without pretraining, on one thread or processor, switched off, with kernels kept or shipped, without a cache."""
    classifier = MODELS["classifier"]

    def nothing_begins(model=classifier):
        with ahead.compiled_ahead(model, X, Y):
            pass
        return not started

    for model in (DBN((4,)), DBNClassifier((4,), pretrain=False), DBNClassifier((4,), n_jobs=1), DBNClassifier(device="cuda")):
        assert nothing_begins(model)
    for place, name, value in (
        (pool, "available_threads", lambda: 1),
        (ahead.shipped, "names", lambda: ("backprop_steps.steps.0.nbc",)),
        (ahead, "cache_folder", lambda: None),
        (ahead.os, "access", lambda folder, how: False),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, value)
            assert nothing_begins()
    monkeypatch.setenv("FASTDBN_ONE_PROCESS", "1")
    assert nothing_begins()
    monkeypatch.delenv("FASTDBN_ONE_PROCESS")
    (tmp_path / "backprop_steps.steps.0.nbc").touch()
    assert nothing_begins()


@pytest.mark.parametrize("error", [OSError, pickle.PicklingError, AttributeError])
def test_a_process_that_cannot_begin_is_no_error(error, started, monkeypatch):
    def fails(how):
        raise error("no processes")

    monkeypatch.setattr(ahead.multiprocessing, "get_context", fails)
    with ahead.compiled_ahead(MODELS["classifier"], X, Y):
        pass
    assert not started


@pytest.mark.parametrize("fails", [False, True])
def test_it_changes_no_result(fails, empty, monkeypatch, capfd):
    """Whether it compiles or fails, the fit has the bits of one alone; nothing is said."""
    if fails:
        monkeypatch.setattr(DBNClassifier, "transform", None)
    model = MODELS["classifier"].set_params(callbacks=None)
    with ahead.compiled_ahead(model, X, Y):
        beside = [w.tobytes() for w in model.fit(X, Y).coefs_]
        process = ahead.multiprocessing.active_children()
        assert len(process) <= 1
        for child in process:
            child.join(300)
    assert not ahead.multiprocessing.active_children()
    assert beside == [w.tobytes() for w in model.fit(X, Y).coefs_]
    assert capfd.readouterr() == ("", "")


SLOW = """
import time
from fastdbn import DBNClassifier
from fastdbn.cli import ahead
class Slow(DBNClassifier):
    def fit(self, X, y):
        time.sleep(600)
ahead.CPU.field = lambda *_: None
process = ahead._started(Slow((4,)), [[0.0]], [0])
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_ends_with_a_process_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as parent:
        status = Path("/proc", parent.stdout.readline().strip(), "stat")
        assert "Z" not in status.read_text().rpartition(")")[2].split()[0]
        os.kill(parent.pid, signal.SIGKILL)
    end = time.monotonic() + 120
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.05)
