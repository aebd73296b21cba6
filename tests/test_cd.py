"""Contrastive divergence against exact expectations, and the fused minibatches against the composed ones."""

import tracemalloc

import numpy as np
import pytest
from exact import Machine
from runs import gradient, phases, run_of
from scipy import sparse

from fastdbn import RBM
from fastdbn.backends.cpu import pool
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.cpu.loading import DENSE, ONES, PACKED, SPARSE
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params
from fastdbn.maths import rng


def mean_gradient(run, repeats):
    """Mean and standard error of the gradient over minibatches with fixed weights."""
    found = np.array([gradient(run, step) for step in range(repeats)])
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(repeats)


def flat(gradient):
    return np.concatenate([np.ravel(x) for x in gradient])


@pytest.mark.parametrize("k", [1, 3])
def test_cd_gradient_has_its_exact_expectation(k):
    """The mean over draws against the enumerated k-step transition matrix, within 5 standard errors in every entry."""
    machine = Machine(6, 4, seed=1, scale=3.0)
    data = np.tile(machine.V[[3, 17, 40, 41, 60]], (400, 1))
    mean, error = mean_gradient(run_of(machine, data, k=k), 60)
    exact = flat(machine.cd_gradient(data, k))
    assert (np.abs(mean - exact) < 5 * error + 1e-12).all()
    if k == 1:
        # short chains are biased, so the test above tells CD-1 from the likelihood's own gradient
        assert np.abs(exact - flat(machine.gradient(data))).max() > 5 * error.max()


def test_pcd_gradient_at_equilibrium_is_the_exact_gradient():
    """Chains that start exactly at p(v, h), weights fixed: the mean of the PCD gradient is that of the log-likelihood."""
    machine = Machine(6, 4, seed=2)
    data = machine.V[[1, 2, 3, 30, 62]]
    n, found = 4000, []
    for seed in range(40):
        v = machine.draw(n, seed=100 + seed)
        chains = (np.random.default_rng(seed).random((n, 4)) < machine.hidden_mean(v)).astype(float)
        found.append(mean_gradient(run_of(machine, data, k=2, persistent=True, chains=chains, seed=seed), 2)[0])
    found = np.array(found)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    exact = flat(machine.gradient(data))
    assert (np.abs(found.mean(axis=0) - exact) < 5 * error + 1e-12).all()
    assert np.abs(exact).max() > 20 * error.max()


def test_chains_at_equilibrium_stay():
    """Chains begun exactly at p(v) are at p(v) after Gibbs steps: chi-square of the visible states within its noise."""
    machine, n = Machine(6, 4, seed=5), 100_000
    rbm = RBM(4, visible="bernoulli", dtype="float64", n_iter=0, random_state=0).fit(machine.V)
    rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_ = machine.W.T, machine.b, machine.c
    for start, stays in ((machine.draw(n, seed=6), True), (machine.V[np.zeros(n, int)], False)):
        v = rbm.gibbs(start, n_steps=3 if stays else 1)
        expected = n * machine.p_v()
        counts = n * machine.distribution(v)
        chi_square = ((counts - expected) ** 2 / expected).sum()
        freedom = len(machine.V) - 1
        assert (chi_square < freedom + 5 * np.sqrt(2 * freedom)) == stays


def fitted_bytes(monkeypatch, X, fused, kind=None, weights=None, **options):
    """All that a fit leaves, as bytes, with whole minibatches in one call or with composed operations; kind is the data's."""
    calls, teams, one_call, team = [], [], CPU.cd_steps, pool.team

    def steps(backend, problem, *work):
        calls.append(problem)
        return one_call(backend, problem, *work) if fused else False

    def counted(size, *work):
        teams.append(size)
        team(size, *work)

    with monkeypatch.context() as patch:
        patch.setattr(CPU, "cd_steps", steps)
        patch.setattr(pool, "team", counted)
        rbm = RBM(n_iter=2, random_state=1, **options).fit(X, sample_weight=weights)
    assert len(calls) == 2
    assert teams == ([options["n_jobs"]] * 2 if fused else [])
    assert kind in (None, calls[0].data.kind)
    parts = rbm.components_, rbm.intercept_hidden_, rbm.intercept_visible_, *rbm._velocity, *([rbm._chains] * rbm.persistent)
    parts += *rbm._extras.values(), rbm.history_["swap_rate"]
    return b"".join(np.ascontiguousarray(x).tobytes() for x in parts)


