"""Checkpoints: a fit goes on from one to the same bits, whatever happened; others are refused by name."""

import copy
import os
import shutil

import numpy as np
import pytest
from kill_fits import MODELS, STOP, X, Y, kill
from learnt import learnt
from model_files import opened, rewrite
from scipy import sparse
from sklearn.base import clone
from test_interrupt import Interrupt

from fastdbn import DBN, RBM, DBNClassifier, callbacks, load
from fastdbn.callbacks import Checkpoint

every = pytest.mark.parametrize("name", MODELS)
SMALL = {"n_iter": 3, "batch_size": 8, "random_state": 0}


class Keep(callbacks.Callback):
    """Keeps each version of a checkpoint, as a kill right after it would leave it."""

    is_last = True

    def __init__(self, last, folder):
        self.last, self.folder, self.files = last, folder, []

    def on_epoch_end(self, estimator, stage, epoch, metrics):
        self.files.append(shutil.copy(self.last, self.folder / f"{len(self.files)}.safetensors"))

    def on_stage_end(self, estimator, stage):
        self.files.append(shutil.copy(self.last, self.folder / f"{len(self.files)}.safetensors"))


def model_of(name, *more):
    return clone(MODELS[name]).set_params(callbacks=[*([STOP] if name == "stopping" else []), *more])


@every
def test_from_every_checkpoint(name, tmp_path):
    """From the checkpoint of every epoch and every stage: the bits of the fit itself, in layers, up-down and fine-tuning."""
    save = Checkpoint(tmp_path / "saved")
    keep = Keep(save.last, tmp_path)
    whole = learnt(model_of(name, save, keep).fit(X, Y))
    assert learnt(model_of(name).fit(X, Y)) == whole
    files = keep.files if name != "generative" else keep.files[::2]
    assert len(files) >= 3
    for path in [*files, save.last]:
        assert learnt(model_of(name).fit(X, Y, resume=path)) == whole


@every
def test_the_last_checkpoint_is_the_model(name, tmp_path):
    """It is loaded like a model, and a fit that goes on from it trains no more."""
    model = model_of(name, Checkpoint(tmp_path)).fit(X, Y)
    assert learnt(load(tmp_path / "last.safetensors")) == learnt(model)
    again = model_of(name, Checkpoint(tmp_path), count := Interrupt()).fit(X, Y, resume="last")
    assert (learnt(again), count.seen) == (learnt(model), 0)


def test_kills():
    """SIGKILL at ten random moments; ``python -m tests.kill_fits`` does more."""
    kills, complete, wrong = kill(10, ["classifier", "dbn", "best"], 0)
    assert kills >= 10
    assert complete
    assert not wrong


def test_interrupts_between_checkpoints(tmp_path):
    """Ctrl-C writes a checkpoint of the last epoch; a fit from it goes on there."""
    model = model_of("rbm", Checkpoint(tmp_path, every_n_epochs=10), Interrupt(2))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    again = model_of("rbm", count := Interrupt()).fit(X, resume=tmp_path / "last.safetensors")
    assert count.seen == again.n_iter_ - 2
    assert learnt(again) == learnt(model_of("rbm").fit(X))


def test_a_layer_that_is_lacking(tmp_path):
    """A checkpoint of pretraining is no model yet, and says how it becomes one."""
    model = model_of("classifier", Checkpoint(tmp_path), Interrupt(1))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    with pytest.raises(ValueError, match=r"go on with it by fit\(X, resume=path\)"):
        load(tmp_path / "last.safetensors")
    dbn = model_of("dbn", Checkpoint(tmp_path / "dbn"), Interrupt(1))
    with pytest.raises(KeyboardInterrupt):
        dbn.fit(X)
    with pytest.raises(ValueError, match=r"checkpoint of a fit that cannot be used yet: go on with it by"):
        load(tmp_path / "dbn" / "last.safetensors")


def test_last_begins_anew(tmp_path):
    """Without a checkpoint "last" is a fit from the start, so that a script can be run again and again."""
    first = model_of("rbm", Checkpoint(tmp_path)).fit(X, resume="last")
    assert learnt(first) == learnt(model_of("rbm").fit(X))
    with pytest.raises(ValueError, match="has checkpoints of another fit: give resume='last'"):
        model_of("rbm", Checkpoint(tmp_path)).fit(X)


