"""Model files that someone made to do harm, or that contradict what `fit` leaves: a ValueError that names the file, and no more
memory than the file is worth."""

import json
import struct

import numpy as np
import pytest
from model_files import drop, item, opened, rewrite, state, tensor
from room import at_most
from safetensors.numpy import save, save_file

from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier, load
from fastdbn.files import format

DRAW = np.random.default_rng(0)
X = (DRAW.random((40, 6)) < 0.4).astype(np.float32)
LABELS = np.array(["ant", "bee"])[X[:, 0].astype(int)]
PLAIN = {"n_iter": 1, "random_state": 0}
STACK = {"rbm": RBM(n_iter=1), "random_state": 0}
NET = STACK | {"max_iter": 1}
MODELS = {
    "rbm": (RBM(4, **PLAIN), None),
    "chains": (RBM(4, persistent=True, n_chains=3, **PLAIN), None),
    "bernoulli": (BernoulliRBM(4, **PLAIN), None),
    "dbn": (DBN((4, 3), **STACK), None),
    "outliers": (DBNOutlierDetector((4,), **STACK), None),
    "generative": (GenerativeDBNClassifier((4, 3), up_down_iter=1, **STACK), LABELS),
    "classifier": (DBNClassifier((4, 3), **NET), LABELS),
    "regressor": (DBNRegressor((4,), **NET), X[:, 0]),
    "counts": (RBM(4, visible="replicated-softmax", n_iter=0, random_state=0), None),
    "variance": (RBM(4, visible="gaussian-variance", n_iter=0, random_state=0), None),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of one file of each kind."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for name, (model, y) in MODELS.items():
        model.fit(X, y).save(folder / name)
        found[name] = (folder / name).read_bytes()
    return found


def refused(path, match=None):
    """Load a file: the error names it, and no more than 20 MB were taken."""
    with at_most(20e6), pytest.raises(ValueError, match=str(path)) as caught:
        load(path)
    assert match is None or match in str(caught.value)


def nested(depth):
    value = None
    for _ in range(depth):
        value = [value]
    return value


def described(depth):
    """An RBM whose parameter is a list of an RBM, and so on."""
    return {"estimator": {"class": "RBM", "params": {"k": [described(depth - 1)] if depth else 1}}}


def of_params(name, value):
    return item("params", name, value)


def put(name, value):
    return lambda record, tensors: tensors.update({name: value})


def scaling(entry, scale):
    """A scaling by the same number for all of six features."""
    tensors = {"shift": np.zeros(6), "scale": np.full(6, scale)}
    return [state("scaling", {"shift": None, "scale": None} | entry), *(put(f"scaling.{key}", x) for key, x in tensors.items())]


def lack(*path):
    """Remove a tensor and its entry."""
    *keys, last = path

    def change(record, tensors):
        record = record["state"]
        for key in keys:
            record = record[key]
        del record[last], tensors[".".join(path)]

    return change


def part(unit, start, stop):
    return {"tuple": [unit, {"slice": [start, stop, None]}]}


def of_rbm(name, value):
    """Of the RBM that describes the layers of a network."""
    return item("params", "rbm", "estimator", "params", name, value)


def many_chains(record, tensors):
    of_rbm("persistent", True)(record, tensors)
    of_rbm("n_chains", 10**9)(record, tensors)


def classes(kind, labels):
    return state("classes", {"dtype": kind, "labels": labels})


NO_RBM = {"estimator": {"class": "RBM", "params": {}}}

BOMBS = [
    ("rbm", "epochs beyond counting", state("n_iter", 2**70)),
    ("rbm", "minibatches", state("step", 10**19)),
    ("rbm", "draws", state("draws", 2**63)),
    ("rbm", "binomial of many trials", state("visible", "binomial:1000000000")),
    ("rbm", "softmax of many units", state("hidden", "softmax:1000000000")),
    ("rbm", "mixed layer of many columns", state("visible", [part("bernoulli", 0, 2**40)])),
    ("rbm", "mixed layer of columns of no kind", state("visible", [part("bernoulli", 0, "6")])),
    ("rbm", "mixed layer in a mixed layer", state("visible", [part([part("bernoulli", 0, 6)], 0, 6)])),
    ("dbn", "mixed layer as a parameter's part", of_rbm("visible", [part([part("spin", 0, 6)], 0, 6)])),
    ("rbm", "threads", item("params", {"n_components": 4, "n_jobs": 2**40})),
    ("rbm", "deep parameters", of_params("learning_rate", nested(500))),
    ("rbm", "deep state", state("more", nested(30))),
    ("chains", "many chains", of_params("n_chains", 10**9)),
    ("dbn", "many chains of a layer", lambda r, t: r["state"]["layers"][0]["params"].update(persistent=True, n_chains=10**9)),
    ("dbn", "many chains of later layers", many_chains),
    ("classifier", "many chains of later layers", many_chains),
    ("chains", "many temperatures", of_params("temperatures", 2**60)),
    ("bernoulli", "large batches of chains", of_params("batch_size", 10**9)),
    ("counts", "totals", tensor("totals", lambda x: x + 1e15)),
    ("classifier", "wide labels", classes("<U500000000", ["a", "b"])),
    ("classifier", "wide labels, one of them long", classes("<U", sorted(["x" * 10**5, *map(str, range(10**4))]))),
    ("classifier", "labels of many parts", classes("(99999999,)f8", [1.0, 2.0])),
    ("classifier", "whole number of 4,000 digits", of_params("max_iter", 10**4000)),
    ("dbn", "RBM in an RBM", of_rbm("k", NO_RBM)),
    ("dbn", "deep RBMs", of_params("rbm", described(20))),
    ("dbn", "many RBMs", of_params("rbm", [NO_RBM] * 10**4)),
    ("dbn", "many layers", of_params("hidden_layer_sizes", {"tuple": [2**40, 2**40]})),
]


@pytest.mark.parametrize(("name", "what", "change"), BOMBS, ids=[f"{name}: {what}" for name, what, _ in BOMBS])
def test_bombs(name, what, change, files, tmp_path):
    """Small files that ask for much memory or time."""
    path = tmp_path / "m"
    path.write_bytes(files[name])
    rewrite(path, change)
    refused(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(n_iter=2 * 10**8),
        lambda state: state.update(n_iter=2 * 10**8, history={}),
        lambda state: state["history"].update(free_energy_gap=[]),
        lambda state: state["history"].update(free_energy_gap=[0.0, 0.0]),
    ],
)
def test_measures_of_other_epochs(change, files, tmp_path):
    """Each measure has one number for each epoch. A file that claims more epochs takes no memory for them."""
    path = tmp_path / "m"
    path.write_bytes(files["rbm"])
    rewrite(path, lambda record, tensors: change(record["state"]))
    refused(path, "history")


