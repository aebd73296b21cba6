"""RBMs from scikit-learn and from files of the package rbms, and to them."""

import numpy as np
import pytest
from sklearn.neural_network import BernoulliRBM as SklearnRBM

import fastdbn
from fastdbn import DBN, RBM, BernoulliRBM, from_rbms, from_sklearn, to_rbms, to_sklearn

DRAW = np.random.default_rng(0)
X = DRAW.integers(0, 2, (40, 6)).astype(np.float32)
POTTS = np.eye(3, dtype=np.float32)[DRAW.integers(0, 3, (40, 2))].reshape(40, 6)
FAST = {"n_iter": 1, "random_state": 0}


def test_from_sklearn_and_back(tmp_path):
    """The same transform and free energies, parameters and chains; it trains on, saves and becomes scikit-learn's again."""
    theirs = SklearnRBM(4, learning_rate=0.05, n_iter=3, random_state=0).fit(X)
    ours = from_sklearn(theirs)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-6)
    np.testing.assert_allclose(ours.as_rbm().free_energy(X), theirs._free_energy(X), rtol=1e-5)
    assert (ours.learning_rate, ours.n_iter_, ours.h_samples_.shape) == (0.05, 3, (10, 4))
    again = to_sklearn(ours)
    for name in ("components_", "intercept_hidden_", "intercept_visible_", "h_samples_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(theirs, name))
    assert again.get_params() == theirs.get_params()
    again.partial_fit(X)
    ours.save(tmp_path / "model")
    np.testing.assert_array_equal(fastdbn.load(tmp_path / "model").transform(X), ours.transform(X))
    ours.partial_fit(X)
    assert not np.array_equal(ours.components_, theirs.components_)


def test_to_sklearn_from_an_rbm():
    model = RBM(4, **FAST).fit(X)
    theirs = to_sklearn(model)
    np.testing.assert_allclose(theirs.transform(X), model.transform(X), atol=1e-6)
    assert theirs.get_feature_names_out().shape == (4,)
    theirs.partial_fit(X)


@pytest.mark.parametrize(
    ("visible", "hidden", "rows"), [("bernoulli", "bernoulli", X), ("spin", "spin", 2 * X - 1), ("softmax:3", "bernoulli", POTTS)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rbms_files_give_the_parameters_back(visible, hidden, rows, dtype, tmp_path, composed):
    h5py = pytest.importorskip("h5py")
    model = RBM(4, visible=visible, hidden=hidden, dtype=dtype, **FAST).fit(rows)
    to_rbms(model, tmp_path / "model.h5")
    again = from_rbms(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.free_energy(rows), model.free_energy(rows))
    np.testing.assert_array_equal(again.components_, model.components_)
    again.save(tmp_path / "model")
    fastdbn.load(tmp_path / "model").partial_fit(rows)
    with h5py.File(tmp_path / "model.h5") as file:
        assert file["model_type"][()] == {"bernoulli": b"BBRBM", "spin": b"IIRBM", "softmax:3": b"PBRBM"}[visible]
        assert file["update_1/params/weight_matrix"].shape == ((2, 3, 4) if visible == "softmax:3" else (6, 4))
        assert file["parallel_chains"].shape == (100, 2 if visible == "softmax:3" else 6)


def written(path, kind=b"BBRBM", **arrays):
    """A file as rbms writes it, with two updates."""
    h5py = pytest.importorskip("h5py")
    arrays = {"weight_matrix": np.ones((6, 4)), "vbias": np.zeros(6), "hbias": np.zeros(4)} | arrays
    with h5py.File(path, "w") as file:
        file["model_type"] = kind
        for number in (5, 12):
            for name, x in arrays.items():
                file[f"update_{number}/params/{name}"] = x * number
    return path


def test_rbms_files_hold_several_updates(tmp_path):
    path = written(tmp_path / "model.h5")
    assert from_rbms(path).components_[0, 0] == 12
    assert from_rbms(path, 5).components_[0, 0] == 5
    with pytest.raises(ValueError, match=r"update=7: .* holds those of 5, 12"):
        from_rbms(path, 7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": b"BGRBM"}, "holds a BGRBM, and fastdbn reads BBRBM, IIRBM, PBRBM"),
        ({"hbias": np.zeros(5)}, r"do not fit together in a BBRBM: weight_matrix \(6, 4\), vbias \(6,\), hbias \(5,\)"),
        ({"vbias": np.full(6, np.nan)}, "b has numbers that are not finite"),
        ({"kind": b"PBRBM"}, "do not fit together in a PBRBM"),
    ],
)
def test_other_rbms_files_are_refused(changes, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        from_rbms(written(tmp_path / "model.h5", **changes))


def test_what_is_no_rbms_file_is_refused(tmp_path):
    pytest.importorskip("h5py")
    (tmp_path / "text").write_text("text")
    with pytest.raises(ValueError, match="is not a file of the package rbms"):
        from_rbms(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        from_rbms(tmp_path / "absent")


def test_models_that_others_cannot_hold_are_refused(tmp_path, composed):
    with pytest.raises(TypeError, match="Of a network give one of layers_"):
        to_sklearn(DBN((4,), rbm=RBM(n_iter=1)).fit(X))
    with pytest.raises(TypeError, match=r"give a sklearn\.neural_network\.BernoulliRBM"):
        from_sklearn(BernoulliRBM())
    with pytest.raises(ValueError, match="no place for gaussian visible"):
        to_sklearn(RBM(4, **FAST).fit(X + 7 * POTTS))
    with pytest.raises(ValueError, match="no place for a scaling"):
        to_rbms(RBM(4, scale="minmax", visible="bernoulli", **FAST).fit(3 * X), tmp_path / "model.h5")
    with pytest.raises(ValueError, match="no place for bernoulli visible and spin hidden"):
        to_rbms(RBM(4, hidden="spin", **FAST).fit(X), tmp_path / "model.h5")
