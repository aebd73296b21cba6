"""Model files, the finer points: parameters that JSON lacks, contents that contradict each other, and what a file may not do."""

import json
import os
import stat

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, DBNRegressor, load
from fastdbn.files import format
from fastdbn.units import bernoulli, softmax

DRAW = np.random.default_rng(0)
X = DRAW.random((60, 8)).astype(np.float32)
LABELS = np.array(["ant", "bee", "fly"])[(3 * X[:, 0]).astype(int)]
Y = 10 + 3 * np.column_stack([X.sum(axis=1), X[:, 0] - X[:, 1]])
FAST = {"pretrain_iter": 1, "max_iter": 2, "random_state": 0}
MODELS = {
    "rbm": (RBM(6, n_iter=2, random_state=0), None),
    "bernoulli": (BernoulliRBM(6, n_iter=2, random_state=0), None),
    "dbn": (DBN((6, 4), n_iter=(2, 1), hidden=("gaussian", "bernoulli"), scale="minmax", random_state=0), None),
    "classifier": (DBNClassifier((6, 4), class_weight={"bee": 2.0}, early_stopping=True, **FAST), LABELS),
    "plain": (DBNClassifier((6,), pretrain=False, scale="standard", **FAST), LABELS == "bee"),
    "regressor": (DBNRegressor((6, 4), max_norm=3.0, **FAST), Y),
}
each = pytest.mark.parametrize("name", MODELS)


def fitted(name):
    estimator, y = MODELS[name]
    return clone(estimator).fit(X, y)


def results(model):
    """The bytes of what a model computes."""
    names = ("transform", "predict", "predict_proba", "score_samples", "reconstruct")
    return [np.ascontiguousarray(getattr(model, name)(X)).tobytes() for name in names if hasattr(model, name)]


@each
def test_a_copy_is_whole(name, tmp_path):
    """Every method gives the same bytes, no fitted attribute is lost, and the copy saves to the same file."""
    model = fitted(name)
    model.save(tmp_path / "a")
    copy = load(str(tmp_path / "a"))
    assert results(copy) == results(model)
    assert {key for key in vars(model) if not key.startswith("_")} == {key for key in vars(copy) if not key.startswith("_")}
    for key in ("n_iter_", "history_", "seed_", "visible_"):
        np.testing.assert_equal(getattr(copy, key, None), getattr(model, key, None))
    copy.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("name", ["rbm", "dbn", "classifier", "regressor"])
def test_a_copy_goes_on_by_warm_start(name, tmp_path):
    """A fit that is continued after loading is the fit continued without."""
    model = fitted(name)
    model.save(tmp_path / "m")
    both = [m.set_params(warm_start=True).fit(X, MODELS[name][1]) for m in (model, load(tmp_path / "m"))]
    assert results(both[0]) == results(both[1])


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
        {"callback": lambda **_: None},
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
def test_parameters_that_json_does_not_have(more, tmp_path):
    """Schedules, generators, records and NumPy numbers neither stop a save nor change the model."""
    model = RBM(**{"n_components": 6, "n_iter": 2, "random_state": 0} | more).fit(X)
    model.save(tmp_path / "m")
    copy = load(tmp_path / "m")
    assert results(copy) == results(model)
    assert copy.callback is None
    for name in ("learning_rate", "momentum", "weight_decay"):
        for epoch in range(2):
            a, b = (value_at(getattr(m, name), epoch) for m in (model, copy))
            assert a == b


def test_written_parameters_are_saved(tmp_path):
    """What the user wrote into components_, in any memory order or precision, is the model."""
    model = fitted("rbm")
    model.components_ = np.asfortranarray(model.components_ * 2).astype(np.float64)
    model.save(tmp_path / "m")
    assert results(load(tmp_path / "m")) == results(model)


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


def test_no_such_folder(tmp_path):
    """The error names the path."""
    with pytest.raises(OSError, match="nowhere"):
        fitted("rbm").save(tmp_path / "nowhere" / "m")


