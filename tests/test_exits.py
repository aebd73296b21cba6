"""Models outside of fastdbn: ONNX Runtime, and a program that needs NumPy alone, agree with the model."""

import json
import runpy
import subprocess
import sys

import numpy as np
import pytest

import fastdbn
from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier
from fastdbn.exits import formulas, numpy_source, torch_modules
from fastdbn.exits.model import describe
from fastdbn.support.report import DataWarning
from tests.model_files import GREY, LABELS, MODELS, fitted
from tests.model_files import X as BINARY

pytestmark = pytest.mark.usefixtures("composed")

DRAW = np.random.default_rng(1)
FAR = (1000 + 3 * DRAW.normal(size=(60, 8))).astype(np.float32)
LACKING = np.where(DRAW.random(BINARY.shape) < 0.2, np.nan, BINARY).astype(np.float32)
MIXED = np.c_[BINARY[:, :3], np.eye(3, dtype=np.float32)[DRAW.integers(0, 3, 60)], FAR[:, :2]]
UNITS = [("bernoulli", slice(0, 3)), ("softmax", slice(3, 6)), ("gaussian", slice(6, 8))]
FAST = {"n_iter": 0, "random_state": 0}
"""Models get weights of their own, so nothing is trained, and few kernels are compiled."""
NETWORK = {"rbm": RBM(n_iter=0), "random_state": 0}
SPIN = RBM(hidden="spin", n_iter=0)
GROUPS = [RBM(n_iter=0), RBM(hidden="softmax:3", n_iter=0)]
HIDDEN = {
    "spin": "float64",
    "gaussian": "float32",
    "softmax": "float64",
    "softmax:3": "float64",
    "binomial:5": "float64",
    "noisy-relu": "float32",
}
"""Of precisions for which other tests compile these units."""
VISIBLE = {
    "spin": 2 * BINARY - 1,
    "gaussian": GREY,
    "gaussian-variance": FAR,
    "softmax": np.eye(8, dtype=np.float32)[DRAW.integers(0, 8, 60)],
    "binomial:3": np.round(3 * GREY),
    "noisy-relu": GREY,
    "rectified": GREY,
    "replicated-softmax": np.round(5 * GREY),
}
CASES = {
    **{f"hidden {unit}": (RBM(6, hidden=unit, dtype=dtype, **FAST), BINARY) for unit, dtype in HIDDEN.items()},
    **{f"visible {unit}": (RBM(6, visible=unit, **FAST), X) for unit, X in VISIBLE.items()},
    "mixed": (RBM(6, visible=UNITS, **FAST), MIXED),
    "threshold": (DBN((5, 4), rbm=RBM(binarize=0.3, n_iter=0), random_state=0), GREY),
    "range": (DBN((5, 4), rbm=RBM(scale="minmax", n_iter=0), random_state=0), FAR),
    "missing": (RBM(5, missing="drop", **FAST), LACKING),
    "codes of mixed": (DBNAutoencoder((5, 4), rbm=RBM(visible=UNITS, n_iter=0), max_iter=0, random_state=0), MIXED),
    "mixed detector": (DBNOutlierDetector((5,), rbm=RBM(visible=UNITS, n_iter=0), random_state=0), MIXED),
    "spin classifier": (GenerativeDBNClassifier((5,), rbm=SPIN, dtype="float64", random_state=0), BINARY),
    "spin detector": (DBNOutlierDetector((5,), rbm=SPIN, dtype="float64", random_state=0), FAR),
    "groups on top": (GenerativeDBNClassifier((5, 6), rbm=GROUPS, up_down_iter=0, random_state=0), FAR),
}
METHODS = {
    "label": "predict",
    "probabilities": "predict_proba",
    "scores": "decision_function",
    "reconstruction": "reconstruct",
}


def _weigh(model):
    """Weights and biases that tell formulas apart."""
    draw = np.random.default_rng(2)

    def values(like, size):
        return draw.normal(0, size, like.shape).astype(like.dtype)

    if hasattr(model, "coefs_"):
        model.coefs_, model.intercepts_ = [values(W, 1.0) for W in model.coefs_], [values(b, 0.5) for b in model.intercepts_]
        return model
    for rbm in model._stack():
        rbm.components_, rbm.intercept_hidden_ = values(rbm.components_, 1.0), values(rbm.intercept_hidden_, 0.5)
        rbm.intercept_visible_ = values(rbm.intercept_visible_, 0.5)
    if hasattr(model, "label_components_"):
        model.label_components_ = values(model.label_components_, 1.0)
    return model


