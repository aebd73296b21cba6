"""The data, parameters and weights that an RBM accepts, and what it says of those that it refuses."""

from unittest.mock import Mock

import numpy as np
import pytest
from scipy import sparse
from small import binary, bits, small

from fastdbn import RBM
from fastdbn.estimators import rows
from fastdbn.units import softmax

# ---- data


@pytest.mark.parametrize("kind", ["dense", "csr", "memmap", "fortran"])
@pytest.mark.parametrize("more", [{}, {"scale": "standard", "visible": "gaussian"}], ids=["as given", "standardised"])
def test_data_are_never_modified(kind, more, tmp_path):
    """Scaling or binarising in place would corrupt the user's data, or fail on a read-only map."""
    X = binary()
    if kind == "csr":
        X = sparse.csr_matrix(X)
        before = [x.copy() for x in (X.data, X.indices, X.indptr)]
    elif kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        before, X = X, np.load(tmp_path / "X.npy", mmap_mode="r")
    else:
        X = np.asfortranarray(X) if kind == "fortran" else X
        X.flags.writeable = False
        before = X.copy()
    model = small(**more).fit(X).partial_fit(X)
    for use in (model.transform, model.reconstruct, model.gibbs, model.score_samples):
        use(X)
    if kind == "csr":
        assert all((a == b).all() for a, b in zip(before, (X.data, X.indices, X.indptr), strict=True))
    else:
        assert (np.asarray(X) == before).all()


@pytest.mark.parametrize(
    "kind", ["uint8", "bool", "int64", "int32", "float64", "float16", "csr", "csc", "csr-uint8", "list", "fortran"]
)
def test_the_type_of_the_input_does_not_matter(kind):
    """The same values in another container must give the same bits: kernels read each type by themselves."""
    X = binary()
    convert = {
        "csr": sparse.csr_matrix,
        "csc": sparse.csc_matrix,
        "csr-uint8": lambda X: sparse.csr_matrix(X.astype(np.uint8)),
        "list": np.ndarray.tolist,
        "fortran": np.asfortranarray,
    }
    other = convert.get(kind, lambda X: X.astype(kind))(X)
    expected, model = small().fit(X), small().fit(other)
    assert bits(model) == bits(expected)
    for method in ("transform", "reconstruct", "score_samples"):
        assert getattr(model, method)(other).tobytes() == getattr(expected, method)(X).tobytes()


@pytest.mark.parametrize(
    ("low", "high", "scale", "unit"),
    [
        (0, 1, "auto", "bernoulli"),
        (0.2, 0.9, "none", "bernoulli"),
        (0, 1, "standard", "gaussian"),
        (0, 255, "auto", "gaussian"),
        (-0.1, 1, "auto", "gaussian"),
        (0, 255, "minmax", "bernoulli"),
        (-5, 5, "none", "gaussian"),
    ],
)
def test_automatic_unit(low, high, scale, unit):
    """The wrong unit for the data's range fits nonsense; what was chosen must be visible."""
    X = np.random.default_rng(0).uniform(low, high, (50, 4))
    X[0], X[1] = low, high
    assert small(scale=scale).fit(X).visible_ == unit


def test_use_leaves_the_data_as_they_are():
    """Data that are read in place are never written: not by chains that begin in them, nor by scores and transforms."""
    X = np.random.default_rng(0).random((30, 12), dtype=np.float32)
    rbm, before = small().fit(X), X.copy()
    for use in (rbm.gibbs, rbm.transform, rbm.free_energy, rbm.reconstruct):
        use(X)
        assert np.array_equal(X, before)
    for use in (rbm.gibbs, rbm.transform):
        X.flags.writeable = False
        use(X)
        X.flags.writeable = True


def test_verbose_says_how_many_threads_train(capsys):
    """Layers too small for more than one thread say so."""
    small(verbose=1, n_jobs=2).fit(binary())
    assert "threads 1 of 2: more would be slower on minibatches this small" in capsys.readouterr().err


def test_verbose_says_what_was_chosen(capsys):
    """A choice made for the user must be told, and progress belongs to stderr."""
    small(verbose=1).fit(binary() * 9)
    out, err = capsys.readouterr()
    assert out == "" and "gaussian" in err and "standardised" in err
    assert [f"epoch {i}/3" in err for i in (1, 2, 3)] == [True] * 3


