"""ONNX files of models of tables, and the command `export`."""

import subprocess
import sys

import numpy as np
import pytest

import fastdbn
from fastdbn import RBM, DBNClassifier, Preparation, TableModel
from fastdbn.cli.main import main
from tests.test_exits import run

DRAW = np.random.default_rng(0)
N = 60
AGE = np.where(DRAW.random(N) < 0.1, np.nan, np.round(DRAW.uniform(18, 80, N), 1))
JOB = np.array(["cook", "Nurse", "smith", ""], object)[DRAW.integers(0, 4, N)]
MEMBER = np.array(["no", "yes"], object)[DRAW.integers(0, 2, N)]
SMOKES = DRAW.integers(0, 2, N).astype(float)
ROOMS = DRAW.integers(1, 4, N).astype(float)
DAYS = DRAW.integers(18_000, 18_100, N)
SINCE = np.array([str(np.datetime64(int(day), "D")) for day in DAYS], object)
Y = DRAW.integers(0, 3, N)


def table():
    pandas = pytest.importorskip("pandas")
    columns = {"age": AGE, "job": JOB, "member": MEMBER, "smokes": SMOKES, "rooms": ROOMS, "since": SINCE}
    return pandas.DataFrame(columns)


def fitted(preparation, **rbm):
    preparation.fit(table())
    model = DBNClassifier((5,), rbm=RBM(visible=preparation.visible_, n_iter=1, **rbm), max_iter=1, random_state=0)
    model.fit(preparation.transform(table()), Y)
    model.preparation_ = preparation
    return model


def inputs(**changes):
    """The inputs of a session: a column of numbers or of text each."""
    columns = {"age": AGE, "job": JOB, "member": MEMBER, "smokes": SMOKES, "rooms": ROOMS, "since": DAYS} | changes
    return {
        name: (x.astype(object) if x.dtype == object else x.astype(np.float32))[:, None] for name, x in columns.items() if len(x)
    }


@pytest.mark.filterwarnings("ignore::fastdbn.DataWarning")
@pytest.mark.parametrize(
    "kinds", [{}, {"rooms": "category"}, {"job": "category", "smokes": "number"}, {"since": "drop"}], ids=str
)
def test_onnx_takes_the_columns_of_a_table(kinds, tmp_path):
    """Text is looked up, missing and unseen values are what the preparation makes of them, dates are days."""
    pytest.importorskip("onnx")
    model, rows = fitted(Preparation(kinds=kinds)), table()
    fastdbn.export_onnx(model, tmp_path / "model.onnx")
    given = inputs(**{name: () for name, kind in kinds.items() if kind == "drop"})
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "model.onnx")
    assert {x.name: x.shape for x in session.get_inputs()} == {name: ["N", 1] for name in given}
    label, probabilities = session.run(None, given)
    wanted = model.predict_proba(model.preparation_.transform(rows))
    np.testing.assert_allclose(probabilities, wanted, atol=1e-5)
    np.testing.assert_array_equal(label, wanted.argmax(axis=1))
    strange = {"job": np.array(["NURSE", "pilot", "NA"], object), "member": np.array(["Yes", "?", "maybe"], object)}
    rows = rows[:3].assign(**strange, smokes=[np.nan, 1, 0])
    few = {name: x[:3] for name, x in given.items()} | inputs(**strange, smokes=np.array([np.nan, 1, 0]))
    few = {name: few[name][:3] for name in given}
    wanted = model.predict_proba(model.preparation_.transform(rows))
    np.testing.assert_allclose(session.run(None, few)[1], wanted, atol=1e-5)


def test_onnx_of_a_table_model(tmp_path):
    pytest.importorskip("onnx")
    model = TableModel(RBM(4, n_iter=1, random_state=0)).fit(table())
    fastdbn.export_onnx(model, tmp_path / "model.onnx")
    found = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "model.onnx").run(None, inputs())[0]
    np.testing.assert_allclose(found, model.transform(table()), atol=1e-5)
    with pytest.raises(ValueError, match="not fitted"):
        fastdbn.export_onnx(TableModel(RBM()), tmp_path / "model.onnx")


def test_onnx_of_rare_labels(tmp_path):
    """What the fit did not see is one of its rare labels."""
    pytest.importorskip("onnx")
    words = np.array([f"word {i}" for i in DRAW.integers(0, 40, 200)] + [f"rare {i}" for i in range(60)], object)[:, None]
    preparation = Preparation(kinds={0: "category"}).fit(words)
    model = RBM(4, visible=preparation.visible_, n_iter=1, random_state=0).fit(preparation.transform(words))
    model.preparation_ = preparation
    fastdbn.export_onnx(model, tmp_path / "model.onnx")
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "model.onnx")
    rows = np.array([["word 1"], ["rare 59"], ["never"]], object)
    np.testing.assert_allclose(session.run(None, {"x0": rows})[0], model.transform(preparation.transform(rows)), atol=1e-5)


def test_columns_with_the_names_of_outputs_are_refused(tmp_path):
    pytest.importorskip("onnx")
    pandas = pytest.importorskip("pandas")
    preparation = Preparation().fit(frame := pandas.DataFrame({"label": AGE, "member": MEMBER}))
    model = DBNClassifier((3,), rbm=RBM(visible=preparation.visible_, n_iter=1), max_iter=1).fit(preparation.transform(frame), Y)
    model.preparation_ = preparation
    with pytest.raises(ValueError, match="column 'label' has the name of an output"):
        fastdbn.export_onnx(model, tmp_path / "model.onnx")


def test_command_exports(tmp_path, capsys, monkeypatch):
    """The form is that of the ending; files are kept without --force; a NumPy program runs alone."""
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    X = DRAW.random((40, 3)).astype(np.float32)
    model = RBM(4, n_iter=1, random_state=0).fit(X)
    model.save("model.safetensors")
    assert main(["export", "model.safetensors"]) == 0
    np.testing.assert_allclose(run("model.onnx", X)["variable"], model.transform(X), atol=1e-5)
    assert main(["export", "model.safetensors", "--format", "numpy"]) == 0
    np.save("rows.npy", X)
    code = "import model, numpy as np; np.save('out.npy', model.transform(np.load('rows.npy')))"
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_allclose(np.load("out.npy"), model.transform(X), atol=1e-5)
    capsys.readouterr()
    for words, says in [
        (["--out", "model.onnx"], "model.onnx exists and is kept"),
        (["--out", "other.bin", "--format", "onnx"], ""),
        (["--out", "other.py", "--format", "onnx"], "--out other.py: --format onnx is written as .onnx"),
        (["--out", "model.py"], "model.py exists and is kept"),
        (["--out", "model.txt"], "give --format onnx or --format numpy, or a name that ends with .onnx or .py"),
        (["--out", "other.txt", "--format", "numpy"], "--out other.txt: give --format numpy a name that ends"),
    ]:
        assert main(["export", "model.safetensors", *words]) == int(bool(says))
        assert says in capsys.readouterr().err
