"""Tables on the command line: columns, headers, labels, gaps, images."""

import re

import numpy as np
import pytest
from command_line import QUICK, run, write_tables

from fastdbn import RBM, DBNClassifier


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with one table in many forms: x0..x3 and a target named kind."""
    monkeypatch.chdir(tmp_path)
    return write_tables(tmp_path)


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


def test_classes_of_one_row(folder, capsys):
    """They are named."""
    (folder / "rare.csv").write_text("x,y\n" + "".join(f"{i % 5 / 8},{i % 2}\n" for i in range(40)) + "0.5,odd one\n")
    code, _, err = run(capsys, "train", "rare.csv", "--target", "y", "--task", "classify", *QUICK, "--out", "m")
    assert code == 0, err
    assert "1 of 3 classes has one row alone, 'odd one'" in err


def test_one_row(folder, capsys):
    (folder / "one.csv").write_text("x,y\n1,2\n")
    assert "one.csv has only one row" in run(capsys, "train", "one.csv", "--target", "y", "--out", "m")[2]


def test_a_position_is_not_looked_for_in_line_1(folder, capsys):
    """Line 1 of a table without a header may hold a number that is the target's position."""
    lines = (f"{i % 2},{i % 3},0,{i * i}" for i in range(40))
    (folder / "digits.csv").write_text("\n".join(lines))
    code, _, err = run(capsys, "train", "digits.csv", "--target", "0", *QUICK, "--out", "m")
    assert code == 0, err
    assert "40 rows, 4 columns, no header found" in err


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


def test_rare_classes_are_learnt(folder, capsys):
    """A class of one row is trained on, not tested."""
    lines = (folder / "bare.csv").read_text().splitlines()
    (folder / "rare.csv").write_text("\n".join([*lines, "1,2,3,4,rare"]))
    assert run(capsys, "train", "rare.csv", "--target", "4", *QUICK, "--out", "m")[0] == 0
    assert "rare" in run(capsys, "info", "m")[1]
