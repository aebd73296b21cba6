"""Rows for a fitted model are clipped to what its visible units take, with a warning; broken groups are refused."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from fastdbn import DBN, RBM, DataWarning, DBNAutoencoder, DBNClassifier, DBNRegressor, GenerativeDBNClassifier, evaluate
from fastdbn.inputs import ranges
from fastdbn.inputs.data import Scaling
from fastdbn.units import get_unit, visible_unit

X = np.random.default_rng(0).integers(0, 2, (30, 4)).astype(np.float32)
Y = np.arange(30) % 2
FAR = X.copy()
FAR[3, 2], FAR[4, 1] = 7, -2
CLIPPED = np.clip(FAR, 0, 1)
REALS = np.random.default_rng(0).normal(size=(40, 6))
MESSAGE = r"column 2 of X has 7, and the visible units \(bernoulli\) take values from 0 to 1"


@pytest.fixture(scope="module")
def models():
    """Fitted estimators with Bernoulli visible units."""
    pretraining = {"rbm": RBM(n_iter=1), "max_iter": 1, "random_state": 0}
    return {
        "RBM": RBM(3, n_iter=1, random_state=0).fit(X),
        "DBN": DBN((3,), rbm=RBM(n_iter=1), random_state=0).fit(X),
        "classifier": DBNClassifier((3,), **pretraining).fit(X, Y),
        "autoencoder": DBNAutoencoder((3,), **pretraining).fit(X),
        "generative": GenerativeDBNClassifier((3,), rbm=RBM(n_iter=1), up_down_iter=1, random_state=0).fit(X, Y),
    }


USES = [
    ("RBM", lambda m, X: m.transform(X)),
    ("RBM", lambda m, X: m.free_energy(X)),
    ("RBM", lambda m, X: m.score_samples(X)),
    ("RBM", lambda m, X: m.reconstruct(X)),
    ("RBM", lambda m, X: m.gibbs(X, random_state=0)),
    ("RBM", lambda m, X: m.denoise(X)),
    ("RBM", lambda m, X: m.impute(np.where(np.eye(30, 4, dtype=bool), np.nan, X), random_state=0)),
    ("RBM", lambda m, X: evaluate.pseudo_log_likelihood(m, X)),
    ("DBN", lambda m, X: m.transform(X)),
    ("DBN", lambda m, X: m.score_samples(X)),
    ("DBN", lambda m, X: m.reconstruct(X)),
    ("classifier", lambda m, X: m.predict(X)),
    ("classifier", lambda m, X: m.predict_proba(X)),
    ("classifier", lambda m, X: m.transform(X)),
    ("classifier", lambda m, X: m.score(X, Y)),
    ("autoencoder", lambda m, X: m.reconstruct(X)),
    ("autoencoder", lambda m, X: m.score(X)),
    ("generative", lambda m, X: m.predict_proba(X)),
    ("generative", lambda m, X: m.score_samples(X)),
]


@pytest.mark.parametrize(("name", "use"), USES)
def test_one_rule_for_all_methods(name, use, models):
    """Every method that takes rows warns once, naming column and value, and computes as for the clipped rows."""
    model = models[name]
    with pytest.warns(DataWarning, match=MESSAGE) as found:
        result = use(model, FAR)
    assert len(found) == 1
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(result, use(model, CLIPPED))
        use(model, np.where(CLIPPED == 1, np.float32(1 + 5e-7), CLIPPED))  # rounding


@pytest.mark.parametrize("kind", ["csr", "uint8", "int64", "float64", "memmap", "csr untidy"])
def test_kinds_of_data(kind, models, tmp_path):
    """CSR, whole numbers and memory maps are clipped too, and stay what they are."""
    far = np.abs(FAR)
    if kind == "csr":
        rows = sparse.csr_matrix(far)
    elif kind == "csr untidy":  # 7 as the sum of two entries
        rows = sparse.csr_matrix(np.where(far == 7, 3.5, far).astype(np.float32))
        at = np.flatnonzero(rows.data == 3.5)[0]
        rows = sparse.csr_matrix(
            (np.insert(rows.data, at, 3.5), np.insert(rows.indices, at, 2), rows.indptr + (rows.indptr > at)), rows.shape
        )
    elif kind == "memmap":
        rows = np.memmap(tmp_path / "rows", np.float32, "w+", shape=far.shape)
        rows[:] = far
    else:
        rows = far.astype(kind)
    before = rows.copy()
    with pytest.warns(DataWarning, match="column 2 of X has 7"):
        result = models["RBM"].transform(rows)
    assert np.allclose(result, models["RBM"].transform(np.clip(far, 0, 1)), atol=1e-6)
    assert (rows != before).sum() == 0


def test_scales_that_clip_or_have_no_end():
    """scale="minmax" clips without a warning; a threshold and units without an end take any number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        minmax = RBM(3, scale="minmax", n_iter=1, random_state=0).fit(X)
        assert np.array_equal(minmax.transform(FAR), minmax.transform(CLIPPED))
        RBM(3, binarize=0.5, n_iter=1, random_state=0).fit(X).transform(FAR)
        RBM(3, visible="gaussian", n_iter=1, random_state=0).fit(X).transform(FAR)


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_numbers_beyond_squaring(scale, composed):
    """Units without an end take what float32 can square: further values are clipped with a warning, and results are finite."""
    rbm = RBM(3, visible="gaussian", hidden="gaussian", scale=scale, n_iter=1, random_state=0).fit(REALS)
    rows = REALS[:3].astype(np.float64)
    rows[1, 2] = 1e30
    for given in (rows, rows.astype(np.float32), sparse.csr_matrix(rows)):
        with pytest.warns(DataWarning, match=r"column 2 of X has 1e\+30"):
            assert np.isfinite(rbm.transform(given)).all()


