"""The division of a minibatch's work among threads, as `benchmarks.division` counts it, and the predictions made of it."""

import itertools

import numpy as np
import pytest

from benchmarks import cores
from benchmarks.division import captured, divide
from fastdbn import RBM, DBNClassifier
from fastdbn.backends.cpu.gate import Team, share_grid

SIZES = (1, 2, 3, 5, 8, 64)


def test_grid():
    """Each cell of a grid belongs to one thread, whatever its sizes are, and no part is larger than it must be."""
    for size, across, down, extra in itertools.product((1, 2, 3, 7, 8, 16, 64), (1, 2, 3, 8, 13, 40), (1, 2, 7, 13, 100), (0, 2)):
        owned, largest = np.zeros((across, down), int), 0
        for thread in range(size):
            c0, c1, r0, r1 = share_grid(Team(thread, size, None), across, down, extra)
            owned[c0:c1, r0:r1] += 1
            largest = max(largest, (c1 - c0) * (r1 - r0 + extra))
        assert (owned == 1).all()
        columns = min(size, across)
        assert largest <= -(-across // columns) * (down + extra)


def rows(n, width):
    draw = np.random.default_rng(0)
    return (draw.random((n, width)) < 0.3).astype(np.float32), draw.integers(0, 3, n)


@pytest.fixture(scope="module")
def calls():
    """Calls of both kernels at sizes that are no multiples of anything, by more threads than there are words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastdbn.backends.cpu.pool.WORK_PER_THREAD", 1)
        X, y = rows(85, 150)
        fits = {"centred": RBM(70, n_iter=1, batch_size=83, random_state=0, n_jobs=64)}
        fits["cd"] = RBM(70, n_iter=1, batch_size=83, random_state=0, n_jobs=64, centering=None)
        fits["backprop"] = DBNClassifier((130, 70), pretrain=False, max_iter=1, batch_size=83, random_state=0, n_jobs=64)
        return {kind: captured(lambda m=model: m.fit(X, y)) for kind, model in fits.items()}


def covered(cells, stage):
    """How often each element of a matrix is part of a rectangle of a stage, by their threads."""
    rectangles = [cell[2:] for cell in cells if cell[0] == stage]
    times = np.zeros((max(r[1] for r in rectangles), max(r[3] for r in rectangles)), int)
    for r0, r1, j0, j1 in rectangles:
        times[r0:r1, j0:j1] += 1
    return times


@pytest.mark.parametrize("kind", ["cd", "centred", "backprop"])
def test_all_work_is_done_once(kind, calls):
    """Threads pass the same gates, cover each matrix once, and do together what one does alone."""
    alone, shapes = None, {}
    for size in SIZES:
        tally = divide(calls[kind], size)
        assert len({len(stages) for stages in tally.stages}) == 1
        for label in ("product", "draw", "mean", "slope", "bias") if kind == "backprop" else ("product", "draw", "mean", "step"):
            for stage in sorted({cell[0] for cell in tally.cells.get(label, ())}):
                times = covered(tally.cells[label], stage)
                assert (times == 1).all()
                shapes.setdefault((size, label), []).append(times.shape)
        totals = {name: sum(s[name] for t in tally.stages for s in t) for name in ("multiplications", "draws", "weight")}
        alone = alone or totals
        assert totals == alone
    assert all(shapes[size, label] == shapes[1, label] for size, label in shapes)


def test_shapes_of_cd(calls):
    """What is counted are the matrices of the work: both products and draws of CD-1, and the step of all weights."""
    tally = divide(calls["cd"], 3)
    assert [covered(tally.cells["draw"], stage).shape for stage in (2, 4)] == [(83, 70), (83, 150)]
    assert covered(tally.cells["mean"], 6).shape == (83, 70)
    assert covered(tally.cells["step"], 8).shape == (150, 70)
    assert sum(stage["draws"] for thread in tally.stages for stage in thread) == 83 * (70 + 150)


def test_more_threads_have_less_to_do(calls):
    """The most loaded thread has less work the more threads there are, where these are more than words too."""
    costs = {"stage": 0.0} | dict.fromkeys(("gather", "direct", "codes", "tables", "multiply"), 1.0)
    model = cores.Model(costs, 0.0, dict.fromkeys(SIZES, 0.0))
    took = [cores.predict(divide(calls["cd"], size), model)[0] for size in SIZES]
    assert took == sorted(took, reverse=True)
    assert took[0] > 4 * took[-1]


def test_costs():
    """The costs of amounts are found from the times of shares."""
    amounts = ((1e3, 10), (5e3, 900), (1, 7e3))
    shares = [({"stage": 2.0, "gather": x, "draw": y}, 2 * 3e-6 + x * 1e-9 + y * 5e-9) for x, y in amounts]
    costs, error = cores.fit_costs(shares)
    assert costs == pytest.approx({"stage": 3e-6, "gather": 1e-9, "draw": 5e-9})
    assert error < 1e-9
