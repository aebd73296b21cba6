"""The RBM as an estimator: what fits promise, its noise, and that it learns."""

import naive
import numpy as np
import pytest
from exact import bars_and_stripes
from scipy import sparse
from sklearn.base import clone
from small import PARAMETERS, binary, bits, small

import fastdbn
from fastdbn.training.monitors import MONITORS
from fastdbn.training.order import order_of_epoch

# ---- fit, partial_fit, warm_start


@pytest.mark.parametrize(
    "more", [{}, {"persistent": True, "n_chains": 13}, {"binarize": "sample", "k": 2}], ids=["cd", "pcd", "sample"]
)
def test_passes_one_by_one_are_the_fit(more):
    """Orders and noise are keyed by epoch and step, so n calls of partial_fit, and warm starts, give the bits of one fit."""
    X, more = binary(), {"learning_rate": 0.05} | more
    whole = small(**more).fit(X)
    parts = small(**more)
    for _ in range(3):
        parts.partial_fit(X)
    warm = small(**more, warm_start=True).set_params(n_iter=1).fit(X).set_params(n_iter=2).fit(X)
    assert bits(parts) == bits(warm) == bits(whole)
    assert parts.n_iter_ == warm.n_iter_ == 3
    assert {values.shape for values in warm.history_.values()} == {(3,)}
    assert set(whole.history_) == set(MONITORS)


def test_fit_starts_anew():
    """Without warm_start a second fit must forget the first, its feature count too."""
    model = small().fit(binary(seed=1))
    assert bits(model.fit(binary(width=9))) == bits(small().fit(binary(width=9)))


def test_partial_fit_takes_batches_of_any_size():
    """Streams end with short batches; the first batch fixes unit and scaling for all."""
    X = np.random.default_rng(0).normal(3.0, 2.0, (64, 5))
    model = small().partial_fit(X[:50])
    scaling = model.scaling_
    model.partial_fit(X[50:63]).partial_fit(X[63:])
    assert model.visible_ == "gaussian" and model.n_iter_ == 3
    assert model.scaling_ is scaling and np.isfinite(model.components_).all()


def test_warm_start_uses_the_present_parameters():
    """Going on with another learning rate is what warm starts are for; rate 0 must change nothing but decay and momentum."""
    X = binary()
    model = small(warm_start=True).fit(X)
    before = bits(model)
    assert bits(model.set_params(learning_rate=0.0, momentum=0.0).fit(X)) == before
    assert bits(model.set_params(learning_rate=0.2).fit(X)) != before


def test_no_epochs_gives_the_initial_parameters():
    """Weights are N(0, 0.01^2), hidden biases 0, visible biases the smoothed logit of the columns' means."""
    X = binary(n=400, width=40)
    model = small(n_components=60, n_iter=0, centering=None).fit(X)
    W = model.components_
    # the standard error of a standard deviation from n normals is sigma / sqrt(2 n); five of them
    assert abs(W.std() - 0.01) < 5 * 0.01 / np.sqrt(2 * W.size) and abs(W.mean()) < 5 * 0.01 / np.sqrt(W.size)
    p = (X.sum(axis=0, dtype=np.float64) + 0.5) / (len(X) + 1)
    np.testing.assert_allclose(model.intercept_visible_, np.log(p / (1 - p)), rtol=1e-5, atol=1e-6)
    assert not model.intercept_hidden_.any() and model.n_iter_ == 0


# ---- schedules, weights, callbacks


@pytest.mark.parametrize("name", ["learning_rate", "momentum", "weight_decay"])
def test_schedules(name):
    """A list and a callable of the epoch (from 0) are the same schedule; a list's last value holds on."""
    X, values = binary(), [0.3, 0.1, 0.05]
    listed = small(n_iter=4, **{name: values}).fit(X)
    called = small(n_iter=4, **{name: lambda epoch: values[min(epoch, 2)]}).fit(X)
    assert bits(listed) == bits(called)
    assert bits(listed) == bits(small(n_iter=4, **{name: np.array(values)}).fit(X))
    assert bits(listed) != bits(small(n_iter=4, **{name: values[0]}).fit(X))


@pytest.mark.parametrize("persistent", [False, True])
def test_k_grows(persistent):
    """A schedule of k is that many Gibbs steps in each epoch, rounded: the same bits as fits of one k each, continued."""
    X, more = binary(), {"persistent": persistent, "learning_rate": 0.05}
    piecewise = small(**more, warm_start=True, n_iter=1)
    for k in (1, 3, 4):
        piecewise.set_params(k=k).fit(X)
    expected = bits(piecewise)
    for k in ([1, 3, 4], lambda epoch: (1, 2.6, 4.2)[epoch], np.array([1, 3, 4])):
        assert bits(small(n_iter=3, k=k, **more).fit(X)) == expected
    assert bits(small(n_iter=3, k=1, **more).fit(X)) != expected


