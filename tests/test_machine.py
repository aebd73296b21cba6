"""Machine: energies, conditionals and Gibbs chains against enumeration, for all unit types."""

import numpy as np
import pytest
from test_units import ALL, base, support

from fastdbn import Machine
from fastdbn.machine import block

COUNTABLE = ["bernoulli", "spin", "softmax:3", "binomial:5", "ternary"]


def some_states(unit, n, seed=0):
    """Rows of 3 states of a unit type."""
    draw, states = np.random.default_rng(seed), support(unit, 3)
    if states is None:
        return np.maximum(draw.normal(size=(n, 3)), unit.low)
    return states[draw.integers(len(states), size=n)]


def machine_of(visible="bernoulli", hidden="bernoulli", shape=(3, 3), seed=1, scale=0.7, **more):
    """A machine of random parameters, in float64."""
    draw = np.random.default_rng(seed)
    W, b, c = draw.normal(size=shape) * scale, draw.normal(size=shape[0]) * 0.5, draw.normal(size=shape[1]) * 0.5
    return Machine(W, b, c, ALL[visible], ALL[hidden], **{"dtype": "float64", "n_jobs": 1} | more)


# ---- energies and conditionals


@pytest.mark.parametrize("hidden", COUNTABLE)
@pytest.mark.parametrize("visible", ALL)
def test_free_energy_sums_out_the_hidden_units(visible, hidden):
    """F(v) = -log sum_h e^-E(v, h), and E(v, h) is its formula."""
    machine, v, H = machine_of(visible, hidden), some_states(ALL[visible], 5), support(ALL[hidden], 3)
    energies = machine.energy(np.repeat(v, len(H), axis=0), np.tile(H, (5, 1))).reshape(5, -1)
    assert np.allclose(-np.logaddexp.reduce(-energies, axis=1), machine.free_energy(v))
    W, b, c = machine.params
    expected = base(ALL[visible], v)[:, None] + base(ALL[hidden], H) - (v @ b)[:, None] - H @ c - v @ W @ H.T
    assert np.allclose(energies, expected)


@pytest.mark.parametrize("visible", COUNTABLE)
def test_means_are_expectations(visible):
    """Of each side given the other, by enumeration of the states."""
    machine = machine_of(visible, "bernoulli")
    V, H = support(ALL[visible], 3), support(ALL["bernoulli"], 3)
    p = np.exp(-machine.energy(np.repeat(V, len(H), axis=0), np.tile(H, (len(V), 1)))).reshape(len(V), len(H))
    assert np.allclose(machine.hidden(V), p @ H / p.sum(axis=1, keepdims=True))
    assert np.allclose(machine.visible(H), p.T @ V / p.sum(axis=0)[:, None])


def test_draws_are_named_by_the_seed():
    """The same seed gives the same draws, which are those of the first Gibbs step; another gives others."""
    machine, v = machine_of(shape=(9, 7)), np.random.default_rng(2).integers(0, 2, (50, 9))
    h = machine.hidden(v, draw=True, random_state=3)
    assert np.array_equal(h, machine.gibbs(v, random_state=3).h)
    assert not np.array_equal(h, machine.hidden(v, draw=True, random_state=4))
    assert set(np.unique(h)) == {0.0, 1.0}
    drawn = machine.visible(h, draw=True, random_state=3)
    assert np.array_equal(drawn, machine.gibbs(v, random_state=3).v)
    assert abs(machine.hidden(v[:1].repeat(20_000, axis=0), draw=True).mean(axis=0) - machine.hidden(v[:1])).max() < 0.02


def test_totals_of_counts():
    """Draws have the totals that are asked for, and means are of so many trials."""
    machine, h = machine_of("replicated-softmax"), np.eye(3)
    one = machine.visible(h)
    assert np.allclose(one.sum(axis=1), 1)
    assert np.allclose(machine.visible(h, totals=[4, 0, 7]), one * [[4], [0], [7]])
    assert machine.visible(h, draw=True, totals=[4, 0, 7]).sum(axis=1).tolist() == [4, 0, 7]
    assert machine.gibbs(machine.blank(3, [4, 0, 7]), 5).v.sum(axis=1).tolist() == [4, 0, 7]


