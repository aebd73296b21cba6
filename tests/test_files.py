"""Model files: whole round trips, parameters that JSON lacks, and a clear error for whatever is damaged or contradicts itself."""

import json
import os
import stat

import numpy as np
import pytest
from model_files import drop, item, layer, opened, rewrite, state, tensor
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

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
from fastdbn.files.parameters import CLASSES
from fastdbn.units import bernoulli, softmax

DRAW = np.random.default_rng(0)
X = (DRAW.random((60, 8)) < 0.4).astype(np.float32)
GREY = DRAW.random((60, 8)).astype(np.float32)
LABELS = np.array(["ant", "bee", "fly"])[(3 * GREY[:, 0]).astype(int)]
Y = 10 + 3 * np.column_stack([GREY.sum(axis=1), GREY[:, 0] - GREY[:, 1]])
PLAIN = {"n_iter": 2, "random_state": 0}
FAST = {"pretrain_iter": 2, "max_iter": 3, "random_state": 0}
BINARY, TARGETS, REALS = (X, X[:, 0].astype(int)), (GREY, LABELS), (GREY, Y)
MODELS = {
    "rbm": (RBM(5, **PLAIN), BINARY),
    "standardised": (RBM(5, scale="standard", learning_rate=lambda epoch: 0.01 / (1 + min(epoch, 1)), **PLAIN), BINARY),
    "chains": (RBM(5, n_iter=2, persistent=True, n_chains=7, momentum=[0.5, 0.9], random_state=np.random.default_rng(1)), BINARY),
    "potts": (RBM(5, n_iter=2, hidden=softmax(5), dtype="float64", random_state=np.random.RandomState(2)), BINARY),
    "bernoulli": (BernoulliRBM(6, **PLAIN), REALS),
    "dbn": (DBN((5, 4), n_iter=(2, 1), random_state=0), BINARY),
    "codes": (DBN((6, 4), n_iter=(2, 1), hidden=("gaussian", "bernoulli"), scale="minmax", random_state=0), REALS),
    "outliers": (DBNOutlierDetector((5,), contamination=0.1, **PLAIN), BINARY),
    "generative": (GenerativeDBNClassifier((5, 6), up_down_iter=0, **PLAIN), BINARY),
    "up-down": (GenerativeDBNClassifier((5, 4, 6), up_down_iter=2, n_gibbs=lambda epoch: 1 + epoch, **PLAIN), BINARY),
    "autoencoder": (DBNAutoencoder((6, 4), hidden=("bernoulli", "gaussian"), scale="standard", **FAST), BINARY),
    "classifier": (DBNClassifier((6, 5), class_weight={0: 1.0, 1: 2.0}, dropout=(0.1, 0.2, 0.2), **FAST), BINARY),
    "texts": (DBNClassifier((6, 4), class_weight={"bee": 2.0}, early_stopping=True, **FAST), TARGETS),
    "plain": (DBNClassifier((6,), pretrain=False, scale="minmax", **FAST), BINARY),
    "flags": (DBNClassifier((6,), pretrain=False, scale="standard", **FAST), (GREY, LABELS == "bee")),
    "regressor": (DBNRegressor((6,), **FAST), BINARY),
    "two outputs": (DBNRegressor((6, 4), max_norm=3.0, **FAST), REALS),
}
pytestmark = pytest.mark.filterwarnings("ignore::fastdbn.FitWarning")
each = pytest.mark.parametrize("name", MODELS)


def fitted(name):
    estimator, data = MODELS[name]
    return clone(estimator).fit(*data)


def results(model, X=GREY):
    """The bytes of what a model computes."""
    names = ("transform", "predict", "predict_proba", "score_samples", "reconstruct")
    return [np.ascontiguousarray(getattr(model, name)(X)).tobytes() for name in names if hasattr(model, name)]


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
        m.partial_fit(X, y)
    assert results(back, X) == results(model, X)
    kept = {key: value for key, value in model.get_params().items() if isinstance(value, (int, float, str, tuple, dict))}
    assert kept == {key: back.get_params()[key] for key in kept}


def test_every_class_is_tried():
    """A file may name these classes, and a round trip is tested of each."""
    assert {type(model).__name__ for model, _ in MODELS.values()} == set(CLASSES)


