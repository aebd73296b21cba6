"""Callbacks of scikit-learn's own protocol, given by `set_callbacks`."""

import numpy as np
import pytest
from learnt import learnt
from sklearn.base import clone
from test_interrupt import LAYERS, X, Y, layer

from fastdbn import DBNClassifier, GenerativeDBNClassifier

skl = pytest.importorskip("sklearn.callback")
MODEL = DBNClassifier((5,), rbm=layer(1), max_iter=3, **LAYERS)


class Recorder:
    """A callback of the protocol, which keeps the names of tasks, and stops after some epochs."""

    def __init__(self, stop=None):
        self.calls, self.stop, self.given, self.epochs = [], stop, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")
        self.epochs.append(getattr(estimator, "n_iter_", None))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.given.append((X is None, y is None, fitted_estimator is None))
        return context.task_name == self.stop


def test_the_tree_of_tasks():
    """A task for the fit, its stages and their epochs; data are given, and the estimator once it can be used."""
    recorder = Recorder()
    model = clone(MODEL).set_callbacks(recorder).fit(X, Y)
    epochs = [f"{word} epoch {i}" for i in (1, 2, 3) for word in ("begin", "end")]
    pretraining = ["begin layer 1", "begin epoch 1", "end epoch 1", "end layer 1"]
    tuning = ["begin fine-tuning", *epochs, "end fine-tuning"]
    assert recorder.calls == ["setup", "begin fit", *pretraining, *tuning, "end fit", "teardown"]
    assert recorder.epochs == [None] * 3 + [0, 0, 1, 2], "epochs begin before they are trained"
    assert recorder.given == [(False, False, True)] * 2 + [(False, False, False)] * 5
    assert learnt(clone(MODEL).fit(X, Y)) == {k: x for k, x in learnt(model).items() if k != "_skl_callbacks"}


def test_a_callback_stops_a_stage():
    model = clone(MODEL).set_callbacks(Recorder(stop="epoch 2")).fit(X, Y)
    assert (model.n_iter_, len(model.history_["loss"])) == (2, 2)


def test_errors_end_the_fit():
    """Callbacks are torn down after data that are refused, and the estimator is as it was."""
    recorder = Recorder()
    model = clone(MODEL).set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), Y)
    assert recorder.calls == ["setup", "begin fit", "teardown"]
    assert vars(model).keys() == vars(clone(model)).keys()


def test_scores_of_each_epoch():
    """scikit-learn's monitor scores the model after each epoch in which it can be used."""
    monitor = skl.ScoringMonitor(scoring="accuracy")
    model = GenerativeDBNClassifier((5,), rbm=layer(1), up_down_iter=2, random_state=0).set_callbacks(monitor).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert scores[-1] == model.score(X, Y)
    assert len(scores) >= 4
