"""The command line: every command, exit codes, and messages for what is wrong."""

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastdbn import RBM, DBNClassifier
from fastdbn.cli.commands import NAMES
from fastdbn.cli.main import main

QUICK = ["--layers", "12", "--epochs", "6", "--pretrain-epochs", "2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with one table in many forms: x0..x3 and a target named kind."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    X = np.round(draw.normal(size=(90, 4)) * 10, 3)
    kind = np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]
    lines = [",".join([*map(str, row), k]) for row, k in zip(X, kind, strict=True)]
    header = "x0,x1,x2,x3,kind\n"
    (tmp_path / "named.csv").write_text(header + "\n".join(lines) + "\n")
    (tmp_path / "bare.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "semicolon.csv").write_text((header + "\n".join(lines)).replace(",", ";"))
    with gzip.open(tmp_path / "named.csv.gz", "wt") as file:
        file.write(header + "\n".join(lines))
    np.save(tmp_path / "table.npy", np.column_stack([X, (X[:, 0] > 0).astype(float)]))
    np.savez(tmp_path / "table.npz", X=X, y=X[:, 0] * 3.5)
    np.save(tmp_path / "features.npy", X)
    return tmp_path


def run(capsys, *argv):
    """(exit code, stdout, stderr) of a command line."""
    code = main([str(a) for a in argv])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["named.csv", "--target", "kind"], ["header found", "classify (the target is text)"]),
        (["named.csv.gz", "--target", "-1"], ["header found", "classify"]),
        (["semicolon.csv", "--target", "kind"], ["5 columns, header found"]),
        (["bare.csv", "--target", "4"], ["no header found", "classify"]),
        (["bare.csv", "--target", "-1", "--no-header"], ["no header (as told)"]),
        (["table.npy", "--target", "-1"], ["classify (the target has 2 distinct integers)"]),
        (["table.npy", "--target", "-1", "--task", "regress"], ["regress (as told)"]),
        (["table.npz"], ["target y", "regress (the target has 9", "data standardised, for gaussian units"]),
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
    assert "cannot predict" in err


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
    "target missing": ("a,b,t\n1,2,\n1,3,y\n", "target is empty in row 1"),
    "no features": ("t\nx\ny\n", "only one column found"),
    "copy alone": ("a,t\n1,x\n1,x\n2,y\n2,y\n", "--keep uses what is left out"),
    "one cell": ("a,b,t\n1,2,0.5\n2,3,0.25\n3,5,n/a\n", "the target holds the text 'n/a' among numbers in row 3"),
    "constant": ("a,b,t\n1,2,x\n1,2,y\n1,2,x\n1,2,y\n", "every feature holds one value"),
    "one row": ("a,b,t\n1,2,x\n", "need more rows than 1"),
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
        (["info", "named.csv"], "no readable safetensors"),
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
        assert f"{name} is no {name[-4:]} file" in err
        assert "pickle" not in err
    whole = Path("named.csv.gz").read_bytes()
    for name, damaged in (("short.csv.gz", whole[:100]), ("bits.csv.gz", whole[:100] + b"\xff" * 9 + whole[109:])):
        Path(name).write_bytes(damaged)
        code, _, err = run(capsys, "train", name, "--target", "0")
        assert code == 1
        assert f"{name} is damaged" in err
    assert run(capsys, "train", "named.csv", "--target", "kind", *QUICK, "--out", "n")[0] == 0
    (folder / "few.csv").write_text("x0,x1\n1,2\n3,4\n")
    assert "lacks the column 'x2'" in run(capsys, "predict", "n", "few.csv")[2]


@pytest.mark.parametrize(
    "argv", [[], ["fly"], ["train", "--layers", "0"], ["train", "--layers", "a,b"], ["sample", "m", "-n", "0"], ["predict", "m"]]
)
def test_usage(argv, capsys):
    """Wrong usage is exit code 2."""
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2


def test_pixels_are_scaled(folder, capsys):
    """Whole numbers from 0 in many columns are taken for pixels."""
    draw = np.random.default_rng(1)
    np.savez("pixels.npz", X=draw.integers(0, 256, (60, 16)), y=draw.integers(0, 2, 60))
    assert run(capsys, "train", "pixels.npz", *QUICK, "--out", "m")[0] == 0
    info = run(capsys, "info", "m")[1]
    assert "bernoulli" in info
    assert "divided by 255" in info