def test_measures_that_are_lacking(files, tmp_path):
    """They are NaN throughout."""
    path = tmp_path / "m"
    path.write_bytes(files["rbm"])
    rewrite(path, lambda record, tensors: record["state"]["history"].pop("update_ratio"))
    assert np.isnan(load(path).history_["update_ratio"]).tolist() == [True]


def test_half_a_character(tmp_path):
    """A lone surrogate is no text, for pandas and files too: neither saved nor loaded."""
    X, y = np.eye(4), np.array(["a\ud800", "b"] * 2, object)
    model = DBNClassifier((2,), rbm=RBM(n_iter=1), max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"a\\ud800.* holds half a character"):
        model.fit(X, y).save(tmp_path / "m")
    model.fit(X, np.array(["a", "b"] * 2, object)).save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda record, tensors: record["state"]["classes"].update(labels=["a", "b\ud800"]))
    refused(tmp_path / "m", "half a character")


@pytest.mark.parametrize("text", ["1" * 5000, '{"a":' * 5000, "[" * 10**6, '{"format_version":1e999}', '{"a":"\\ud800'])
def test_texts(text, tmp_path):
    """Metadata that is hard to read as JSON."""
    save_file({"W": np.zeros(3, np.float32)}, tmp_path / "m", metadata={"fastdbn": text})
    refused(tmp_path / "m", "damaged")


def test_an_entry_that_stands_twice(files, tmp_path):
    """JSON leaves open which of two entries counts, and the hash is over one of them."""
    path = tmp_path / "m"
    path.write_bytes(files["rbm"])
    record, tensors = opened(path)
    text = format.canonical(record).replace('{"class":', '{"class":"DBN","class":')
    path.write_bytes(save(tensors, metadata={"fastdbn": text}))
    refused(path, "canonical")


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F16", "I32", "C64", "empty", "deep", "long", "header"])
def test_headers(kind, tmp_path):
    """Types that NumPy lacks, sizes of 0 and 2^62, many dimensions, and more bytes than the file has."""
    shape, size = {"empty": ([0, 2**62], 0), "deep": ([1] * 400, 4), "long": ([2**40], 2**42)}.get(kind, ([4], 0))
    size = size or {"BF16": 8, "F8_E4M3": 4, "F16": 8, "C64": 32}.get(kind, 16) * (kind not in ("empty",))
    kinds = kind if kind in ("BF16", "F8_E4M3", "F16", "I32", "C64") else "F32"
    tensors = {"W": {"dtype": kinds, "shape": shape, "data_offsets": [0, size]}}
    text = json.dumps({"__metadata__": {"fastdbn": "{}"}, **tensors}).encode()
    claimed = 2**40 if kind == "header" else len(text)
    (tmp_path / "m").write_bytes(struct.pack("<Q", claimed) + text + bytes(min(size, 64)))
    refused(tmp_path / "m")


