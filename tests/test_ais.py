"""Annealed importance sampling, forward and reverse, against enumeration."""

import warnings

import exact
import numpy as np
import pytest

from fastdbn import RBM, EstimateWarning, evaluate
from fastdbn.backends.cpu import backend
from fastdbn.evaluate.ais import Chains, base_biases
from fastdbn.evaluate.estimate import estimate
from fastdbn.evaluate.schedule import inverse_temperatures

pytestmark = pytest.mark.filterwarnings("ignore::fastdbn.EstimateWarning")
PAIRS = [
    ("bernoulli", "bernoulli"),
    ("spin", "spin"),
    ("gaussian", "bernoulli"),
    ("bernoulli", "gaussian"),
    ("softmax:4", "bernoulli"),
    ("bernoulli", "softmax:5"),
    ("binomial:3", "spin"),
]
COMMON = PAIRS[0], PAIRS[4]


def machine(visible="bernoulli", hidden="bernoulli", scale=0.3, seed=0, sizes=(20, 10), **params):
    draw = np.random.default_rng(seed)
    nv, nh = sizes
    W, b, c = draw.normal(size=sizes) * scale, draw.normal(size=nv) * 0.5, draw.normal(size=nh) * 0.5
    return exact.as_rbm(W, b, c, visible, hidden, **params)


def annealed(run, *given, **options):
    """What chains say of machines that are small enough for enumeration."""
    return run(*given, exact=False, **options)


@pytest.mark.parametrize(
    ("visible", "hidden", "dtype"),
    [
        *(pytest.param(*pair, "float32", marks=() if pair in COMMON else pytest.mark.slow) for pair in PAIRS),
        ("bernoulli", "bernoulli", "float64"),
    ],
)
def test_against_enumeration(visible, hidden, dtype):
    """100 chains of 1,000 steps are within 0.1 nat of log Z both ways, for every pair of units."""
    rbm = machine(visible, hidden, dtype=dtype)
    truth = evaluate.log_z(rbm)
    forward = annealed(evaluate.ais, rbm, n_steps=1000, schedule="linear", random_state=0)
    reverse = annealed(evaluate.reverse_ais, rbm, n_steps=1000, schedule="linear", random_state=0)
    assert abs(forward.log_z - truth) < 0.1
    assert abs(reverse.log_z - truth) < 0.1
    assert evaluate.gap(forward, reverse) == reverse.log_z - forward.log_z
    for found in (forward, reverse):
        assert found.is_bound
        assert found.burn_in == 0
        assert found.std_error < 0.1
        assert found.interval[0] < found.log_z < found.interval[1]
        assert 20 < found.ess <= 100
        assert found.log_weights.dtype == np.float64


def test_unbiased_and_on_either_side():
    """Few steps: the mean of Z over runs is right forward, that of 1 / Z in reverse; log Z is too low forward, too high in
    reverse."""
    rbm, runs = machine(scale=0.8, dtype="float64"), range(60)
    truth = evaluate.log_z(rbm)
    forward = np.array([annealed(evaluate.ais, rbm, 40, 12, random_state=s).log_z for s in runs]) - truth
    reverse = np.array([annealed(evaluate.reverse_ais, rbm, 40, 12, random_state=s).log_z for s in runs]) - truth

    def standard_error(x):
        return x.std(ddof=1) / np.sqrt(len(x))

    for errors in (np.exp(forward), np.exp(-reverse)):
        assert abs(errors.mean() - 1) < 4 * standard_error(errors)
    assert forward.mean() < -2 * standard_error(forward)
    assert reverse.mean() > 2 * standard_error(reverse)