def test_parameters_are_copied():
    """A change of the arrays that a machine was made of does not change it."""
    W, v = np.ones((3, 2), np.float32), np.ones((1, 3))
    machine = Machine(W, np.zeros(3), np.zeros(2))
    before = machine.hidden(v)
    W[:] = 0
    assert np.array_equal(machine.hidden(v), before)


def test_weights_of_the_way_down():
    """They make the visible means; all else is of W."""
    one, other = machine_of(seed=1), machine_of(seed=2)
    untied = Machine(*one.params, W_down=other.params.W, dtype="float64")
    h = some_states(ALL["bernoulli"], 5)
    assert np.allclose(untied.visible(h), Machine(other.params.W, *one.params[1:], dtype="float64").visible(h))
    assert np.array_equal(untied.hidden(h), one.hidden(h))
    assert np.array_equal(untied.free_energy(h), one.free_energy(h))


# ---- Gibbs chains

PAIRS = [("bernoulli", "bernoulli"), ("spin", "binomial:5"), ("softmax:3", "bernoulli"), ("ternary", "spin")]
COOLED = [pytest.param(*pair, 0.5, marks=pytest.mark.slow if "spin" in pair else ()) for pair in PAIRS]


@pytest.mark.parametrize("clamped", [False, True])
@pytest.mark.parametrize(("visible", "hidden", "beta"), [*((*pair, None) for pair in PAIRS), *COOLED])
def test_chains_tend_to_the_distribution(visible, hidden, clamped, beta):
    """Shares of visible states after 30 steps, by chi-square: p ~ e^(beta U - base), given the values that are clamped."""
    machine, n = machine_of(visible, hidden), 20_000
    (W, b, c), V, H = machine.params, support(ALL[visible], 3), support(ALL[hidden], 3)
    mask = np.array([clamped, clamped and visible == "softmax:3", clamped and visible == "softmax:3"])
    start = np.tile(V[-1], (n, 1))
    found = machine.gibbs(start, 30, beta=beta, clamp=mask if clamped else None, random_state=5).v
    at = 1.0 if beta is None else beta
    U = (V @ b)[:, None] + H @ c + V @ W @ H.T
    p = np.exp(at * U - base(ALL[visible], V)[:, None] - base(ALL[hidden], H)).sum(axis=1)
    p *= (V[:, mask] == V[-1, mask]).all(axis=1)
    expected = n * p / p.sum()
    counts = (found[:, None] == V).all(axis=2).sum(axis=0)
    assert counts.sum() == n
    possible = expected > 0
    assert not counts[~possible].any()
    chi_square, freedom = ((counts - expected) ** 2 / np.where(possible, expected, 1)).sum(), max(possible.sum() - 1, 1)
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_chains_go_on():
    """Two calls of five steps give what one of ten gives, in all that is returned."""
    machine, v = machine_of(shape=(9, 7)), np.random.default_rng(2).integers(0, 2, (50, 9))
    whole, half = machine.gibbs(v, 10, random_state=3), machine.gibbs(v, 5, random_state=3)
    rest = machine.gibbs(half.v, 5, random_state=3, first_step=5)
    assert all(np.array_equal(x, y) for x, y in zip(whole[:4], rest[:4], strict=True))
    assert np.array_equal(whole.v_mean, machine.visible(whole.h))
    assert not np.array_equal(whole.v, machine.gibbs(half.v, 5, random_state=3).v)


def test_temperatures_of_their_own():
    """A chain at beta 1 is a plain one, whatever its neighbours are at; at 0 it is fair. One number is that of all chains."""
    machine, v = machine_of(), np.zeros((4000, 3))
    beta = np.where(np.arange(4000) % 2, 1.0, 0.0)
    found, plain = machine.gibbs(v, 4, beta=beta, random_state=0).v, machine.gibbs(v, 4, random_state=0).v
    assert np.array_equal(found[1::2], plain[1::2])
    assert np.array_equal(machine.gibbs(v, 4, beta=1.0, random_state=0).v, plain)
    assert np.abs(found[::2].mean(axis=0) - 0.5).max() < 0.06


