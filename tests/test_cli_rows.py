"""Commands that use a model on the rows of a table: denoise and score give what the methods give."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from command_line import run

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, GenerativeDBNClassifier, TableModel
from fastdbn.cli.results import put_json
from fastdbn.evaluate import dbn_bound, log_likelihood

NAMES = list("abcdef")
SMALL = {"random_state": 0, "n_jobs": 1}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Six binary columns with names, in a CSV file beside the models."""
    monkeypatch.chdir(tmp_path)
    X = (np.random.default_rng(0).random((40, 6)) < [0.1, 0.9, 0.5, 0.5, 0.2, 0.8]).astype(np.float32)
    frame = pd.DataFrame(X, columns=NAMES)
    frame.to_csv("rows.csv", index=False)
    return frame


def kept(model, *given):
    """A model, fitted and saved."""
    model.fit(*given).save("model.safetensors")
    return model


def table(text):
    header, *lines = csv.reader(text.splitlines())
    return header, np.array(lines)


@pytest.mark.parametrize(
    "model",
    [
        RBM(4, n_iter=1, **SMALL),
        DBN((4, 3), rbm=RBM(n_iter=1), **SMALL),
        DBNAutoencoder((4,), rbm=RBM(n_iter=1), max_iter=1, **SMALL),
    ],
    ids=lambda model: type(model).__name__,
)
def test_denoise(model, rows, capsys):
    kept(model, rows)
    code, out, _ = run(capsys, "denoise", "model.safetensors", "rows.csv")
    header, clean = table(out)
    assert code == 0
    assert header == NAMES
    np.testing.assert_allclose(clean.astype(float), model.denoise(rows), rtol=1e-6)
    code, _, said = run(capsys, "denoise", "model.safetensors", "rows.csv", "--steps", "2")
    assert (code == 1 and "leave them out" in said) if isinstance(model, DBNAutoencoder) else code == 0


def test_draws_of_a_class(rows, capsys):
    """`--label` is that of `sample`; a class that is unknown, or a model without classes, is refused."""
    model = kept(GenerativeDBNClassifier((4,), rbm=RBM(n_iter=1), up_down_iter=0, **SMALL), rows, rows["a"].astype(int))
    code, _, _ = run(capsys, "sample", "model.safetensors", "-n", "3", "--steps", "2", "--label", "1", "--out", "new.npy")
    assert code == 0
    assert (np.load("new.npy") == model.sample(3, 2, 0, label=1)).all()
    assert "--label 7: the classes are 0, 1" in run(capsys, "sample", "model.safetensors", "--label", "7")[2]
    kept(RBM(4, n_iter=1, **SMALL), rows)
    assert "draws no rows of a class" in run(capsys, "sample", "model.safetensors", "--label", "1")[2]


def test_score(rows, capsys):
    model = kept(DBNOutlierDetector((4,), rbm=RBM(n_iter=1), contamination=0.1, **SMALL), rows)
    header, told = table(run(capsys, "score", "model.safetensors", "rows.csv")[1])
    assert header == ["row", "score", "above_threshold", "outlier"]
    np.testing.assert_allclose(told[:, 1].astype(float), model.score_samples(rows))
    assert [x == "True" for x in told[:, 3]] == list(model.predict(rows) == -1)
    _, oddest = table(run(capsys, "score", "model.safetensors", "rows.csv", "--oddest", "3")[1])
    assert oddest[:, 0].astype(int).tolist() == np.argsort(model.score_samples(rows), kind="stable")[:3].tolist()


def test_networks_without_pretraining(rows, capsys):
    kept(DBNClassifier((4,), pretrain=False, max_iter=1, **SMALL), rows, rows["a"])
    for command in ("denoise", "score"):
        code, _, said = run(capsys, command, "model.safetensors", "rows.csv")
        assert code == 1
        assert "without pretrained layers" in said