def test_standard_error_is_that_of_repeated_runs():
    """The error bar of one run against the spread of many."""
    rbm, runs = machine(scale=0.6), [annealed(evaluate.ais, machine(scale=0.6), 50, 60, random_state=s) for s in range(60)]
    spread = np.std([found.log_z for found in runs], ddof=1)
    assert 0.7 < np.mean([found.std_error for found in runs]) / spread < 1.4  # a standard deviation of 60 runs has 9 % error
    found, w = runs[0], np.exp(runs[0].log_weights - runs[0].log_weights.max())
    assert np.isclose(found.ess, w.sum() ** 2 / (w**2).sum())
    assert found.n_steps == 60 and not found.is_exact
    alone = annealed(evaluate.ais, rbm, 1, 5, random_state=0)
    assert np.isnan(alone.std_error)
    assert np.allclose(alone.interval, [alone.log_z - np.log(40), np.inf])


RUNS = {  # scale of the weights, steps, and the share of runs that the interval covers at least
    "even weights": (0.3, 50, 0.94),
    "uneven weights": (0.8, 10, 0.94),
    "skewed weights": (1.5, 8, 0.93),
    "very skewed weights": (3.0, 8, 0.89),  # of which the result warns
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_the_interval_covers(name, reverse):
    """In about 95 of 100 runs: chains are independent, so groups of them are runs."""
    scale, n_steps, least = RUNS[name]
    rbm, run, sign = machine(scale=scale, sizes=(12, 8)), (evaluate.ais, evaluate.reverse_ais)[reverse], (1, -1)[reverse]
    truth, whole = evaluate.log_z(rbm), annealed(run, rbm, 6000, n_steps, schedule="linear", random_state=1)
    log_z_0 = whole.log_z - estimate(0.0, whole.log_weights, sign, True, 0, n_steps).log_z
    for n in (4, 10, 20, 60):
        found = [estimate(log_z_0, part, sign, True, 0, n_steps).interval for part in whole.log_weights.reshape(-1, n)]
        covered = np.mean([low <= truth <= high for low, high in found])
        assert covered > least - 2 * np.sqrt(least * (1 - least) / len(found)), (n, covered)
        if name == "even weights":
            assert covered < 0.995  # it is no wider than it must be


def test_the_interval_of_skewed_weights():
    """Few weights dominate (lognormal), some count nothing (a tail to the left), all but a fifth count nothing."""
    draw, runs, n = np.random.default_rng(0), 1000, 20
    tail = draw.gamma(0.5, 4.0, (runs, n))
    some = np.where(draw.random((runs, 100)) < 0.2, 0.0, -4.0)
    for logs, truth in (
        (draw.normal(0, 1, (runs, n)), 0.5),
        (draw.normal(0, 3, (runs, n)), 4.5),
        (-tail, -0.5 * np.log(5)),
        (some, np.log(0.2 + 0.8 * np.exp(-4))),
    ):
        ends = np.array([estimate(0.0, row, 1, True, 0, 1).interval for row in logs])
        assert 0.93 < np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])) < 0.995
        mirrored = np.array([estimate(0.0, -row, -1, True, 0, 1).interval for row in logs])
        assert np.allclose(mirrored, -ends[:, ::-1])


def test_few_chains_that_count():
    """A warning says how many, and what to do; the interval is wide."""
    rbm = machine(scale=4.0, sizes=(30, 30))
    for run in (evaluate.ais, evaluate.reverse_ais):
        with pytest.warns(EstimateWarning, match="of 50 chains count .* Raise n_steps .it was 5.") as found:
            few = run(rbm, 50, 5, random_state=0)
        assert len(found) == 1 and found[0].filename == __file__
        assert few.ess < 50 / 4 and few.half_width > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error", EstimateWarning)
        annealed(evaluate.ais, machine(), 50, 500, random_state=0)


