"""Trajectory tempering: exchanges between machines against exact laws, and what comes with a fit: log Z, likelihoods, shares."""

import numpy as np
import pytest
from exact import Machine
from runs import BERNOULLI

from fastdbn import RBM, evaluate, load
from fastdbn import Machine as PublicMachine
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.devices import get_backend
from fastdbn.backends.ladders import Rounds
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine
from fastdbn.machine.enumeration import Enumeration
from fastdbn.machine.ladder import Ladder, log_ratio, sum_f
from fastdbn.training.options import trajectory

CHAINS = {"persistent": True, "trajectory": 0.4, "weight_decay": 0.0, "monitor_interval": 1, "random_state": 0}
PATTERNS = np.kron(np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]), np.ones(8))
SHARES = np.array([0.1, 0.2, 0.3, 0.4])


def four_modes(n=1000):
    """Rows near four patterns, in unequal shares."""
    draw = np.random.default_rng(0)
    rows = PATTERNS[draw.choice(4, n, p=SHARES)]
    return np.abs(rows - (draw.random(rows.shape) < 0.01)).astype(np.float32)


def shares(V):
    """The share of the rows that are nearest to each pattern."""
    return np.bincount(np.argmin(((V[:, None] - PATTERNS) ** 2).sum(axis=2), axis=1), minlength=4) / len(V)


# ---- the ladder


def test_exchanges_keep_the_law_of_each_machine_and_give_the_ratio_of_their_sums():
    """Chains that start exactly stay exact within 5 errors. Bridges give log Z's differences."""
    exact, n, backend = [Machine(6, 4, seed=1, scale=scale) for scale in (0.0, 0.7, 1.4)], 400, get_backend(1, "float64")
    machines = [BlockMachine(backend, BERNOULLI, BERNOULLI, Params(*map(backend.array, (m.W, m.b, m.c)))) for m in exact]
    ladder, found, sums = Ladder(machines, n, np.concatenate([m.draw(n, 7) for m in exact])), [], np.zeros((2, 2))
    draw, powers = np.random.default_rng(0), 2 ** np.arange(6)[::-1]
    for step in range(100):
        ratios = ladder.run(Rounds(step, 1, (0, 2, 2), 0, 3, 0, 0), np.log1p(-draw.random((1, 2, n))))[0]
        sums += np.column_stack([sum_f(ratios[:, 0]), sum_f(-ratios[:, 1])])
        found.append([np.bincount((v @ powers).astype(int), minlength=64) / n for v in ladder.v.reshape(3, n, 6)])
    for i, machine in enumerate(exact):
        mean, error = np.mean(found, axis=0)[i], np.std(found, axis=0)[i] / np.sqrt(20)  # five steps to forget a state
        assert (np.abs(mean - machine.p_v()) < 5 * error + 1e-3).all()
    assert (ladder.swaps[1] == 100 * n).all()
    assert (ladder.swaps[0] > 0.1 * ladder.swaps[1]).all()
    log_z = np.array([machine.log_z() for machine in exact])
    assert np.allclose(np.log(sums[:, 0] / sums[:, 1]), np.diff(log_z), atol=0.1)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "spin"])
def test_log_ratio_is_the_difference_of_free_energies(visible):
    draw = np.random.default_rng(0)
    v = {"bernoulli": lambda x: x > 0, "gaussian": lambda x: x, "spin": np.sign}[visible](draw.normal(size=(5, 6))).astype(float)
    shapes = (6, 4), 6, 4
    a, b = (PublicMachine(*(draw.normal(size=n) for n in shapes), visible, dtype="float64") for _ in range(2))
    found = log_ratio(a, b, a.backend.array(v))
    assert np.allclose(found, a.free_energy(v) - b.free_energy(v))


def test_overlap_is_the_expected_rate_of_exchanges():
    logs = np.random.default_rng(0).normal(size=30)
    w = np.exp(logs)
    assert np.isclose(trajectory._overlap(logs), np.minimum(1, w[:, None] / w).mean(axis=0) @ w / w.sum())


# ---- fits


@pytest.fixture(scope="module")
def tempered():
    """A fit to four modes, and its log Z, estimated and exact, in each fifth epoch."""
    found = []

    def note(estimator, epoch, metrics, **_):
        if epoch % 5 == 0:
            found.append((metrics["log_z"], evaluate.log_z(estimator)))

    rbm = RBM(
        8,
        n_iter=40,
        learning_rate=[0.1 * (1 - i / 40) for i in range(40)],
        batch_size=50,
        n_chains=200,
        callbacks=[note],
        **CHAINS,
    )
    return rbm.fit(four_modes()), np.array(found)


def test_log_z_of_a_fit(tempered):
    rbm, found = tempered
    assert (np.abs(found[:, 0] - found[:, 1]) < 0.2).all()
    assert 3 <= len(rbm._extras["ladder_b"]) <= trajectory.LONGEST
    exact = evaluate.log_likelihood(rbm, four_modes(), found[-1, 1]).mean()
    assert abs(rbm.history_["log_likelihood"][-1] - exact) < 0.4  # of up to 256 rows
    assert np.isnan(rbm.history_["validation_log_likelihood"]).all()
    assert (rbm.history_["swap_rate"] > 0.1).all()


def test_shares_of_modes(tempered):
    """The chains have the model's shares, within 3.5 standard errors. Plain ones do not."""
    rbm, _ = tempered
    plain = RBM(**rbm.get_params() | {"trajectory": None, "callbacks": None}).fit(four_modes())
    errors = []
    for model in (rbm, plain):
        exact = shares(Enumeration(model.machine_).draw(4000, 0)).clip(1e-3)
        found = shares(model.machine_.visible(model._chains, draw=True, random_state=0))
        errors.append((np.abs(found - exact) / np.sqrt(exact * (1 - exact) / len(model._chains))).max())
    assert errors[0] < 3.5 < errors[1]


