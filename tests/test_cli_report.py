"""Pictures and reports from the command line."""

import sys

import matplotlib.image
import numpy as np
import pytest
from sklearn.datasets import load_digits

import fastdbn
from fastdbn import RBM
from fastdbn.cli.main import main
from fastdbn.tables.read import hash_of

QUICK = ["--layers", "8", "--epochs", "2", "--pretrain-epochs", "1", "--quiet"]


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Reports are quick without figures."""
    monkeypatch.setattr("fastdbn.report.page._figures", lambda found: "")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a table of digits whose target is named digit, and the same without it."""
    monkeypatch.chdir(tmp_path)
    X, y = load_digits(n_class=3, return_X_y=True)
    table, names = np.column_stack([X[:120], y[:120]]), [f"p{i}" for i in range(64)]
    for name, columns in (("digits.csv", 65), ("bare.csv", 64)):
        rows = [",".join(f"{x:g}" for x in row[:columns]) for row in table]
        (tmp_path / name).write_text("\n".join([",".join([*names, "digit"][:columns]), *rows]) + "\n")
    return tmp_path


def run(capsys, *argv):
    """(exit code, stderr) of a command line."""
    return main([*argv]), capsys.readouterr().err


def text_of(path):
    """A report without the time at which it was written."""
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if "Written " not in line)


def test_report_of_the_training(folder, capsys):
    """`train --report` and `report MODEL` write the same page: scores of the rows held out, the data, and the command."""
    command = ["train", "digits.csv", "--target", "digit", *QUICK, "--out", "m", "--report", "a.html"]
    assert run(capsys, *command)[0] == 0
    model = fastdbn.load("m")
    assert model.command_ == tuple(command)
    assert run(capsys, "report", "m", "--out", "b.html")[0] == 0
    assert run(capsys, "report", "m", "digits.csv", "--out", "c.html")[0] == 0
    text = text_of(folder / "a.html")
    assert text == text_of(folder / "b.html") == text_of(folder / "c.html")
    assert "Scores of 24 rows that training did not see" in text
    assert "fastdbn train digits.csv --target digit --layers 8" in text
    assert "images of 8×8" in text
    assert "leave them out" in run(capsys, "report", "m", "digits.csv", "--target", "p3", "--out", "d.html")[1]
    code, err = run(capsys, "report", "m", "--out", "a.html")
    assert code == 1
    assert "--force" in err
    code, err = run(capsys, *command[:-2], "--out", "n", "--report", "none/a.html")
    assert code == 1
    assert "--report none/a.html: there is no folder" in err


def test_report_of_other_rows(folder, capsys):
    """Rows of another file are scored as they are, and the page says that; a file without the target has no scores."""
    assert run(capsys, "train", "digits.csv", "--target", "digit", *QUICK, "--out", "m")[0] == 0
    (folder / "other.csv").write_bytes((folder / "digits.csv").read_bytes())
    code, err = run(capsys, "report", "m", "other.csv", "--out", "a.html")
    assert (code, "warning" in err) == (0, False), err
    assert "Scores of the 120 rows given" in text_of(folder / "a.html")
    code, err = run(capsys, "report", "m", "bare.csv", "--out", "b.html")
    assert code == 0, err
    assert "no scores, because the file has no target" in err
    assert "120 rows of 64 features" in text_of(folder / "b.html")


