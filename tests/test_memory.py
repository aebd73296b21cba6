"""Where memory is lacking a model is left as it was, whatever it was doing, and whenever."""

import copy

import numpy as np
import pytest
from room import contents, no_room
from sklearn.base import clone
from test_device import MODELS

from fastdbn import RBM
from fastdbn.backends.cpu.backend import CPU

FIRST = np.random.default_rng(0).integers(0, 2, (16, 3)).astype(np.float32)
X, LABELS = np.stack([FIRST, 1 - FIRST], axis=2).reshape(16, 6), FIRST[:, 0].astype(int)


def deeds(name):
    """What a model of MODELS does that trains it: names, with what is given after X."""
    found = {"fit": (LABELS,), "partial_fit": (LABELS, [0, 1]) if name in ("classifier", "generative") else (LABELS,)}
    if name in ("dbn", "outliers", "generative"):
        found["up_down"] = (LABELS,) if name == "generative" else ()
    return found


RARE = "real", "groups", "options", "counts"
"""Models of kernels that few other tests compile."""


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    ("name", "deed"),
    [pytest.param(x, deed, marks=pytest.mark.slow if x in RARE else ()) for x in MODELS for deed in deeds(x)],
)
def test_left_as_it_was(name, deed, fitted, monkeypatch):
    """Every estimator, where there is no room for the first buffer, for one half-way, and for the last."""
    if deed == "up_down" and not fitted:
        pytest.skip("is for fitted networks")
    model, given = clone(MODELS[name]), (X, *deeds(name)[deed])
    if "warm_start" in model.get_params():
        model.set_params(warm_start=True)
    if fitted:
        model.fit(X, LABELS)
    with no_room(monkeypatch, CPU, np.inf) as count:
        getattr(copy.deepcopy(model), deed)(*given)
    before, layers = contents(model), [id(rbm) for rbm in getattr(model, "layers_", ())]
    for after in sorted({0, count[0] // 2, count[0] - 1}):
        with no_room(monkeypatch, CPU, after), pytest.raises(MemoryError, match="no room"):
            getattr(model, deed)(*given)
        assert contents(model) == before
        assert [id(rbm) for rbm in getattr(model, "layers_", ())] == layers


def test_a_lack_of_memory_says_so(monkeypatch):
    """An error of Python's own, which has no text, gets one."""

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(CPU, "array", fail)
    with pytest.raises(MemoryError, match=r"RBM\.fit ran out of memory"):
        RBM(3, n_iter=1).fit(X)
