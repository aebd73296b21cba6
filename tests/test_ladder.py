"""A ladder of machines: rounds in one compiled call have the bits of single operations."""

import numpy as np
import pytest

from fastdbn import Machine
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.devices import get_backend
from fastdbn.backends.ladders import Rounds
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine
from fastdbn.machine.ladder import Ladder

LADDERS = [
    (1, 1, 1, 1),
    (1, 7, 3, 5),
    (2, 1, 1, 1),
    (3, 7, 3, 5),
    (4, 70, 65, 9),
    (5, 65, 14, 100),
    (3, 300, 130, 70),
    (2, 20, 9, 600),
]
"""Machines, visible and hidden units, chains of each."""
ROUNDS = Rounds(7, 4, (0, 2, 2), 0, 5, 1, 100)


def ran(shape, visible, hidden, dtype, n_jobs, rounds):
    """All that rounds of a ladder of random machines change, and what they return, as bytes."""
    (machines, nv, nh, n), draw = shape, np.random.default_rng(shape)
    b = get_backend(n_jobs, dtype)
    sizes = (nv, nh), nv, nh
    of_all = [Machine(*(0.3 * draw.normal(size=size) for size in sizes), visible, hidden, dtype=dtype) for _ in range(machines)]
    of_all = [BlockMachine(b, m.visible_unit, m.hidden_unit, Params(*map(b.array, m.params))) for m in of_all]
    middle = Machine(*(np.zeros(size) for size in sizes), visible, hidden)
    v = middle.visible(np.zeros((n, nh)), draw=True, random_state=0)
    h = b.states(of_all[0].hidden_unit, n, nh, np.zeros((n, nh)))
    ladder, kept = Ladder(of_all, n, np.tile(v, (machines, 1)), h), b.zeros(3 * n, nv)
    logs = np.log1p(-draw.random((rounds.sweeps, machines - 1, n)))
    arrays = [ladder.run(rounds, logs, kept), ladder.run(rounds, logs), ladder.v, kept, ladder.swaps]
    return [x.tobytes() for x in (*arrays, *([h] if rounds.halves[0] % 2 else []))]


@pytest.mark.parametrize(
    ("visible", "hidden", "dtype", "shapes"),
    [
        ("bernoulli", "bernoulli", "float32", LADDERS),
        pytest.param("bernoulli", "bernoulli", "float64", LADDERS, marks=pytest.mark.slow),
        pytest.param("spin", "spin", "float64", LADDERS, marks=pytest.mark.slow),
        pytest.param("gaussian", "bernoulli", "float32", LADDERS, marks=pytest.mark.slow),
        pytest.param("softmax", "bernoulli", "float32", [(3, 9, 20, 4), (1, 9, 20, 4)], marks=pytest.mark.slow),
        pytest.param("bernoulli", "softmax", "float32", [(3, 9, 20, 4), (2, 300, 270, 20)], marks=pytest.mark.slow),
    ],
)
def test_rounds_in_one_call_have_the_bits_of_single_operations(visible, hidden, dtype, shapes, monkeypatch):
    """At any number of threads; with one Gibbs step and two, and where the last machine alone moves, from hidden states on."""
    called, taken = CPU.ladder_rounds, []

    def note(*arguments):
        taken.append(called(*arguments))
        return taken[-1]

    for shape in shapes:
        pair = ROUNDS._replace(sweeps=1, halves=(1, 2, 3), still=shape[0] - 1)
        for rounds in (ROUNDS, ROUNDS._replace(halves=(0, 4, 4)), pair):
            monkeypatch.setattr(CPU, "ladder_rounds", note)
            one, two = (ran(shape, visible, hidden, dtype, n_jobs, rounds) for n_jobs in (1, 2))
            monkeypatch.setattr(CPU, "ladder_rounds", lambda *_: None)
            assert one == two == ran(shape, visible, hidden, dtype, 1, rounds)
    assert sum(x is None for x in taken) <= 2 * len(shapes)


def test_units_that_the_call_does_not_take_are_composed():
    """Such as noisy rectified units, which make their own noise."""
    found = [ran((3, 7, 3, 5), "bernoulli", "noisy-relu", "float64", n_jobs, ROUNDS) for n_jobs in (1, 2)]
    assert found[0] == found[1]
