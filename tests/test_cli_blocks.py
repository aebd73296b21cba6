"""Training from files that are read block by block: what fits, what is held out, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from command_line import run

import fastdbn
from fastdbn.cli import tuning
from fastdbn.cli.blocks import rows_to_train_on
from fastdbn.cli.main import build_parser, main
from fastdbn.support.stored import store
from fastdbn.tables import read

QUICK = "--epochs", "1", "--pretrain-epochs", "1", "--layers", "4", "--batch-size", "20", "--quiet"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of two CSV files of 7 flags and a label, and files of the same rows."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    y = noise.integers(0, 2, 120)
    rows = np.column_stack([y[:, None] ^ (noise.random((120, 7)) < 0.2), y])
    (tmp_path / "parts").mkdir()
    for part, name in ((rows[:50], "a"), (rows[50:], "b")):
        header = ",".join([*"abcdefg", "label"])
        np.savetxt(tmp_path / "parts" / f"{name}.csv", part, "%d", ",", header=header, comments="")
    np.save("all.npy", rows)
    np.save("labels.npy", y)
    np.save("features.npy", rows[:, :7])
    return rows


@pytest.fixture
def parts(folder, monkeypatch):
    """The same, and no table may be read whole."""
    monkeypatch.setattr(read, "read_table", lambda *_, **__: pytest.fail("a table is read whole"))
    return folder


@pytest.mark.parametrize(
    "data",
    [
        ("parts", "--target", "label"),
        ("parts", "--target", "-1", "--memory-limit", "1MB"),
        ("parts/a.csv", "--target", "label", "--memory-limit", "1MB", "--test", "parts/b.csv"),
        ("all.npy", "--target", "7", "--memory-limit", "1MB"),
        ("features.npy", "--labels", "labels.npy", "--memory-limit", "1MB"),
    ],
    ids=str,
)
def test_a_model_of_blocks(parts, capsys, data):
    """Files and folders train a classifier, whose test rows are not those it learned from; predictions find the columns."""
    code, out, err = run(capsys, "train", *data, *QUICK, "--out", "m")
    assert code == 0, err
    assert out.startswith("test accuracy: ")
    model = fastdbn.load("m")
    assert model.n_features_in_ == 7
    code, out, err = run(capsys, "predict", "m", data[0])
    assert code == 0, err
    assert len(out.splitlines()) == 1 + (50 if "parts/a.csv" in data else 120)


def test_the_task_of_test_rows_is_that_of_the_training(parts, capsys):
    """A file of few rows, all of one class, is tested on."""
    np.save("few.npy", parts[parts[:, 7] == 1][:3])
    code, out, err = run(capsys, "train", "all.npy", "--target", "7", "--memory-limit", "1MB", "--test", "few.npy", *QUICK)
    assert code == 0, err
    assert out.startswith("test accuracy: ")


def test_columns_without_a_name(tmp_path, monkeypatch, capsys):
    """They have the names that a table has which is read whole, so other commands find them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(",b,c\n" + "0,1,0\n1,1,1\n" * 20)
    told = "train", "t.csv", "--model", "rbm", "--layers", "2", "--epochs", "1", "--memory-limit", "1MB", "--out", "m"
    assert run(capsys, *told)[0] == 0
    code, _, err = run(capsys, "score", "m", "t.csv")
    assert code == 0, err


def test_without_a_target(parts, capsys):
    """A target is left out where none is learned, and `transform` finds the features by name."""
    code, out, err = run(capsys, "train", "parts", "--target", "label", "--model", "dbn", *QUICK[2:], "--out", "m")
    assert code == 0, err
    code, out, err = run(capsys, "transform", "m", "parts")
    assert (code, len(out.splitlines())) == (0, 121), err


