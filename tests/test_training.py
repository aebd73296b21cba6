"""Runs as objects: the loop that all algorithms share, and states from which a new run goes on to the same bits."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from dropped_inputs import DroppedInputs
from room import contents
from runs import BERNOULLI

from fastdbn import RBM
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params, Source
from fastdbn.estimators import parameters
from fastdbn.machine import initial
from fastdbn.training import options
from fastdbn.training.backprop import BackPropagation, NetworkState, Plan, glorot
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.layer import Layer, State
from fastdbn.training.monitors import Stopping
from fastdbn.training.options import OPTIONS, options_of
from fastdbn.training.options.option import HIDDEN, VISIBLE
from fastdbn.training.training import DivergenceError, Training, nobody
from fastdbn.training.updown import Directed, Schedule, Untied, UpDown
from fastdbn.units import get_unit

DRAW = np.random.default_rng(0)
X = (DRAW.random((40, 6)) < np.where(DRAW.random((40, 1)) < 0.5, 0.2, 0.8)).astype(np.float32)
N, NV, NH = *X.shape, 5
CHAINS = {"persistent": True, "n_chains": 7}
OPTION_CASES = {
    "none": {},
    "chains": CHAINS,
    "centering": {"centering": "enhanced"},
    "sparsity": {"sparsity_target": 0.2, "sparsity_cost": 0.5},
    "l1": {"l1": [0.0, 0.01]},
    "max_norm": {"max_norm": 0.05},
    "fast": CHAINS | {"fast_learning_rate": 0.1},
    "tempering": CHAINS | {"temperatures": 3},
    "trajectory": CHAINS | {"trajectory": 0.9, "learning_rate": 0.5},
    "missing": {"missing": "drop"},
    "variances": {"visible": "gaussian-variance"},
    "weights": {},
    "steered": {"learning_rate": "auto"},
    "totals": {"visible": "replicated-softmax", **CHAINS},
    "all that go together": CHAINS
    | {"centering": "data", "sparsity_target": 0.2, "l1": 0.001, "max_norm": 1.0, "fast_learning_rate": 0.1, "temperatures": 2},
}


def option_run(name, state=None):
    """A run of contrastive divergence with options, from a state or from the beginning."""
    backend, visible = get_backend(1), get_unit(OPTION_CASES[name].get("visible", "bernoulli"))
    settings = parameters.settings(RBM(NH, batch_size=8, **OPTION_CASES[name]), visible)
    if state is None:
        params, extras = initial.init_params(np.float32, visible, NV, NH, 3, 0, np.full(NV, 0.5)), {}
        scaling = Source(X, np.zeros(NV), np.ones(NV))
        for option in settings.options:
            params, more = option.initial(backend, visible, BERNOULLI, params, scaling)
            extras |= more
        state = State(params, Params(*map(np.zeros_like, params)), None, 0, 0, extras)
    weights = np.linspace(0.5, 1.5, N) if name == "weights" else None
    mask = backend.load(Source(np.arange(X.size).reshape(X.shape) % 5 == 0)) if name == "missing" else None
    layer = Layer(visible, BERNOULLI, backend.load(Source(X), for_training=True), N, weights, 0, 3, mask=mask)
    return ContrastiveDivergence(backend, layer, settings, state)


def up_down_run(depth, state=None):
    """A run of up-down of a network of 6-5 units and a top RBM, or of the top alone, with labels."""
    draw, backend = np.random.default_rng(1), get_backend(1)
    sizes, top = [NV, NH][-depth - 1 :] if depth else [NV], 4
    if state is None:
        pairs = [(draw.normal(size=(n, m)), draw.normal(size=m), draw.normal(size=n)) for n, m in itertools.pairwise(sizes)]
        recognition, generative = [Directed(W, c) for W, c, _ in pairs], [Directed(W.T, b) for W, _, b in pairs]
        params = Params(draw.normal(size=(sizes[-1] + 2, top)), draw.normal(size=sizes[-1] + 2), draw.normal(size=top))
        state = Untied(recognition, generative, params, Params(*map(np.zeros_like, params)), 0, 0)
    labels, schedule = np.eye(2)[(X[:, 0] > 0).astype(int)], Schedule([0.1, 0.05], 0.1, 0.5, 1e-3, [1, 2], 8, 1)
    return UpDown(backend, [BERNOULLI] * (depth + 2), backend.load(Source(X)), N, labels, schedule, 3, depth, state)


def network_run(solver, state=None):
    """A run of back-propagation with dropout."""
    backend, sizes = get_backend(1), [NV, NH, 2]
    if state is None:
        coefs = [glorot(0, i, n, m, True).astype(np.float32) for i, (n, m) in enumerate(itertools.pairwise(sizes))]
        state = NetworkState(coefs, [np.zeros(n, np.float32) for n in sizes[1:]])
    plan = Plan("softmax", solver, [0.1, 0.05, 0.02], 0.5, 1e-4, (0.1, 0.3), 2.0, 8)
    rows, target, weights = np.arange(N, dtype=np.uint32), (X[:, 0] > 0).astype(int), np.linspace(0.5, 1.5, N)
    return BackPropagation(backend, [BERNOULLI] * 2, backend.load(Source(X)), rows, target, weights, plan, 3, state)


@pytest.fixture
def dropped_inputs(monkeypatch):
    """The option of dropped_inputs.py and its parameter, as if the package had them."""
    monkeypatch.setattr(options, "OPTIONS", (*OPTIONS, DroppedInputs))
    monkeypatch.setattr(RBM, "drop_rate", 0.0, raising=False)


def dropping_run(rate, state=None):
    """A run with dropped inputs; the parameter is an attribute alone."""
    rbm, backend = RBM(NH, centering=None, batch_size=8), get_backend(1)
    rbm.drop_rate = rate
    if state is None:
        params = initial.init_params(np.float32, BERNOULLI, NV, NH, 3, 0, np.full(NV, 0.5))
        state = State(params, Params(*map(np.zeros_like, params)), None, 0, 0)
    layer = Layer(BERNOULLI, BERNOULLI, backend.load(Source(X), for_training=True), N, None, 0, 3)
    return ContrastiveDivergence(backend, layer, parameters.settings(rbm, BERNOULLI), state)


def test_an_option_is_one_file(dropped_inputs):
    """An option of the user's own trains, refuses what it must, and goes on from its state; CONTRIBUTING.md shows it."""
    plain, dropping = (epochs(dropping_run(rate), 4) for rate in (0.0, 0.4))
    assert not np.array_equal(plain.params.W, dropping.params.W)
    assert set(dropping.extras) == {"drop_rate"}
    assert dropping.extras["drop_rate"][0] == pytest.approx(0.4 * 0.9**4)
    parts = epochs(dropping_run(0.4, epochs(dropping_run(0.4), 2)), 2)
    assert contents(parts._asdict()) == contents(dropping._asdict())
    with pytest.raises(ValueError, match=r"drop_rate=1\.5"):
        dropping_run(1.5)
    text = (Path(__file__).parent / "dropped_inputs.py").read_text()
    assert text in (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()


def test_a_fit_has_the_option(dropped_inputs):
    """An estimator passes its parameter on, and keeps the state for the next fit."""
    options = {"learning_rate": 0.05, "batch_size": 8, "random_state": 0}
    whole, parts = (RBM(NH, n_iter=n, warm_start=True, **options) for n in (4, 2))
    whole.drop_rate = parts.drop_rate = 0.4
    assert np.array_equal(whole.fit(X).components_, parts.fit(X).fit(X).components_)
    assert not np.array_equal(whole.components_, RBM(NH, n_iter=4, **options).fit(X).components_)


RUNS = {f"options: {name}": (option_run, name) for name in OPTION_CASES}
RUNS |= {f"up-down {depth}": (up_down_run, depth) for depth in (0, 1)}
RUNS |= {solver: (network_run, solver) for solver in ("sgd", "adam")}


def epochs(run, n):
    """The state after some epochs; it is checked before."""
    run.run(n, lambda *_: None, {})
    return run.state()


@pytest.mark.parametrize("name", RUNS)
def test_a_state_is_all_that_a_run_goes_on_with(name):
    """Two epochs, and two of a new run from the state that they left, give the bits of four."""
    make, which = RUNS[name]
    whole = epochs(make(which), 4)
    parts = epochs(make(which, epochs(make(which), 2)), 2)
    assert contents(parts._asdict()) == contents(whole._asdict())
    assert contents(parts._asdict()) != contents(epochs(make(which), 2)._asdict())


def test_all_options_were_tried():
    """Each option of the package takes part in one of the cases above, and gives what it says that it keeps."""
    seen = set()
    for name in OPTION_CASES:
        run = option_run(name)
        run.epoch()
        for option in run.options:
            seen.add(type(option))
            sizes, kept = {VISIBLE: NV, HIDDEN: NH}, option.state()
            assert set(kept) == set(option.keeps)
            for key, x in kept.items():
                shape = zip(option.keeps[key], x.shape, strict=True)
                assert x.shape == tuple(m if n is None else sizes.get(n, n) for n, m in shape)
            option.check_extras(run.state().extras, run.layer.visible)
    assert seen == set(OPTIONS)


def test_extras_that_lack_a_part_are_refused():
    for option in OPTIONS:
        if len(option.keeps) > 1:
            with pytest.raises(ValueError, match="lacking"):
                option.check_extras({next(iter(option.keeps)): np.zeros(NV)}, BERNOULLI)


class Counted(Training):
    """A run whose epoch does nothing, with measures that are given."""

    title = "counting"

    def __init__(self, values):
        super().__init__(get_backend(1), 0)
        self.values = values

    def epoch(self):
        self.epochs += 1

    def check(self):
        if self.values[self.epochs - 1] is None:
            raise DivergenceError("a value that is none")

    def measure(self):
        return {"loss": self.values[self.epochs - 1]}

    def state(self):
        return State(self.epochs, None, None, self.epochs, 0)

    def words(self, metrics):
        return f"loss {metrics['loss']}"


def outcome(values, error=None, patience=None, tell=nobody):
    """(params, epoch, history) that a run of the given losses leaves."""
    kept = [None]

    def keep(state, history, best):
        kept[0] = state.params, state.epoch, list(history["loss"])

    stopping = None if patience is None else Stopping("loss", patience, 0.0)
    run = Counted(values).run
    if error is None:
        run(len(values), keep, {"loss": np.empty(0)}, tell=tell, stopping=stopping)
    else:
        with pytest.raises(error):
            run(len(values), keep, {"loss": np.empty(0)}, tell=tell, stopping=stopping)
    return kept[0]


def raising(error, at):
    """A callback that raises an error in an epoch."""

    def tell(hook, epoch, **metrics):
        if (hook, epoch) == ("on_epoch_end", at):
            raise error

    return tell


def test_what_a_run_leaves():
    """A run that ends badly leaves its last good epoch, or its best one; one that ends well the best parameters of all epochs."""
    assert outcome([3.0, 2.0, 4.0]) == (3, 3, [3.0, 2.0, 4.0])
    assert outcome([3.0, 2.0, 4.0], patience=5) == (2, 3, [3.0, 2.0, 4.0])
    assert outcome([3.0, 2.0, 4.0, 5.0, 1.0], patience=2) == (2, 4, [3.0, 2.0, 4.0, 5.0])
    assert outcome([3.0, 2.0, None], DivergenceError) == (2, 2, [3.0, 2.0])
    assert outcome([3.0, 2.0, 4.0, None], DivergenceError, patience=5) == (2, 2, [3.0, 2.0])
    assert outcome([3.0, 2.0, 4.0], tell=raising(StopIteration, 2)) == (2, 2, [3.0, 2.0])
    assert outcome([3.0, 2.0, 4.0], KeyboardInterrupt, tell=raising(KeyboardInterrupt, 3)) == (3, 3, [3.0, 2.0, 4.0])
    assert outcome([None], DivergenceError) is None


def test_lines_and_measures(capsys):
    """A line for each epoch, and the seconds beside the measures."""
    seen = []
    run = Counted([3.0, 2.0])
    run.run(2, lambda *_: None, {}, verbose=True, tell=lambda hook, epoch, metrics=(): seen.append((hook, epoch, set(metrics))))
    assert capsys.readouterr().err == "counting epoch 1/2: loss 3.0\ncounting epoch 2/2: loss 2.0\n"
    measured = {"on_epoch_begin": set(), "on_epoch_end": {"loss", "seconds"}}
    assert seen == [(hook, epoch, names) for epoch in (1, 2) for hook, names in measured.items()]


def test_options_are_made_for_one_run():
    """Options of two calls share nothing, so that two fits at once do not either."""
    rbm = RBM(NH, centering="data", l1=0.1)
    first, second = (options_of(rbm, BERNOULLI, BERNOULLI) for _ in range(2))
    assert {type(option).__name__ for option in first} == {"Centering", "L1", "RowWeights"}
    assert not set(map(id, first)) & set(map(id, second))


def test_verbose_names_what_is_slow(capsys):
    """A fit says which options keep the fused kernel from training."""
    lacking = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.float32(np.nan), X)
    RBM(NH, n_iter=0, max_norm=1.0, missing="drop", verbose=1).fit(lacking)
    assert "; one operation at a time, because of MissingValues\n" in capsys.readouterr().err
    RBM(NH, n_iter=0, max_norm=1.0, l1=[0.0, 0.1], persistent=True, temperatures=2, verbose=1).fit(X)
    assert "one operation" not in capsys.readouterr().err