def test_a_precision_takes_steps():
    """The number of steps rises until the interval is that narrow, or up to the limit, which brings a warning."""
    rbm = machine(scale=1.0)
    truth = evaluate.log_z(rbm)
    for run in (evaluate.ais, evaluate.reverse_ais):
        found = annealed(run, rbm, 50, 10, precision=0.03, schedule="linear", random_state=0)
        assert found.half_width <= 0.03 and found.n_steps > 100
        assert abs(found.log_z - truth) < 0.06
        assert annealed(run, rbm, 50, 10, precision=5.0, random_state=0).n_steps == 10
        with pytest.warns(EstimateWarning, match="after 40 steps, and precision=0.01 was asked for: raise max_steps") as told:
            assert annealed(run, rbm, 50, 10, precision=0.01, max_steps=40, random_state=0).n_steps == 40
        assert len(told) == 1
    with pytest.raises(ValueError, match=r"precision=0\.1 needs a schedule"):
        annealed(evaluate.ais, rbm, schedule=[0, 0.5, 1], precision=0.1)
    with pytest.raises(ValueError, match="n_steps=7, and schedule is an array of 2 steps: leave n_steps out"):
        annealed(evaluate.ais, rbm, n_steps=7, schedule=[0, 0.5, 1])
    with pytest.raises(ValueError, match="max_steps=40 bounds the steps for a precision: give precision, or n_steps instead"):
        annealed(evaluate.ais, rbm, max_steps=40)
    with pytest.raises(ValueError, match="n_steps=50 is more than max_steps=40"):
        annealed(evaluate.ais, rbm, n_steps=50, max_steps=40, precision=0.1)


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_small_machines_are_exact(visible, hidden):
    """Without being asked, in both directions, and the result says so; one unit more, and chains run."""
    rbm = machine(visible, hidden)
    for run in (evaluate.ais, evaluate.reverse_ais):
        found = run(rbm)
        assert found.log_z == evaluate.log_z(rbm) and found.interval == (found.log_z, found.log_z)
        assert (found.is_exact, found.std_error, found.n_steps, len(found.log_weights)) == (True, 0.0, 0, 0)
    large = machine(sizes=(26, 26), scale=0.05)
    assert not evaluate.ais(large, 4, 4, random_state=0).is_exact
    assert evaluate.ais(machine(sizes=(3, 26))).is_exact


def test_the_published_schedule():
    """14,500 steps: 500 up to 0.5, 4,000 up to 0.9, 10,000 up to 1; other numbers in proportion; arrays as they are."""
    betas = evaluate.inverse_temperatures()
    assert len(betas) == 14_501
    assert np.allclose(betas[[0, 1, 500, 501, 4500, 4501, 14_500]], [0, 0.001, 0.5, 0.5001, 0.9, 0.90001, 1])
    assert np.allclose(evaluate.inverse_temperatures("sm2008", 145)[[0, 5, 45, 145]], [0, 0.5, 0.9, 1])
    assert np.allclose(evaluate.inverse_temperatures("linear", 4), [0, 0.25, 0.5, 0.75, 1])
    assert np.array_equal(evaluate.inverse_temperatures([0, 0.3, 1]), [0, 0.3, 1])
    for bad in ([0, 0.5], [0, 0.5, 0.5, 1], "cubic", [[0, 1]]):
        with pytest.raises(ValueError, match="schedule"):
            evaluate.inverse_temperatures(bad)
    with pytest.raises(ValueError, match="n_chains=0"):
        annealed(evaluate.ais, machine(), 0)


def test_base_of_the_data():
    """Means of training rows, smoothed, so that columns of one value stay finite; it is nearer to the model than none."""
    draw = np.random.default_rng(0)
    X = np.c_[np.zeros(400), np.ones(400), (draw.random((400, 10)) < 0.3)].astype(np.float32)
    rbm = RBM(6, n_iter=5, random_state=0).fit(X)
    p = 0.95 * X.mean(axis=0, dtype=float) + 0.025
    assert np.allclose(base_biases(rbm, X), np.log(p / (1 - p)))
    assert np.array_equal(base_biases(rbm), rbm.intercept_visible_)
    truth = evaluate.log_z(rbm)
    assert abs(annealed(evaluate.ais, rbm, n_steps=200, X=X, random_state=0).log_z - truth) < 0.1
    groups = np.eye(3)[draw.integers(0, 2, 50)]
    soft = base_biases(RBM(2, visible="softmax", n_iter=0).fit(groups), groups)
    assert np.allclose(np.exp(soft), 0.95 * groups.mean(axis=0) + 0.05 / 3)
    real = RBM(2, n_iter=0).fit(X * 5 - 1)
    assert np.allclose(base_biases(real, X * 5 - 1), 0, atol=1e-5)


