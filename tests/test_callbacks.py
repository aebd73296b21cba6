"""Callbacks: the order of the hooks, and the objects of `fastdbn.callbacks`."""

import copy
import csv
import io
import pickle
import sys

import numpy as np
import pytest
from learnt import learnt
from sklearn.base import clone
from test_interrupt import LAYERS, Interrupt, X, Y, layer

from fastdbn import (
    DBN,
    RBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    callbacks,
    load,
)
from fastdbn.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, ProgressBar

NETWORK = {"rbm": layer(1), "max_iter": 2, **LAYERS}
MODELS = {
    "rbm": (RBM(5, n_iter=2, **LAYERS), {0: 2}),
    "dbn": (DBN((5, 4), rbm=layer(2), random_state=0), {0: 2, 1: 2}),
    "outliers": (DBNOutlierDetector((5,), rbm=layer(1), random_state=0), {0: 1}),
    "generative": (GenerativeDBNClassifier((5, 4), rbm=layer(1), up_down_iter=2, random_state=0), {0: 1, 1: 1, "up-down": 2}),
    "classifier": (DBNClassifier((5, 4), **NETWORK), {0: 1, 1: 1, "fine-tuning": 2}),
    "regressor": (DBNRegressor((5,), pretrain=False, **NETWORK), {"fine-tuning": 2}),
    "autoencoder": (DBNAutoencoder((5,), **NETWORK), {0: 1, "fine-tuning": 2}),
}
every = pytest.mark.parametrize("name", MODELS)