def test_samples_by_the_trajectory_have_the_shares_of_the_model(tempered):
    """Within 4 standard errors, also those that start in one mode."""
    rbm, _ = tempered
    exact, n = shares(Enumeration(rbm.machine_).draw(4000, 0)), 400
    for start in (None, np.tile(PATTERNS[:1], (n, 1))):
        found = shares(rbm.sample(n, 40, random_state=0, start=start, method="trajectory"))
        assert (np.abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) * (1 / n + 1 / 4000))).all()


def test_only_a_fit_with_a_trajectory_can_be_sampled_by_it(tmp_path):
    rbm = RBM(4, n_iter=2, **CHAINS).fit(four_modes(100))
    rbm.save(tmp_path / "model")
    drawn = [model.sample(5, 3, random_state=0, method="trajectory") for model in (rbm, load(tmp_path / "model"))]
    assert drawn[0].tobytes() == drawn[1].tobytes()
    with pytest.raises(ValueError, match="is for RBMs that were trained with trajectory"):
        RBM(4, n_iter=1).fit(four_modes(100)).sample(5, method="trajectory")


def test_the_bits_depend_neither_on_threads_nor_on_the_route(monkeypatch):
    X, options = four_modes(200), CHAINS | {"n_iter": 6, "learning_rate": 0.3, "k": 2}
    one, two = (RBM(70, n_jobs=n, **options).fit(X) for n in (1, 2))
    monkeypatch.setattr(CPU, "cd_steps", lambda *_: False)
    composed = RBM(70, n_jobs=1, **options).fit(X)
    assert len(one._extras["ladder_b"]) > 2
    for other in (two, composed):
        assert other.components_.tobytes() == one.components_.tobytes()
        assert all(other._extras[name].tobytes() == x.tobytes() for name, x in one._extras.items())
        assert np.array_equal(other.history_["log_z"], one.history_["log_z"])


def test_early_stopping_reads_the_likelihood_of_rows_held_out():
    options = CHAINS | {"validation_fraction": 0.3, "early_stopping": True, "n_iter_no_change": 3, "learning_rate": 0.2}
    rbm = RBM(40, n_iter=60, **options | {"monitor_interval": 9}).fit(four_modes(100))
    measured = rbm.history_["validation_log_likelihood"]
    assert np.isfinite(measured).all()
    assert len(measured) < 60
    assert measured[-3:].max() < measured.max() + 0.05


def test_chains_of_another_number_go_on():
    X, options = four_modes(100), CHAINS | {"n_iter": 2, "learning_rate": 0.3, "warm_start": True}
    rbm = RBM(4, n_chains=9, **options).fit(X)
    rbm.set_params(n_chains=14).fit(X)
    assert len(rbm._extras["ladder_v"]) == 14 * len(rbm._extras["ladder_bridges"])
    assert np.isfinite(rbm.history_["log_z"]).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"trajectory": 0.25}, "trajectory=0.25 is about chains that go on: give persistent=True"),
        ({"trajectory": 0, "persistent": True}, "trajectory=0: give the rate"),
        ({"trajectory": 1.0, "persistent": True}, "trajectory=1.0"),
        ({"trajectory": True, "persistent": True}, "trajectory=True"),
        ({"trajectory": 0.25, "persistent": True, "temperatures": 3}, "temperatures=3 does not go with trajectory=0.25"),
        ({"trajectory": 0.25, "persistent": True, "fast_learning_rate": 0.1}, "fast_learning_rate=0.1 does not go with"),
        ({"trajectory": 0.25, "persistent": True, "visible": "replicated-softmax"}, "trajectory=0.25 does not go with"),
        ({"monitor": "log_likelihood", "early_stopping": True}, "only with trajectory"),
    ],
    ids=str,
)
def test_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RBM(3, **options).fit(four_modes(20))


def test_a_fit_that_goes_on_without_its_beginning_is_refused():
    rbm = RBM(3, persistent=True, n_iter=1, warm_start=True).fit(four_modes(20))
    with pytest.raises(ValueError, match=r"trajectory=0\.25 needs a new fit"):
        rbm.set_params(trajectory=0.25).fit(four_modes(20))


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("ladder_bridges", lambda x: np.tile(x[:1], (65, 1)), "65 frozen machines where there are 1 to 64"),
        ("ladder_W", lambda x: x[:-1], "where 1 frozen machines of"),
        ("ladder_v", lambda x: x[:-1], "where 1 frozen machines of"),
        ("ladder_v", lambda x: x[:0], "where 1 frozen machines of"),
        ("ladder_v", lambda x: x + 2, "states that bernoulli units do not have"),
        ("ladder_reservoir", lambda x: x - 1, "states that bernoulli units do not have"),
        ("ladder_counts", lambda x: x + 0.5, "no counts"),
        ("ladder_bridges", lambda x: -x, "not positive"),
    ],
)
def test_extras_that_no_fit_leaves_are_refused(name, change, match):
    extras = RBM(3, n_iter=1, n_chains=4, **CHAINS).fit(four_modes(20))._extras
    trajectory.Trajectory.check_extras(extras, BERNOULLI)
    with pytest.raises(ValueError, match=match):
        trajectory.Trajectory.check_extras(extras | {name: change(extras[name])}, BERNOULLI)