def test_the_file_of_the_training_is_known_by_its_content(folder, capsys):
    """Another file of the same path is scored as it is; without a name it is refused, and so is one that is not there."""
    assert run(capsys, "train", "digits.csv", "--target", "digit", *QUICK, "--out", "m")[0] == 0
    lines = (folder / "digits.csv").read_text().splitlines(keepends=True)
    (folder / "digits.csv").write_text("".join(lines[:91]))
    code, err = run(capsys, "report", "m", "--out", "a.html")
    assert (code, "digits.csv is not as it was when the model was trained on it: name a file" in err) == (1, True)
    code, err = run(capsys, "report", "m", "digits.csv", "--out", "a.html")
    assert (code, "taken for another file" in err) == (0, True), err
    assert "Scores of the 90 rows given" in text_of(folder / "a.html")
    (folder / "digits.csv").unlink()
    assert "no data file at digits.csv" in run(capsys, "report", "m", "--out", "b.html")[1]
    (folder / "digits.csv").write_text("".join(lines))
    model = fastdbn.load("m")
    del model.data_hash_
    model.save("m")
    code, err = run(capsys, "report", "m", "--out", "b.html")
    assert (code, "the model notes this path and no hash" in err) == (0, True), err
    assert "Scores of 24 rows that training did not see" in text_of(folder / "b.html")


@pytest.mark.parametrize("option", ["--labels", "--test"])
def test_other_files_of_the_training_are_known_by_their_content(option, folder, capsys):
    lines = (folder / "digits.csv").read_text().splitlines()
    (folder / "labels.csv").write_text("\n".join(line.rsplit(",", 1)[1] for line in lines) + "\n")
    given = {"--labels": ["--labels", "labels.csv"], "--test": ["--target", "digit", "--test", "test.csv"]}[option]
    (folder / "test.csv").write_text("\n".join(lines[:31]) + "\n")
    code, err = run(capsys, "train", "digits.csv", *given, *QUICK, "--out", "m")
    assert code == 0, err
    assert run(capsys, "report", "m", "--out", "a.html")[0] == 0
    name = given[-1]
    (folder / name).write_text((folder / name).read_text()[:-2])
    code, err = run(capsys, "report", "m", "--out", "b.html")
    assert (code, f"one of digits.csv, {name} is not as it was when the model was trained on it" in err) == (1, True), err


def test_the_hash_of_a_folder(folder):
    """It knows the names and the content of all data files and images, and nothing else, such as a model saved among them."""
    (folder / "parts" / "a").mkdir(parents=True)
    (folder / "parts" / "a" / "1.png").write_text("x")
    first = hash_of("parts")
    (folder / "parts" / "a" / "1.png").rename(folder / "parts" / "a" / "2.png")
    assert first != hash_of("parts")
    (folder / "parts" / "a" / "2.png").rename(folder / "parts" / "a" / "1.png")
    (folder / "parts" / "model.safetensors").write_text("y")
    assert first == hash_of("parts")
    (folder / "parts" / "a" / "1.png").write_text("z")
    assert first != hash_of("parts")


def test_a_file_that_is_gone_after_the_fit(folder, capsys, monkeypatch):
    """The model is saved all the same, with the hash of what it learned from."""
    expected, fit = hash_of("digits.csv"), fastdbn.DBNClassifier.fit

    def fit_and_lose_the_file(self, *given, **options):
        (folder / "digits.csv").unlink(missing_ok=True)
        return fit(self, *given, **options)

    monkeypatch.setattr(fastdbn.DBNClassifier, "fit", fit_and_lose_the_file)
    code, err = run(capsys, "train", "digits.csv", "--target", "digit", *QUICK, "--out", "m")
    assert code == 0, err
    assert fastdbn.load("m").data_hash_ == expected


def test_report_of_a_model_from_python(folder, capsys):
    """It needs a file, and says so; the page has the code that repeats the fit."""
    RBM(4, n_iter=1, random_state=0).fit(load_digits().data[:100]).save("rbm")
    code, err = run(capsys, "report", "rbm")
    assert code == 1
    assert "DATA is missing" in err
    assert run(capsys, "report", "rbm", "bare.csv")[0] == 0
    assert "model = RBM(n_components=4, n_iter=1, random_state=0)" in text_of(folder / "report.html")