@pytest.mark.parametrize(
    ("k", "match"),
    [
        (1.5, "k=1.5"),
        (True, "k=True"),
        ("1", "k='1'"),
        ([1, 0], "k is 0 at epoch 1"),
        ([], r"k=\[\]"),
        (lambda e: 0.4, "k is 0 at"),
    ],
)
def test_k_is_a_whole_number(k, match):
    """What cannot be a number of Gibbs steps is refused before the fit begins."""
    with pytest.raises(ValueError, match=match):
        small(k=k).fit(binary())


def test_default_schedules():
    """None is the unit's customary rate, falling, and the ramp 0.5 for five epochs, then 0.9."""
    X, rates = binary(), [0.05 * (1.0 - epoch / 7) for epoch in range(7)]
    assert bits(small(n_iter=7).fit(X)) == bits(small(n_iter=7, learning_rate=rates, momentum=[0.5] * 5 + [0.9]).fit(X))
    gauss = {"n_iter": 2, "visible": "gaussian"}
    assert bits(small(**gauss).fit(X)) == bits(small(**gauss, learning_rate=[0.005, 0.0025]).fit(X))


def test_a_schedule_that_turns_bad_names_the_epoch():
    """The first value cannot vouch for the later ones."""
    with pytest.raises(ValueError, match="learning_rate is -1 at epoch 2"):
        small(learning_rate=[0.1, 0.1, -1]).fit(binary())


def test_weight_decay_shrinks_weights_alone():
    """With a rate of 1 and decay d, the step adds -d W to the gradient's and leaves the biases' as they are."""
    X = binary()
    more = {"n_iter": 1, "batch_size": 61, "learning_rate": 1.0, "momentum": 0.0, "centering": None, "dtype": "float64"}
    start, free, decayed = (
        small(**more | extra).fit(X) for extra in ({"n_iter": 0}, {"weight_decay": 0.0}, {"weight_decay": 0.5})
    )
    np.testing.assert_allclose(decayed.components_, free.components_ - 0.5 * start.components_, rtol=1e-9, atol=1e-12)
    assert (decayed.intercept_visible_ == free.intercept_visible_).all()
    assert (decayed.intercept_hidden_ == free.intercept_hidden_).all()


def test_sample_weights():
    """Their scale must not matter, equal ones must be none, and rows of weight zero must not be learned from."""
    X = binary()
    plain = small().fit(X)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    np.testing.assert_allclose(small().fit(X, sample_weight=np.ones(len(X))).components_, plain.components_, atol=1e-6)
    a, b = (small().fit(X, sample_weight=w) for w in (weights, 4 * weights))
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-6)
    assert not np.allclose(a.components_, plain.components_, atol=1e-4)
    Y = X.copy()
    Y[40:] = 1 - Y[40:]
    keep = (np.arange(len(X)) < 40).astype(float)
    a, b = (small(persistent=True).fit(x, sample_weight=keep) for x in (X, Y))
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-6)


def test_callback():
    """Called after every epoch with the keywords promised; StopIteration ends the fit as if it had been that short."""
    calls = []

    def callback(*, estimator, layer, epoch, metrics):
        calls.append((epoch, layer, estimator.n_iter_))
        assert set(metrics) >= {"reconstruction_error", "update_ratio", "seconds"}
        assert set(metrics) == set(MONITORS)
        if epoch == 2:
            raise StopIteration

    model = small(n_iter=5, learning_rate=0.05, callbacks=[callback]).fit(binary())
    assert calls == [(1, 0, 1), (2, 0, 2)] and model.n_iter_ == 2
    assert bits(model) == bits(small(n_iter=2, learning_rate=0.05).fit(binary()))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interruption_leaves_the_last_good_parameters(error):
    """Ctrl-C after an hour must not lose the hour; the model can be used and trained on."""

    def callback(estimator, epoch, **_):
        if epoch == 2:
            raise error

    model, rate = small(n_iter=5, learning_rate=0.05, callbacks=[callback]), {"learning_rate": 0.05}
    with pytest.raises(error):
        model.fit(binary())
    assert bits(model) == bits(small(n_iter=2, **rate).fit(binary()))
    assert model.transform(binary()).shape == (61, 7)
    assert bits(model.set_params(callbacks=None, warm_start=True, n_iter=1).fit(binary())) == bits(small(**rate).fit(binary()))


