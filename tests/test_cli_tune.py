"""`fastdbn tune` and `fastdbn bench`: what a search does with its time, and who is compared."""

import functools
import json
import math
import re
import sys
import time

import numpy as np
import pytest
from command_line import run

import fastdbn
from fastdbn import RBM, DBNClassifier, load
from fastdbn.cli import peers, tuning


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A file of binary rows whose first column says the class."""
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).integers(0, 2, (60, 5))
    header = "x0,x1,x2,x3,x4,kind"
    np.savetxt("rows.csv", np.column_stack([X, X[:, 0]]), fmt="%d", delimiter=",", header=header, comments="")


@pytest.fixture(params=[True, False])
def optuna(request, monkeypatch):
    """Whether Optuna searches, or scikit-learn because it is not installed; networks are small."""
    if request.param:
        pytest.importorskip("optuna")
    else:
        monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(fastdbn, "RBM", functools.partial(RBM, n_iter=1))
    monkeypatch.setattr(fastdbn, "DBNClassifier", functools.partial(DBNClassifier, (6,), max_iter=3))
    return request.param


TUNE = "tune", "rows.csv", "--target", "kind", "--keep", "x0", "--minutes", "0.02", "--out", "t"


def test_tune(optuna, folder, capsys, monkeypatch):
    """It says what the search bought on the test rows, and saves the model; without Optuna scikit-learn searches."""
    few = {"learning_rate_init": (1e-3, 1e-2)}, {"dropout": (0.0, 0.1)}, {"batch_size": [16, 32]}
    monkeypatch.setattr(tuning, "space", lambda model: few)
    code, out, err = run(capsys, *TUNE)
    assert code == 0, err
    assert re.match(r"test accuracy: [01]\.\d+ tuned, [01]\.\d+ with the defaults \(12 rows\)", out)
    assert load("t").n_features_in_ == 5
    assert ("Optuna is not installed" in err) != optuna
    assert "fine-tuning: 3 epochs" in err
    assert "epochs" not in run(capsys, *TUNE, "--force", "--quiet")[2]


@pytest.mark.usefixtures("optuna", "folder")
def test_tune_on_fewer_rows(capsys, monkeypatch):
    """If the defaults take too much of the time on all rows, the search takes fewer, and says so."""
    monkeypatch.setattr(tuning, "FITS", 1e9)
    monkeypatch.setattr(tuning, "FEWEST", 10)
    code, out, err = run(capsys, *TUNE)
    assert code == 0, err
    assert "of the time: searching on" in err
    assert "; models of 10 rows" in out


@pytest.mark.usefixtures("optuna", "folder")
def test_tune_ends_in_time(capsys, monkeypatch):
    """The fit that runs when the time is over is ended, and what it tried does not count."""
    fits, begin = [], tuning.Deadline.on_fit_begin

    def slow(self, estimator, resumed):
        if math.isfinite(self.at):  # that of the defaults is not
            fits.append(self)
            time.sleep(max(0, self.at - time.perf_counter()))
        begin(self, estimator, resumed)

    monkeypatch.setattr(tuning.Deadline, "on_fit_begin", slow)
    code, out, err = run(capsys, *TUNE)
    assert code == 0, err
    assert "; 1 setting tried" in out
    assert fits or "took the whole time" in err


def test_bench(folder, capsys, monkeypatch):
    """Each work has a time and a score of each contender."""
    monkeypatch.setattr(peers, "EPOCHS", 1)
    code, out, err = run(capsys, "bench", "rows.csv", "--target", "kind", "--keep", "x0", "--rounds", "1", "--json")
    assert code == 0, err
    layer, network = json.loads(out).values()
    assert set(layer) == {"fastdbn", "scikit-learn"}
    assert set(network) >= {"fastdbn", "scikit-learn"}
    assert all(one.keys() == {"seconds", "pseudo-likelihood"} for one in layer.values())
    assert all(one.keys() == {"seconds", "accuracy"} for one in network.values())
    assert 0 <= network["fastdbn"]["accuracy"] <= 1
