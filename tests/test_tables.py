"""Tables of the command line: what is read, which columns are features, and what is said about the rest."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from room import at_most

from fastdbn.cli.split import split
from fastdbn.cli.target import check_varies, labelled, target_values
from fastdbn.tables import csvfile, packed
from fastdbn.tables.read import has_split, read_table
from fastdbn.tables.table import SHOWN, Table, features, left_out, position, wanted


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(text, header=None, names=(), every=False, target=None):
    """The table in a text."""
    Path("t.csv").write_text(text)
    return read_table("t.csv", header, names, every, target=target)[0]


def refused(call, *args):
    with pytest.raises(ValueError) as error:
        call(*args)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("0,1,label\n5,6,7\n", (), True),
        ("400,410.5,conc\n1,2,3\n", (), True),
        ("400,410.5,kind\n1,2,red\n", (), False),
        ("400,410.5,kind\n1,2,red\n", ("kind",), True),
        ("1,2,red\n3,4,blue\n", (), False),
        ("x,kind\n?,red\nNA,blue\n1,red\n", (), True),
        ("?,2,red\n3,4,blue\n", (), False),
        ("$1.20,2\n3,4\n", (), False),
        ("nan,2\n3,4\n", (), False),
        ("a,b\nc,d\n", (), False),
        ('"a","b"\r\n1,2\r\n', (), True),
        ("\ufeffa,b\n\n1,2\n", (), True),
        ("0,1,2\n5,6,7\n", (), False),
    ],
)
def test_header(text, names, found):
    """Line 1 is a header where a cell is text above numbers, or where it has the target's name."""
    table = read(text, names=names)
    assert (table.names is not None) == found
    for told in (True, False):
        assert (read(text, told).names is not None) == told


def test_header_of_a_model():
    """All names of a model in line 1 make it a header; one does not."""
    assert read("400,410\n1,2\n", names=["410", "400"], every=True).names == ["400", "410"]
    assert read("400,410\n1,2\n", names=["400", "9"], every=True).names is None


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("1,5;2,5;a\n2,5;3,5;b\n", ["1,5", "2,5", "a"]),
        ("1\t2,x\n3\t4,y\n", ["1", "2,x"]),
        ("1|2\n3|4\n", ["1", "2"]),
        ('"a, b; c",2\n"d",4\n', ["a, b; c", "2"]),
        ("1,2\r3,4\r", ["1", "2"]),
        (' 1 , "x"\n', ["1", '"x"']),
    ],
)
def test_fields(text, cells):
    """The delimiter is the one that suits the numbers; spaces around cells are left out."""
    table = read(text, False, target="0")
    assert [str(table.column(j)[0]).removesuffix(".0") for j in range(table.width)] == cells


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# made by x\na,b\n1,2\n", "remove the lines of comments"),
        ("a,b\n1,2,\n", "remove the delimiter at the end"),
        ("a,b\nr1,1,2\n", "give that column a name"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields"),
        ("a,a\n1,2\n", "'a' twice"),
        ("a,b\n", "a header and no rows"),
    ],
)
def test_bad_csv(text, says):
    """What is wrong with a file, and what helps."""
    assert says in refused(read, text, True)


def test_memory(monkeypatch):
    """Numbers are held as numbers while a file is read, not as text; what is text late in a column is found in its row."""
    monkeypatch.setattr(csvfile, "HEAD", 20)
    rows = ["0.1234,0.2345,0.3456,0.4567,0.5678,0.6789,0.789,0.89,0.9,a"] * 4_000
    Path("t.csv").write_text("\n".join([*rows, "1,2,3,4,5,red,7,8,9,b"]))
    shape = 4_001, 10
    with at_most(2.5 * 8 * np.prod(shape)):
        table, _ = read_table("t.csv", target="-1")
    assert table.numbers.shape == shape
    assert table.column(9).tolist() == ["a"] * 4_000 + ["b"]
    assert "column 5 holds the text 'red' among numbers in row 4001" in refused(features, table, [4, 5])