def test_headerless_tables(folder, capsys):
    """Predict drops the target of a table without a header, wherever it was, and takes features alone or by name."""
    rows = [line.split(",") for line in (folder / "bare.csv").read_text().splitlines()]
    (folder / "first.csv").write_text("\n".join(",".join([row[4], *row[:4]]) for row in rows))
    assert run(capsys, "train", "first.csv", "--target", "0", *QUICK, "--out", "m")[0] == 0
    code, wanted, err = run(capsys, "predict", "m", "first.csv")
    assert code == 0
    assert "columns left out: 0" in err
    assert {line.split(",")[0] for line in wanted.splitlines()[1:]} <= {"low", "high"}
    assert run(capsys, "predict", "m", "features.npy")[1] == wanted
    (folder / "named_first.csv").write_text("kind,x0,x1,x2,x3\n" + (folder / "first.csv").read_text())
    assert run(capsys, "predict", "m", "named_first.csv")[1] == wanted
    code, _, err = run(capsys, "predict", "m", "first.csv", "--header")
    assert code == 0
    assert "no names for them" in err


def test_labels_and_columns(folder, capsys):
    """Labels are printed as they were spelt; index and copies of the target are left out with a line, kept where told."""
    draw = np.random.default_rng(2)
    rows = [(i, draw.normal(), ["01", "1"][i % 2], ["yes", "no"][i % 2]) for i in range(40)]
    lines = "\n".join(f"{i},{x},{label},{copy},{x * x}" for i, x, label, copy in rows)
    (folder / "my table.csv").write_text(",x,label,copy,y\n" + lines)
    code, _, err = run(capsys, "train", "my table.csv", "--target", "label", *QUICK, "--out", "my model")
    assert code == 0, err
    for part in (
        "'Unnamed: 0' has no name",
        "'copy' determines the target",
        "2 features",
        "--keep copy",
        "fastdbn info 'my model'",
    ):
        assert part in err
    code, out, _ = run(capsys, "predict", "my model", "my table.csv")
    assert out.splitlines()[0] == "prediction,probability_01,probability_1"
    assert {line.split(",")[0] for line in out.splitlines()[1:]} <= {"01", "1"}
    (folder / "new.csv").write_text("y,x\n1,2\n3,4\n")
    assert len(run(capsys, "predict", "my model", "new.csv")[1].splitlines()) == 3
    code, _, err = run(capsys, "train", "my table.csv", "--target", "label", "--keep", "copy", *QUICK)
    assert code == 0
    assert re.search("copy +flag +no, yes", err)


@pytest.fixture
def people(folder):
    """A table with numbers, flags, categories, dates, names and missing values; the target is income."""
    draw = np.random.default_rng(3)
    n = 80
    age = np.round(draw.uniform(18, 80, n), 1)
    job = np.array(["cook", "nurse", "smith"])[draw.integers(0, 3, n)]
    rows = [f"P{i},{age[i]},{job[i]},{i % 2 == 0},202{i % 4}-0{i % 9 + 1}-15,{age[i] * 10 + i % 3:.2f}" for i in range(n)]
    rows[3], rows[7] = "P3,?,,True,2021-04-15,500.5", "P7,NA,cook,False,2021-05-15,320.25"
    (folder / "people.csv").write_text("name,age,job,member,since,income\n" + "\n".join(rows) + "\n")
    return folder


def test_table_of_people(people, capsys):
    """Text, dates and missing values train, predict, and come back in samples and imputations."""
    code, _, err = run(capsys, "train", "people.csv", "--target", "income", *QUICK, "--out", "m")
    assert code == 0, err
    for line in (
        "left out: column 'name' has 80 different texts in 80 rows, such as 'P0'",
        "age     number    ",
        "job     category  cook, nurse, smith",
        "member  flag      False, True",
        "since   date      2020-01-15 to ",
        "fastdbn sample m -n 16 --out samples.csv",
    ):
        assert line in err
    assert "columns: date     'since'" in run(capsys, "info", "m")[1]
    assert len(run(capsys, "predict", "m", "people.csv")[1].splitlines()) == 81
    rows = [line.split(",") for line in run(capsys, "sample", "m", "-n", "9", "--steps", "5")[1].splitlines()]
    assert rows[0] == ["age", "job", "member", "since"]
    assert {row[1] for row in rows[1:]} <= {"cook", "nurse", "smith", ""}
    assert {row[2] for row in rows[1:]} <= {"False", "True"}
    assert all(re.fullmatch(r"202\d-\d\d-\d\d", row[3]) for row in rows[1:])
    code, _, err = run(capsys, "sample", "m", "--out", "s.npy", "--steps", "5")
    assert code == 1
    assert "write a .csv file" in err
    code, out, err = run(capsys, "impute", "m", "people.csv", "--steps", "4")
    assert code == 0, err
    before, after = ([line.split(",") for line in text.splitlines()] for text in ((people / "people.csv").read_text(), out))
    assert after[0] == before[0]
    assert after[4][2] in ("cook", "nurse", "smith")
    assert 18 <= float(after[4][1]) <= 80
    assert all(
        old == new or old in ("", "?", "NA") or float(old) == float(new)
        for a, b in zip(before, after, strict=True)
        for old, new in zip(a, b, strict=True)
    )


