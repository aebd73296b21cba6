"""The command line: every command, exit codes, and messages for what is wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import QUICK, run, write_tables

from fastdbn import RBM, DBNClassifier
from fastdbn.cli.commands import NAMES
from fastdbn.cli.main import main
from fastdbn.tables.read import read_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with one table in many forms: x0..x3 and a target named kind."""
    monkeypatch.chdir(tmp_path)
    return write_tables(tmp_path)


def test_forms_of_csv(folder):
    """Gzipped, with another delimiter, without a header: the same table."""
    named, found = read_table("named.csv")
    assert found == "90 rows, 5 columns, header found"
    for name in ("named.csv.gz", "semicolon.csv", "bare.csv"):
        table, said = read_table(name)
        assert np.array_equal(table.numbers, named.numbers, equal_nan=True)
        assert table.text == named.text
        assert said == (found if table.names else "90 rows, 5 columns, no header found")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["named.csv", "--target", "kind"], ["header found", "classify (the target is text)"]),
        (["bare.csv", "--target", "-1", "--no-header"], ["no header (as told)"]),
        (["table.npy", "--target", "-1"], ["classify (the target has 2 distinct integers)"]),
        (["table.npy", "--target", "-1", "--task", "regress"], ["regress (as told)"]),
        (["table.npz"], ["target y", "regress (the target has 9", "visible units: gaussian; data standardised"]),
        (["table.npz", "--scale", "minmax"], ["regress"]),
    ],
    ids=str,
)
def test_train_and_use(folder, capsys, argv, says):
    """Each form of data trains, says what was found, and the model predicts."""
    code, out, err = run(capsys, "train", *argv, *QUICK, "--out", "m")
    assert code == 0, err
    assert out.startswith("test accuracy: " if "regress" not in err.split("task: ")[1][:8] else "test R2: ")
    assert "regression" in out.splitlines()[-2]
    assert out.splitlines()[-1].startswith("pretraining brought ")
    for part in says:
        assert part in err
    code, out, err = run(capsys, "predict", "m", "features.npy")
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 91
    assert lines[0].split(",")[0] == "prediction"
    if "accuracy" in lines[0]:
        assert len(lines[0].split(",")) == 3


def test_predictions_are_the_models(folder, capsys):
    """CSV of predictions and one column for each class; columns are found by name, others left out."""
    import fastdbn

    assert run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "m")[0] == 0
    code, out, err = run(capsys, "predict", "m", "named.csv")
    assert code == 0
    assert "columns left out: 'kind'" in err
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["prediction", "probability_high", "probability_low"]
    model = fastdbn.load("m")
    del model.feature_names_in_
    X = np.load("features.npy")
    assert [row[0] for row in rows[1:]] == model.predict(X).tolist()
    assert np.allclose(np.array([row[1:] for row in rows[1:]], float), model.predict_proba(X))
    assert "which .npy files do not hold" in run(capsys, "predict", "m", "named.csv", "--out", "p.npy")[2]
    assert run(capsys, "predict", "m", "named.csv", "--out", "p.csv")[0] == 0
    assert (folder / "p.csv").read_text() == out


def test_transform_sample_info(folder, capsys):
    """Features and samples as CSV and .npy, and what a file holds."""
    assert run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "m")[0] == 0
    code, out, _ = run(capsys, "transform", "m", "named.csv")
    assert code == 0
    assert len(out.splitlines()) == 91
    assert len(out.splitlines()[0].split(",")) == 12
    assert run(capsys, "transform", "m", "named.csv", "--out", "h.npy", "--layer", "0")[0] == 0
    assert np.load("h.npy").shape == (90, 12)
    assert run(capsys, "transform", "m", "named.csv", "--layer", "5")[0] == 1
    assert run(capsys, "sample", "m", "-n", "7", "--out", "s.npy", "--steps", "5")[0] == 0
    assert np.load("s.npy").shape == (7, 4)
    code, out, _ = run(capsys, "sample", "m", "-n", "2", "--steps", "5")
    assert out.splitlines()[0] == "x0,x1,x2,x3"
    code, out, _ = run(capsys, "info", "m")
    assert code == 0
    for part in ("DBNClassifier", "4-12-2", "gaussian", "standardised", "high, low", "x0, x1", "2 epochs", "6 epochs"):
        assert part in out
    assert run(capsys, "versions")[0] == 0