def test_divergence(composed):
    """A fit that leaves the finite numbers says in which epoch and what to do, and keeps the last good parameters."""
    X = np.random.default_rng(0).normal(size=(200, 10))
    good = []

    def callback(estimator, epoch, **_):
        good.append(bits(estimator))

    more = {"n_iter": 40, "learning_rate": [0.001, 0.001] + [1e20] * 9, "momentum": 0.9, "hidden": "gaussian"}
    model = small(callbacks=[callback], visible="gaussian", **more)
    with pytest.raises(
        fastdbn.DivergenceError, match=r"diverged in epoch \d+ of layer 1.*smaller learning_rate .*; try 0.005"
    ) as error:
        model.fit(X)
    assert issubclass(fastdbn.DivergenceError, ArithmeticError)
    assert f"epoch {model.n_iter_ + 1} " in str(error.value) and model.n_iter_ >= 2
    assert bits(model) == good[-1]
    assert np.isfinite(model.components_).all() and np.isfinite(model.transform(X)).all()


# ---- parameters and noise


def test_parameters_that_are_replaced_are_used():
    """components_ is a C-contiguous array (n_components, n_features) that users may replace, and not write."""
    X = binary()
    model = small().fit(X)
    assert model.components_.shape == (7, 12) and model.components_.flags.c_contiguous
    draw = np.random.default_rng(0)
    model.transform(X)
    for array in (model.components_, model.intercept_hidden_, model.intercept_visible_):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    model.components_ = draw.normal(size=(7, 12)).astype(np.float32)
    model.intercept_hidden_ = draw.normal(size=7)  # float64: taken in the model's precision
    field = X @ model.components_.T.astype(np.float64) + model.intercept_hidden_
    np.testing.assert_allclose(model.transform(X), 1 / (1 + np.exp(-field)), atol=2e-6)
    free = -X @ model.intercept_visible_.astype(np.float64) - np.logaddexp(0, field).sum(axis=1)
    np.testing.assert_allclose(model.free_energy(X), free, rtol=1e-5)
    assert (model.score_samples(X) == -model.free_energy(X)).all()
    down = model.transform(X).astype(np.float64) @ model.components_ + model.intercept_visible_
    np.testing.assert_allclose(model.reconstruct(X), 1 / (1 + np.exp(-down)), atol=2e-6)
    model.set_params(warm_start=True, n_iter=1, learning_rate=0.0, momentum=0.0)
    before = model.components_.copy()
    assert (model.fit(X).components_ == before).all(), "training goes on from what was written"


def test_binarize():
    """A number is a threshold. "sample" and None draw with each value as its probability; "mean" takes values as they are."""
    X = np.random.default_rng(0).random((80, 6)).astype(np.float32)
    hard = (X > 0.4).astype(np.float32)
    thresholded = small(binarize=0.4).fit(X)
    assert bits(thresholded) == bits(small().fit(hard))
    assert (thresholded.transform(X) == small().fit(hard).transform(hard)).all()
    assert bits(small(binarize=0.4).fit(sparse.csr_matrix(X))) == bits(thresholded)
    assert bits(small(binarize="sample").fit(hard)) == bits(small().fit(hard)), "zeros and ones are drawn as they are"
    sampled = small(binarize="sample").fit(X)
    assert bits(sampled) == bits(small().fit(X)) != bits(small(binarize="mean").fit(X))
    plain = clone(sampled).set_params(binarize=None, n_iter=0).fit(X)
    for name in PARAMETERS:
        setattr(plain, name, getattr(sampled, name))
    assert (plain.transform(X) == sampled.transform(X)).all(), "outside of training the probabilities are taken"


@pytest.mark.parametrize("n_chains", [1, 9, 20, 50])
def test_persistent_chains_of_any_number(n_chains):
    """The chains are not the rows: their number is free, and they go on over short batches and epochs."""
    X = binary()
    options = {"persistent": True, "n_chains": n_chains, "momentum": 0.0, "learning_rate": 0.1}
    model, start = small(n_iter=60, **options).fit(X), small(n_iter=0, **options).fit(X)
    assert np.isfinite(model.components_).all()
    # some hidden unit tells the two prototypes apart
    assert model.transform(X).std(axis=0).max() > 0.2 > start.transform(X).std(axis=0).max()


@pytest.mark.parametrize(("batch_size", "n_chains"), [(20, 100), (101, 101)])
def test_persistent_chains_by_default(batch_size, n_chains):
    """A hundred, or as many as a minibatch has rows if those are more."""
    options = {"persistent": True, "batch_size": batch_size}
    assert bits(small(**options).fit(binary())) == bits(small(**options, n_chains=n_chains).fit(binary()))