def test_other_files():
    """Spreadsheets and Latin-1 are no CSV of ours; UTF-16 is, as spreadsheets write it."""
    Path("t.csv").write_bytes("ä\tb\n1\t2\n".encode("utf-16"))
    assert read_table("t.csv")[0].names == ["ä", "b"]
    for data, says in ((b"PK\x03\x04", "spreadsheet"), ("ä,b\n".encode("latin-1"), "UTF-8"), (b"\xff\xfea,b", "is not text")):
        Path("t.csv").write_bytes(data)
        assert says in refused(read_table, "t.csv")


def test_bombs(monkeypatch):
    """A file that unpacks to far more than it has is refused before it fills the memory; one within the bound is read."""
    monkeypatch.setattr(packed, "ROOM", 1 << 16)
    for rows, fine in ((1 << 10, True), (1 << 18, False)):
        with gzip.open("t.csv.gz", "wb") as file:
            file.write(b"0,0\n" * rows)
        np.savez_compressed("t.npz", X=np.zeros((rows, 2)))
        for name in ("t.csv.gz", "t.npz"):
            if fine:
                assert read_table(name)[0].numbers.shape == (rows, 2)
            else:
                assert "unpacks to more than" in refused(read_table, name)


# ---- .npz and .npy


def test_image_sets():
    """train_images and the like are found, images flattened, labels of one column classified; the test rows are found too."""
    images = np.arange(2 * 4, dtype=np.uint8).reshape(2, 2, 2)
    np.savez("t.npz", train_images=images, train_labels=[[1], [0]], test_images=images[:1], test_labels=[[1]])
    table, found = read_table("t.npz")
    assert table.numbers.tolist() == images.reshape(2, 4).tolist()
    assert "2 images of 2x2, flattened to 4 columns" in found
    assert target_values(np.repeat(table.target, 3, axis=0), "auto")[:2][1] == "classify"
    assert has_split("t.npz", "test")
    assert not has_split("t.npz", "val")
    assert len(read_table("t.npz", split="test")[0].numbers) == 1
    np.savez("t.npz", x_train=images, y_train=[1, 0])
    assert read_table("t.npz")[0].target.tolist() == [1, 0]


def test_bad_npz():
    """Keys that are not known, objects, sparse matrices and text say what to do; a damaged file is called so."""
    x = np.zeros((2, 2))
    for arrays, says in (
        ({"Z": x}, "name the features X"),
        ({"X": x, "y": np.array([1, "a"], dtype=object)}, "y.astype(str)"),
        ({"X": x.astype(str)}, "must be numbers"),
        ({"X": x, "y": [1, 2, 3]}, "y has 3 rows, X has 2"),
        ({"indptr": x, "indices": x, "format": x, "data": x}, "t.npz is not a sparse matrix"),
    ):
        np.savez("t.npz", **arrays)
        assert says in refused(read_table, "t.npz")
    np.savez("t.npz", X=x, unread=np.array([None]))
    assert read_table("t.npz")[0].numbers.shape == (2, 2)
    with zipfile.ZipFile("t.npz", "w") as archive:
        archive.writestr("X.npy", b"no array")
    assert "X cannot be read: it is not an array" in refused(read_table, "t.npz")
    np.save("t.npy", np.zeros((3, 2, 2)))
    whole = Path("t.npy").read_bytes()
    for old, new in ((b"False", b"((((("), (b"<f8", b"<08"), (b"(3, 2, 2)", b"(9, 9, 9)")):
        Path("t.npy").write_bytes(whole.replace(old, new))
        assert "t.npy is not a .npy file" in refused(read_table, "t.npy")
    Path("t.npy").write_bytes(whole)
    assert read_table("t.npy")[0].image
    assert "are for a CSV file, and t.npy is none" in refused(read_table, "t.npy", True)


# ---- targets


def test_labels_keep_their_spelling():
    """Labels that differ as text are different classes; a regression target is parsed."""
    cells = np.array(["1", "01", "1.0", "2"] * 30, dtype=object)
    y, task, _ = target_values(cells, "auto")
    assert task == "classify"
    assert set(y) == {"1", "01", "1.0", "2"}
    y, task, _ = target_values(cells, "regress")
    assert y.dtype == np.float64
    assert set(y) == {1.0, 2.0}


