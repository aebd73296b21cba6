"""The Deep Belief Network: the stack, its use, and its bound against exact likelihoods."""

import numpy as np
import pytest
from exact import Machine
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastdbn import DBN, RBM


def small(sizes=(6, 5, 4), **options):
    return DBN(**({"hidden_layer_sizes": sizes, "rbm": RBM(n_iter=2), "random_state": 0} | options))


def test_layers_learn_from_final_weights_below(binary):
    """Layer by layer, each RBM is that of the means under it; a list gives each layer its own parameters."""
    X = binary(60, 9)
    rates = 0.1, [0.05, 0.02], 0.01
    dbn = small(rbm=[RBM(n_iter=n, learning_rate=rate) for n, rate in zip((1, 2, 3), rates, strict=True)]).fit(X)
    assert [rbm.components_.shape for rbm in dbn.layers_] == [(6, 9), (5, 6), (4, 5)]
    assert [rbm.n_iter_ for rbm in dbn.layers_] == [1, 2, 3]
    assert dbn.n_iter_ == 6
    first = RBM(6, n_iter=1, learning_rate=0.1, random_state=0).fit(X)
    assert first.components_.tobytes() == dbn.layers_[0].components_.tobytes()
    H = first.transform(X)
    assert np.array_equal(dbn.transform(X, layer=0), H)
    assert np.array_equal(dbn.transform(X, layer=1), dbn.layers_[1].transform(H))
    assert np.array_equal(dbn.transform(X), dbn.transform(X, layer=-1))
    assert dbn.transform(X).shape == (60, 4)
    assert np.allclose(dbn.transform(sparse.csr_matrix(X)), dbn.transform(X))