# ---- what is refused


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The path of a checkpoint in the middle of a fit of a network."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = clone(MODELS["classifier"]).set_params(callbacks=[Checkpoint(folder), Interrupt(4)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    return folder / "last.safetensors"


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("max_iter", 5, "max_iter=4 there and 5 here"),
        ("hidden_layer_sizes", (5, 3), r"hidden_layer_sizes=\(5, 4\) there and \(5, 3\) here"),
        ("rbm__n_iter", 2, "rbm__n_iter=3 there and 2 here"),
        ("rbm", None, "rbm.*None here"),
        ("random_state", 1, "random_state=0 there and 1 here"),
        ("learning_rate_init", lambda epoch: 0.1, "learning_rate_init=None there and"),
    ],
)
def test_other_parameters(saved, parameter, value, message):
    """Refused with what differs, and the estimator is as it was."""
    model = clone(MODELS["classifier"]).set_params(**{parameter: value})
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(X, Y, resume=saved)
    assert str(saved) in str(caught.value)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X[:-1], Y[:-1]), r"X has shape \(40, 6\) there and \(39, 6\) here"),
        ((1 - X, Y), "X has other values"),
        ((X.astype(np.float64), Y), "X is float32 there and float64 here"),
        ((sparse.csr_matrix(X), Y), "X is float32 there and csr float32 here"),
        ((X, 1 - Y), "y has other values"),
        ((X, np.where(Y, "a", "b")), "classes"),
        ((X, Y, Y + 1.0), "sample_weight is given only here"),
    ],
)
def test_other_data(saved, data, message):
    model = clone(MODELS["classifier"])
    with pytest.raises(ValueError, match=f"{saved}' is of a fit to other data: .*{message}"):
        model.fit(*data, resume=saved)
    assert not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("name", ["dbn", "generative"])
def test_checkpoints_of_up_down(name, tmp_path):
    """A call of `up_down` goes on from its checkpoint to the same bits, and not with other data."""
    model = model_of(name).fit(X, Y)
    y = [Y] if name == "generative" else []
    whole = learnt(copy.deepcopy(model).up_down(X, *y, n_iter=2))
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[Checkpoint(tmp_path), Interrupt(1)]).up_down(X, *y, n_iter=2)
    rest = load(tmp_path / "last.safetensors").set_params(warm_start=True)
    with pytest.raises(ValueError, match="the run that was interrupted is of a fit to other data: X has other values"):
        rest.up_down(1 - X, *y, n_iter=2)
    assert learnt(rest.up_down(X, *y, n_iter=2)) == whole


def test_other_files(saved, tmp_path):
    """A damaged file, a model that is no checkpoint, one of another class, and none."""
    data = bytearray(saved.read_bytes())
    data[-5] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    model = clone(MODELS["classifier"])
    with pytest.raises(ValueError, match=r"damaged.* is damaged: its contents do not match its hash"):
        model.fit(X, Y, resume=tmp_path / "damaged")
    with pytest.raises(ValueError, match="is a checkpoint of a DBNClassifier, and this is a DBN"):
        DBN().fit(X, resume=saved)
    clone(MODELS["rbm"]).fit(X).save(tmp_path / "model")
    with pytest.raises(ValueError, match="is a model, not a checkpoint of its fit"):
        clone(MODELS["rbm"]).fit(X, resume=tmp_path / "model")
    with pytest.raises(ValueError, match="none' is not a file"):
        model.fit(X, Y, resume=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="resume='last' needs a Checkpoint among the callbacks"):
        model.fit(X, Y, resume="last")
    with pytest.raises(ValueError, match="resume=3: give"):
        model.fit(X, Y, resume=3)


@pytest.mark.parametrize("lacking", ["draws", "velocity", "step", "seed"])
def test_a_checkpoint_that_lacks_what_its_fit_has(lacking, tmp_path):
    """Only what a later stage brings may be lacking, all of it or none."""
    path = tmp_path / "last.safetensors"
    model_of("rbm", Checkpoint(tmp_path)).fit(X, Y)

    def change(record, tensors):
        del record["state"][lacking]
        for name in [name for name in tensors if name.startswith(f"{lacking}.")]:
            del tensors[name]

    rewrite(path, change)
    with pytest.raises(ValueError, match=rf"{path} does not hold .*lacks {lacking}"):
        model_of("rbm").fit(X, Y, resume=path)


def test_part_of_a_stage(tmp_path):
    """A network has all that fine-tuning begins with, or nothing of it."""
    path = tmp_path / "last.safetensors"
    model_of("regressor", Checkpoint(tmp_path)).fit(X, Y)
    rewrite(path, lambda record, tensors: record["state"].pop("n_iter"))
    with pytest.raises(ValueError, match=rf"{path} does not hold .*lacks n_iter"):
        model_of("regressor").fit(X, Y, resume=path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state["run"].update(begun=[[0, 9, 2]]), "stage 0 began at epoch 9"),
        (lambda state: state["run"].update(begun=[[99, 0, 2]]), "it has no stage 99"),
        (lambda state: state["layers"][0]["params"].update(binarize=0.5), "binarize=None is not that of the fit"),
        (lambda state: state["layers"][0]["state"].update(seed="77"), "random_state=0 is not that of the fit"),
    ],
)
def test_runs_that_cannot_go_on(change, said, tmp_path):
    """A run whose stages and layers do not belong together is refused when it is read."""
    path = tmp_path / "last.safetensors"
    model_of("dbn", Checkpoint(tmp_path)).fit(X, Y)
    rewrite(path, lambda record, tensors: change(record["state"]))
    with pytest.raises(ValueError, match=rf"{path} does not hold .*{said}"):
        model_of("dbn").fit(X, Y, resume=path)