def test_random_state_kinds():
    """Every kind gives one 64-bit seed; generators move on, ints do not, and None is anew each time."""
    X = binary()

    def fit(state):
        return small(n_iter=1, random_state=state).fit(X)

    assert bits(fit(3)) == bits(fit(np.int64(3))) == bits(fit(3 + 2**64)) != bits(fit(4))
    assert bits(fit(2**40)) != bits(fit(0)), "the upper half of the seed counts"
    for make in (np.random.RandomState, np.random.default_rng):
        state = make(5)
        first, second = fit(state), fit(state)
        assert bits(first) == bits(fit(make(5))) != bits(second)
        assert bits(fit(first.seed_)) == bits(first)
    assert bits(fit(None)) != bits(fit(None))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", [0, 2**32, 2**63 - 2, 2**63 + 4, 2**64 - 2])
def test_all_64_bits_of_the_seed_count(seed):
    """Half of all drawn seeds are above 2^63: what the host draws must tell them, and the epochs of each, apart."""
    X = binary()
    starts = [small(n_iter=0, random_state=s).fit(X) for s in (seed, seed + 1)]
    assert bits(starts[0]) != bits(starts[1])
    orders = {order_of_epoch(seed, 0, epoch, 50).tobytes() for epoch in range(20)}
    assert len(orders) == 20


def test_precisions_agree():
    """float32 and float64 draw the same noise, so after an epoch they differ by rounding, but for rare flips of a draw."""
    X = binary(n=100)
    one, two = (small(n_iter=1, dtype=dtype).fit(X) for dtype in ("float32", "float64"))
    assert one.components_.dtype == one.transform(X).dtype == np.float32
    assert two.components_.dtype == two.transform(X).dtype == np.float64
    # a flipped draw moves a weight by at most learning_rate / batch_size = 0.005; none is expected here
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-5)


def test_sampling():
    """Shapes, states in the unit's support, means inside; the given state repeats, none goes on."""
    X = binary()
    model = small(n_iter=30).fit(X)
    V = model.sample(11, n_steps=4, random_state=1)
    assert V.shape == (11, 12) and V.dtype == np.float32 and set(np.unique(V)) <= {0, 1}
    assert (V == model.sample(11, n_steps=4, random_state=1)).all()
    assert (V != model.sample(11, n_steps=4, random_state=2)).any()
    M = model.sample(11, n_steps=4, random_state=1, mean=True)
    assert ((M > 0) & (M < 1)).all() and M.shape == (11, 12)
    assert (model.sample(50, n_steps=2) != model.sample(50, n_steps=2)).any()
    assert (model.gibbs(X, random_state=1) == model.gibbs(X, random_state=1)).all()
    assert (model.gibbs(X) != model.gibbs(X)).any()
    assert model.gibbs(X, n_steps=3).shape == X.shape and set(np.unique(model.gibbs(X))) <= {0, 1}
    assert (V[:5] == model.sample(5, n_steps=4, random_state=1)).all(), "a chain does not depend on how many run beside it"


def test_samples_follow_the_model():
    """Long chains must have the visible means of the exact distribution, by enumeration of the 2^6 states."""
    model = small(n_components=4, n_iter=20, dtype="float64").fit(binary(width=6))
    states = naive.bits(6)
    p = np.exp(model.score_samples(states))
    p /= p.sum()
    n = 4000
    mean = model.sample(n, n_steps=200, random_state=0).mean(axis=0)
    exact = p @ states
    assert (np.abs(mean - exact) < 5 * np.sqrt(exact * (1 - exact) / n) + 1e-9).all()


# ---- learning


@pytest.mark.parametrize("more", [{"k": 2}, {"persistent": True, "n_chains": 100}], ids=["cd", "pcd"])
def test_learns_bars_and_stripes(more):
    """The exact log-likelihood, by enumeration, must rise far above that of independent bits: else nothing is learned."""
    images = bars_and_stripes(3)
    assert images.shape == (14, 9)
    X = np.tile(images, (10, 1)).astype(np.float32)
    rate = [0.1 * (1 - epoch / 600) for epoch in range(600)]
    options = {"n_components": 16, "n_iter": 600, "batch_size": 28, "learning_rate": rate, "momentum": 0.5, "weight_decay": 1e-4}
    model = small(**options, **more).fit(X)
    states = naive.bits(9)
    log_z = np.logaddexp.reduce(model.score_samples(states))
    likelihood = model.score_samples(images).mean() - log_z
    p = images.mean(axis=0)
    baseline = (p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    best = -np.log(14)
    assert baseline < -6.2 and best > -2.7
    assert likelihood > (baseline + best) / 2
