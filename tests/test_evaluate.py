"""Likelihoods against enumeration."""

import exact
import naive
import numpy as np
import pytest

from fastdbn import DBN, RBM, DBNOutlierDetector, evaluate

KINDS = {
    "bernoulli": ("bernoulli", "bernoulli"),
    "spin": ("spin", "spin"),
    "softmax": ("softmax:3", "bernoulli"),
    "softmax hidden": ("bernoulli", "softmax:3"),
    "gaussian hidden": ("bernoulli", "gaussian"),
}


def states_of(unit, n):
    """All states of a layer."""
    if unit == "spin":
        return 2 * naive.bits(n) - 1
    if unit == "softmax:3":
        groups = [naive.one_hots(3)] * (n // 3)
        return np.array([np.concatenate(rows) for rows in naive.itertools.product(*groups)])
    return naive.bits(n)


class Small:
    """A 6x3 machine of any pair of units, its visible states and their exact log-probabilities."""

    def __init__(self, kind, seed=0, scale=0.7, dtype="float64"):
        self.visible, self.hidden = KINDS[kind]
        draw = np.random.default_rng(seed)
        W, b, c = draw.normal(size=(6, 3)) * scale, draw.normal(size=6), draw.normal(size=3)
        self.V = states_of(self.visible, 6)
        if self.hidden == "gaussian":
            scores = self.V @ b + 0.5 * ((self.V @ W + c) ** 2).sum(axis=1)
        else:
            scores = np.logaddexp.reduce(exact.log_joint(self.V, states_of(self.hidden, 3), W, b, c), axis=1)
        self.log_z = np.logaddexp.reduce(scores)
        self.log_p = scores - self.log_z
        self.rbm = exact.as_rbm(W, b, c, self.visible, self.hidden, dtype=dtype)

    def chi_square(self, X):
        """How far the counts of states among rows are from p(v), in standard deviations of the statistic."""
        place = (X[:, None] == self.V).all(axis=2).argmax(axis=1)
        expected = len(X) * np.exp(self.log_p)
        statistic = ((np.bincount(place, minlength=len(self.V)) - expected) ** 2 / expected).sum()
        freedom = len(self.V) - 1
        return (statistic - freedom) / np.sqrt(2 * freedom)

    def given_rest(self):
        """(states, units or groups) log p(v_i | v_-i), by summing probabilities of the states that agree elsewhere."""
        size = 3 if self.visible == "softmax:3" else 1
        out = np.empty((len(self.V), 6 // size))
        for r, v in enumerate(self.V):
            for g in range(6 // size):
                rest = np.delete(np.arange(6), np.s_[g * size : (g + 1) * size])
                agree = (self.V[:, rest] == v[rest]).all(axis=1)
                out[r, g] = self.log_p[r] - np.logaddexp.reduce(self.log_p[agree])
        return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_log_likelihood(kind, dtype):
    """log Z and log p(v) of every v against sums over all pairs of states."""
    small, tolerance = Small(kind, dtype=dtype), 1e-5 if dtype == "float32" else 1e-12
    assert np.isclose(evaluate.log_z(small.rbm), small.log_z, atol=tolerance, rtol=0)
    assert np.allclose(evaluate.log_likelihood(small.rbm, small.V), small.log_p, atol=tolerance, rtol=0)
    shifted = evaluate.log_likelihood(small.rbm, small.V, log_z=small.log_z + 1)
    assert np.allclose(shifted, small.log_p - 1, atol=tolerance, rtol=0)


@pytest.mark.parametrize("shape", [(3, 14), (14, 3), (1, 1)])
def test_log_z_takes_the_smaller_side(shape, monkeypatch):
    """Either side may be enumerated, in blocks that do not divide the states; the result is the same."""
    monkeypatch.setattr("fastdbn.machine.enumeration.block_rows", lambda width: 7)
    machine = exact.Machine(*shape, seed=1)
    assert np.isclose(evaluate.log_z(exact.as_rbm(machine.W, machine.b, machine.c, dtype="float64")), machine.log_z(), atol=1e-11)


def test_log_z_of_other_units_by_quadrature():
    """One real visible unit: Z is an integral, over Bernoulli hidden units in closed form; binomial units are enumerated."""
    W, b, c = np.array([[0.8, -0.5]]), np.array([0.3]), np.array([-0.2, 0.4])
    x = np.linspace(-15, 15, 60_001)
    hidden = np.logaddexp(0, x[:, None] * W + c).sum(axis=1)
    density = np.exp(b * x - 0.5 * x * x + hidden)
    for visible, integral in (("gaussian", density.sum() / np.sqrt(2 * np.pi)), ("rectified", density[x > 0].sum())):
        rbm = exact.as_rbm(W, b, c, "gaussian", dtype="float64")
        rbm.visible_ = visible
        assert np.isclose(evaluate.log_z(rbm), np.log(integral * (x[1] - x[0])), atol=1e-3 if visible == "rectified" else 1e-9)
    count = np.arange(4.0)[:, None]
    binomial = np.log([1, 3, 3, 1]) + count[:, 0] * b + np.logaddexp(0, count * W + c).sum(axis=1)
    rbm = exact.as_rbm(W[:, :1].repeat(2, axis=1), b, c, "binomial:3", "gaussian", dtype="float64")
    gaussian = np.log([1, 3, 3, 1]) + count[:, 0] * b + 0.5 * ((count * W[0, 0] + c) ** 2).sum(axis=1)
    assert np.isclose(evaluate.log_z(rbm), np.logaddexp.reduce(gaussian), atol=1e-12)
    rbm = exact.as_rbm(W, b, c, "binomial:3", dtype="float64")
    assert np.isclose(evaluate.log_z(rbm), np.logaddexp.reduce(binomial), atol=1e-12)


def test_log_likelihood_is_a_density_of_the_rows_given(composed):
    """Where the model standardises its columns, log p(x) integrates to one over x itself, not over what is inside."""
    X = np.random.default_rng(0).normal(3, 7, (50, 1))
    rbm = RBM(2, n_iter=3, dtype="float64", random_state=0).fit(X)
    x = np.linspace(-80, 90, 20_001)[:, None]
    assert np.isclose(np.exp(evaluate.log_likelihood(rbm, x)).sum() * (x[1, 0] - x[0, 0]), 1, atol=1e-6)


def test_large_weights_do_not_overflow():
    """Fields of hundreds, whose exponentials no float holds, leave log Z and the pseudo-likelihood right."""
    machine = exact.Machine(5, 3, scale=400.0)
    V, H = naive.bits(5), naive.bits(3)
    joint = exact.log_joint(V, H, machine.W, machine.b, machine.c)
    for dtype in ("float32", "float64"):
        rbm = exact.as_rbm(machine.W, machine.b, machine.c, dtype=dtype)
        assert np.isclose(evaluate.log_z(rbm), np.logaddexp.reduce(joint, axis=None), rtol=1e-6)
        assert np.isfinite(evaluate.pseudo_log_likelihood(rbm, V)).all()
        assert np.isfinite(evaluate.ais(rbm, n_steps=50, exact=False, random_state=0).log_z)


def test_what_is_too_large_or_no_rbm():
    """Errors have the sizes, or the estimator to give."""
    X = np.random.default_rng(0).integers(0, 2, (10, 40))
    with pytest.raises(ValueError, match=r"40 bernoulli units visible \(2\^40 states\), 30 bernoulli.*ais"):
        evaluate.log_z(RBM(30, n_iter=0).fit(X))
    with pytest.raises(ValueError, match=r"gaussian units visible \(not countable\)"):
        evaluate.log_z(RBM(30, visible="gaussian", n_iter=0).fit(X))
    with pytest.raises(ValueError, match=r"model=DBN: give a fitted RBM.*top_rbm"):
        evaluate.log_z(DBN((3, 2), rbm=RBM(n_iter=0)).fit(X))
    with pytest.raises(ValueError, match="log_z=nan"):
        evaluate.log_likelihood(RBM(3, n_iter=0).fit(X), X, log_z=np.nan)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_samples_and_chains_begun_there(kind):
    """Independent draws have the shares p(v), and chains begun at them keep those shares: Gibbs steps leave p(v) as it is."""
    small = Small(kind)
    X = evaluate.exact_samples(small.rbm, 20_000, random_state=0)
    assert small.chi_square(X) < 5
    assert small.chi_square(small.rbm.gibbs(X, 3, random_state=1)) < 5
    assert small.chi_square(small.V[np.random.default_rng(0).integers(0, len(small.V), 20_000)]) > 20
    assert np.array_equal(X[:5], evaluate.exact_samples(small.rbm, 20_000, random_state=0)[:5])


def test_exact_samples_of_real_units():
    """Gaussian visible units: the mixture's mean and covariance."""
    machine = exact.Machine(3, 2, seed=2)
    X = evaluate.exact_samples(exact.as_rbm(machine.W, machine.b, machine.c, "gaussian"), 40_000, random_state=0)
    means = machine.b + machine.H @ machine.W.T
    logs = machine.H @ machine.c + 0.5 * (means**2).sum(axis=1)
    p = np.exp(logs - np.logaddexp.reduce(logs))
    mean = p @ means
    covariance = np.eye(3) + (means - mean).T @ ((means - mean) * p[:, None])
    error = np.sqrt(np.diag(covariance) / len(X))
    assert (np.abs(X.mean(axis=0) - mean) < 5 * error).all()
    assert np.allclose(np.cov(X.T), covariance, atol=5 * 2 * np.diag(covariance).max() / np.sqrt(len(X)))


def test_bars_and_stripes_ceiling():
    """No likelihood of all patterns is above that of their own shares; a trained machine comes near it, from below."""
    ceilings = {2: (-13.863, -10.751), 3: (-41.589, -36.947), 4: (-108.131, -102.036)}
    for n, (double, unique) in ceilings.items():
        patterns = exact.bars_and_stripes(n)
        count = np.ones(len(patterns)) + ((patterns == patterns[:, :1]).all(axis=1))  # blank and full are bars and stripes
        assert np.isclose((count * np.log(count / count.sum())).sum(), double, atol=1e-3)
        assert np.isclose(-len(patterns) * np.log(len(patterns)), unique, atol=1e-3)
    X = exact.bars_and_stripes(3)
    rate = [0.2 * (1 - epoch / 150) for epoch in range(150)]
    settings = {"persistent": True, "n_chains": 200, "k": 5, "batch_size": 70, "momentum": 0.0, "weight_decay": 0.0}
    rbm = RBM(16, learning_rate=rate, n_iter=150, random_state=0, **settings).fit(np.tile(X, (100, 1)))
    assert -45 < evaluate.log_likelihood(rbm, X).sum() <= ceilings[3][1]
    assert np.isclose(np.exp(evaluate.log_likelihood(rbm, naive.bits(9))).sum(), 1, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_pseudo_likelihood(kind):
    """Exactly log p(v_i | v_-i) summed over units or groups; the stochastic form takes each of them in turn."""
    small = Small(kind)
    terms = small.given_rest()
    assert np.allclose(evaluate.pseudo_log_likelihood(small.rbm, small.V), terms.sum(axis=1), atol=1e-10)
    few = [evaluate.pseudo_log_likelihood(small.rbm, small.V, exact=False, random_state=s) for s in range(40)]
    count = terms.shape[1]
    nearest = np.abs(np.array(few)[:, :, None] - count * terms).min(axis=2)
    assert nearest.max() < 1e-9
    standard_error = count * terms.std(axis=1) / np.sqrt(len(few))
    assert (np.abs(np.mean(few, axis=0) - terms.sum(axis=1)) < 4.5 * standard_error + 1e-9).all()
    again = evaluate.pseudo_log_likelihood(small.rbm, small.V, exact=False, random_state=7)
    assert np.array_equal(few[7], again)


def test_pseudo_likelihood_refuses():
    """Units without a few states, and values between those of two-valued units, name the remedy."""
    X = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ValueError, match=r"visible='gaussian'.*two values"):
        evaluate.pseudo_log_likelihood(RBM(2, n_iter=0).fit(X), X)
    X = np.array([[0.0, 1.0], [1.0, 0.25]])
    with pytest.raises(ValueError, match=r"0.25 in row 1, column 1.*binarise"):
        evaluate.pseudo_log_likelihood(RBM(2, n_iter=0).fit(X), X)
    evaluate.pseudo_log_likelihood(RBM(2, n_iter=0, binarize=0.5).fit(X), X)


def test_free_energy_gap():
    """Positive where validation rows are less probable."""
    small = Small("bernoulli")
    likely, unlikely = small.V[small.log_p.argmax()][None], small.V[small.log_p.argmin()][None]
    assert np.isclose(evaluate.free_energy_gap(small.rbm, likely, unlikely), np.ptp(small.log_p))
    with pytest.raises(ValueError, match="X_validation: X has 1 features"):
        evaluate.free_energy_gap(small.rbm, likely, unlikely[:, :1])
    detector = DBNOutlierDetector.stack([small.rbm], likely)
    assert np.isclose(evaluate.free_energy_gap(detector, likely, unlikely), np.ptp(small.log_p)), "the gap has no penalties"


class Stack:
    """A DBN of two RBMs with the parameters given, and exact log p(v) by summing over the hidden layer between them."""

    def __init__(self, below, above):
        self.V, self.H = below.V, below.H
        self.dbn = DBN.stack([exact.as_rbm(m.W, m.b, m.c, dtype="float64") for m in (below, above)])
        self.log_z = above.log_z()
        given = below.b + self.H @ below.W.T
        log_conditional = self.V @ given.T - np.logaddexp(0, given).sum(axis=1)
        self.log_p = np.logaddexp.reduce(log_conditional + above.log_p(self.H), axis=1)


@pytest.mark.parametrize("seed", [0, 1])
def test_tied_stack_is_its_first_rbm(seed):
    """With W' on top and the biases exchanged, log p(v) is the first RBM's own and the bound is tight, whatever is drawn."""
    below = exact.Machine(4, 3, seed)
    above = exact.Machine(3, 4, seed)
    above.W, above.b, above.c = below.W.T, below.c, below.b
    stack = Stack(below, above)
    assert np.allclose(stack.log_p, below.log_p(below.V), atol=1e-13)
    for found in evaluate.dbn_bound(stack.dbn, stack.V, n_samples=3, random_state=seed):
        assert np.allclose(found, stack.log_p, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bound_of_an_untied_stack(seed):
    """The variational bound's exact expectation lies under log p(v) everywhere, the estimates are near it, and many draws
    tighten it to log p(v)."""
    below, above = exact.Machine(4, 3, seed), exact.Machine(3, 2, seed + 10)
    stack = Stack(below, above)
    fields = below.V @ below.W + below.c
    log_q = fields @ below.H.T - np.logaddexp(0, fields).sum(axis=1)[:, None]
    given = below.b + below.H @ below.W.T
    inside = below.V @ given.T - np.logaddexp(0, given).sum(axis=1) + above.log_p(below.H) - log_q
    expected = (np.exp(log_q) * inside).sum(axis=1)
    assert (expected <= stack.log_p).all()
    assert (stack.log_p - expected).mean() > 0.03
    found = evaluate.dbn_bound(stack.dbn, stack.V, stack.log_z, n_samples=4000, random_state=seed)
    spread = (np.exp(log_q) * (inside - expected[:, None]) ** 2).sum(axis=1)
    assert (np.abs(found.bound - expected) < 5 * np.sqrt(spread / 4000) + 1e-10).all()
    assert (found.tightened >= found.bound).all()
    w = np.exp(inside - stack.log_p[:, None])
    error = np.sqrt((np.exp(log_q) * (w - 1) ** 2).sum(axis=1) / 4000)
    assert (np.abs(np.exp(found.tightened - stack.log_p) - 1) < 5 * error).all()
    assert np.allclose(stack.dbn.score_samples(stack.V, 4000) - stack.log_z, expected, atol=5 * np.sqrt(spread.max() / 4000))
    few = evaluate.dbn_bound(stack.dbn, stack.V, stack.log_z, n_samples=10, random_state=seed)
    again = evaluate.dbn_bound(stack.dbn, stack.V[::-1], stack.log_z, n_samples=10, random_state=seed)
    assert np.array_equal(few.bound, again.bound[::-1])


def test_bound_of_one_layer_and_errors():
    """A DBN of one layer has its RBM's log p(v) itself."""
    small = Small("bernoulli")
    bound = evaluate.dbn_bound(DBN.stack([small.rbm]), small.V, n_samples=2)
    assert np.allclose(bound.bound, small.log_p, atol=1e-12)
    assert np.allclose(bound.tightened, small.log_p, atol=1e-12)
    with pytest.raises(ValueError, match=r"0\.5 in row 0, column 2"):
        evaluate.dbn_bound(DBN.stack([small.rbm]), small.V * [1, 1, 0.5, 1, 1, 1] + [0, 0, 0.5, 0, 0, 0])
    with pytest.raises(ValueError, match="dbn=RBM: give a fitted DBN"):
        evaluate.dbn_bound(small.rbm, small.V)