def test_evaluate(rows, capsys):
    """The scores are those of the methods; a target that the file does not have is asked for."""
    model = kept(DBNClassifier((4,), rbm=RBM(n_iter=1), max_iter=2, **SMALL), rows[NAMES[:5]], rows["f"].astype(int))
    code, out, _ = run(capsys, "evaluate", "model.safetensors", "rows.csv", "--target", "f", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["rows"] == 40
    assert told["scores"]["DBNClassifier"]["accuracy"] == pytest.approx(model.score(rows[NAMES[:5]], rows["f"].astype(int)))
    code, out, _ = run(capsys, "evaluate", "model.safetensors", "rows.csv", "--target", "f")
    assert out.splitlines()[1].startswith("DBNClassifier")
    code, _, said = run(capsys, "evaluate", "model.safetensors", "rows.csv")
    assert code == 1
    assert "name its column by --target" in said


@pytest.mark.parametrize("target", ["f", "-1"])
def test_evaluate_by_the_target_of_the_training(target, rows, capsys):
    """A model of `fastdbn train` knows its target's name, or its position in files of as many columns."""
    quick = "--layers", "4", "--pretrain-epochs", "1", "--epochs", "1", "--out", "model.safetensors"
    assert run(capsys, "train", "rows.csv", "--target", target, *quick)[0] == 0
    code, out, err = run(capsys, "evaluate", "model.safetensors", "rows.csv")
    assert code == 0, err
    assert out == run(capsys, "evaluate", "model.safetensors", "rows.csv", "--target", "f")[1]
    rows[NAMES[:5]].to_csv("features.csv", index=False)
    code, _, err = run(capsys, "evaluate", "model.safetensors", "features.csv")
    assert code == 1
    assert "name its column by --target" in err


def test_evaluate_an_outlier_detector(rows, capsys):
    """By a target of 1 and -1; another one, and one of a model that learns none, is refused."""
    model = kept(DBNOutlierDetector((4,), rbm=RBM(n_iter=1), **SMALL), rows)
    rows.assign(normal=np.where(np.arange(40) % 5, 1, -1)).to_csv("told.csv", index=False)
    code, out, err = run(capsys, "evaluate", "model.safetensors", "told.csv", "--target", "normal", "--json")
    assert code == 0, err
    told = json.loads(out)["scores"]["DBNOutlierDetector"]
    assert told["AUC"] == pytest.approx(model.score(rows, np.where(np.arange(40) % 5, 1, -1)))
    assert "give a column of 1 for rows" in run(capsys, "evaluate", "model.safetensors", "told.csv", "--target", "f")[2]
    kept(RBM(4, n_iter=1, **SMALL), rows)
    assert "a RBM learns no target" in run(capsys, "evaluate", "model.safetensors", "told.csv", "--target", "f")[2]


def test_sets_of_rows_that_are_not_there(rows, capsys):
    kept(RBM(4, n_iter=1, **SMALL), rows)
    code, _, err = run(capsys, "transform", "model.safetensors", "rows.csv", "--split", "val")
    assert code == 1
    assert "--split val: rows.csv has no such set of rows" in err
    assert run(capsys, "transform", "model.safetensors", "rows.csv", "--split", "train")[0] == 0


def test_a_command_of_another_version(rows, capsys):
    model = RBM(4, n_iter=1, **SMALL).fit(rows)
    model.command_ = "train", "rows.csv", "--strange", "1"
    model.save("model.safetensors")
    code, _, err = run(capsys, "evaluate", "model.safetensors", "rows.csv")
    assert code == 1
    assert "a command that this fastdbn does not know" in err


def test_missing_values_that_the_model_fills_in(rows, capsys):
    """They stay missing where the preparation of the model keeps them, as in Python."""
    table_of = rows.assign(a=rows["a"].mask(rows["b"] == 0), job=np.where(rows["c"] == 0, "cook", "nurse"))
    model = TableModel(RBM(4, n_iter=1, missing="sample", **SMALL)).fit(table_of)
    model.save("model.safetensors")
    table_of.to_csv("gaps.csv", index=False)
    code, out, err = run(capsys, "transform", "model.safetensors", "gaps.csv")
    assert code == 0, err
    np.testing.assert_allclose(table(out)[1].astype(float), TableModel.load("model.safetensors").transform(table_of), rtol=1e-6)


def test_an_ending_is_refused_before_the_work(rows, capsys, monkeypatch):
    kept(RBM(4, n_iter=1, **SMALL), rows)
    monkeypatch.setattr("fastdbn.load", lambda path: pytest.fail("a model is loaded"))
    pictures, page = "tables and pictures are written as .csv or .npy or .png", "a page is written as .html"
    for command, out, said in [
        ("score", "scores.parquet", "tables are written as .csv or .npy"),
        ("transform", "rows.csv.gz", "tables are written as .csv or .npy"),
        ("predict", "rows.tsv", "tables are written as .csv or .npy"),
        ("denoise", "rows.npz", pictures),
        ("report", "page.png", page),
    ]:
        code, _, err = run(capsys, command, "model.safetensors", "rows.csv", "--out", out)
        assert (code, f"--out {out}: {said}" in err) == (1, True), err
    for words, said in [
        (["export", "model.safetensors", "--format", "onnx", "--out", "x.py"], "--out x.py: --format onnx is written as .onnx"),
        (["export", "model.safetensors", "--format", "numpy", "--out", "x.onnx"], "--format numpy is written as .py"),
        (["train", "rows.csv", "--out", "x.onnx"], "--out x.onnx: a model is written as .safetensors: give a name that ends so"),
        (["train", "rows.csv", "--report", "x.csv", "--force"], f"--report x.csv: {page}"),
        (["tune", "rows.csv", "--out", "x.csv"], "--out x.csv: a model is written as .safetensors"),
    ]:
        code, _, err = run(capsys, *words)
        assert (code, said in err) == (1, True), err


def test_json_has_no_nan(capsys):
    put_json({"scores": {"R2": np.float32(0.5), "AUC": np.nan}, "log_z_interval": (-np.inf, 1.5), "rows": 3})
    assert capsys.readouterr().out == '{"scores": {"R2": 0.5, "AUC": null}, "log_z_interval": [null, 1.5], "rows": 3}\n'


@pytest.mark.parametrize("model", [RBM(4, n_iter=1, **SMALL), DBN((4, 3), rbm=RBM(n_iter=1), **SMALL)], ids=["RBM", "DBN"])
def test_likelihood(model, rows, capsys):
    kept(model, rows)
    out = run(capsys, "evaluate", "model.safetensors", "rows.csv", "--likelihood", "--json")[1]
    told = json.loads(out)
    if isinstance(model, RBM):
        assert told["nats"] == pytest.approx(log_likelihood(model, rows).mean(), abs=1e-5)
    else:
        assert told["nats"] == pytest.approx(dbn_bound(model, rows, random_state=0).tightened.mean(), abs=1e-5)
    assert told["log_z_interval"][0] <= told["log_z"] <= told["log_z_interval"][1]