def check_fused(monkeypatch, X, threads=(1, 2, 3, 8), **options):
    expected = fitted_bytes(monkeypatch, X, False, n_jobs=1, **options)
    for n_jobs in threads:
        assert fitted_bytes(monkeypatch, X, True, n_jobs=n_jobs, **options) == expected


def zeros_and_ones(density=0.3):
    """150 rows of 300; two of its units are always on."""
    X = (np.random.default_rng(7).random((150, 300)) < density).astype(np.float32)
    X[:, [5, 200]] = 1
    return X


def real_values():
    return np.random.default_rng(8).random((150, 300), dtype=np.float32)


def memory_map(folder):
    np.save(folder / "X.npy", zeros_and_ones().astype(np.uint8))
    return np.load(folder / "X.npy", mmap_mode="r")


HELD = {
    "float32": (lambda _: zeros_and_ones(), PACKED),
    "float64": (lambda _: zeros_and_ones().astype(float), PACKED),
    "uint8": (lambda _: zeros_and_ones().astype(np.uint8), PACKED),
    "bool": (lambda _: zeros_and_ones().astype(bool), PACKED),
    "int64": (lambda _: zeros_and_ones().astype(np.int64), PACKED),
    "dense ones": (lambda _: zeros_and_ones(0.9), PACKED),
    "memory map": (memory_map, PACKED),
    "real": (lambda _: real_values(), DENSE),
    "real float64": (lambda _: real_values().astype(float), DENSE),
    "lists": (lambda _: sparse.csr_matrix(zeros_and_ones(0.005)), ONES),
    "CSR": (lambda _: sparse.csr_matrix(zeros_and_ones()), PACKED),
    "real CSR": (lambda _: sparse.csr_matrix(zeros_and_ones(0.1) * real_values()), SPARSE),
}
CHAINS = {"CD-1": {"k": 1}, "CD-3": {"k": 3}, "PCD-1": {"persistent": True, "n_chains": 13}}
CHAINS |= {"PCD-3": {"k": 3, "persistent": True, "n_chains": 100}, "PCD of one": {"persistent": True, "n_chains": 1}}