def test_a_lack_of_memory_has_a_message(files, tmp_path, monkeypatch):
    """Where memory is lacking the error names the file too."""
    path = tmp_path / "m"
    path.write_bytes(files["rbm"])

    def fail(*args):
        raise MemoryError

    for name in ("_tensor", "digest"):
        with monkeypatch.context() as patch:
            patch.setattr(format, name, fail)
            refused(path, "memory")


# ---- what fit would not leave

WRONG = [
    ("rbm", "hidden counts", state("hidden", "replicated-softmax")),
    ("rbm", "hidden unit that learns its variance", state("hidden", "gaussian-variance")),
    ("rbm", "hidden groups that do not fit", state("hidden", "softmax:3")),
    ("rbm", "visible groups that do not fit", state("visible", "softmax:4")),
    ("rbm", "group of one", state("hidden", "softmax:1")),
    ("rbm", "learned variance of nothing", state("visible", "gaussian-variance")),
    ("rbm", "counts without totals", state("visible", "replicated-softmax")),
    ("rbm", "epochs as a fraction", state("n_iter", 1.0)),
    ("rbm", "epochs as a flag", state("n_iter", True)),
    ("rbm", "seed as a number", state("seed", 3)),
    ("rbm", "seed in another spelling", state("seed", "1_000")),
    ("rbm", "history longer than the epochs", lambda r, t: [x.append(0.5) for x in r["state"]["history"].values()]),
    ("rbm", "history of text", state("history", "reconstruction_error", ["0.5"])),
    ("rbm", "history of another measure", state("history", "beauty", [0.5])),
    ("rbm", "parameter that fit refuses", of_params("k", 0)),
    ("dbn", "parameter of a layer that fit refuses", state("layers", 0, "params", "momentum", "fast")),
    ("rbm", "size that was not fitted", of_params("n_components", 5)),
    ("rbm", "precision that was not fitted", of_params("dtype", "float64")),
    ("rbm", "feature names that are none", state("feature_names_in", [1, 2, 3, 4, 5, 6])),
    ("rbm", "classes", classes("<i8", [0, 1])),
    ("rbm", "half the offsets", lack("extras", "offset_v")),
    ("rbm", "weights that overflow", tensor("components", lambda x: x + np.float32(1e20))),
    ("rbm", "scaling by almost nothing", scaling({"clip": False}, 1e-320)),
    ("rbm", "flag that is none", scaling({"clip": 1}, 1.0)),
    ("variance", "scaling that was not learned", tensor("scaling.scale", lambda x: x * 2)),
    ("variance", "no velocity of the variances", lack("extras", "log_variance_velocity")),
    ("variance", "no scaling", [lambda r, t: r["state"].pop("scaling"), drop("scaling.shift"), drop("scaling.scale")]),
    ("counts", "totals that are not whole", tensor("totals", lambda x: x + 0.5)),
    ("bernoulli", "other units", state("rbm", "state", "hidden", "spin")),
    ("bernoulli", "size that was not fitted", of_params("n_components", 5)),
    ("dbn", "neighbours of different units", state("layers", 1, "state", "visible", "spin")),
    ("dbn", "sizes that were not fitted", of_params("hidden_layer_sizes", {"tuple": [4, 4]})),
    ("dbn", "layers out of order", state("layers", 1, "state", "layer", 0)),
    ("dbn", "parameter of its RBM that fit refuses", of_rbm("k", 0)),
    ("dbn", "parameter that no RBM has", of_rbm("depth", 3)),
    ("dbn", "RBM that is none", of_params("rbm", {"estimator": [1]})),
    ("dbn", "RBM as a number", of_params("rbm", 3)),
    ("dbn", "RBM with a size of its own", of_rbm("n_components", 4)),
    ("dbn", "RBMs for other layers", of_params("rbm", [NO_RBM] * 3)),
    ("rbm", "RBM as a parameter of an RBM", of_params("tol", NO_RBM)),
    ("outliers", "share that fit refuses", of_params("contamination", 0.7)),
    ("outliers", "threshold above all scores", state("offset", 1e9)),
    ("outliers", "threshold beyond squaring", state("offset", -1e300)),
    ("outliers", "range the wrong way round", tensor("extent.low", lambda x: x + 9.0)),
    ("generative", "labels twice", classes("<U", ["ant", "ant"])),
    ("generative", "one class", lambda r, t: [classes("<U", ["ant"])(r, t), one_label(t)]),
    ("classifier", "labels out of order", classes("<U", ["bee", "ant"])),
    ("classifier", "labels in two dimensions", classes("<U", [["ant"], ["bee"]])),
    ("classifier", "labels of another type", classes("<U", [1, 2])),
    ("classifier", "labels beyond their type", classes("|u1", [1, 300])),
    ("classifier", "labels narrower than their type", classes("<U9", ["ant", "bee"])),
    ("classifier", "other hidden units than pretrained", of_rbm("hidden", "spin")),
    ("classifier", "other visible units than pretrained", state("visible", "spin")),
    ("classifier", "other sizes than fitted", of_params("hidden_layer_sizes", {"tuple": [4, 4]})),
    ("classifier", "solver that is none", of_params("solver", "newton")),
    ("classifier", "history of flags", state("history", {"loss": [True]})),
    ("regressor", "flag that is none", state("flat", 1)),
    ("regressor", "targets beyond squaring", tensor("target_scale", lambda x: x * 1e200)),
    ("regressor", "targets in another precision", tensor("target_mean", lambda x: x.astype(np.float32))),
]