def _case(name):
    """A fitted model, and rows of which some are beyond those of the fit."""
    if name in MODELS:
        X = np.asarray(MODELS[name][1][0])
        return fitted(name), X
    estimator, X = CASES[name]
    model = estimator.fit(X, *([LABELS] if isinstance(estimator, GenerativeDBNClassifier) else []))
    grouped = name in ("mixed", "codes of mixed", "mixed detector") or "softmax" in name.partition("visible")[2]
    return _weigh(model), X if grouped else np.r_[X, 1.5 * X - 2]


def run(path, X):
    """Outputs of an ONNX file by name."""
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    return dict(zip([out.name for out in session.get_outputs()], session.run(None, {"X": X}), strict=True))


@pytest.mark.filterwarnings("ignore::fastdbn.DataWarning")  # of rows that are clipped
@pytest.mark.parametrize("name", [*MODELS, *CASES])
def test_exits_agree_with_the_model(name, tmp_path):
    """ONNX Runtime and NumPy give what the model's methods give, to 1e-5, and the same labels."""
    pytest.importorskip("onnx")
    model, X = _case(name)
    fastdbn.export_onnx(model, tmp_path / "model.onnx")
    outputs, program = run(tmp_path / "model.onnx", X), dict((exported := fastdbn.to_numpy(model, input_dtype="float32")).arrays)
    exec(exported.source, program)
    for output, found in outputs.items():
        default = "predict" if isinstance(model, DBNRegressor) else "transform"
        method = METHODS.get(output, default)
        wanted = getattr(model, method)(X)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(program[method](X), wanted, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, wanted.astype(found.dtype))
            np.testing.assert_array_equal(program[method](X), wanted)
    assert len(outputs) == len(describe(model, "float32").outputs)


@pytest.mark.filterwarnings("ignore::fastdbn.DataWarning")
@pytest.mark.parametrize("name", [*MODELS, *CASES])
def test_torch_agrees_with_the_model(name):
    """The modules give what the model's last method gives, from linear layers that can be trained."""
    torch = pytest.importorskip("torch")
    model, X = _case(name)
    net, dtype = fastdbn.to_torch(model), describe(model).dtype
    found = net(torch.tensor(X.astype(dtype))).detach().numpy()
    last = [output for output in describe(model).outputs if output.name != "label"][-1]
    wanted = getattr(model, last.method)(X.astype(dtype))
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5)
    if hasattr(model, "coefs_"):
        linear = [module for module in net if isinstance(module, torch.nn.Linear)]
        np.testing.assert_array_equal(linear[0].weight.detach().numpy(), model.coefs_[0].T)
        assert all(module.weight.requires_grad for module in linear)


def test_without_torch_the_error_says_where_it_is(monkeypatch):
    model = fitted("rbm")
    monkeypatch.setitem(sys.modules, "torch", None)
    torch_modules._torch.cache_clear()
    with pytest.raises(ImportError, match=r"to_torch needs PyTorch: https://pytorch\.org"):
        fastdbn.to_torch(model)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"fastdbn\[onnx\]"):
        fastdbn.export_onnx(model, "model.onnx")