@pytest.mark.parametrize("cell", ["$1.20", "1,5", "1_000"])
@pytest.mark.parametrize("of_whole", [True, False])
def test_one_cell_of_text(cell, of_whole):
    """It names row and cell, in a target and in a feature, and makes no classes."""
    numbers = np.arange(40) % 5 if of_whole else np.arange(40) / 8
    cells = numbers.astype(str).astype(object)
    cells[7] = cell
    for task in ("auto", "regress"):
        says = refused(target_values, cells, task)
        assert f"the target holds the text {cell!r} among numbers in row 8" in says
        assert "--task classify" in says
    assert len(set(target_values(cells, "classify")[0])) == len(set(cells))
    says = refused(features, read("a\n" + "\n".join(f'"{cell}"' for cell in cells), True), [0])
    assert f"column 'a' holds the text {cell!r} among numbers in row 8" in says


def test_numbers_in_disguise():
    """Decimal commas and currencies in every cell are no classes, nor are texts that are all distinct."""
    for form in ("{:d},5", "${:d}.20", "{:d} %"):
        says = refused(target_values, np.array([form.format(i) for i in range(50)], dtype=object), "auto")
        assert f"holds the text {form.format(0)!r} in row 1" in says
    dates = np.array([f"2020-01-{i:02d}" for i in range(1, 31)], dtype=object)
    assert "too many to be classes" in refused(target_values, dates, "auto")
    assert target_values(dates, "classify")[1] == "classify"
    assert "--task regress" in refused(target_values, np.arange(90) / 7, "classify")
    assert "--task regress" in refused(target_values, np.tile(np.arange(25) / 2, 9), "classify")


def test_targets_of_several_columns():
    """One-hot targets classify; several ones in a row say what to do; numbers are a regression."""
    y = np.eye(3)[[0, 2, 1, 1]]
    for task in ("auto", "classify"):
        assert target_values(y, task)[0].tolist() == [0, 2, 1, 1]
    assert target_values(y, "regress")[0].shape == (4, 3)
    y[0] = 1
    assert "--task regress" in refused(target_values, y, "auto")
    assert target_values(y * 0.5, "auto")[1] == "regress"
    assert "--task regress" in refused(target_values, y * 0.5, "classify")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([1.0, np.nan, np.inf]), "not finite in row 3"),
        (np.array([np.nan, np.nan]), "not finite in row 1 and in 1 more"),
        (np.array([1.0, 1e200]), "holds 1e+200 in row 2"),
        (np.array(["", ""], dtype=object), "is empty in row 1 and in 1 more"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "type datetime64"),
    ],
)
def test_bad_targets(values, says):
    """What is missing, or no target."""
    assert says in refused(target_values, values, "auto")


@pytest.mark.parametrize(
    ("values", "known", "task"),
    [
        (np.array(["a", "", "b"] * 9, dtype=object), [True, False, True] * 9, "classify"),
        (np.array(["1", "NA", "0"] * 9, dtype=object), [True, False, True] * 9, "classify"),
        (np.arange(30) / np.r_[np.nan, np.arange(1, 30)], [False] + [True] * 29, "regress"),
        (np.array([[1.5, 2.5], [np.nan, 1.0]]), [True, False], "regress"),
        (np.array([1, 0, 1] * 9), [True] * 27, "classify"),
    ],
)
def test_missing_targets(values, known, task):
    """They are masked; what is known is as it would be alone."""
    y, found, _ = target_values(values, task)
    assert found == task
    assert np.ma.isMaskedArray(y) != all(known)
    assert labelled(y).tolist() == known
    assert np.array_equal(np.ma.getdata(y)[known], target_values(values[known], task)[0])


