"""The MNIST experiments: that stages go on where they stopped, and reduced forms of the runs where the images are at hand."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.mnist import classify, images, likelihood, table
from benchmarks.mnist.__main__ import Run
from benchmarks.mnist.stages import Stages
from fastdbn import DBN, RBM, DBNClassifier, evaluate


@pytest.fixture(scope="module")
def mnist():
    try:
        return images.load()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def few(mnist, n, n_test):
    """The first images of a set."""
    return images.Images(mnist.X[:n], mnist.y[:n], mnist.test[:n_test], mnist.test_y[:n_test])


class Stopped(Exception):
    """Stands for a crash."""


def test_a_stage_goes_on_where_it_stopped(binary, tmp_path):
    """A run that crashed in its third epoch ends with the bits and the curve of one that did not."""
    X = binary(50, 9)

    def crash(model, epoch):
        if epoch == 3:
            raise Stopped
        return {"twice": 2 * epoch}

    def rbm():
        return RBM(4, persistent=True, learning_rate=[0.1, 0.05, 0.02, 0.01], batch_size=10, random_state=0)

    whole = Stages(tmp_path, "whole").train("rbm", rbm(), 4, X, watch=lambda model, epoch: {"twice": 2 * epoch})
    stages = Stages(tmp_path, "parts")
    with pytest.raises(Stopped):
        stages.train("rbm", rbm(), 4, X, watch=crash)
    again = stages.train("rbm", rbm(), 4, X, watch=lambda model, epoch: {"twice": 2 * epoch})
    assert np.array_equal(again.components_, whole.components_)
    assert [entry["twice"] for entry in stages.curve("rbm")] == [2, 4, 6, 8]
    done = stages.train("rbm", rbm(), 4, X)
    assert np.array_equal(done.components_, whole.components_)
    assert np.array_equal(stages.beside("whole").fitted("rbm").components_, whole.components_)
    with pytest.raises(FileNotFoundError, match="run the experiment other first"):
        stages.beside("other").fitted("rbm")


def test_lines_without_their_model_are_dropped(binary, tmp_path):
    """A crash between model and curve leaves no epoch twice in the curve."""
    stages = Stages(tmp_path, "some")
    stages.train("net", DBNClassifier((3,), max_iter=1, random_state=0), 2, binary(20, 5), np.arange(20) % 2, None, "max_iter")
    with (tmp_path / "some" / "net.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 3, "seconds": 1.0}) + "\n")
    stages.train("net", None, 3, binary(20, 5), np.arange(20) % 2, None, "max_iter")
    assert [entry["epoch"] for entry in stages.curve("net")] == [1, 2, 3]


def test_seconds_are_those_of_the_curve(tmp_path):
    stages = Stages(tmp_path, "some")
    (tmp_path / "some" / "rbm.jsonl").write_text('{"epoch": 1, "seconds": 1.5}\n{"epoch": 2, "seconds": 2.0}\n')
    assert stages.seconds("rbm") == 3.5
    assert stages.seconds("other") == 0


def test_missing_images_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.gz.*give the folder"):
        images.load(tmp_path)


def test_images_are_the_published_ones(mnist):
    """Sizes, counts of the classes, mean pixel; thresholded and drawn pixels."""
    assert mnist.X.shape == (60_000, 784) and mnist.test.shape == (10_000, 784)
    assert np.bincount(mnist.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert abs(images.grey(mnist.X).mean() - 0.1307) < 1e-4
    drawn = images.drawn(mnist.test)
    assert set(np.unique(drawn)) == {0, 1}
    assert abs(drawn.mean() - images.grey(mnist.test).mean()) < 1e-3
    assert np.array_equal(images.thresholded(mnist.test), images.grey(mnist.test) > 0.5)


def test_backprop_in_a_reduced_form(mnist, tmp_path):
    """2,000 images, small layers, few epochs: the whole run, its curve, and an error that chance does not reach."""
    run = Run(few(mnist, 2000, 1000), Stages(tmp_path, "some"), None, 1, False)
    X, y, test, test_y = classify.data(run)
    dbn = classify.pretrain(run, X, 0, (64, 64), 5)
    error = classify.fine_tune(run, "net", X, y, test, test_y, 0, 10, sizes=(64, 64), rate=0.01, pretrain=dbn)
    assert error < 15
    assert len(run.stages.curve("net")) == 10 and (tmp_path / "pretraining" / "layer2-64-seed0.safetensors").exists()


@pytest.mark.slow
def test_updown_in_a_reduced_form(mnist, tmp_path, monkeypatch):
    """2,000 images: a run that stopped in its up-down ends with the figures of one that did not; up-down gains on greedy."""
    monkeypatch.setattr(classify, "SIZES", (48, 48, 96))
    monkeypatch.setattr(classify, "TOP", 40)
    rates = {"rate of the greedy top": 0.3, "rate of the top": 0.2, "rate": 0.2}
    monkeypatch.setattr(classify, "UP_DOWN", classify.UP_DOWN | rates | {"epochs": 9})
    whole = classify.updown(Run(few(mnist, 2000, 1000), Stages(tmp_path / "whole", "updown"), None, 1, False))
    stopped = Stages(tmp_path / "parts", "updown")
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(classify, "wrong", Mock(side_effect=[20.0, 20.0, 20.0, Stopped()]))
        classify.updown(Run(few(mnist, 2000, 1000), stopped, None, 1, False))
    again = classify.updown(Run(few(mnist, 2000, 1000), stopped, None, 1, False))
    assert again == whole
    assert len(stopped.curve("network-seed0")) == 9
    assert whole["test error, %"]["mean"] < whole["test error before up-down, %"]["mean"] < 30


def test_labels_are_balanced(mnist):
    rows = classify.balanced(mnist.y, 100, 0)
    assert np.bincount(mnist.y[rows]).tolist() == [10] * 10
    assert not np.array_equal(rows, classify.balanced(mnist.y, 100, 1))


def test_table_marks_what_is_missed(capsys):
    """Figures beside what is to be reached; ✗ where it is not."""
    figures = {"test error, %": {"mean": 1.3, "sd": 0.1, "seeds": [1.2, 1.4]}}
    machine = {"cpu": "cpu", "processors": 1, "vectors": "none", "python": "3", "versions": {}, "extension": True, "threads": 1}
    table.print_table({"backprop": {"figures": figures, "machine": machine | {"blas": ["b"]}}})
    assert "| backprop | test error, % | 1.30 ± 0.10 (1.20, 1.40) | <= 1.25 ✗ |" in capsys.readouterr().out


def test_a_tied_layer_has_the_bound_of_the_layer_below(binary):
    """Begun at the transposed weights the bound is the likelihood of the first layer, for each row and whatever is drawn."""
    X = binary(40, 6)
    first = RBM(4, visible="bernoulli", n_iter=20, learning_rate=0.5, batch_size=5, random_state=0).fit(X)
    second = likelihood.tied(RBM(6, visible="bernoulli", random_state=1), first, first.transform(X))
    found = evaluate.dbn_bound(DBN.stack([first, second]), X, evaluate.log_z(second), n_samples=2, random_state=0)
    np.testing.assert_allclose(found.bound, -first.free_energy(X) - evaluate.log_z(first), atol=1e-4)
