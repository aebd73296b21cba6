"""Model files that are damaged, or contradict themselves under a right hash: a clear error that names the file."""

import numpy as np
import pytest
from model_files import drop, item, layer, opened, rewrite, state, tensor, written
from safetensors.numpy import save_file

from fastdbn import load


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return written(tmp_path_factory.mktemp("models"))


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
    ("texts", "words of a command", state("command", ["train", 3]), "command"),
    ("texts", "hash of data", state("data_hash", "0" * 63), "is no SHA-256"),
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
    with pytest.raises(ValueError, match="not a readable safetensors"):
        load(tmp_path / "text")
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match="no model file"):
            load(path)