def test_errors_name_the_argument(binary):
    """Sizes, lists of the wrong length, layers that are not there, and what `propagate` may be."""
    X = binary(20, 5)
    for options, match in (
        ({"hidden_layer_sizes": ()}, r"hidden_layer_sizes=\(\)"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes=0"),
        ({"rbm": [RBM(k=1), RBM(k=2)]}, "rbm has 2 RBMs for 3 layers"),
        ({"propagate": "both"}, "propagate='both'"),
    ):
        with pytest.raises(ValueError, match=match):
            small(**options).fit(X)
    with pytest.raises(ValueError, match="layer=3"):
        small().fit(X).transform(X, layer=3)
    with pytest.raises(ValueError, match="5 features"):
        small().fit(X).transform(X[:, :3])
    warm = small(warm_start=True).fit(X).set_params(hidden_layer_sizes=(6, 5))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        warm.fit(X)


@pytest.mark.parametrize("hidden", ["bernoulli", ("bernoulli", "gaussian", "bernoulli"), "softmax"])
@pytest.mark.parametrize("propagate", ["mean", "sample"])
def test_propagation(hidden, propagate, binary, composed):
    """Upper layers learn from means or from draws, whatever the units; the fit repeats itself."""
    X = binary(50, 8)
    rbm = RBM(n_iter=2, learning_rate=0.01)
    several = isinstance(hidden, tuple)
    rbm = [clone(rbm).set_params(hidden=unit) for unit in hidden] if several else rbm.set_params(hidden=hidden)
    options = {"rbm": rbm, "propagate": propagate}
    one, two = small(**options).fit(X), small(**options).fit(X)
    assert all(a.components_.tobytes() == b.components_.tobytes() for a, b in zip(one.layers_, two.layers_, strict=True))
    assert np.isfinite(one.transform(X)).all()
    other = small(**(options | {"propagate": "mean" if propagate == "sample" else "sample"})).fit(X)
    assert one.layers_[0].components_.tobytes() == other.layers_[0].components_.tobytes()
    assert one.layers_[1].components_.tobytes() != other.layers_[1].components_.tobytes()


def test_partial_fit_and_warm_start(binary):
    """partial_fit is one pass for each layer; the first equals a fit of one epoch at the same rate."""
    X, rbm = binary(50, 8), RBM(n_iter=1, learning_rate=0.05)
    once, fitted = small(rbm=rbm).partial_fit(X), small(rbm=rbm).fit(X)
    assert np.array_equal(once.transform(X), fitted.transform(X))
    assert [rbm.n_iter_ for rbm in once.partial_fit(X).layers_] == [2, 2, 2]
    warm = small(rbm=rbm, warm_start=True).fit(X).fit(X)
    assert np.array_equal(once.transform(X), warm.transform(X))


def test_callback_counts_layers(binary):
    """layer goes from 0 up, the estimator is the DBN; StopIteration ends a layer's training cleanly."""
    seen = []

    def callback(estimator, layer, epoch, metrics):
        seen.append((type(estimator).__name__, layer, epoch))
        if epoch == 2:
            raise StopIteration

    small(rbm=RBM(n_iter=5), callbacks=[callback]).fit(binary(20, 5))
    assert seen == [("DBN", layer, epoch) for layer in (0, 1, 2) for epoch in (1, 2)]


def test_generation_and_reconstruction():
    """Samples and reconstructions are on the scale of the data and repeat with a seed."""
    Z = np.random.default_rng(0).normal(20, 3, (80, 6))
    dbn = small().fit(Z)
    for out in (dbn.sample(100, 10), dbn.sample(100, 10, mean=True), dbn.reconstruct(Z)):
        assert out.shape[1] == 6
        assert abs(out.mean() - 20) < 1.5
    assert np.array_equal(dbn.sample(4, 5, random_state=3), dbn.sample(4, 5, random_state=3))
    assert not np.array_equal(dbn.sample(4, 5), dbn.sample(4, 5))


def stack(first, second):
    """A fitted two-layer DBN with the parameters of two machines."""
    dbn = small((4, len(second.c)), rbm=RBM(n_iter=0, visible="bernoulli"), dtype="float64").fit(first.V)
    for rbm, machine in zip(dbn.layers_, (first, second), strict=True):
        rbm.components_ = np.ascontiguousarray(machine.W.T)
        rbm.intercept_visible_, rbm.intercept_hidden_ = machine.b, machine.c
    return dbn


def test_tied_stack_has_the_likelihood_of_its_first_layer():
    """A top RBM that is the first one transposed leaves log p(v) as it was, and the bound is tight, draw by draw."""
    first, second = Machine(6, 4, seed=1), Machine(4, 6, seed=2)
    second.W, second.b, second.c = first.W.T, first.c, first.b
    bound = stack(first, second).score_samples(first.V, n_samples=3) - second.log_z()
    assert np.allclose(bound, first.log_p(first.V), atol=1e-10)


def test_scores_do_not_depend_on_neighbours(binary):
    """The bound's draws are keyed by each row's values."""
    X = binary(40, 7)
    dbn = small(dtype="float64").fit(X)
    scores = dbn.score_samples(X)
    assert np.allclose(dbn.score_samples(X[::-1]), scores[::-1], rtol=1e-9)
    assert np.allclose(dbn.score_samples(X[5:6]), scores[5], rtol=1e-9)
    one = small((6,)).fit(X)
    assert np.array_equal(one.score_samples(X), one.layers_[0].score_samples(X))


def test_stack_of_trained_layers(binary):
    """A network of RBMs trained by hand is the one that `fit` trains; its own are copies; neighbours must suit each other."""
    X = binary(40, 9)
    whole = DBN((6, 4), rbm=[RBM(n_iter=2), RBM(n_iter=1)], random_state=0).fit(X)
    stacked = DBN.stack(whole.layers_)
    assert stacked.hidden_layer_sizes == (6, 4) and [rbm.n_iter for rbm in stacked.rbm] == [2, 1]
    assert np.array_equal(stacked.transform(X), whole.transform(X))
    assert np.array_equal(stacked.sample(3, 5, random_state=1), whole.sample(3, 5, random_state=1))
    first = RBM(6, n_iter=1, random_state=0).fit(X)
    second = RBM(4, visible="bernoulli", n_iter=1, random_state=0).fit(first.transform(X))
    network = DBN.stack([first, second])
    assert np.array_equal(network.transform(X), second.transform(first.transform(X)))
    assert (second.layer_, network.layers_[1].layer_) == (0, 1)
    first.feature_names_in_ = np.array(list("abcdefghi"), dtype=object)
    assert list(DBN.stack([first, second]).feature_names_in_) == list("abcdefghi")
    with pytest.raises(ValueError, match=r"layers\[1\] has 9 visible units"):
        DBN.stack([first, first])
    with pytest.raises(ValueError, match=r"layers=\[\]: give a list of fitted RBMs"):
        DBN.stack([])
    with pytest.raises(NotFittedError):
        DBN.stack([RBM(3)])