def test_minmax_and_standard_scaling(composed):
    """Scaling inside the estimator is that of the formulas, and a fit on data scaled by hand is the same fit."""
    X = np.random.default_rng(0).uniform(-3, 8, (50, 4))
    X[:, 2] = 5.0  # a constant column must not divide by zero
    low, width = X.min(axis=0), np.where(np.ptp(X, axis=0) > 0, np.ptp(X, axis=0), 1)
    model, by_hand = small(scale="minmax", dtype="float64").fit(X), small(dtype="float64").fit((X - low) / width)
    np.testing.assert_allclose(model.transform(X), by_hand.transform((X - low) / width), rtol=1e-9)
    far = np.full((1, 4), 100.0)
    edge = np.where([True, True, False, True], X.max(axis=0), far)
    assert (model.transform(far) == model.transform(edge)).all(), "later values are clipped to the range of the fit data"
    model = small(dtype="float64").fit(X)
    assert model.visible_ == "gaussian"
    std = np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    by_hand = small(dtype="float64", visible="gaussian").fit((X - X.mean(axis=0)) / std)
    np.testing.assert_allclose(model.transform(X), by_hand.transform((X - X.mean(axis=0)) / std), rtol=1e-6)


@pytest.mark.parametrize("scale", ["minmax", "standard"])
def test_results_are_on_the_scale_of_the_data(scale):
    """Samples and reconstructions that stay on the inner scale are useless to the user."""
    X = np.random.default_rng(0).normal([100.0, -20.0, 0.5], [9.0, 3.0, 0.1], (80, 3))
    model = small(scale=scale, n_iter=2).fit(X)
    for Y in (model.reconstruct(X), model.sample(200, n_steps=5, mean=True), model.gibbs(X)):
        assert (np.abs(Y.mean(axis=0) - X.mean(axis=0)) < 2 * np.ptp(X, axis=0)).all()
    assert (np.abs(model.reconstruct(X).mean(axis=0) - X.mean(axis=0)) < X.std(axis=0)).all()


# ---- refusals


def with_value(value):
    X = binary().astype(np.float64)
    X[4, 3] = value
    return X


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score_samples", "reconstruct", "gibbs"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value, method, container):
    """One NaN in the data would spread to all parameters in one minibatch."""
    model = small(n_iter=1).fit(binary())
    with pytest.raises(ValueError, match="NaN" if np.isnan(value) else "infinity"):
        getattr(model, method)(container(with_value(value)))


def test_range_of_an_explicit_unit():
    """The most common mistake, bytes given to Bernoulli units, gets the message that says what to do."""
    X = np.random.default_rng(0).integers(0, 200, (50, 5)).astype(np.uint8)
    X[7, 3] = 255
    message = "visible='bernoulli' needs values in [0, 1]; column 3 has max 255: divide by 255 or use scale='minmax'"
    for data in (X, sparse.csr_matrix(X)):
        with pytest.raises(ValueError) as error:
            small(visible="bernoulli").fit(data)
        assert str(error.value) == message
    with pytest.raises(ValueError, match=r"column 1 has min -2: use scale='minmax'"):
        small(visible="bernoulli").fit(np.array([[0.0, -2.0, 1.0], [1.0, 0.0, 1.0]]))


@pytest.mark.parametrize("again", ["partial_fit", "fit"])
def test_range_of_later_data(again):
    """A unit chosen for the first data must not meet data that it cannot have."""
    model = small(warm_start=True).fit(binary())
    before = bits(model)
    with pytest.raises(ValueError, match="column 3 has max 7"):
        getattr(model, again)(with_value(7.0))
    assert bits(model) == before


def test_softmax_visible_units_need_one_of_k(composed):
    """Rows that are no categories have no meaning for softmax units."""
    X = np.eye(3)[np.random.default_rng(0).integers(0, 3, (30, 2))].reshape(30, 6)
    model = small(visible=softmax(3)).fit(X)
    assert (model.sample(5, n_steps=3).reshape(5, 2, 3).sum(axis=2) == 1).all()
    X[4, :3] = 1
    with pytest.raises(ValueError, match="row 4 has 3 in group 0"):
        small(visible=softmax(3)).fit(X)
    with pytest.raises(ValueError, match="visible='softmax:3' with 5 of these units: give a multiple of 3"):
        small(visible=softmax(3)).fit(X[:, :5])