def one_label(tensors):
    for name in tensors:
        if name.startswith("label_"):
            tensors[name] = tensors[name][..., :1] if "velocity.W" not in name else tensors[name][:1]


@pytest.mark.parametrize(("name", "what", "change"), WRONG, ids=[f"{name}: {what}" for name, what, _ in WRONG])
def test_what_fit_would_not_leave(name, what, change, files, tmp_path):
    """Under a right hash, a model that no fit ends with."""
    path = tmp_path / "m"
    path.write_bytes(files[name])
    rewrite(path, change)
    refused(path)


# ---- save refuses what load would


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.set_params(n_components=5), "n_components=5"),
        (lambda m: m.set_params(k=-1), "k=-1"),
        (lambda m: m.set_params(momentum=object()), "momentum"),
        (lambda m: setattr(m, "components_", m.components_ * np.nan), "not finite"),
        (lambda m: setattr(m, "intercept_hidden_", m.intercept_hidden_[:2]), "intercept_hidden"),
    ],
)
def test_save_refuses_what_load_would(change, match, tmp_path):
    """A file that cannot be read is not written; the model says why."""
    model = RBM(4, **PLAIN).fit(X)
    change(model)
    with pytest.raises(ValueError, match=match):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_fit_without_an_end(tmp_path):
    """A callable is not asked for a billion epochs where a callback is to end the next fit."""
    model = RBM(4, learning_rate=lambda epoch: 0.1 / (1 + epoch), **PLAIN).fit(X).set_params(n_iter=10**9)
    model.save(tmp_path / "m")
    assert len(load(tmp_path / "m").learning_rate) == 100_001
    with pytest.raises(ValueError, match="n_iter='x'"):
        model.set_params(n_iter="x").save(tmp_path / "m")


def test_classes_of_ones_own(tmp_path):
    """A file names a class of this library."""

    class Mine(RBM):
        __init__ = RBM.__init__

    with pytest.raises(ValueError, match="Mine cannot be saved: class='Mine'"):
        Mine(4, **PLAIN).fit(X).save(tmp_path / "m")


@pytest.mark.parametrize("labels", [["a", "bb"], np.array(["a", "bb"], "<U50"), np.array([1, 2], ">i2"), [False, True]], ids=str)
def test_labels_as_narrow_as_they_can_be(labels, tmp_path):
    """Labels come back equal, also those of wide and of foreign types, and predict the same."""
    y = np.asarray(labels)[X[:, 0].astype(int)]
    model = DBNClassifier((4, 3), **NET).fit(X, y)
    model.save(tmp_path / "m")
    assert load(tmp_path / "m").predict(X).tolist() == model.predict(X).tolist()


def test_what_changed_since_the_fit(tmp_path):
    """Numbers of chains and batches may be set for a further fit, and the precision of written weights is that of `dtype`."""
    model = RBM(4, persistent=True, n_chains=3, **PLAIN).fit(X).set_params(n_chains=5)
    model.components_ = model.components_.astype(np.float64)
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert (back.n_chains, back._chains.shape[0], back.components_.dtype) == (5, 3, np.float32)
    assert back.transform(X).tobytes() == model.transform(X).tobytes()