def test_best_weights_that_overflow(tmp_path):
    """The parameters of the best epoch, with which a fit may end, are checked as the present ones are."""
    save = Checkpoint(tmp_path / "saved")
    keep = Keep(save.last, tmp_path)
    model = model_of("classifier", save, keep).set_params(early_stopping=True)
    model.fit(X, Y)
    path = next(path for path in keep.files if "best.coefs.0" in opened(path)[1])
    rewrite(path, lambda record, tensors: tensors["best.coefs.0"].fill(3e38))
    with pytest.raises(ValueError, match=r"best: weights of 3e\+38"):
        model.fit(X, Y, resume=path)


@pytest.mark.parametrize("name", ["classifier", "generative"])
def test_other_labels(name, tmp_path):
    """The checkpoint is named: its classes may be those that are wrong."""
    path = tmp_path / "last.safetensors"
    model_of(name, Checkpoint(tmp_path)).fit(X, Y)
    with pytest.raises(ValueError, match=rf"resume='{path}': y has labels that the fit did not have: .*7"):
        model_of(name).fit(X, np.where(Y == Y[0], 7, Y), resume=str(path))


def test_another_given_network(tmp_path):
    """The network that was given as `pretrain` is part of the data."""
    given = [DBN((5,), rbm=RBM(n_iter=1), random_state=seed).fit(X) for seed in range(2)]
    model = DBNClassifier((5,), pretrain=given[0], max_iter=3, random_state=0, callbacks=[Checkpoint(tmp_path), Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    other = DBNClassifier((5,), pretrain=given[1], max_iter=3, random_state=0)
    with pytest.raises(ValueError, match="pretrain has other values"):
        other.fit(X, Y, resume=tmp_path / "last.safetensors")
    other.set_params(pretrain=given[0]).fit(X, Y, resume=tmp_path / "last.safetensors")
    assert learnt(other) == learnt(model.set_params(callbacks=None).fit(X, Y))


def test_what_no_checkpoint_holds(tmp_path):
    """It is said before anything is trained; chains of missing values are said to begin anew."""
    model = clone(MODELS["autoencoder"]).set_params(noise=lambda rows, draw: rows, callbacks=[Checkpoint(tmp_path), Interrupt(1)])
    with pytest.raises(ValueError, match="is a function, which a model file cannot hold"):
        model.fit(X)
    lacking = np.where(np.eye(40, 6) > 0, np.nan, X)
    gaps = RBM(5, missing="sample", callbacks=[Checkpoint(tmp_path / "gaps"), Interrupt(1)], **SMALL)
    with pytest.raises(KeyboardInterrupt):
        gaps.fit(lacking)
    with pytest.warns(UserWarning, match="missing='sample': chains of missing values"):
        RBM(5, missing="sample", **SMALL).fit(lacking, resume=tmp_path / "gaps" / "last.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dirpath": 3}, "dirpath=3"),
        ({"dirpath": ""}, "dirpath=''"),
        ({"every_n_epochs": 0}, "every_n_epochs=0"),
        ({"monitor": "seconds"}, "monitor='seconds'"),
        ({"save_top_k": -1}, "save_top_k=-1"),
        ({"save_last": 1}, "save_last=1"),
        ({"save_last": False}, "writes nothing"),
    ],
)
def test_checkpoints_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(**{"dirpath": "folder"} | options)


# ---- the best epochs


def test_best_epochs(tmp_path):
    """The best epochs by a monitor, in files by stage; they can be loaded and gone on from."""
    model = clone(MODELS["best"]).set_params(
        early_stopping=False, max_iter=8, callbacks=[Checkpoint(tmp_path, monitor="loss", save_top_k=2, save_last=False)]
    )
    model.fit(X, Y)
    best = sorted(np.argsort(model.history_["loss"], kind="stable")[:2] + 1)
    assert sorted(os.listdir(tmp_path)) == [f"fine-tuning-{epoch:05d}.safetensors" for epoch in best]
    for epoch in best:
        assert load(tmp_path / f"fine-tuning-{epoch:05d}.safetensors").n_iter_ == epoch
    part = clone(model).set_params(callbacks=None).fit(X, Y, resume=tmp_path / f"fine-tuning-{best[0]:05d}.safetensors")
    assert learnt(part) == learnt(model)


def test_best_epochs_of_layers(tmp_path):
    """Each layer has its own."""
    DBN((5, 4), rbm=RBM(n_iter=4), random_state=0, callbacks=[Checkpoint(tmp_path, monitor="reconstruction_error")]).fit(X)
    assert [name.partition("-0")[0] for name in sorted(os.listdir(tmp_path))] == ["last.safetensors", "layer-1", "layer-2"]
    with pytest.warns(UserWarning, match="monitor='loss' was not measured"):
        RBM(5, callbacks=[Checkpoint(tmp_path / "none", monitor="loss")], **SMALL).fit(X)