def test_blocks_do_not_matter(monkeypatch):
    """Noise is keyed by the row's number, in whatever block it stands."""
    machine, v = machine_of(shape=(9, 7)), np.random.default_rng(2).integers(0, 2, (50, 9))
    mask = np.random.default_rng(3).random((50, 9)) < 0.3
    whole = machine.gibbs(v, 3, clamp=mask, beta=np.linspace(0.5, 1, 50), random_state=0)
    energy, free = machine.energy(v, whole.h), machine.free_energy(v)
    monkeypatch.setattr("fastdbn.machine.machine.block_rows", lambda width: 7)
    parts = machine.gibbs(v, 3, clamp=mask, beta=np.linspace(0.5, 1, 50), random_state=0)
    assert np.array_equal(whole.v, parts.v)
    assert np.allclose(energy, machine.energy(v, parts.h))
    assert np.allclose(free, machine.free_energy(v))
    assert np.array_equal(parts.v[mask], v[mask])


def test_mean_field_walk():
    """Without keys a walk goes by means: to where each side is the mean given the other."""
    machine = machine_of(scale=0.2)
    b = machine.backend
    chain = block.Chain(b.zeros(1, 3), None, b.zeros(1, 3), b.zeros(1, 3))
    machine.walk(chain._replace(v=chain.v_mean), None, None, 0, 200)
    assert np.allclose(machine.hidden(chain.v_mean), chain.h_mean)
    assert np.allclose(machine.visible(chain.h_mean), chain.v_mean)


# ---- what is refused

GOOD = {"W": np.zeros((3, 2)), "b": np.zeros(3), "c": np.zeros(2)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"W": np.zeros(3)}, "W: give a matrix of finite numbers"),
        ({"b": [1.0, np.nan, 0.0]}, "b: give a vector of finite numbers"),
        ({"c": np.zeros(3)}, r"W of shape \(3, 2\), 3 b and 3 c"),
        ({"W_down": np.zeros((2, 3))}, r"W_down has shape \(2, 3\)"),
        ({"visible": "softmax:2"}, "visible='softmax:2' with 3"),
        ({"hidden": "replicated-softmax"}, "can only be visible"),
        ({"dtype": "float16"}, "dtype="),
        ({"W": np.full((3, 2), 1e300)}, "W: give a matrix of finite numbers, which float32 holds"),
    ],
)
def test_bad_machines(given, message):
    with pytest.raises(ValueError, match=message):
        Machine(**GOOD | given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.energy(np.zeros((2, 3)), np.zeros((3, 2))), "v has 2 rows and h has 3"),
        (lambda m: m.free_energy(np.zeros((2, 2))), "v has 2 columns: give 3"),
        (lambda m: m.hidden(np.zeros(3)), "v: give a matrix"),
        (lambda m: m.hidden([["a", "b", "c"]]), "v: give a matrix"),
        (lambda m: m.hidden(np.zeros((2, 3)), draw=1), "draw=1"),
        (lambda m: m.visible(np.full((2, 2), np.inf)), "h: give a matrix"),
        (lambda m: m.free_energy(np.full((2, 3), 1e300)), "v: give a matrix of finite numbers, which float32 holds"),
        (lambda m: m.visible(np.zeros((2, 2)), totals=3), "totals=3 is for visible units that count"),
        (lambda m: machine_of("replicated-softmax").visible(np.eye(3), totals=-3), "totals=-3: give a whole number"),
        (lambda m: machine_of("replicated-softmax").visible(np.eye(3), totals=[1, 2]), "or 3 of them"),
        (lambda m: m.gibbs(np.zeros((2, 3)), 0), "n_steps=0"),
        (lambda m: m.gibbs(np.zeros((2, 3)), clamp=[0, 1, 0]), "clamp of type int64"),
        (lambda m: m.gibbs(np.zeros((2, 3)), clamp=np.ones((3, 3), bool)), "clamp of type bool and shape"),
        (lambda m: m.gibbs(np.zeros((2, 3)), beta=-1.0), "beta=-1.0: give"),
        (lambda m: m.gibbs(np.zeros((2, 3)), first_step=-1), "first_step=-1"),
        (lambda m: m.gibbs(np.zeros((2, 3)), random_state="x"), "random_state"),
        (lambda m: machine_of("softmax:3").gibbs(np.eye(3), clamp=np.eye(3, dtype=bool)), "whole groups"),
        (lambda m: machine_of("replicated-softmax").gibbs(np.eye(3), clamp=np.eye(3, dtype=bool)), "units that count"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(Machine(**GOOD))