def test_rows_without_a_label_are_not_tested_on():
    """They are trained on, unless their group is tested on; a copy of the target is found among the others."""
    y = np.ma.array(np.arange(60) % 2, mask=np.arange(60) % 3 == 0)
    train, test = split(60, y, "classify", 0.25)
    assert sorted([*train, *test]) == list(range(60))
    assert not np.ma.getmaskarray(y[test]).any()
    groups = np.array([str(i // 6) for i in range(60)])
    train, test = split(60, y, "classify", 0.25, groups)
    assert not set(groups[train]) & set(groups[test])
    assert np.ma.getmaskarray(y[train]).any()
    table = Table(np.column_stack([np.arange(60) % 2, np.arange(60)]).astype(float), ["copy", "other"])
    assert list(left_out(table, y, [0, 1])) == [0]


@pytest.mark.parametrize(("values", "says"), [(["x"] * 3, "only one class, 'x'"), ([2.5] * 3, "only one value")])
def test_targets_of_one_value(values, says):
    """They are targets, as of rows to test on, but nothing to learn from."""
    y, task, _ = target_values(np.array(values), "auto")
    assert y.tolist() == values
    assert says in refused(check_varies, y, task)


def test_doubtful_class():
    """A class that may stand for what is missing is named; labels of bytes are text."""
    assert "'?' is a class too" in target_values(np.array(["a", "?", "b"] * 3, dtype=object), "auto")[2]
    assert target_values(np.array([b"a", b"b"] * 9), "auto")[0][0] == "a"


# ---- columns


def test_positions():
    """An integer is a position, whatever the columns are called."""
    table = Table(np.zeros((1, 3)), ["2", "x", "5"])
    assert [position(table.names, 3, c) for c in ("2", "-1", "x", "0")] == [2, 2, 1, 0]
    assert "the column named '5' is number 2" in refused(position, table.names, 3, "5")
    assert "no such column; the columns are 2, x, 5" in refused(position, table.names, 3, "yes")
    assert "did you mean 'x'?" in refused(position, table.names, 3, "X")
    assert "--header" in refused(position, None, 3, "y")


def test_left_out():
    """The index that pandas writes and columns that repeat the target, of text or numbers, are left out; others are not."""
    rows = [f"{i},{'no' if i % 3 else 'yes'},{i % 2},{(i % 3 == 0) + 5},,{i % 3},t{i},{int(i % 3 == 0)}" for i in range(12)]
    table = read(",alive,a,copy,,three,text,y\n" + "\n".join(rows) + "\n")
    assert table.names == ["Unnamed: 0", "alive", "a", "copy", "Unnamed: 4", "three", "text", "y"]
    found = left_out(table, table.column(7), list(range(7)))
    assert sorted(found) == [0, 1, 3, 4]
    distinct = Table(np.column_stack([np.arange(30.0), np.arange(30.0) * 2]))
    assert not left_out(distinct, distinct.numbers[:, 1], [0])
    late = Table(np.column_stack([np.arange(300) % 2, (np.arange(300) + (np.arange(300) == 299)) % 2]))
    assert not left_out(late, late.numbers[:, 1], [0])


def test_features_name_what_is_wrong():
    """All columns that cannot be features are named, each with its first row and what helps."""
    table = read("a,b,c,d\n1,red,2,3\n,blue,inf,4\n,red,2,5\n", True)
    says = refused(features, table, [0, 1, 2, 3])
    for part in (
        "column 'a' is empty in row 2 and in 1 more",
        "'b' holds the text 'red' in row 1",
        "'c' is inf in row 2",
        "encode text",
    ):
        assert part in says
    assert "column 'd'" not in says
    assert features(table, [3]).tolist() == [[3.0], [4.0], [5.0]]
    assert "--header, if line 1" in refused(features, read("a,1\n2,3\n", False), [0])
    assert "column 1 is nan in row 1" in refused(features, Table(np.array([[0, np.nan]])), [0, 1])
    many = Table(np.full((1, SHOWN + 2), np.nan))
    assert "2 more cannot be features" in refused(features, many, list(range(SHOWN + 2)))


def test_columns_of_a_model():
    """By name, or in their order; a table as the model was trained on has its target dropped."""
    named, bare = Table(np.zeros((1, 3)), ["y", "b", "a"]), Table(np.zeros((1, 3)))
    assert wanted(named, ["a", "b"], 2, [0]) == [2, 1]
    assert wanted(bare, ["a", "b"], 2, [0]) == [1, 2]
    assert wanted(bare, [], 2, [1]) == [0, 2]
    assert wanted(named, [], 3, [1]) == [0, 1, 2]
    assert "lacks the column 'c'" in refused(wanted, named, ["c"], 1, [])
    assert "trained on 4 features" in refused(wanted, bare, [], 4, [0])
