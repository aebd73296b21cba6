"""Model files: whole round trips, parameters that JSON lacks, and files as another program reads them."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from model_files import BINARY, FAST, GREY, MODELS, PLAIN, X, fitted, no_rare_kernels, opened, written
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastdbn import DBN, RBM, DBNClassifier, Unit, load
from fastdbn.files import format
from fastdbn.files.parameters import CLASSES
from fastdbn.files.state import declared
from fastdbn.units import bernoulli, softmax

each = pytest.mark.parametrize("name", MODELS)


def results(model, X=GREY):
    """The bytes of what a model computes."""
    names = ("transform", "predict", "predict_proba", "score_samples", "reconstruct")
    return [np.ascontiguousarray(getattr(model, name)(X)).tobytes() for name in names if hasattr(model, name)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return written(tmp_path_factory.mktemp("models"))


# ---- round trips


@each
def test_round_trip(name, tmp_path):
    """What comes back gives the same bytes, has the same attributes, samples the same, goes on training the same, and saves to
    the same file."""
    model, path = fitted(name), tmp_path / "model.safetensors"
    X, y = MODELS[name][1]
    model.save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"]
    back = load(str(path))
    assert type(back) is type(model)
    assert results(back, X) == results(model, X)
    assert {key for key in vars(model) if not key.startswith("_")} == {key for key in vars(back) if not key.startswith("_")}
    for key in ("n_iter_", "history_", "seed_", "visible_"):
        np.testing.assert_equal(getattr(back, key, None), getattr(model, key, None))
    back.save(tmp_path / "b")
    assert path.read_bytes() == (tmp_path / "b").read_bytes()
    if hasattr(model, "sample") and model.get_params().get("pretrain", True):
        assert np.array_equal(back.sample(3, 4), model.sample(3, 4))
    for m in (model, back):
        with no_rare_kernels(name):
            m.partial_fit(X, y)
    assert results(back, X) == results(model, X)
    kept = {key: value for key, value in model.get_params().items() if isinstance(value, (int, float, str, tuple, dict))}
    assert kept == {key: back.get_params()[key] for key in kept}


OWN = {name: cls for name, cls in CLASSES.items() if not cls.__module__.startswith("fastdbn.dask")}
"""Those of a cluster are saved as the local ones."""


def test_every_class_is_tried():
    """A file may name these classes, and a round trip is tested of each."""
    assert {type(model).__name__ for model, _ in MODELS.values()} == {*OWN}


@pytest.mark.parametrize("name", ["rbm", "codes", "texts", "two outputs"])
def test_a_copy_goes_on_by_warm_start(name, tmp_path):
    """A fit that is continued after loading is the fit continued without."""
    model = fitted(name)
    model.save(tmp_path / "m")
    with no_rare_kernels(name):
        both = [m.set_params(warm_start=True).fit(*MODELS[name][1]) for m in (model, load(tmp_path / "m"))]
    assert results(both[0]) == results(both[1])


@pytest.mark.parametrize("labels", [["a", "bee"], [False, True], [-3, 10**12], [1.0, 2.0]], ids=["text", "bool", "int", "float"])
@pytest.mark.parametrize("as_object", [False, True])
def test_labels_and_names(labels, as_object, tmp_path):
    """Labels of any type, feature names, and the columns that the command line leaves out survive."""
    if as_object and not isinstance(labels[0], str):
        pytest.skip("scikit-learn takes objects as labels where they are text")
    model = DBNClassifier((4,), **FAST).fit(X, np.array(labels, dtype=object if as_object else None)[BINARY[1]])
    model.feature_names_in_, model.left_out_ = np.array([f"f{i}" for i in range(8)], dtype=object), (0, 9)
    model.command_ = ("train", "table.csv", "--target", "ä")
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.classes_.dtype == model.classes_.dtype
    assert np.array_equal(back.classes_, model.classes_)
    assert list(back.feature_names_in_) == list(model.feature_names_in_)
    assert back.left_out_ == (0, 9)
    assert back.command_ == model.command_


def test_a_given_network_is_kept_whole(tmp_path):
    """A network given as `pretrain` keeps its class and its parameters; layers scaled by themselves keep their scaling."""
    top = RBM(4, visible="bernoulli", scale="minmax", **PLAIN).fit(fitted("rbm").transform(X))
    stack = DBN.stack([fitted("rbm"), top])
    stack.save(tmp_path / "m")
    assert results(load(tmp_path / "m"), X) == results(stack, X)
    for given in (fitted("dbn"), fitted("generative")):
        sizes = tuple(len(rbm.components_) for rbm in given.layers_)
        model = DBNClassifier(sizes, pretrain=given, max_iter=1, random_state=0).fit(*BINARY)
        model.save(tmp_path / "m")
        back = load(tmp_path / "m")
        assert type(back.dbn_) is type(given)
        assert np.array_equal(back.sample(3, 4), model.sample(3, 4))


def value_at(schedule, epoch):
    """What a number, list or callable says of an epoch."""
    if callable(schedule):
        return schedule(epoch)
    return schedule[min(epoch, len(schedule) - 1)] if np.ndim(schedule) else schedule


@pytest.mark.parametrize(
    "more",
    [
        {"learning_rate": [0.1, 0.05]},
        {"learning_rate": lambda epoch: 0.1 / (1 + epoch)},
        {"momentum": np.array([0.1, 0.9])},
        {"momentum": [np.float32(0.5)]},
        {"random_state": np.random.RandomState(0)},
        {"random_state": np.random.default_rng(0)},
        {"random_state": np.int64(3)},
        {"n_components": np.int64(5), "weight_decay": np.float32(0.001)},
        {"callbacks": [lambda **_: None]},
        {"binarize": "sample"},
        {"binarize": 0.5},
        {"binarize": np.float64(0.5)},
        {"hidden": softmax(3)},
        {"hidden": bernoulli},
        {"n_jobs": -1, "verbose": False},
        {"persistent": np.True_},
    ],
    ids=lambda more: "-".join(f"{key} {type(value).__name__}" for key, value in more.items()),
)
def test_parameters_that_json_does_not_have(more, tmp_path, request):
    """Schedules, generators, records and NumPy numbers neither stop a save nor change the model."""
    if "hidden" in more:
        request.getfixturevalue("composed")
    model = RBM(**{"n_components": 6} | PLAIN | more).fit(GREY)
    model.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    assert results(copy) == results(model)
    assert copy.callbacks is None
    for name in ("learning_rate", "momentum", "weight_decay"):
        for epoch in range(2):
            a, b = (value_at(getattr(m, name), epoch) for m in (model, copy))
            assert a == b


def test_written_parameters_are_saved(tmp_path):
    """What the user wrote into components_, in any memory order or precision, is the model."""
    for name in ("rbm", "bernoulli"):
        model = fitted(name)
        model.components_ = np.asfortranarray(model.components_ * 2).astype(np.float64)
        model.save(tmp_path / "m")
        assert results(load(tmp_path / "m")) == results(model)


# ---- the file


def test_metadata(tmp_path):
    """One key, canonical JSON with the stated entries, and a hash that anyone can compute again."""
    fitted("classifier").save(tmp_path / "m")
    record, tensors = opened(tmp_path / "m")
    text = (tmp_path / "m").read_bytes()
    assert set(record) == {"format_version", "class", "params", "state", "sha256"}
    assert json.dumps(format.canonical(record)).encode() in text
    assert format.canonical(record) == json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert record["sha256"] == format.digest(tensors, record)
    assert all(x.dtype.kind == "f" for x in tensors.values())


def test_the_documentation_names_everything():
    """docs/model-file.md has every class, and every attribute and every member of one that a file may hold."""
    text = (Path(__file__).parent.parent / "docs" / "model-file.md").read_text()

    def members(fields):
        for name, field in fields.items():
            yield name.strip("_")
            yield from members(getattr(getattr(field, "field", field), "fields", {}))

    for name, cls in OWN.items():
        assert not {f"`{word}`" for word in [name, *members(declared(cls))] if f"`{word}`" not in text}


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("name", ["standardised", "flags", "two outputs", "autoencoder"])
def test_another_program_can_compute_with_it(name, files, tmp_path):
    """Features and predictions follow from the record and the tensors alone, as docs/model-file.md says."""
    (tmp_path / "m").write_bytes(files[name])
    (record, tensors), X, model = opened(tmp_path / "m"), MODELS[name][1][0], load(tmp_path / "m")
    state, h = record["state"], X.astype(np.float64)
    if "scaling" in state:
        h = (h - tensors["scaling.shift"]) * tensors["scaling.scale"]
        assert state["scaling"]["clip"] is False
    if record["class"] == "RBM":
        means = logistic(h @ tensors["components"].T + tensors["intercept_hidden"])
        np.testing.assert_allclose(model.transform(X), means, rtol=1e-5)
        return
    units = {"autoencoder": ["bernoulli", "gaussian", "bernoulli", "gaussian"]}.get(name, ["bernoulli"] * 2 + ["gaussian"])
    for i, unit in enumerate(units[-len(state["coefs"]) :]):
        h = h @ tensors[f"coefs.{i}"] + tensors[f"intercepts.{i}"]
        h = logistic(h) if unit == "bernoulli" else h
    if name == "flags":
        np.testing.assert_allclose(model.predict_proba(X), np.exp(h) / np.exp(h).sum(axis=1, keepdims=True), rtol=1e-5)
    elif name == "two outputs":
        np.testing.assert_allclose(model.predict(X), h * tensors["target_scale"] + tensors["target_mean"], rtol=1e-5)
    else:
        np.testing.assert_allclose(model.reconstruct(X), h / tensors["scaling.scale"] + tensors["scaling.shift"], atol=1e-5)


def test_files_have_the_usual_rights(tmp_path):
    """A file written aside must not keep the private rights of a temporary one."""
    mask = os.umask(0o022)
    try:
        fitted("rbm").save(tmp_path / "m")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o644


@each
def test_unfitted_models_are_not_saved(name, tmp_path):
    """There is nothing to save, and no file is left."""
    with pytest.raises(NotFittedError):
        clone(MODELS[name][0]).save(tmp_path / "m")
    assert not any(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch, composed):
    """The old model stays whole and nothing half-written lies about; the error names a folder that is not there."""
    model, path = fitted("rbm"), tmp_path / "m"
    with pytest.raises(OSError, match="nowhere"):
        model.save(tmp_path / "nowhere" / "m")
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