@pytest.mark.parametrize("name", ["rbm", "codes", "texts", "two outputs"])
def test_a_copy_goes_on_by_warm_start(name, tmp_path):
    """A fit that is continued after loading is the fit continued without."""
    model = fitted(name)
    model.save(tmp_path / "m")
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
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.classes_.dtype == model.classes_.dtype
    assert np.array_equal(back.classes_, model.classes_)
    assert list(back.feature_names_in_) == list(model.feature_names_in_)
    assert back.left_out_ == (0, 9)


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
    model = RBM(**{"n_components": 6} | PLAIN | more).fit(GREY)
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


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
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


# ---- files that are damaged, or contradict themselves under a right hash


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of one file of each model."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for name in MODELS:
        fitted(name).save(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


def test_mutated_bytes(files, tmp_path):
    """A flipped byte anywhere is a ValueError; nothing else is raised and nothing changed is ever loaded."""
    path, whole, draw = tmp_path / "m", files["texts"], np.random.default_rng(0)
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


def put(name, value):
    return lambda record, tensors: tensors.update({name: value})


WRONG = [  # a model, what is wrong, the change, and what the error says beside the path
    ("texts", "not finite", put("intercepts.0", np.full(6, np.nan, np.float32)), "finite"),
    ("texts", "integers", put("intercepts.0", np.zeros(6, np.int32)), "type I32"),
    ("texts", "bias shape", put("intercepts.0", np.zeros(7, np.float32)), "intercepts.0"),
    ("texts", "lost tensor", drop("dbn.layers.1.components"), "dbn.layers.1.components"),
    ("texts", "layer sizes", put("coefs.1", np.zeros((4, 5), np.float32)), "coefs.1"),
    ("texts", "chain sizes", put("dbn.layers.0.chains", np.zeros((2, 3), np.float32)), "chains"),
    ("texts", "scaling", put("scaling.scale", np.ones(3)), "scaling"),
    ("texts", "two classes more", state("classes", {"dtype": "<i8", "labels": [1, 2, 3, 4]}), "4"),
    ("texts", "class", item("class", "GAN"), "GAN"),
    ("texts", "params", item("params", {"depth": 3}), "depth"),
    ("dbn", "unit", layer(0, "state", "visible", "relux"), "relux"),
    ("texts", "version", item("format_version", 99), "version 99"),
    ("texts", "file of 0.1.0", item("format_version", 1), "a model of fastdbn 0.1.0"),
    ("texts", "names", state("feature_names_in", ["a"]), "feature_names_in"),
    ("texts", "columns left out", state("left_out", [9, 3]), "left_out"),
    ("texts", "state", item("state", {}), "does not hold"),
    ("texts", "extra entry", item("more", 1), "more"),
    ("texts", "extra entry of the state", state("more", 1), "more"),
    ("dbn", "extra entry of a layer", layer(0, "more", 1), "more"),
    ("texts", "velocity not finite", tensor("dbn.layers.0.velocity.W", lambda W: W * np.float32(np.nan)), "velocity"),
    ("texts", "one row more in the output layer", tensor("coefs.2", lambda W: np.vstack([W, W[:1]])), "coefs"),
    ("texts", "flat weights", tensor("coefs.0", np.ravel), "coefs.0"),
    ("texts", "layer transposed", tensor("dbn.layers.0.components", lambda W: np.ascontiguousarray(W.T)), "components"),
    ("texts", "network wider than its layers", tensor("coefs.0", lambda W: np.vstack([W, W])), "16"),
    ("dbn", "layer of a kind that is none", layer(0, "class", "DBN"), "class='DBN'"),
    ("texts", "network of a kind that is none", state("dbn", "class", "RBM"), "class='RBM'"),
    ("texts", "entry for a tensor", state("coefs", 0, 1.0), "coefs.0"),
    ("texts", "output layer missing", [lambda r, t: r["state"]["coefs"].pop(), drop("coefs.2"), drop("intercepts.2")], "layers"),
    ("texts", "moments of one array", lambda r, t: r["state"]["optimizer"]["states"][0].pop(), "n_moments"),
    ("texts", "negative second moments", tensor("optimizer.states.0.2", lambda x: x - 1), "at least 0"),
    ("texts", "solver of moments", state("optimizer", "solver", "newton"), "newton"),
    ("texts", "other class", item("class", "DBNRegressor"), ""),
    ("texts", "class of no kind", item("class", ["RBM"]), "class"),
    ("texts", "too many classes", lambda r, t: r["state"]["classes"]["labels"].append("wasp"), ""),
    ("texts", "no classes", lambda r, t: r["state"].pop("classes"), "classes"),
    ("texts", "layers no list", lambda r, t: r["state"]["dbn"]["state"].update(layers=3), "layers"),
    ("texts", "state no dict", item("state", []), "state"),
    ("texts", "params no dict", item("params", None), "params"),
    ("texts", "seed no number", state("seed", "x"), "seed"),
    ("texts", "seed too large", state("seed", str(2**70)), "seed"),
    ("texts", "history no dict", state("history", [1]), "history"),
    ("texts", "negative step", state("step", -5), "step"),
    ("texts", "extra tensor", lambda r, t: t.update(more=np.zeros(3, np.float32)), "more"),
    ("texts", "scaling without tensors", state("scaling", {"clip": True}), "scaling"),
    ("two outputs", "target without mean", drop("target_mean"), "target_mean"),
    ("two outputs", "target of scale 0", tensor("target_scale", lambda x: x * 0), "target_scale"),
    ("two outputs", "target of another width", tensor("target_scale", lambda x: x[:1]), "target_scale"),
    ("flags", "scaling of another width", tensor("scaling.shift", lambda x: x[:3]), "scaling"),
    ("flags", "scaling of scale 0", tensor("scaling.scale", lambda x: x * 0), "scaling"),
    ("codes", "scaling of another width", tensor("layers.0.scaling.shift", lambda x: x[:3]), "scaling"),
    ("codes", "scaling flat", tensor("layers.0.scaling.scale", lambda x: x.reshape(1, -1)), "scaling"),
    ("codes", "no layers", state("layers", []), ""),
    ("codes", "one layer for two", lambda r, t: r["state"]["layers"].pop(), ""),
    ("codes", "seed no number", layer(0, "state", "seed", None), "seed"),
    ("codes", "features of the stack", state("n_features_in", 7), "features"),
    ("rbm", "bias of another width", tensor("intercept_hidden", lambda x: x[:2]), "intercept_hidden"),
    ("rbm", "layers", state("layers", []), "layers"),
    ("rbm", "unit", state("hidden", {"unit": "boson"}), "boson"),
    ("rbm", "other class", item("class", "DBN"), ""),
    ("rbm", "unit of a wrong kind", state("hidden", 3), "hidden"),
    ("up-down", "no epochs of up-down", lambda r, t: r["state"].pop("up_down_step"), "up_down"),
    ("up-down", "no velocity of labels", drop("label_velocity.W"), "label_velocity.W"),
    ("bernoulli", "no chains", lambda r, t: [r["state"]["rbm"]["state"].pop("chains"), t.pop("rbm.chains")], "chains"),
    ("bernoulli", "chains of another width", tensor("rbm.chains", lambda x: x[:, :2]), "chains"),
]


@pytest.mark.parametrize(("name", "what", "change", "says"), WRONG, ids=[f"{name}: {what}" for name, what, *_ in WRONG])
def test_contradictions(name, what, change, says, files, tmp_path):
    """A right hash proves no sense: everything is checked before it is used. (Parameters alone may differ from what is fitted:
    a user may have set them since.)"""
    path = tmp_path / "m"
    path.write_bytes(files[name])
    rewrite(path, change)
    with pytest.raises(ValueError, match=str(path)) as caught:
        load(path)
    assert says in str(caught.value)


def test_each_entry_is_needed(files, tmp_path):
    """The message names the entry that a file lacks. What may be lacking is not fitted then, or is as before a fit."""
    for name in ("rbm", "codes", "outliers", "generative", "two outputs"):
        (tmp_path / "m").write_bytes(files[name])
        for entry in opened(tmp_path / "m")[0]["state"]:
            if entry in ("scaling", "optimizer", "dbn"):
                continue
            (tmp_path / "m").write_bytes(files[name])
            rewrite(tmp_path / "m", lambda record, tensors, entry=entry: record["state"].pop(entry))
            with pytest.raises(ValueError, match=entry if entry != "n_features_in" else "n_features"):
                load(tmp_path / "m")


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"format_version": 1}', "[" * 100000, '{"a":NaN}'])
def test_metadata_that_is_none(text, tmp_path):
    """Whatever stands in the metadata, the error is the one that names the file."""
    path = tmp_path / "m"
    save_file({"W": np.zeros(3, np.float32)}, path, metadata={"fastdbn": text})
    with pytest.raises(ValueError, match="damaged"):
        load(path)


def test_other_files(tmp_path):
    """A file of another kind, or none."""
    save_file({"x": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not written by fastdbn"):
        load(tmp_path / "other")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match="no readable safetensors"):
        load(tmp_path / "text")
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match="no model file"):
            load(path)