def test_other_models(folder, capsys):
    """A plain RBM transforms and samples, and cannot predict."""
    RBM(3, n_iter=1, random_state=0).fit(np.load("features.npy")).save("rbm")
    assert run(capsys, "transform", "rbm", "features.npy")[0] == 0
    assert run(capsys, "sample", "rbm", "-n", "2", "--steps", "2")[0] == 0
    assert run(capsys, "info", "rbm")[0] == 0
    code, _, err = run(capsys, "predict", "rbm", "features.npy")
    assert code == 1
    assert "cannot predict: models that `fastdbn train` makes by --model classifier, regressor, generative, outliers can" in err


def test_existing_files_are_kept(folder, capsys):
    """Refused before any work, unless --force is given; so are places that cannot be written."""
    (folder / "m").write_text("precious")
    code, out, err = run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "m")
    assert (code, out) == (1, "")
    assert "--force" in err
    assert (folder / "m").read_text() == "precious"
    assert run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "m", "--force")[0] == 0
    assert "no folder" in run(capsys, "train", "--out", "none/m")[2]
    assert "is a folder" in run(capsys, "sample", "m", "--out", ".")[2]
    assert "kept" in run(capsys, "sample", "m", "--out", "bare.csv")[2]


BAD = {
    "infinite": ("a,b,t\n1,2,x\ninf,3,y\n", "column 'a' is inf in row 2"),
    "text": ("a,b,t\n1,2,x\nred,3,y\n3,2,x\n", "column 'a' holds the text 'red' among numbers in row 2"),
    "all missing": ("a,b,t\n,?,1\nNA,,2\n,nan,1\n", "no columns are left as features: column 'a' has no values"),
    "free text": ("a,t\n" + "".join(f"name {i},{i % 2}\n" for i in range(9)), "9 different texts in 9 rows, such as 'name 0'"),
    "decimal commas": ("a;t\n1,5;x\n2,5;y\n3,5;x\n", "holds the text '1,5' in row 1 and in 2 more: write numbers with a decimal"),
    "ragged": ("a,b,t\n1,2,x\n1,3\n", "line 3 has 2 fields"),
    "open quote": ('a,b,t\n1,"2,x\n1,3,y\n', "look for a quote"),
    "long field": ('a,b,t\n1,"2,x\n' + "1,3,y\n" * 30000, "look for a quote"),
    "empty": ("", "is empty"),
    "only header": ("a,b,t\n", "a header and no rows"),
    "target missing": ("a,b,t\n1,2,\n1,3,\n", "target is empty in row 1 and in 1 more"),
    "no features": ("t\nx\ny\n", "only one column found"),
    "copy alone": ("a,t\n1,x\n1,x\n2,y\n2,y\n", "uses what is left out"),
    "one cell": ("a,b,t\n1,2,0.5\n2,3,0.25\n3,5,n.a.\n", "the target holds the text 'n.a.' among numbers in row 3"),
    "constant": ("a,b,t\n1,2,x\n1,2,y\n1,2,x\n1,2,y\n", "every feature has only one value"),
    "one row": ("a,b,t\n1,2,x\n", "has only one row: training and testing need more"),
    "one class": ("a,b,t\n1,2,x\n1,3,x\n4,1,x\n", "one class"),
    "twice": ("a,a,t\n1,2,x\n", "twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data(name, folder, capsys):
    """Exit code 1, one line that says where and what, no traceback."""
    text, says = BAD[name]
    (folder / "bad.csv").write_text(text)
    code, out, err = run(capsys, "train", "bad.csv", "--target", "-1", *QUICK)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("fastdbn: error: ")
    assert says in err
    assert not (folder / "model.safetensors").exists()


def test_other_faults(folder, capsys):
    """Wrong columns, models, widths and files."""
    cases = [
        (["train", "named.csv", "--target", "price"], "no such column"),
        (["train", "named.csv", "--target", "9"], "from -5 to 4"),
        (["train", "named.csv"], "--target is missing"),
        (["train", "--target", "x"], "need DATA"),
        (["train", "none.csv", "--target", "x"], "no data file at none.csv"),
        (["train", "named.csv", "--target", "kind", "--task", "regress"], "use --task classify"),
        (["info", "none"], "no model file"),
        (["info", "named.csv"], "not a readable safetensors"),
    ]
    for argv, says in cases:
        code, _, err = run(capsys, *argv)
        assert code == 1
        assert says in err
    assert run(capsys, "train", "table.npz", *QUICK, "--out", "m")[0] == 0
    assert "5 columns" in run(capsys, "predict", "m", "table.npy")[2]
    np.save("objects.npy", np.array([["a"]], dtype=object), allow_pickle=True)
    Path("garbage.npy").write_bytes(b"no array")
    Path("garbage.npz").write_bytes(b"PK no archive")
    Path("short.npy").write_bytes(Path("table.npy").read_bytes()[:200])
    shutil.copy("table.npy", "one.npz")
    shutil.copy("table.npz", "several.npy")
    for name in ("objects.npy", "garbage.npy", "garbage.npz", "short.npy", "one.npz", "several.npy"):
        code, _, err = run(capsys, "train", name, "--target", "0")
        assert code == 1
        assert f"{name} is not a {name[-4:]} file" in err
        assert "pickle" not in err
    whole = Path("named.csv.gz").read_bytes()
    for name, damaged in (("short.csv.gz", whole[:100]), ("bits.csv.gz", whole[:100] + b"\xff" * 9 + whole[109:])):
        Path(name).write_bytes(damaged)
        code, _, err = run(capsys, "train", name, "--target", "0")
        assert code == 1
        assert f"{name} is damaged" in err
    assert run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "n")[0] == 0
    (folder / "few.csv").write_text("x0,x1\n1,2\n3,4\n")
    err = run(capsys, "predict", "n", "few.csv")[2]
    assert "lacks the column 'x2'" in err
    assert "Its columns are x0, x1" in err
    assert "no folder absent: make it" in run(capsys, "train", "named.csv", "--target", "kind", "--out", "absent/m")[2]


@pytest.mark.parametrize(
    "argv", [[], ["fly"], ["train", "--layers", "0"], ["train", "--layers", "a,b"], ["sample", "m", "-n", "0"], ["predict", "m"]]
)
def test_usage(argv, capsys):
    """Wrong usage is exit code 2."""
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2


def test_help_without_a_command(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "Train a model on a table" in capsys.readouterr().err


def test_no_training_is_lost(folder, capsys, monkeypatch):
    """A model that cannot be saved is saved elsewhere; the message says where, and how to move it."""
    import shlex

    import fastdbn

    (folder / "gone").mkdir()
    fit = DBNClassifier.fit

    def remove(self, X, y, **more):
        fitted = fit(self, X, y, **more)
        shutil.rmtree(folder / "gone")
        return fitted

    monkeypatch.setattr(DBNClassifier, "fit", remove)
    code, _, err = run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "gone/m")
    assert code == 1
    _, kept, wanted = shlex.split(err.splitlines()[-1].split("for example: ")[1])
    assert wanted == "gone/m"
    assert fastdbn.load(kept).feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    shutil.rmtree(Path(kept).parent)


def test_memory_error(folder, capsys, monkeypatch):
    """A MemoryError, which has no text of its own, is said in words."""
    from fastdbn.tables import read

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(read, "read_table", full)
    code, _, err = run(capsys, "train", "named.csv", "--target", "kind")
    assert code == 1
    assert "not enough memory: give fewer rows" in err


def test_missing_data_comes_first(folder, capsys):
    """A data file that is not there is named before a model file that is."""
    (folder / "model.safetensors").write_text("precious")
    assert "no data file at none.csv" in run(capsys, "train", "none.csv", "--target", "x")[2]


def test_help_is_quick():
    """Help brings none of the heavy packages, and each command's has examples."""
    code = "import sys; from fastdbn.cli.main import build_parser; build_parser(); print({'numpy', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
    for name in NAMES:
        with pytest.raises(SystemExit):
            main([name, "--help"])
