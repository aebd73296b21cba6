"""Pairs of unit types that have a distribution only for some weights."""

import numpy as np
import pytest

from fastdbn import RBM
from fastdbn.machine.initial import unbounded_norm
from fastdbn.training.training import DivergenceError
from fastdbn.units import UNITS, get_unit, visible_unit

pytestmark = pytest.mark.usefixtures("composed")

UNBOUNDED = ["gaussian", "gaussian-variance", "rectified", "noisy-relu"]


@pytest.mark.parametrize("hidden", [name for name, unit in UNITS.items() if not unit.keeps_total])
@pytest.mark.parametrize("visible", UNITS)
def test_which_pairs(visible, hidden):
    """The norm counts between units without bounds, and nowhere else."""
    W = np.array([[0.5, 2.0], [0.0, 0.5], [1.0, 0.0]])
    norm = unbounded_norm(get_unit(visible), get_unit(hidden), W)
    expected = np.linalg.norm(W, 2) if visible in UNBOUNDED and hidden in UNBOUNDED else 0.0
    assert np.isclose(norm, expected)


def test_mixed_layers_count_their_unbounded_columns():
    """Weights of bounded columns may be as large as they like."""
    unit = visible_unit([("gaussian", slice(0, 1)), ("bernoulli", slice(1, 3)), ("rectified", slice(3, 4))], 4)
    W = np.array([[0.3, 0.1], [50.0, 9.0], [7.0, 7.0], [0.2, 0.4]])
    assert np.isclose(unbounded_norm(unit, get_unit("gaussian"), W), np.linalg.norm(W[[0, 3]], 2))
    assert unbounded_norm(unit, get_unit("spin"), W) == 0.0


def test_gaussian_pairs_lose_their_normaliser_at_norm_one():
    """The joint precision [[1, -W], [-W', 1]] is positive definite exactly while |W| < 1."""
    W = np.random.default_rng(0).normal(size=(4, 3))
    for norm in (0.99, 1.01):
        scaled = W * norm / np.linalg.norm(W, 2)
        precision = np.block([[np.eye(4), -scaled], [-scaled.T, np.eye(3)]])
        assert (np.linalg.eigvalsh(precision).min() > 0) == (
            unbounded_norm(get_unit("gaussian"), get_unit("gaussian"), scaled) < 1
        )


@pytest.mark.parametrize(
    ("visible", "hidden"), [("gaussian", "gaussian"), ("gaussian", "rectified"), ("rectified", "noisy-relu")]
)
def test_training_stops(visible, hidden):
    """Data of more spread than a machine can hold drive the norm up: the fit stops with the last epoch's parameters."""
    draw = np.random.default_rng(1)
    X = np.abs(draw.normal(size=(200, 1)) * 3 + draw.normal(size=(200, 6)))
    rbm = RBM(4, visible=visible, hidden=hidden, scale="none", learning_rate=0.003, n_iter=200, random_state=0)
    with pytest.raises(
        DivergenceError, match=rf"{visible} visible and {hidden} hidden .* is below 1; it is [1-9].* after epoch"
    ) as stop:
        rbm.fit(X)
    assert np.linalg.norm(rbm.components_, 2) < 1
    assert f"epoch {rbm.n_iter_ + 1} " in str(stop.value)
    assert np.isfinite(rbm.transform(X)).all()


def test_training_does_not_begin():
    """Parameters without a normaliser are refused before any work; bounded pairs go on."""
    X = np.random.default_rng(2).normal(size=(50, 3))
    rbm = RBM(2, visible="gaussian", hidden="gaussian", n_iter=2, warm_start=True, random_state=0).fit(X)
    rbm.components_ = rbm.components_ * 2 / np.linalg.norm(rbm.components_, 2)
    with pytest.raises(ValueError, match="it is 2 before training"):
        rbm.fit(X)
    rbm = RBM(2, visible="gaussian", n_iter=2, warm_start=True, random_state=0).fit(X)
    rbm.components_ = rbm.components_ * 5 / np.linalg.norm(rbm.components_, 2)
    assert rbm.fit(X).n_iter_ == 4