class Recorder(Callback):
    """Keeps the name and the arguments of each call."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def record(estimator, **info):
            info.pop("metrics", None)
            self.calls.append((name, type(estimator).__name__, *info.values()))

        return record


@every
def test_hooks_in_their_order(name):
    """Each stage begins, has its epochs and ends, between the two ends of the fit; all see the estimator that is fitted."""
    model, stages = MODELS[name]
    recorder, kind = Recorder(), type(model).__name__
    clone(model).set_params(callbacks=[recorder]).fit(X, Y)
    expected = [("on_fit_begin", kind, False)]
    for stage, n in stages.items():
        expected.append(("on_stage_begin", kind, stage, 0, n, len(X)))
        expected += [(f"on_epoch_{end}", kind, stage, epoch) for epoch in range(1, n + 1) for end in ("begin", "end")]
        expected.append(("on_stage_end", kind, stage))
    assert recorder.calls == [*expected, ("on_fit_end", kind, True)]


def test_an_interrupted_fit_ends_and_goes_on():
    """`on_fit_end` is told that a fit is not complete, and `on_stage_begin` where the next one goes on."""
    recorder = Recorder()
    model = RBM(5, n_iter=3, callbacks=[recorder, Interrupt(2)], **LAYERS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert recorder.calls[-1] == ("on_fit_end", "RBM", False)
    recorder.calls.clear()
    model.set_params(callbacks=[recorder], warm_start=True).fit(X)
    assert recorder.calls[:4] == [
        ("on_fit_begin", "RBM", True),
        ("on_stage_begin", "RBM", 0, 2, 3, len(X)),
        ("on_epoch_begin", "RBM", 0, 3),
        ("on_epoch_end", "RBM", 0, 3),
    ]
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan))
    assert recorder.calls[-1] == ("on_fit_end", "RBM", False)


def test_a_pass_is_no_fit():
    """`partial_fit` tells of its epoch alone."""
    recorder = Recorder()
    RBM(5, callbacks=[recorder], **LAYERS).partial_fit(X)
    assert recorder.calls == [("on_epoch_begin", "RBM", 0, 1), ("on_epoch_end", "RBM", 0, 1)]


def test_every_callback_is_told_of_the_last_epoch():
    """StopIteration of one does not keep the epoch from the others; hooks that an object lacks are left out."""

    class Plain:
        seen = 0

        def on_epoch_end(self, estimator, stage, epoch, metrics):
            self.seen += 1

    plain, after = Plain(), Interrupt()
    model = RBM(5, n_iter=5, callbacks=[Interrupt(2, StopIteration), plain, after], **LAYERS).fit(X)
    assert (model.n_iter_, plain.seen, after.seen) == (2, 2, 2)


@pytest.mark.parametrize("hook", ["on_fit_begin", "on_stage_begin", "on_epoch_begin", "on_stage_end", "on_fit_end"])
def test_stop_iteration_elsewhere_is_an_error(hook):
    """It would end a loop of the caller without a word."""

    def stop(*_, **__):
        raise StopIteration

    callback = type("Mine", (Callback,), {hook: stop})()
    with pytest.raises(RuntimeError, match=f"Mine.{hook} raised StopIteration, which ends a stage only in on_epoch_end"):
        RBM(5, n_iter=2, callbacks=[callback], **LAYERS).fit(X)


def test_a_class_is_no_callback():
    with pytest.raises(ValueError, match=r"callbacks=.*ProgressBar is a class, give an object: ProgressBar\(...\)"):
        RBM(5, callbacks=[ProgressBar]).fit(X)


def test_callbacks_change_nothing(tmp_path):
    """A fit with callbacks has the bits of one without; a clone has callbacks of its own; models with them are pickled."""
    model = DBNClassifier((5,), **NETWORK)
    told = clone(model).set_params(callbacks=[ProgressBar(), CSVLogger(tmp_path / "log.csv")])
    assert learnt(pickle.loads(pickle.dumps(told.fit(X, Y)))) == learnt(model.fit(X, Y))
    assert clone(told).callbacks[1].path == tmp_path / "log.csv"


# ---- early stopping


@pytest.mark.parametrize("tol", [None, 0.0])
def test_early_stopping_is_the_parameter(tol):
    """The callback ends layers and fine-tuning as `early_stopping` does, with the same bits."""
    stop, held_out = {"early_stopping": True, "n_iter_no_change": 2, "tol": tol}, {"validation_fraction": 0.3}
    callback = EarlyStopping(n_iter_no_change=2, tol=tol)
    models = RBM(5, n_iter=40, **held_out, **LAYERS), DBNClassifier((5,), pretrain=False, max_iter=40, **held_out, **LAYERS)
    for model in models:
        own = clone(model).set_params(**stop).fit(X, Y)
        called = clone(model).set_params(callbacks=[callback]).fit(X, Y)
        assert learnt(called) == learnt(own)
        assert called.n_iter_ < 40


def test_early_stopping_by_stage():
    """It watches the stages that have its monitor, and leaves the best epoch of each."""
    seen = []
    watch = EarlyStopping("reconstruction_error", n_iter_no_change=1, tol=10.0)
    model = DBNClassifier((5, 4), callbacks=[watch, lambda **told: seen.append(told["layer"])], **NETWORK | {"rbm": layer(9)})
    model.fit(X, Y)
    assert [seen.count(stage) for stage in (0, 1, "fine-tuning")] == [2, 2, 2]
    loss = EarlyStopping("loss", n_iter_no_change=1, tol=10.0)
    model.set_params(callbacks=[loss], max_iter=9).fit(X, Y)
    assert (model.n_iter_, [rbm.n_iter_ for rbm in model.dbn_.layers_]) == (2, [9, 9])


def test_early_stopping_is_interrupted():
    """As the parameter: completed to the same bits after Ctrl-C in any epoch."""
    model = DBNClassifier((5,), pretrain=False, max_iter=12, learning_rate_init=0.5, **LAYERS)
    stop = [EarlyStopping(n_iter_no_change=3)]
    whole = clone(model).set_params(callbacks=stop).fit(X, Y)
    for after in range(1, whole.n_iter_):
        part = clone(model).set_params(callbacks=[*stop, Interrupt(after)])
        with pytest.raises(KeyboardInterrupt):
            part.fit(X, Y)
        assert learnt(part.set_params(callbacks=stop, warm_start=True).fit(X, Y)) == learnt(whole)


@pytest.mark.parametrize(
    ("model", "callback", "message"),
    [
        (RBM(5), lambda: EarlyStopping(), "needs rows held out: give validation_fraction"),
        (RBM(5, early_stopping=True, validation_fraction=0.2), EarlyStopping, "beside early_stopping or tol"),
        (RBM(5, visible="gaussian"), lambda: EarlyStopping("pseudo_likelihood"), "visible units of two values"),
        (DBNClassifier((5,), pretrain=False, tol=0.1), EarlyStopping, "beside early_stopping or tol"),
        (RBM(5), lambda: EarlyStopping("seconds"), "monitor='seconds'"),
        (RBM(5), lambda: EarlyStopping(n_iter_no_change=0), "n_iter_no_change=0"),
        (RBM(5), lambda: EarlyStopping(tol=-1), "tol=-1"),
    ],
)
def test_early_stopping_that_cannot_be(model, callback, message):
    with pytest.raises(ValueError, match=message):
        clone(model).set_params(callbacks=[callback()]).fit(X, Y)


def test_early_stopping_twice():
    """Two may watch different stages, and not one."""
    watches = [EarlyStopping("reconstruction_error"), EarlyStopping("update_ratio")]
    with pytest.raises(ValueError, match="by 'reconstruction_error' and by 'update_ratio' in one stage"):
        RBM(5, callbacks=watches, **LAYERS).fit(X)


# ---- the log


def lines(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_log(tmp_path):
    """A line for each epoch with the numbers of the history; a later stage adds its columns; what is not measured is empty."""
    path = tmp_path / "log.csv"
    model = DBNClassifier((5,), callbacks=[CSVLogger(path)], **NETWORK).fit(X, Y)
    found = lines(path)
    assert [(row["stage"], row["epoch"]) for row in found] == [("0", "1"), ("fine-tuning", "1"), ("fine-tuning", "2")]
    assert [float(row["loss"]) for row in found[1:]] == list(model.history_["loss"])
    assert found[0]["loss"] == found[1]["reconstruction_error"] == found[0]["swap_rate"] == ""
    assert float(found[0]["reconstruction_error"]) == model.dbn_.layers_[0].history_["reconstruction_error"][0]
    model.fit(X, Y)
    assert len(lines(path)) == 3


def test_log_goes_on(tmp_path):
    """After an interrupt, and after a process was killed in the middle of a line: each epoch stands there once."""
    path = tmp_path / "log.csv"
    model = RBM(5, n_iter=4, callbacks=[CSVLogger(path), Interrupt(2)], **LAYERS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    with open(path, "a") as file:
        file.write("0,3,0.1")
    model.set_params(callbacks=[CSVLogger(path)], warm_start=True).fit(X)
    assert [row["epoch"] for row in lines(path)] == ["1", "2", "3", "4"]


def test_passes_go_on(tmp_path):
    """`partial_fit` adds its epochs to the log of the fit, and makes the folder of its checkpoints."""
    path = tmp_path / "log.csv"
    model = RBM(5, n_iter=2, callbacks=[CSVLogger(path)], **LAYERS).fit(X)
    model.set_params(callbacks=[CSVLogger(path), Checkpoint(tmp_path / "new")]).partial_fit(X).partial_fit(X)
    assert [row["epoch"] for row in lines(path)] == ["1", "2", "3", "4"]
    assert load(tmp_path / "new" / "last.safetensors").n_iter_ == 4


def test_log_of_others_stays(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    model = RBM(5, n_iter=1, **LAYERS).fit(X).set_params(warm_start=True, callbacks=[CSVLogger(path)])
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="was not written by a CSVLogger: give another path"):
            train(X)
    assert path.read_text() == "a,b\n1,2\n"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model.set_params(callbacks=[CSVLogger(tmp_path / "none" / "log.csv")]).fit(X)


# ---- progress


def test_progress_without_a_terminal(capsys):
    """One line for each stage, at its end."""
    DBNClassifier((5,), callbacks=[ProgressBar()], **NETWORK).fit(X, Y)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("layer 1: 1 epoch in ")
    assert "rows/s, reconstruction error " in first
    assert second.startswith("fine-tuning: 2 epochs in ")
    assert "loss " in second


def test_progress_of_one_layer_with_labels(capsys):
    """A network of one layer has no wake phase to speak of."""
    GenerativeDBNClassifier((5,), rbm=RBM(n_iter=1), up_down_iter=1, callbacks=[ProgressBar()], random_state=0).fit(X, Y)
    assert "wake loss" not in capsys.readouterr().err


def test_progress_on_a_terminal(monkeypatch):
    """A live line for each stage, which is closed at its end and after an interrupt; models are copied while it is open."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar, copies = ProgressBar(), []
    model = RBM(5, n_iter=3, callbacks=[bar, lambda estimator, **_: copies.append(copy.deepcopy(estimator)), Interrupt(2)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert bar._bar is None
    assert "layer 1:" in terminal.getvalue()
    assert "reconstruction error" in terminal.getvalue()
    assert copies[0].callbacks[0]._bar is None


def test_public_names():
    assert set(callbacks.__all__) == {"CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "ProgressBar"}
    assert all(getattr(callbacks, name).__module__.startswith("fastdbn.callbacks.") for name in callbacks.__all__)