def test_commands_read_a_folder(folder, capsys, monkeypatch):
    """A folder of numbers gives other commands the rows that it gives `train`: a file of the same rows has the same scores."""
    assert run(capsys, "train", "parts", "--target", "label", *QUICK, "--out", "m")[0] == 0
    np.savetxt("all.csv", folder, "%d", ",", header="a,b,c,d,e,f,g,label", comments="")
    for command in (["evaluate", "m", "--json"], ["score", "m"], ["denoise", "m"]):
        (code, out, err), (_, of_file, _) = (run(capsys, *command[:2], data, *command[2:]) for data in ("parts", "all.csv"))
        assert (code, out) == (0, of_file), err
    monkeypatch.setattr("fastdbn.report.page._figures", lambda found: "")
    for out, data, words in (("a.html", [], "rows that training did not see"), ("b.html", ["all.csv"], "the 120 rows given")):
        code, _, err = run(capsys, "report", "m", *data, "--out", out)
        assert (code, words in Path(out).read_text()) == (0, True), err
    assert run(capsys, "train", "parts", "--model", "outliers", "--target", "label", *QUICK[2:], "--out", "n")[0] == 0
    assert len(run(capsys, "score", "n", "parts")[1].splitlines()) == 121
    code, _, err = run(capsys, "predict", "m", "parts", "--header")
    assert (code, "finds by itself whether line 1 has names: leave them out" in err) == (1, True), err


def test_a_model_of_a_table_reads_a_folder(folder, capsys):
    """As it reads a file, whole, because its preparation needs a table."""
    np.savetxt("all.csv", folder, "%d", ",", header="a,b,c,d,e,f,g,label", comments="")
    told = "train", "all.csv", "--target", "label", "--as", "a=category", *QUICK, "--out", "m"
    assert run(capsys, *told)[0] == 0
    code, out, err = run(capsys, "predict", "m", "parts")
    assert (code, out) == (0, run(capsys, "predict", "m", "all.csv")[1]), err


def test_commands_that_train_read_a_folder(folder, monkeypatch):
    """`tune` and `bench` learn from the rows that `train` learns from, and test on the same."""
    trained = rows_to_train_on(build_parser().parse_args(["train", "parts", "--target", "label"]))
    for command in ("tune", "bench"):
        rows = rows_to_train_on(build_parser().parse_args([command, "parts", "--target", "label"]))
        assert np.array_equal(rows.X[:], trained.X[:])
        assert np.array_equal(rows.y_test, trained.y_test)
    monkeypatch.setattr(tuning, "search", lambda model, X, y, train, *_: ({}, (1, X[train].mean(), 0.0)))
    assert main(["tune", "parts", "--target", "label", "--quiet", "--minutes", "0.001"]) == 0


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["parts"], "--target is missing"),
        (["parts", "--model", "dbn", "--labels", "labels.npy"], "--labels labels.npy: --model dbn learns no target"),
        (["parts", "--target", "label", "--as", "a=flag", "--rows", "9"], "--as, --rows"),
        (
            ["features.npy", "--labels", "labels.npy", "--test", "all.npy", "--memory-limit", "1GB"],
            "has no targets for the rows of",
        ),
        (["text.csv", "--target", "b", "--memory-limit", "1GB"], "a table with text is read whole"),
        (["gap.npy", "--target", "1", "--memory-limit", "1GB"], "1 rows of gap.npy have no target"),
        (["--memory-limit", "1GB"], "--memory-limit needs DATA"),
    ],
    ids=str,
)
def test_what_is_refused(parts, capsys, argv, says):
    with open("text.csv", "w") as file:
        file.write("a,b\nred,1\nblue,0\n")
    np.save("gap.npy", np.array([[1.0, 0.0], [0.0, np.nan], [1.0, 1.0]]))
    code, _, err = run(capsys, "train", *argv)
    assert code == 1
    assert says in err


@pytest.mark.parametrize("values", [2, 5], ids=["packed", "numbers"])
@pytest.mark.parametrize("last", [[], [0, 3], [2, 18, 19], [17, 18, 19]], ids=str)
def test_rows_cut_off(values, last):
    """Rows cut off and the others are those of the order, each once."""
    X = np.random.default_rng(1).integers(0, values, (20, 9)).astype(np.float32)
    rows = store([X[:8], X[8:]])
    others, gone, order = rows.split(np.array(last, int))
    assert sorted(order) == list(range(20))
    assert set(order[len(others) :]) == set(last)
    assert np.array_equal(np.concatenate([others[:], gone]), X[order])