@pytest.mark.parametrize("chains", CHAINS)
@pytest.mark.parametrize("held", HELD)
def test_fused_equals_composed_for_all_data(held, chains, monkeypatch, tmp_path, split_everything):
    """Whole minibatches on 1, 2, 3 and 8 threads leave the bytes of composed operations, whatever holds the data."""
    make, kind = HELD[held]
    options = {"visible": "bernoulli", "batch_size": 64, "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 1e-3}
    check_fused(monkeypatch, make(tmp_path), kind=kind, n_components=530, **options, **CHAINS[chains])


@pytest.mark.parametrize("held", ["float64", "real float64", "lists"])
def test_fused_equals_composed_in_float64(held, monkeypatch, tmp_path, split_everything):
    make, kind = HELD[held]
    options = {"visible": "bernoulli", "batch_size": 64, "dtype": "float64", "k": 2}
    for chains in ("CD-1", "PCD-3"):
        check_fused(monkeypatch, make(tmp_path), (1, 3), kind=kind, n_components=200, **(options | CHAINS[chains]))


RARE = [pytest.param(units, marks=pytest.mark.slow) for units in ("bernoulli gaussian", "bernoulli softmax", "rectified spin")]


@pytest.mark.parametrize("chains", ["CD-3", "PCD-1"])
@pytest.mark.parametrize("units", ["gaussian", "softmax", *RARE])
def test_fused_equals_composed_for_other_units(units, chains, monkeypatch, split_everything):
    """Real states and groups on either side, of layers of several words and parts; Gaussian visible units on binary data too."""
    visible, hidden = (units + " bernoulli").split()[:2]
    one_of = np.eye(300)[np.random.default_rng(3).integers(0, 300, 150)]
    data = {"bernoulli": (zeros_and_ones(), real_values()), "gaussian": (real_values(), zeros_and_ones()), "softmax": (one_of,)}
    data["rectified"] = (real_values(),)
    options = {"visible": visible, "hidden": hidden, "batch_size": 64, "learning_rate": 0.01, "n_components": 530}
    for X in data[visible]:
        check_fused(monkeypatch, X, **options, **CHAINS[chains])


@pytest.mark.parametrize("centering", ["data", "enhanced"])
@pytest.mark.parametrize("held", ["float32", "dense ones", "real", "lists"])
def test_fused_equals_composed_where_centred(held, centering, monkeypatch, tmp_path, split_everything):
    """Both ways of adding statistics up, and one of each, in layers of several strips; rows and columns left over."""
    make, kind = HELD[held]
    options = {"visible": "bernoulli", "batch_size": 64, "learning_rate": 0.1, "weight_decay": 1e-3, "centering": centering}
    for chains, more in (("CD-3", {"n_components": 530}), ("PCD-1", {"n_components": 70, "dtype": "float64"})):
        check_fused(monkeypatch, make(tmp_path), (1, 2, 3, 8), kind=kind, **options, **more, **CHAINS[chains])
    few = make(tmp_path)[:, :5]
    few = few if sparse.issparse(few) else np.ascontiguousarray(few)  # a view with steps has a kernel of its own
    for hidden in (1, 63, 64):
        check_fused(monkeypatch, few, (1, 8), n_components=hidden, **options)


WEIGHTS = np.r_[np.zeros(64), np.random.default_rng(9).random(86)]
FAST = {"persistent": True, "n_chains": 13, "fast_learning_rate": 0.02}
ADDED = {
    "l1": {"l1": [0.01, 0.02]},
    "max-norm": {"max_norm": 0.05},
    "L1 and max-norm": {"l1": 0.01, "max_norm": 0.06},
    "sparsity": {"sparsity_target": 0.1},
    "weights": {"weights": WEIGHTS},
    "weighted chains": {"weights": WEIGHTS, "persistent": True, "n_chains": 13},
    "sparsity, weighted and centred": {"weights": WEIGHTS, "sparsity_target": 0.1, "centering": "enhanced", "l1": 0.001},
    "fast weights": FAST,
    "all": FAST | {"weights": WEIGHTS, "l1": 0.001, "max_norm": 0.06, "k": 2, "centering": "data", "sparsity_target": 0.1},
}


@pytest.mark.parametrize("added", ADDED)
@pytest.mark.parametrize("held", ["float32", "dense ones", "real"])
def test_fused_equals_composed_with_options(held, added, monkeypatch, tmp_path, split_everything):
    """Options of the fused kernel, with statistics listed, multiplied and one of each; rows of no weight, layers of one unit."""
    make, kind = HELD[held]
    options = {"visible": "bernoulli", "batch_size": 64, "learning_rate": 0.1, "momentum": 0.5, "weight_decay": 1e-3}
    for hidden in (530, 1):
        check_fused(monkeypatch, make(tmp_path), (1, 3, 8), kind=kind, n_components=hidden, **options, **ADDED[added])


@pytest.mark.parametrize(
    "added", ["L1 and max-norm", "sparsity, weighted and centred", pytest.param("all", marks=pytest.mark.slow)]
)
def test_fused_equals_composed_with_options_in_float64(added, monkeypatch, split_everything):
    options = {"visible": "bernoulli", "batch_size": 64, "learning_rate": 0.1, "dtype": "float64", "n_components": 70}
    check_fused(monkeypatch, zeros_and_ones(), (1, 3), **options, **ADDED[added])


TEMPERED = {"persistent": True, "n_chains": 13, "temperatures": [1.0, 0.99, 0.97, 0.94, 0.5]}
HEATED = {
    "at once": {},
    "k": {"k": 3},
    "a chain": {"n_chains": 1},
    "more chains than rows": {"n_chains": 70, "temperatures": [1.0, 0.99]},
    "all": ADDED["all"] | {"n_chains": 13},
}


@pytest.mark.parametrize("added", HEATED)
@pytest.mark.parametrize("held", ["float32", "real", *(pytest.param(x, marks=pytest.mark.slow) for x in ("dense ones", "lists"))])
def test_fused_equals_composed_where_tempered(held, added, monkeypatch, tmp_path, split_everything):
    """Chains at several temperatures beside other options: states, exchanges and steps, in layers of several words and of one."""
    make, kind = HELD[held]
    options = {"visible": "bernoulli", "batch_size": 64, "learning_rate": 0.01, "momentum": 0.5, "weight_decay": 1e-3}
    for hidden in (530, 70, 1):
        check_fused(monkeypatch, make(tmp_path), kind=kind, n_components=hidden, **options, **(TEMPERED | HEATED[added]))


@pytest.mark.parametrize("units", ["gaussian", pytest.param("softmax", marks=pytest.mark.slow), *RARE])
def test_fused_equals_composed_for_other_units_where_tempered(units, monkeypatch, split_everything):
    """Real states and groups on either side; fields of groups are made by columns, and drawn when all are there."""
    visible, hidden = (units + " bernoulli").split()[:2]
    data = np.eye(300)[np.random.default_rng(3).integers(0, 300, 150)] if visible == "softmax" else real_values()
    options = {"visible": visible, "hidden": hidden, "batch_size": 64, "learning_rate": 0.001, "n_components": 530}
    fast = {"fast_learning_rate": 0.001, "centering": "data"}
    for more in ({}, {"k": 2}, fast) if "softmax" in units else ({}, {"k": 2}):
        check_fused(monkeypatch, data, **options, **(TEMPERED | more))


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_fused_equals_composed_for_gaussian_units_in_float64(weights, monkeypatch, split_everything):
    options = {"visible": "gaussian", "batch_size": 64, "learning_rate": 0.01, "dtype": "float64", "n_components": 70}
    check_fused(monkeypatch, real_values(), (1, 3), weights=weights, **options)


@pytest.mark.slow
def test_fused_equals_composed_where_tempered_in_float64(monkeypatch, split_everything):
    options = {"visible": "bernoulli", "batch_size": 64, "dtype": "float64", "n_components": 70}
    for more in (HEATED["k"], HEATED["all"]):
        check_fused(monkeypatch, zeros_and_ones(), **options, **(TEMPERED | more))


@pytest.mark.parametrize("size", [(1, 1), (3, 64), (64, 3), (65, 63), (130, 10)], ids=str)
def test_fused_equals_composed_for_odd_sizes(size, monkeypatch, split_everything):
    """Layers of one unit, of whole words and of one unit more or less, in batches of one row and with one row left."""
    width, hidden = size
    X = (np.random.default_rng(7).random((21, width)) < 0.3).astype(np.float32)
    for batch_size, chains in ((1, "CD-1"), (4, "CD-3"), (20, "PCD-1"), (50, "CD-1")):
        options = {"visible": "bernoulli", "n_components": hidden, "batch_size": batch_size, "weight_decay": 1e-3}
        for centering in (None, "data"):
            check_fused(monkeypatch, X, (1, 3, 8), centering=centering, **options, **CHAINS[chains])
        check_fused(monkeypatch, X, (1, 3, 8), **options, **TEMPERED)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "softmax"])