def test_reverse_from_burn_in_is_no_bound():
    """Machines that cannot be enumerated start at rows and Gibbs steps, and say so."""
    rbm = machine(sizes=(25, 24))
    X = (np.random.default_rng(0).random((30, 25)) < 0.5).astype(np.float32)
    for options in ({}, {"X": X}, {"X": X * 0.5 + 0.2}):
        found = annealed(evaluate.reverse_ais, rbm, n_steps=500, random_state=0, **options)
        assert not found.is_bound
        assert found.burn_in == 1000
        assert abs(found.log_z - annealed(evaluate.ais, rbm, n_steps=500, random_state=0).log_z) < 0.1
    found = annealed(evaluate.reverse_ais, machine(), n_steps=500, burn_in=20, random_state=0)
    assert (found.is_bound, found.burn_in) == (False, 20)
    with pytest.raises(ValueError, match="burn_in=0"):
        annealed(evaluate.reverse_ais, machine(), burn_in=0)


def test_same_bits_at_any_number_of_threads(split_everything):
    """The weights of all chains, forward and in reverse."""
    results = []
    for threads in (1, 2, 3):
        rbm = machine(sizes=(130, 10), n_jobs=threads)
        found = [annealed(run, rbm, n_steps=30, random_state=5).log_weights for run in (evaluate.ais, evaluate.reverse_ais)]
        results.append(np.concatenate(found).tobytes())
    assert results.count(results[0]) == 3
    assert annealed(evaluate.ais, rbm, n_steps=30, random_state=6).log_weights.tobytes() not in results[0]


@pytest.mark.parametrize(
    ("visible", "hidden", "sizes", "n_chains", "dtype"),
    [
        ("bernoulli", "bernoulli", (130, 70), 3, "float32"),
        ("bernoulli", "bernoulli", (130, 70), 600, "float32"),
        pytest.param("gaussian", "bernoulli", (9, 10), 7, "float32", marks=pytest.mark.slow),
        ("softmax:4", "bernoulli", (8, 67), 40, "float32"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_one_call_is_the_operations(visible, hidden, sizes, n_chains, dtype, reverse, monkeypatch, split_everything):
    """All steps in compiled calls leave the log weights and the states of single operations, bit for bit."""
    monkeypatch.setattr(backend, "ANNEALED", 4)
    betas, found, composed, operations = inverse_temperatures("linear", 11), [], [], Chains._anneal
    monkeypatch.setattr(Chains, "_anneal", lambda *given: composed.append(True) or operations(*given))
    for fused in (True, False):
        rbm = machine(visible, hidden, 0.1, sizes=sizes, dtype=dtype, n_jobs=3)
        chains = Chains(rbm, np.linspace(-1, 1, sizes[0]), n_chains, seed=3)
        chains.start_at_base()
        if not fused:
            monkeypatch.setattr(backend.CPU, "anneal", lambda *_: None)
        found.append(chains.anneal(betas, reverse).tobytes() + chains.v.tobytes())
    assert found[0] == found[1]
    assert len(composed) == 1


def test_a_machine_without_z(monkeypatch):
    """Gaussian units on both sides with weights above one have no normaliser: the error says so."""
    monkeypatch.setattr(backend.CPU, "anneal", lambda *_: None)  # which would be compiled for this pair alone
    rbm = machine("gaussian", "gaussian", sizes=(4, 3))
    rbm.components_ = rbm.components_ * 100
    with pytest.raises(ValueError, match="that a gaussian-gaussian machine has no Z"), np.errstate(all="ignore"):
        annealed(evaluate.ais, rbm, n_steps=500, random_state=0)
