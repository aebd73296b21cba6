"""What the defaults are, and that they learn: lengths of fits, rates that fall, draws, centred gradients."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from small import binary, bits, small

from fastdbn import DBN, RBM, GenerativeDBNClassifier
from fastdbn.estimators import parameters
from fastdbn.inputs.data import Scaling, training_source

X = np.random.default_rng(0).random((30, 12)).astype(np.float32)
"""Probabilities."""


def test_layers_live():
    """On a small standardised table no unit of any layer is dead or saturated, and the features tell rows apart."""
    Z = load_wine().data
    dbn = DBN((32, 32), rbm=RBM(visible="gaussian", scale="standard"), random_state=0).fit(Z)
    for rbm in dbn.layers_:
        assert rbm.history_["dead_units"][-1] + rbm.history_["saturated_units"][-1] == 0
    assert np.median(dbn.transform(Z).std(axis=0)) > 0.05


@pytest.mark.parametrize(("rows", "epochs"), [(1, 400), (300, 200), (330, 182), (3200, 20), (10**6, 20)])
def test_epochs(rows, epochs):
    """20 epochs, or as many as make 2,000 minibatches, but at most 400; a number is taken as it is."""
    assert parameters.epochs(RBM(), rows) == epochs
    assert parameters.epochs(RBM(n_iter=3), rows) == 3


@pytest.mark.parametrize(("rows", "epochs"), [(300, 400), (3200, 200), (10_000, 64), (10**6, 20)])
def test_epochs_of_persistent_chains(rows, epochs):
    """A density takes ten times as many minibatches."""
    assert parameters.epochs(RBM(persistent=True), rows) == epochs


def test_epochs_of_fits():
    """A fit takes them, of all layers of a network, and a fit that goes on trains as many again."""
    model = RBM(3, batch_size=1, random_state=0, warm_start=True)
    assert model.fit(X).n_iter_ == 67
    assert model.fit(X).n_iter_ == 134
    assert [rbm.n_iter_ for rbm in DBN((3, 2), rbm=RBM(batch_size=1), random_state=0).fit(X).layers_] == [67, 67]


@pytest.mark.parametrize("persistent", [False, True])
def test_rate_falls(persistent):
    """The default rate falls linearly to 0 in each fit; passes stay at the first value; a rate that is given stays."""
    model = small(n_iter=4, persistent=persistent, warm_start=True).fit(X)
    assert model.fit(X).history_["learning_rate"] == pytest.approx(2 * [0.05, 0.0375, 0.025, 0.0125])
    assert small().partial_fit(X).partial_fit(X).history_["learning_rate"].tolist() == [0.05, 0.05]
    assert small(learning_rate=0.02).fit(X).history_["learning_rate"].tolist() == 3 * [0.02]


def test_upper_layers_learn_faster(composed):
    """CD between Bernoulli units above the first layer begins at four times the customary rate in short fits, all else at it.

    Above more than 256 units the rate falls as 1 / units, down to the customary one.
    """

    def first(rbm=None, n_iter=60, units=3, **params):
        layers = DBN((units, 2), rbm=rbm or RBM(n_iter=n_iter, **params), dtype="float64", random_state=0).fit(X).layers_
        return [layer.history_["learning_rate"][0] for layer in layers]

    assert first() == pytest.approx([0.05, 0.2])
    assert [first(n_iter=1, units=units)[1] for units in (256, 512, 2048)] == pytest.approx([0.2, 0.1, 0.05])
    assert first(n_iter=61) == pytest.approx([0.05, 0.05])
    assert first(persistent=True) == pytest.approx([0.05, 0.05])
    assert first(learning_rate=0.02) == pytest.approx([0.02, 0.02])
    assert first([RBM(n_iter=2), RBM(n_iter=2, hidden="spin")]) == pytest.approx([0.05, 0.02])


def test_rate_of_labelled_top_falls():
    """It does so in the top RBM of a network with labels too."""
    y = np.arange(len(X)) % 2
    falling, given = (
        GenerativeDBNClassifier((3, 2), rbm=RBM(n_iter=4, learning_rate=rate), up_down_iter=0, random_state=0).fit(X, y)
        for rate in (None, [0.05, 0.0375, 0.025, 0.0125])
    )
    assert np.allclose(falling.predict_proba(X), given.predict_proba(X), rtol=1e-5)
    assert all(np.allclose(a.components_, b.components_) for a, b in zip(falling.layers_, given.layers_, strict=True))


def test_momentum_of_chains():
    """By default persistent chains train without momentum."""
    given = small(persistent=True, momentum=0.0).fit(X)
    assert bits(small(persistent=True).fit(X)) == bits(given) != bits(small(persistent=True, momentum=0.5).fit(X))


def test_draws():
    """By default Bernoulli units learn from drawn zeros and ones; data of zeros and ones, and other units, learn as they are."""
    assert bits(small().fit(X)) == bits(small(binarize="sample").fit(X)) != bits(small(binarize="mean").fit(X))
    assert bits(small().fit(binary())) == bits(small(binarize="mean").fit(binary()))
    real = {"visible": "gaussian", "scale": "none"}
    assert bits(small(**real).fit(X)) == bits(small(**real, binarize="mean").fit(X))
    assert np.array_equal(*(small(binarize=how, n_iter=0).fit(X).transform(X) for how in (None, "mean")))


def test_centering():
    """Gradients are centred by default where they can be, and not under labels."""
    assert bits(small().fit(X)) == bits(small(centering="data").fit(X)) != bits(small(centering=None).fit(X))
    labelled = GenerativeDBNClassifier((4, 3), rbm=RBM(n_iter=1), up_down_iter=1, random_state=0).fit(X, np.arange(len(X)) % 2)
    assert [rbm.centering for rbm in labelled.layers_] == [None, None]
    gaps = np.where(X < 0.2, np.nan, X)
    assert bits(small(missing="drop").fit(gaps)) == bits(small(missing="drop", centering=None).fit(gaps))
    for visible in ("replicated-softmax", "gaussian-variance"):
        data = np.floor(5 * X) + 1
        assert bits(small(visible=visible).fit(data)) == bits(small(visible=visible, centering=None).fit(data))


def test_nothing_is_drawn_from_zeros_and_ones():
    """Data that are zeros and ones once they are scaled need no draws, so backends may pack them."""
    ones, none = (X < 0.3).astype(np.float32), Scaling()
    half = Scaling(np.zeros(12), np.full(12, 0.5))
    moved = Scaling(np.ones(12), np.ones(12))
    for data, scaling in ((ones, none), (ones.astype(bool), none), (2 * ones, half), (ones + 1, moved), (-ones, none), (X, none)):
        given = [data, *([] if scaling is moved else [sparse.csr_matrix(data)])]
        drawn = data is X or data.min() < 0
        assert {training_source(x, scaling, "sample").threshold for x in given} == {"sample" if drawn else None}
    assert training_source(sparse.csr_matrix(ones + 1), moved, "sample").threshold == "sample"
    assert training_source(ones, none, 0.5).threshold == 0.5
