"""`fastdbn train --checkpoint` and `--resume`, and what Ctrl-C leaves."""

import shlex

import numpy as np
import pytest

from fastdbn import load
from fastdbn.callbacks import Callback, checkpoint
from fastdbn.cli.main import main

TRAIN = "train", "table.npz", "--layers", "4", "--pretrain-epochs", "2", "--epochs", "3"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a small table."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    X = (draw.random((60, 6)) < 0.4).astype(np.float32)
    np.savez("table.npz", X=X, y=X[:, 0].astype(int))
    return tmp_path


@pytest.fixture
def interrupt(monkeypatch):
    """A function that lets Ctrl-C come after so many epochs of the next training."""

    def after(n):
        seen = []

        def on_epoch_end(self, estimator, stage, epoch, metrics):
            seen.append(epoch)
            plain(self, estimator, stage, epoch, metrics)
            if len(seen) == n:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoint.Checkpoint, "on_epoch_end", on_epoch_end)

    plain = checkpoint.Checkpoint.on_epoch_end
    return after


def weights(path):
    return [W.tobytes() for W in load(path).coefs_]


@pytest.mark.parametrize("given", [(), ("--checkpoint", "run")], ids=["without", "with"])
@pytest.mark.parametrize("after", [1, 4])
def test_ctrl_c(given, after, folder, interrupt, capsys):
    """It saves, and prints the command that goes on, which ends with the bits of a training that nothing interrupted."""
    assert main([*TRAIN, "--out", "whole"]) == 0
    assert not (folder / "whole.checkpoint").exists()
    interrupt(after)
    assert main([*TRAIN, *given]) == 130
    *_, saved, command, stopped = capsys.readouterr().err.splitlines()
    assert saved.startswith("saved ")
    assert saved.endswith("last.safetensors; go on by:")
    assert stopped == "fastdbn: stopped"
    interrupt(-1)
    assert main(shlex.split(command)[1:]) == 0
    assert weights("model.safetensors") == weights("whole")
    assert load("model.safetensors").callbacks is None


def test_checkpoints_of_tables(folder, capsys):
    """They hold the preparation, so they predict from the table as the model does, and a training goes on from them."""
    rows = [f"{i % 7},{'red' if i % 3 else 'blue'},{int(i % 3 > 0 or i % 5 == 0)}" for i in range(60)]
    (folder / "table.csv").write_text("\n".join(["size,colour,y", *rows]) + "\n")
    train = ["train", "table.csv", "--target", "y", *TRAIN[2:], "--checkpoint", "run", "--out"]
    assert main([*train, "model"]) == 0
    last = str(next((folder / "run").glob("last*")))
    found = []
    for model in ("model", last):
        assert main(["predict", model, "table.csv", "--out", "found.csv", "--force"]) == 0
        found.append((folder / "found.csv").read_text())
    assert found[0] == found[1]
    assert main([*train, "again", "--resume"]) == 0
    assert weights("again") == weights("model")


def test_nothing_to_save(folder, capsys, monkeypatch):
    """Ctrl-C before the first epoch is complete says so."""

    def stop(self, estimator, stage, epoch, n_epochs, n_rows):
        raise KeyboardInterrupt

    monkeypatch.setattr(Callback, "on_stage_begin", stop)
    assert main([*TRAIN]) == 130
    assert "nothing is saved, because the first epoch was not complete" in capsys.readouterr().err


def test_usage(folder, capsys):
    """--resume wants a folder; a folder with checkpoints wants --resume."""
    assert main([*TRAIN, "--resume"]) == 1
    assert "--resume needs --checkpoint DIR" in capsys.readouterr().err
    assert main([*TRAIN, "--checkpoint", "run", "--resume"]) == 0
    assert "run has no checkpoint: beginning anew" in capsys.readouterr().err
    assert main([*TRAIN, "--checkpoint", "run", "--force"]) == 1
    assert "has checkpoints of another fit" in capsys.readouterr().err
    assert main([*TRAIN, "--checkpoint", "run", "--resume", "--force"]) == 0
    assert "going on from run/last.safetensors" in capsys.readouterr().err