@pytest.mark.parametrize("model", [RBM(3), DBNRegressor((3,), pretrain=False)], ids=["RBM", "DBNRegressor"])
def test_numbers_that_no_reconstruction_holds(model):
    """Data, and targets, are refused by name where float32 or their squares do not hold them."""
    far = np.where(np.eye(40, 6) > 0, -1e200, REALS)
    with pytest.raises(ValueError, match=r"X has -1e\+200 in column 0: give numbers up to 1e\+36"):
        model.fit(far, REALS[:, 0])
    if hasattr(model, "predict"):
        with pytest.raises(ValueError, match=r"y has 1e\+200: give numbers"):
            model.fit(REALS, np.where(REALS[:, 0] > 0, 1e200, 1.0))
        with pytest.raises(ValueError, match=r"y=.*ant.*: give numbers"):
            model.fit(REALS, np.full(40, "ant"))


def test_training_further_refuses():
    """A model does not learn from rows that were clipped."""
    rbm = RBM(3, n_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="column 2"):
        rbm.partial_fit(FAR)


@pytest.mark.parametrize("name", ["bernoulli", "spin", "binomial:3", "rectified", "gaussian", "mixed"])
def test_clipped_by_units(name):
    """Each column is clipped to the range of its unit, on the scale of X; NaN stays."""
    rows = np.array([[-4.0, 0.5, np.nan, 9.0], [0.25, 5.0, -0.5, 1.0]])
    unit = visible_unit([("spin", slice(0, 2)), ("gaussian", slice(2, 4))], 4) if name == "mixed" else get_unit(name)
    low, high = {
        "bernoulli": (0, 1),
        "spin": (-1, 1),
        "binomial:3": (0, 3),
        "rectified": (0, np.inf),
        "gaussian": (-np.inf, np.inf),
        "mixed": ([-1, -1, -np.inf, -np.inf], [1, 1, np.inf, np.inf]),
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert np.array_equal(ranges.clipped(unit, Scaling(), rows), np.clip(rows, low, high), equal_nan=True)
        if name == "bernoulli":
            pixels = ranges.clipped(unit, Scaling(np.zeros(4), np.full(4, 1 / 255)), rows * 100)
            assert np.allclose(pixels, np.clip(rows * 100, 0, 255), equal_nan=True)


@pytest.mark.parametrize(("name", "message"), [("softmax:2", "sum to 1"), ("replicated-softmax", "whole numbers")])
def test_broken_groups(name, message):
    """Rows that are no states of grouped units are refused as in a fit."""
    rows = np.array([[1.0, 0, 0, 1], [0, 1.5, 1, 0]])
    with pytest.raises(ValueError, match=message):
        ranges.clipped(get_unit(name), Scaling(), rows)


def test_threshold_on_the_scale_of_X():
    """binarize=127 means values of X above 127, whatever type holds them, and the units are Bernoulli."""
    pixels = np.random.default_rng(1).integers(0, 256, (40, 5))
    expected = RBM(3, n_iter=1, random_state=0).fit((pixels > 127).astype(np.float32))
    for given in (pixels, pixels.astype(np.uint8), pixels.astype(np.float32), sparse.csr_matrix(pixels), pixels.tolist()):
        rbm = RBM(3, binarize=127, n_iter=1, random_state=0).fit(given)
        assert rbm.visible_ == "bernoulli"
        assert np.array_equal(rbm.components_, expected.components_)
        assert np.array_equal(rbm.intercept_visible_, expected.intercept_visible_)
        assert np.array_equal(rbm.transform(given), expected.transform((pixels > 127).astype(np.float32)))


def test_threshold_far_from_zero():
    """A threshold compares before anything is rounded to float32."""
    times = 1_700_000_000 + np.arange(100.0)[:, None]
    rbm = RBM(2, binarize=1_700_000_049.5, n_iter=1, random_state=0).fit(times)
    high = rbm.transform(np.ones((1, 1)) * 2e9)
    assert (rbm.transform(times) == high).all(axis=1).tolist() == [False] * 50 + [True] * 50


@pytest.mark.parametrize("pretrain", [True, False])
def test_thresholds_that_say_nothing(pretrain):
    """A threshold that leaves all rows the same, or comes with a scaling, is refused before training."""
    model = DBNClassifier((3,), rbm=RBM(binarize=127), pretrain=pretrain)
    with pytest.raises(ValueError, match="binarize=127 leaves every row the same: X has values from 0 to 1"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="scale='minmax'"):
        model.set_params(rbm__scale="minmax").fit(X, Y)
    with pytest.raises(ValueError, match="binarize='sample'"):
        model.set_params(rbm__scale="standard", rbm__binarize="sample").fit(X, Y)


def test_drawn_data_are_bernoulli():
    """ "sample" takes values as probabilities, and those that are none are refused."""
    assert RBM(2, binarize="sample", n_iter=1).fit(X).visible_ == "bernoulli"
    with pytest.raises(ValueError, match="needs values in"):
        RBM(2, binarize="sample", n_iter=1).fit(X * 3)
