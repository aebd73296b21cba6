"""Model files: whole round trips, and nothing but a clear error from a damaged one."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    Unit,
    load,
)
from fastdbn.files import format
from fastdbn.units import bernoulli, softmax

FAST = {"pretrain_iter": 2, "max_iter": 3, "random_state": 0}
MODELS = {
    "rbm": RBM(5, n_iter=2, random_state=0),
    "standardised": RBM(5, n_iter=2, scale="standard", learning_rate=lambda epoch: 0.01 / (1 + min(epoch, 1)), random_state=0),
    "chains": RBM(5, n_iter=2, persistent=True, n_chains=7, momentum=[0.5, 0.9], random_state=np.random.default_rng(1)),
    "potts": RBM(5, n_iter=2, hidden=softmax(5), dtype="float64", random_state=np.random.RandomState(2)),
    "bernoulli": BernoulliRBM(5, n_iter=2, random_state=0),
    "dbn": DBN((5, 4), n_iter=(2, 1), random_state=0),
    "outliers": DBNOutlierDetector((5,), n_iter=2, contamination=0.1, random_state=0),
    "generative": GenerativeDBNClassifier((5, 6), n_iter=2, up_down_iter=0, random_state=0),
    "up-down": GenerativeDBNClassifier((5, 4, 6), n_iter=2, up_down_iter=2, n_gibbs=lambda epoch: 1 + epoch, random_state=0),
    "autoencoder": DBNAutoencoder((6, 4), hidden=("bernoulli", "gaussian"), scale="standard", **FAST),
    "classifier": DBNClassifier((6, 5), class_weight={0: 1.0, 1: 2.0}, dropout=(0.1, 0.2, 0.2), **FAST),
    "plain": DBNClassifier((6,), pretrain=False, scale="minmax", **FAST),
    "regressor": DBNRegressor((6,), **FAST),
}


def data():
    draw = np.random.default_rng(0)
    X = (draw.random((60, 8)) < 0.4).astype(np.float32)
    return X, X[:, 0].astype(int)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else getattr(model, "predict", model.transform)(X)


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, tmp_path):
    """What comes back gives the same bytes, samples the same, and goes on training the same."""
    X, y = data()
    model = MODELS[name].fit(X, y)
    path = tmp_path / "model.safetensors"
    model.save(path)
    back = load(path)
    assert type(back) is type(model)
    assert output(back, X).tobytes() == output(model, X).tobytes()
    if hasattr(model, "sample") and name != "plain":
        assert np.array_equal(back.sample(3, 4), model.sample(3, 4))
    for m in (model, back):
        m.partial_fit(X, y)
    assert output(back, X).tobytes() == output(model, X).tobytes()
    kept = {key: value for key, value in model.get_params().items() if isinstance(value, (int, float, str, tuple, dict))}
    assert kept == {key: back.get_params()[key] for key in kept}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"]


@pytest.mark.parametrize("labels", [["a", "bee"], [False, True], [-3, 10**12], [1.0, 2.0]], ids=["text", "bool", "int", "float"])
@pytest.mark.parametrize("as_object", [False, True])
def test_labels_and_names(labels, as_object, tmp_path):
    """Labels of any type and feature names survive."""
    X, y = data()
    if as_object and not isinstance(labels[0], str):
        pytest.skip("scikit-learn takes objects as labels where they are text")
    y = np.array(labels, dtype=object if as_object else None)[y]
    model = DBNClassifier((4,), **FAST).fit(X, y)
    model.feature_names_in_ = np.array([f"f{i}" for i in range(8)], dtype=object)
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.classes_.dtype == model.classes_.dtype
    assert np.array_equal(back.classes_, model.classes_)
    assert list(back.feature_names_in_) == list(model.feature_names_in_)


def test_metadata(tmp_path):
    """One key, canonical JSON with the stated entries, and a hash that anyone can compute again."""
    MODELS["classifier"].fit(*data()).save(tmp_path / "m")
    with safe_open(tmp_path / "m", framework="numpy") as file:
        assert set(file.metadata()) == {"fastdbn"}
        text = file.metadata()["fastdbn"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    record = json.loads(text)
    stated = {"format_version", "class", "params", "classes", "scaling", "feature_names", "sha256"}
    assert stated <= set(record)
    assert text == json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert record["sha256"] == format.digest(tensors, record)
    assert all(x.dtype.kind == "f" for x in tensors.values())


@pytest.fixture
def saved(tmp_path):
    """A saved classifier: (path, record, tensors)."""
    path = tmp_path / "m"
    DBNClassifier((6, 5), scale="standard", **FAST).fit(*data()).save(path)
    return path, *format.read(path)


def test_mutated_bytes(saved):
    """A flipped byte anywhere is a ValueError; nothing else is raised and nothing changed is ever loaded."""
    path, _, _ = saved
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for place in {*range(0, 64, 4), *draw.integers(0, len(whole), 150).tolist()}:
        broken = bytearray(whole)
        broken[place] ^= int(draw.integers(1, 256))
        path.write_bytes(bytes(broken))
        with pytest.raises(ValueError, match=str(path)):
            load(path)
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=str(path)):
            load(path)


def rewrite(path, record, tensors):
    """Write with a right hash, as someone who knows the format would."""
    record["sha256"] = format.digest(tensors, record)
    save_file(tensors, path, metadata={"fastdbn": format.canonical(record)})


def drop(name):
    return lambda record, tensors: tensors.pop(name)


def put(name, value):
    return lambda record, tensors: tensors.update({name: value})


def entry(name, value):
    return lambda record, tensors: record.update({name: value})


WRONG = {
    "not finite": (put("network.0.c", np.full(6, np.nan, np.float32)), "not finite"),
    "integers": (put("network.0.c", np.zeros(6, np.int32)), "type I32"),
    "bias shape": (put("network.0.c", np.zeros(7, np.float32)), "network.0.c"),
    "lost tensor": (drop("layers.1.components"), "layers.1.components"),
    "layer sizes": (put("network.1.W", np.zeros((4, 5), np.float32)), "network.1.W"),
    "chain sizes": (put("layers.0.chains", np.zeros((2, 3), np.float32)), "chains"),
    "scaling": (put("scaling.scale", np.ones(3)), "scaling"),
    "classes": (entry("classes", {"dtype": "<i8", "labels": [1, 2, 3]}), "classes"),
    "class": (entry("class", "GAN"), "GAN"),
    "params": (entry("params", {"depth": 3}), "depth"),
    "unit": (lambda record, tensors: record["layers"][0].update(visible="relux"), "relux"),
    "version": (entry("format_version", 99), "version 99"),
    "names": (entry("feature_names", ["a"]), "feature names"),
    "state": (entry("state", {}), "does not hold"),
    "extra entry": (entry("more", 1), "more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_contents_with_a_right_hash(name, saved):
    """The schema, shapes, types and finiteness are checked whatever the hash says."""
    change, match = WRONG[name]
    path, record, tensors = saved
    change(record, tensors)
    rewrite(path, record, tensors)
    with pytest.raises(ValueError, match=match):
        load(path)


def test_other_files(tmp_path):
    """A file of another kind, or none."""
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not written by fastdbn"):
        load(tmp_path / "other")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="no readable safetensors"):
        load(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "none")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    """The old model stays whole and nothing half-written lies about."""
    X, _ = data()
    model, path = MODELS["rbm"].fit(X), tmp_path / "m"
    model.save(path)
    before = path.read_bytes()
    mine = Unit("mine", *bernoulli[1:])
    with pytest.raises(ValueError, match="visible='mine' is a unit record of your own"):
        RBM(3, visible=mine, n_iter=1).fit(X).save(path)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(format, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