def test_onnx_file_says_what_it_is(tmp_path):
    """Version, opset, feature names, any number of rows, and labels as text or integers."""
    onnx = pytest.importorskip("onnx")
    pandas = pytest.importorskip("pandas")
    model = DBNClassifier((4,), max_iter=1, **NETWORK).fit(pandas.DataFrame(GREY, columns=[*"abcdefgh"]), LABELS)
    fastdbn.export_onnx(model, tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    assert (proto.producer_name, proto.producer_version) == ("fastdbn", fastdbn.__version__)
    assert proto.opset_import[0].version == 17
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata["name"] == "DBNClassifier"
    assert json.loads(metadata["feature_names"]) == [*"abcdefgh"]
    assert [out.name for out in proto.graph.output] == ["label", "probabilities"]
    assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.STRING
    for n in (1, 7):
        assert run(tmp_path / "model.onnx", GREY[:n])["probabilities"].shape == (n, 3)


def test_onnx_of_columns_that_float32_does_not_tell_apart(tmp_path):
    """With input_dtype="float64" times in seconds keep their digits."""
    pytest.importorskip("onnx")
    X = 1.7e9 + DRAW.random((60, 3))
    model = RBM(4, **FAST).fit(X)
    fastdbn.export_onnx(model, tmp_path / "model.onnx", input_dtype="float64")
    np.testing.assert_allclose(run(tmp_path / "model.onnx", X)["variable"], model.transform(X), atol=1e-5)
    with pytest.raises(ValueError, match="input_dtype='int8'"):
        fastdbn.export_onnx(model, tmp_path / "model.onnx", input_dtype="int8")


def own(unit):
    """A unit record of one's own."""
    return fastdbn.units.get_unit(unit)._replace(name="own")


@pytest.mark.parametrize(
    ("estimator", "X", "words"),
    [
        (RBM(4, hidden="rectified", **FAST), BINARY, "'rectified'.* its mean needs the tail of the normal distribution"),
        (RBM(4, hidden=own("bernoulli"), **FAST), BINARY, "'own' cannot be exported: exports know only"),
        (DBNOutlierDetector((4, 3), **NETWORK), BINARY, "of 2 layers cannot be exported.*random draws"),
        (DBNOutlierDetector((4,), rbm=RBM(hidden="noisy-relu", n_iter=1)), BINARY, "its log normaliser is a dilogarithm"),
        (DBNOutlierDetector((4,), rbm=RBM(visible="binomial:3", n_iter=1)), BINARY, "its base measure needs logarithms"),
    ],
)
def test_what_cannot_be_exported_is_refused(estimator, X, words):
    model = estimator.fit(X)
    with pytest.raises(ValueError, match=words):
        fastdbn.to_numpy(model)


def test_a_new_unit_type_has_no_formulas_yet(monkeypatch):
    """A type that is added to `UNITS` is refused, and not taken for another."""
    monkeypatch.setitem(fastdbn.units.UNITS, "own", own("spin"))
    assert formulas.family(own("spin")) is None
    assert all(formulas.family(unit) == name.partition(":")[0] for name, unit in fastdbn.units.UNITS.items() if name != "own")


def test_refuses_what_is_no_fitted_model(tmp_path):
    with pytest.raises(TypeError, match="give a fitted model of fastdbn"):
        fastdbn.export_onnx(3, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="not fitted"):
        fastdbn.to_numpy(RBM())
    model = DBNClassifier((4,), max_iter=1, **NETWORK).fit(GREY, LABELS)
    model.classes_ = np.array([0.0, 0.25, 0.5])
    with pytest.raises(ValueError, match="neither text nor whole numbers"):
        fastdbn.to_numpy(model)


def test_numpy_program_needs_numpy_alone(tmp_path):
    """The module that `save` writes predicts in a process that cannot import fastdbn."""
    model = DBNClassifier((4,), max_iter=1, **NETWORK).fit(GREY, LABELS)
    fastdbn.to_numpy(model).save(tmp_path / "model.py")
    np.save(tmp_path / "rows.npy", GREY)
    code = (
        "import sys; sys.modules.update(fastdbn=None, scipy=None, sklearn=None)\n"
        "import model, numpy as np\n"
        "X = np.load('rows.npy')\n"
        "np.savez('out.npz', p=model.predict_proba(X), y=model.predict(X))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["p"], model.predict_proba(GREY), atol=1e-6)
    np.testing.assert_array_equal(out["y"], model.predict(GREY))
    with pytest.raises(ValueError, match=r"ends with \.py"):
        fastdbn.to_numpy(model).save(tmp_path / "model.txt")


def test_a_numpy_program_takes_no_other_arrays(tmp_path, monkeypatch):
    """A crash between the two files of a new model leaves a program and arrays that do not belong together: it says so."""
    exported, replacing = fastdbn.to_numpy(RBM(3, **FAST).fit(BINARY)), numpy_source.replacing
    exported.save(tmp_path / "model.py")
    assert runpy.run_path(tmp_path / "model.py")["transform"](BINARY).shape == (60, 3)

    def crashing(path):
        if path.suffix == ".py":
            raise KeyboardInterrupt
        return replacing(path)

    monkeypatch.setattr(numpy_source, "replacing", crashing)
    with pytest.raises(KeyboardInterrupt):
        exported._replace(arrays=exported.arrays | {"b": exported.arrays["b"] + 1}).save(tmp_path / "model.py")
    with pytest.raises(ValueError, match=r"model\.npz does not hold the arrays of .*model\.py: export the model again"):
        runpy.run_path(tmp_path / "model.py")


@pytest.mark.parametrize("network", [False, True])
def test_missing_values_that_are_drawn(network):
    """An export says that it does not draw them."""
    rbm = RBM(5, missing="sample", **FAST)
    model = DBNClassifier((5,), rbm=RBM(missing="sample", n_iter=0), max_iter=0) if network else rbm
    model.fit(BINARY, *([LABELS] if network else []))
    with pytest.warns(DataWarning, match="Fill rows in by `impute` first"):
        describe(model)