def test_new_labels_and_told_kinds(people, capsys):
    """A label that training did not see is named and counts as missing; --as and --keep overrule what was decided."""
    assert run(capsys, "train", "people.csv", "--target", "income", *QUICK, "--out", "m")[0] == 0
    (people / "later.csv").write_text("since,member,job,age\n2021-01-01,True,pilot,30\n2021-01-02,False,cook,\n")
    code, out, err = run(capsys, "predict", "m", "later.csv")
    assert code == 0, err
    assert len(out.splitlines()) == 3
    assert "warning: column 'job' has 'pilot' in row 1, which the fit did not see" in err
    told = ["--as", "member=drop", "--as", "since=category", "--keep", "name"]
    code, _, err = run(capsys, "train", "people.csv", "--target", "income", *QUICK, *told, "--out", "n")
    assert code == 0, err
    assert "left out: column 'member' as told" in err
    assert re.search("since +category", err)
    assert re.search("name +category +P", err)
    assert "give COLUMN=KIND" in run(capsys, "train", "people.csv", "--target", "income", "--as", "flag")[2]
    assert "give one of 'number', 'flag'" in run(capsys, "train", "people.csv", "--target", "income", "--as", "age=real")[2]


def test_impute_numbers(folder, capsys):
    """A table of numbers alone has its empty cells filled in; a model without layers below says that it cannot."""
    RBM(3, n_iter=1, random_state=0).fit(np.load("features.npy")).save("rbm")
    (folder / "gaps.csv").write_text("a,b,c,d\n1,,3,4\n5,6,7,\n")
    code, out, err = run(capsys, "impute", "rbm", "gaps.csv", "--method", "mean-field")
    assert code == 0, err
    assert out.splitlines()[1].startswith("1,")
    assert "" not in ",".join(out.splitlines()).split(",")
    DBNClassifier((3,), pretrain=False, max_iter=1).fit(np.load("features.npy"), np.arange(90) % 2).save("plain")
    assert "without pretrained layers" in run(capsys, "impute", "plain", "gaps.csv")[2]


def test_image_set(folder, capsys):
    """Image sets train on their training rows, test on their test rows, and predict these."""
    draw = np.random.default_rng(1)
    sets = {f"{part}_images": draw.integers(0, 256, (n, 2, 2)).astype(np.uint8) for part, n in (("train", 30), ("test", 7))}
    labels = {f"{part}_labels": np.arange(n)[:, None] % 2 for part, n in (("train", 30), ("test", 7))}
    np.savez("set.npz", **sets, **labels)
    code, _, err = run(capsys, "train", "set.npz", *QUICK, "--out", "m")
    assert code == 0, err
    assert "training DBNClassifier on 30 rows, testing on 7" in err
    assert len(run(capsys, "predict", "m", "set.npz")[1].splitlines()) == 8
    assert len(run(capsys, "predict", "m", "set.npz", "--split", "train")[1].splitlines()) == 31


def test_no_training_is_lost(folder, capsys, monkeypatch):
    """A model that cannot be saved is saved elsewhere; the message says where, and how to move it."""
    import shlex

    import fastdbn
    from fastdbn import DBNClassifier

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


def test_rare_classes_are_learnt(folder, capsys):
    """A class of one row is trained on, not tested."""
    lines = (folder / "bare.csv").read_text().splitlines()
    (folder / "rare.csv").write_text("\n".join([*lines, "1,2,3,4,rare"]))
    assert run(capsys, "train", "rare.csv", "--target", "4", *QUICK, "--out", "m")[0] == 0
    assert "rare" in run(capsys, "info", "m")[1]


def test_help_is_quick():
    """Help brings none of the heavy packages, and each command's has examples."""
    code = "import sys; from fastdbn.cli.main import build_parser; build_parser(); print({'numpy', 'sklearn'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
    for name in NAMES:
        with pytest.raises(SystemExit):
            main([name, "--help"])