def test_report_of_rows_without_a_target(folder, capsys):
    """The report of a model that learns no target knows how its rows were split."""
    assert run(capsys, "train", "bare.csv", "--model", "rbm", "--layers", "4", "--pretrain-epochs", "1", "--out", "m")[0] == 0
    code, err = run(capsys, "report", "m")
    assert code == 0, err
    assert "24 held out to test" in text_of(folder / "report.html")


def test_samples_as_a_picture(folder, capsys):
    """A grid of images, of a shape that is found or given; rows that are no images are refused before they are drawn."""
    RBM(4, n_iter=1, random_state=0).fit(load_digits().data[:100] / 16).save("rbm")
    assert run(capsys, "sample", "rbm", "-n", "3", "--steps", "2", "--out", "a.png")[0] == 0
    picture = matplotlib.image.imread("a.png")
    assert picture.shape == (595, 595, 4)
    assert (picture[-1, -1] == 1).all()
    shown = picture[17::35, 17::35, 0][:8, :8]
    rows = fastdbn.load("rbm").sample(3, 2, 0, mean=True)
    assert np.allclose(shown, rows[0].reshape(8, 8), atol=0.01)
    assert run(capsys, "sample", "rbm", "-n", "2", "--steps", "2", "--image-shape", "4,16", "--out", "b.png")[0] == 0
    assert matplotlib.image.imread("b.png").shape[0] < 200
    code, err = run(capsys, "sample", "rbm", "--image-shape", "5,5", "--out", "c.png")
    assert code == 1
    assert "--image-shape 5,5 has 25 pixels, and a row has 64 features" in err
    with pytest.raises(SystemExit):
        main(["sample", "rbm", "--image-shape", "5", "--out", "c.png"])
    assert not (folder / "c.png").exists()
    for out in ([], ["--out", "c.csv"]):
        code, err = run(capsys, "sample", "rbm", "--image-shape", "8,8", *out)
        assert (code, "--image-shape is for pictures" in err) == (1, True)


def test_without_matplotlib(folder, capsys, monkeypatch):
    """The commands that draw name the extra before any work."""
    for name in [name for name in sys.modules if name.startswith("fastdbn.plot")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(fastdbn, "plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for command in (["train", *QUICK, "--report", "a.html"], ["report", "none"]):
        code, err = run(capsys, *command)
        assert code == 1
        assert 'pip install "fastdbn[plot]"' in err


def test_clean_rows_as_a_picture(folder, capsys):
    """A line of rows above a line of what the model makes of them; a table is not written under a picture's name."""
    X = load_digits().data[:23] / 16
    np.save("rows.npy", X)
    model = RBM(4, n_iter=1, random_state=0).fit(X)
    model.save("rbm")
    code, err = run(capsys, "denoise", "rbm", "rows.npy", "--out", "clean.png")
    assert code == 0, err
    shown = matplotlib.image.imread("clean.png")[::6, ::6, 0]  # a pixel is 6 of the picture
    tiles = np.array([shown[9 * i : 9 * i + 8, 9 * j : 9 * j + 8] for i in range(4) for j in range(10)]).reshape(2, 2, 10, 64)
    clean = fastdbn.load("rbm").denoise(X, n_steps=1, method="mean-field", random_state=0)
    assert np.allclose(tiles[:, 0].reshape(20, 64), X[:20], atol=0.01)
    assert np.allclose(tiles[:, 1].reshape(20, 64), clean[:20], atol=0.01)
    RBM(4, n_iter=1, random_state=0).fit(X[:, :60]).save("rbm")
    code, err = run(capsys, "sample", "rbm", "--out", "samples.png")
    assert code == 1
    assert "give --image-shape HEIGHT,WIDTH, or write a .csv file" in err
    np.save("rows.npy", X[:, :60])
    code, err = run(capsys, "score", "rbm", "rows.npy", "--out", "scores.png")
    assert code == 1
    assert "tables are written as .csv or .npy" in err
    assert not (folder / "scores.png").exists()