# ---- contents that contradict each other under a right hash


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of one file of each class."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for name in MODELS:
        fitted(name).save(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


def rewrite(path, change):
    """Change a file's tensors and record, and seal it with a right hash."""
    with safe_open(path, framework="numpy") as file:
        record = json.loads(file.metadata()["fastdbn"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    change(record, tensors)
    record["sha256"] = format.digest(tensors, record)
    save_file(tensors, path, metadata={"fastdbn": format.canonical(record)})


def tensor(name, value):
    return lambda record, tensors: tensors.update({name: value(tensors[name])})


def item(*path_and_value):
    """Set an entry of the record, by the keys that lead to it."""
    *path, last, value = path_and_value

    def change(record, tensors):
        for key in path:
            record = record[key]
        record[last] = value

    return change


WRONG = [
    ("classifier", "velocity not finite", tensor("layers.0.velocity.W", lambda W: W * np.float32(np.nan))),
    ("classifier", "one row more in the output layer", tensor("network.2.W", lambda W: np.vstack([W, W[:1]]))),
    ("classifier", "flat weights", tensor("network.0.W", np.ravel)),
    ("classifier", "layer transposed", tensor("layers.0.components", lambda W: np.ascontiguousarray(W.T))),
    ("classifier", "network wider than its layers", tensor("network.0.W", lambda W: np.vstack([W, W]))),
    ("classifier", "sizes of layers and network differ", lambda r, t: [r["layers"].pop(), t.pop("layers.1.components")]),
    ("classifier", "output layer missing", lambda r, t: [t.pop("network.2.W"), t.pop("network.2.c")]),
    ("classifier", "other class", item("class", "DBNRegressor")),
    ("classifier", "class of no kind", item("class", ["RBM"])),
    ("classifier", "too many classes", lambda r, t: r["classes"]["labels"].append("wasp")),
    ("classifier", "no classes", item("classes", None)),
    ("classifier", "layers no list", item("layers", 3)),
    ("classifier", "state no dict", item("state", [])),
    ("classifier", "params no dict", item("params", None)),
    ("classifier", "seed no number", item("state", "seed", "x")),
    ("classifier", "seed too large", item("state", "seed", str(2**70))),
    ("classifier", "history no dict", item("state", "history", [1])),
    ("classifier", "negative step", item("state", "step", -5)),
    ("classifier", "extra tensor", lambda r, t: t.update(more=np.zeros(3, np.float32))),
    ("classifier", "scaling without tensors", item("scaling", {"clip": True})),
    ("regressor", "target without mean", lambda r, t: t.pop("target.mean")),
    ("regressor", "target of scale 0", tensor("target.scale", lambda x: x * 0)),
    ("regressor", "target of another width", tensor("target.scale", lambda x: x[:1])),
    ("plain", "scaling of another width", tensor("scaling.shift", lambda x: x[:3])),
    ("plain", "scaling of scale 0", tensor("scaling.scale", lambda x: x * 0)),
    ("dbn", "scaling of another width", tensor("scaling.shift", lambda x: x[:3])),
    ("dbn", "scaling flat", tensor("scaling.scale", lambda x: x.reshape(1, -1))),
    ("dbn", "no layers", item("layers", [])),
    ("dbn", "one layer for two", lambda r, t: r["layers"].pop()),
    ("dbn", "seed no number", item("layers", 0, "seed", None)),
    ("rbm", "bias of another width", tensor("layers.0.intercept_hidden", lambda x: x[:2])),
    ("rbm", "no layers", item("layers", [])),
    ("rbm", "two layers", lambda r, t: r["layers"].append(r["layers"][0])),
    ("rbm", "unit", item("layers", 0, "hidden", {"unit": "boson"})),
    ("rbm", "other class", item("class", "DBN")),
    ("rbm", "unit of a wrong kind", item("layers", 0, "hidden", 3)),
    ("bernoulli", "no chains", lambda r, t: t.pop("layers.0.chains")),
    ("bernoulli", "chains of another width", tensor("layers.0.chains", lambda x: x[:, :2])),
]


@pytest.mark.parametrize(("name", "what", "change"), WRONG, ids=[f"{name}: {what}" for name, what, _ in WRONG])
def test_contradictions(name, what, change, files, tmp_path):
    """A right hash proves no sense: everything is checked before it is used. (Parameters alone may differ from what is fitted:
    a user may have set them since.)"""
    path = tmp_path / "m"
    path.write_bytes(files[name])
    rewrite(path, change)
    with pytest.raises(ValueError, match=str(path)):
        load(path)


@pytest.mark.parametrize("entry", ["params", "visible", "hidden", "n_iter", "step", "draws", "seed", "layer", "history"])
def test_entries_of_a_layer(entry, files, tmp_path):
    """Each entry of a layer's record is needed; the message names the one that lacks."""
    path = tmp_path / "m"
    path.write_bytes(files["rbm"])
    rewrite(path, lambda record, tensors: record["layers"][0].pop(entry))
    with pytest.raises(ValueError, match=entry):
        load(path)


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"format_version": 1}', "[" * 100000, '{"a":NaN}'])
def test_metadata_that_is_none(text, tmp_path):
    """Whatever stands in the metadata, the error is the one that names the file."""
    path = tmp_path / "m"
    save_file({"W": np.zeros(3, np.float32)}, path, metadata={"fastdbn": text})
    with pytest.raises(ValueError, match="damaged"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path)