@pytest.mark.parametrize("binarize", [None, 0.5, "sample"])
def test_fused_equals_composed(visible, persistent, k, binarize, monkeypatch):
    """Small layers and the ways of making data binary; the last batch is short."""
    draw = np.random.default_rng(7)
    X = np.eye(9)[draw.integers(0, 9, 47)] if visible == "softmax" else draw.random((47, 9))
    options = {"n_components": 6, "visible": visible, "k": k, "persistent": persistent, "binarize": binarize}
    check_fused(monkeypatch, X, (1,), batch_size=10, n_chains=13 if persistent else None, **options)


def test_threads():
    """Threads are taken for the work of a minibatch, no more than there are."""
    threads = get_backend(8).threads
    assert threads(6, 4, 10, 1) == 1
    assert threads(64, 64, 2000, 1) == threads(784, 500, 1000, 1) == 8
    assert get_backend(1000).threads(784, 500, 100, 1) == 98
    assert 1 <= threads(784, 500, 10, 1) <= threads(784, 500, 20, 1) <= threads(784, 500, 40, 1)
    assert threads(64, 256, 10, 1) < threads(64, 256, 10, 100)
    assert get_backend(1).threads(784, 500, 1000, 1) == 1


@pytest.mark.parametrize("rate", [0.0, 1e-30])
def test_no_rate(rate, monkeypatch, split_everything):
    """Without a learning rate nothing moves but by momentum, and a rate that vanishes is none."""
    options = {"visible": "bernoulli", "n_components": 70, "learning_rate": rate, "batch_size": 64, "n_iter": 0}
    before = RBM(random_state=1, **options).fit(zeros_and_ones())
    after = RBM(random_state=1, **(options | {"n_iter": 2})).fit(zeros_and_ones())
    assert np.allclose(after.components_, before.components_, rtol=0, atol=1e-20)
    check_fused(monkeypatch, zeros_and_ones(), (1, 3), **{k: v for k, v in options.items() if k != "n_iter"})