def test_shapes_are_refused():
    """Wrong widths and empty input must be said, not run into a kernel."""
    model = small().fit(binary())
    for method in ("transform", "partial_fit", "score_samples", "gibbs", "reconstruct"):
        with pytest.raises(ValueError, match="X has 5 features, but RBM is expecting 12"):
            getattr(model, method)(np.zeros((3, 5)))
    for X in (np.zeros((0, 4)), np.zeros((4, 0))):
        with pytest.raises(ValueError, match=r"0 (sample|feature)"):
            small().fit(X)
    with pytest.raises(ValueError, match="2D"):
        small().fit(np.zeros(4))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n_components", x) for x in (0, -1, 2.5, "8", None, True)),
        *(("visible", x) for x in ("binary", None, 3)),
        *(("hidden", x) for x in ("auto", None, 3)),
        *(("scale", x) for x in ("max", None, 3)),
        *(("k", x) for x in (0, 1.5, None)),
        ("persistent", "yes"),
        *(("n_chains", x) for x in (0, "8")),
        *(("learning_rate", x) for x in (-0.1, np.nan, np.inf, "fast", [])),
        *(("momentum", x) for x in (-0.1, "high", [])),
        *(("weight_decay", x) for x in (-0.1, None, "l2", [])),
        *(("batch_size", x) for x in (0, 2.5, "auto")),
        *(("n_iter", x) for x in (-1, 2.5, "auto")),
        *(("binarize", x) for x in ("means", np.nan)),
        *(("n_jobs", x) for x in (0, 1.5, "all")),
        *(("dtype", x) for x in ("float16", int, None)),
        *(("random_state", x) for x in ("seed", 1.5)),
        *(("callbacks", x) for x in (3, print, [3])),
    ],
)
def test_unknown_parameter_values(name, value):
    """An error must name the argument and its value, before anything is fitted."""
    model = small(**{name: value})
    with pytest.raises(ValueError, match=name) as error:
        model.fit(binary())
    assert str(value) in str(error.value)
    assert not hasattr(model, "components_")


@pytest.mark.parametrize(
    "weights",
    [np.ones(60), np.ones((61, 1)), -np.ones(61), np.zeros(61), np.full(61, np.nan)],
    ids=["short", "2d", "negative", "zero", "nan"],
)
def test_bad_sample_weights(weights):
    """Weights that are no weights must be refused by name."""
    with pytest.raises(ValueError, match="sample_weight"):
        small().fit(binary(), sample_weight=weights)


@pytest.mark.parametrize(("method", "name"), [("sample", "n_samples"), ("sample", "n_steps"), ("gibbs", "n_steps")])
@pytest.mark.parametrize("value", [0, 1.5, "2"])
def test_bad_arguments_of_sampling(method, name, value):
    """As for parameters: name the argument."""
    X = binary()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        getattr(small(n_iter=0).fit(X), method)(*([X] if method == "gibbs" else []), **{name: value})


def test_valid_data_are_not_validated_again(monkeypatch):
    """A single row takes no longer than it must; whatever is not plainly valid goes through scikit-learn's checks."""
    X = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    model, lacking = RBM(3, n_iter=1, random_state=0).fit(X), X.copy()
    lacking[2, 1] = np.nan
    with monkeypatch.context() as patch:
        patch.setattr(rows, "validate_data", Mock(side_effect=AssertionError("validated")))
        for data in (X, X[:1], X[::2], np.asfortranarray(X), X.astype(np.float64), X > 0.5):
            assert model.transform(data).shape == (len(data), 3)
        for data in (X.tolist(), X[:0], X[0], X[:, :3], lacking, X.astype(np.float16), sparse.csr_matrix(X)):
            with pytest.raises(AssertionError, match="validated"):
                model.transform(data)
        model.feature_names_in_ = np.array(list("abcd"), object)
        with pytest.raises(AssertionError, match="validated"):
            model.transform(X)