@pytest.mark.parametrize("persistent", [False, True])
def test_weights_are_repeats_in_expectation(persistent):
    """Rows weighted 0, 1 and 3 have the expected gradient of rows left out, taken once and three times."""
    machine = Machine(6, 4, seed=8)
    data, times = machine.V[[5, 9, 33, 50]], np.array([0, 1, 3, 2])
    n = 500
    weighted, repeated = np.tile(data, (n, 1)), np.tile(np.repeat(data, times, axis=0), (n, 1))
    weights = np.tile(times / times.mean(), n)
    results = []
    for rows, w in ((weighted, weights), (repeated, None)):
        chains = np.zeros((len(rows), 4)) if persistent else None
        results.append(mean_gradient(run_of(machine, rows, persistent=persistent, chains=chains, weights=w), 60))
    (a, error_a), (b, error_b) = results
    assert (np.abs(a - b) < 5 * np.hypot(error_a, error_b) + 1e-12).all()


@pytest.mark.parametrize("fused", [True, False])
def test_nothing_is_allocated_in_the_loop(fused, monkeypatch):
    """The most that is held while 40 minibatches run is small beside one of their buffers; composed, a few of them."""
    if not fused:
        monkeypatch.setattr(CPU, "cd_steps", lambda *a: False)
    draw, n, nv, nh = np.random.default_rng(0), 4000, 200, 150
    backend = get_backend(1, "float32")
    X = (draw.random((n, nv)) < 0.3).astype(np.float32)
    zero = Params(np.zeros((nv, nh)), np.zeros(nv), np.zeros(nh))
    weights = None if fused else np.ones(n)
    run = run_of(zero, X, backend=backend, batch_size=100, weights=weights, momentum=0.5, weight_decay=1e-4)
    order = np.arange(n, dtype=np.uint32)
    run.begin_epoch()
    run.steps(order)
    tracemalloc.start()
    run.steps(order)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (0.5 if fused else 4) * run.problem.positive.v.nbytes  # composed kernels have room for lists of their own


def test_noise_is_keyed_by_row_not_by_place():
    """A row's draws are the same in whatever minibatch, and beside whatever rows, it is."""
    machine = Machine(6, 4, seed=9)
    data = machine.draw(20, seed=1)
    run = run_of(machine, data)
    whole = phases(run, step=3)[1].v.copy()
    part = phases(run, [7, 2], step=3)[1].v.copy()
    assert np.array_equal(part, whole[[7, 2]])
    assert rng.stream(rng.HIDDEN) != rng.stream(rng.VISIBLE)
