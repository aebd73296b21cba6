"""Mixed visible layers: each part is what its unit type alone would be, on its own columns."""

import pickle

import naive
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from fastdbn import DBN, RBM, DBNClassifier, evaluate, load
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine
from fastdbn.maths import rng
from fastdbn.units import get_unit, visible_unit

SEVERAL = [("bernoulli", slice(7, 12)), ("gaussian", slice(0, 3)), ("softmax", slice(3, 7)), ("binomial:3", slice(12, None))]
COUNTS = [("replicated-softmax", slice(0, 4)), ("bernoulli", slice(4, 6))]


def table(n=120, seed=0):
    """Rows for `SEVERAL`, of two kinds."""
    draw = np.random.default_rng(seed)
    z = draw.integers(0, 2, n)
    share = np.where(z[:, None] == 1, 0.8, 0.2)
    real = draw.normal(np.where(z[:, None] == 1, 40.0, 60.0), 5.0, (n, 3))
    return np.hstack(
        [real, np.eye(4)[2 * z + draw.integers(0, 2, n)], draw.random((n, 5)) < share, draw.binomial(3, share, (n, 2))]
    )


def small(**more):
    return RBM(3, **({"visible": SEVERAL, "n_iter": 3, "batch_size": 10, "random_state": 0} | more))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_are_what_they_are_alone(dtype):
    """Means, log normalisers and base energies of a layer are those of its parts; draws are of the parts' noise."""
    backend, draw, n = get_backend(1, dtype), np.random.default_rng(1), 9
    unit = visible_unit(SEVERAL, 14)
    h, W, b = (draw.normal(size=shape) for shape in ((n, 5), (14, 5), (14,)))
    h, W, b = (backend.array(x) for x in (h, W, b))
    rows, key = np.arange(n, dtype=np.uint32), rng.key(3, 1, rng.stream(rng.VISIBLE))
    mean, v, sums = backend.zeros(n, 14), backend.zeros(n, 14), [np.empty(n), np.empty(n)]
    backend.conditional(unit, h, W, b, mean, v, rows, key, transpose=True)
    field = backend.zeros(n, 14)
    backend.field(h, W, field, transpose=True)
    backend.cgf(unit, b, field, sums[0])
    backend.base(unit, v, sums[1])
    together = [np.zeros(n), np.zeros(n)]
    for part, start, stop, _ in unit.parts(14):
        s, own, x = field[:, start:stop].copy(), field[:, start:stop].copy(), v[:, start:stop].copy()
        backend.activate(part, b[start:stop].copy(), own)
        assert np.array_equal(own, mean[:, start:stop])
        for total, call in (
            (together[0], lambda o, p=part, s=s, i=start, j=stop: backend.cgf(p, b[i:j].copy(), s, o)),
            (together[1], lambda o, p=part, x=x: backend.base(p, x, o)),
        ):
            out = np.empty(n)
            call(out)
            total += out
    assert np.allclose(sums, together, rtol=1e-13, atol=1e-13)


def test_numbers_of_the_noise_do_not_meet():
    """No two columns of a layer have noise of one number, and parts with own noise have room for many."""
    for several, n in ((SEVERAL, 14), ([("bernoulli", slice(i, i + 1)) for i in range(9)], 9)):
        numbers = np.concatenate([part.number + np.arange(part.stop - part.start) for part in visible_unit(several, n).parts(n)])
        assert len(set(numbers)) == n
    several = [("replicated-softmax", slice(0, 3)), ("bernoulli", slice(3, 4)), ("replicated-softmax", slice(4, 6))]
    a, b, c = visible_unit(several, 6).parts(6)
    assert b.number + 1 < a.number
    assert c.number - a.number >= 1 << 24
    assert all(part.number % 4 == 0 for part in (a, b, c))


def test_draws_of_parts_are_independent():
    """Two parts of the same type and inputs draw differently."""
    backend, n = get_backend(1), 4000
    unit = visible_unit([("bernoulli", slice(0, 5)), ("bernoulli", slice(5, 10))], 10)
    v, key = backend.zeros(n, 10), rng.key(0, 0, rng.stream(rng.VISIBLE))
    backend.activate(unit, backend.zeros(10), backend.zeros(n, 10), v, np.arange(n, dtype=np.uint32), key)
    between = np.corrcoef(v.T)
    assert np.abs(between - np.eye(10)).max() < 5 / np.sqrt(n)


def test_free_energy_against_enumeration():
    """F(v) = -log sum_h exp(-E(v, h)), with the base energies of all parts."""
    draw, backend, unit = np.random.default_rng(2), get_backend(1, "float64"), visible_unit(SEVERAL, 14)
    v, (W, b, c) = table(6), (draw.normal(size=shape) for shape in ((14, 3), (14,), (3,)))
    v[:, :3] = (v[:, :3] - 50) / 10
    out = np.empty(6)
    BlockMachine(backend, unit, get_unit("bernoulli"), Params(W, b, c)).free_energy_block(v, out)
    base = (
        np.log(2 * np.pi) / 2 * 3
        + (v[:, :3] ** 2).sum(axis=1) / 2
        - np.log(np.array([1, 3, 3, 1]))[v[:, 12:].astype(int)].sum(axis=1)
    )
    expected = [naive.free_energy(x, naive.bits(3), np.zeros(8), W, b, c, lambda x: 0.0) for x in v]
    assert np.allclose(out, base + expected, atol=1e-10)


def test_learns():
    """The exact log-likelihood, Z by enumeration of the hidden states, rises well above that of independent units."""
    X = table(600)
    rbm = small(dtype="float64", learning_rate=0.02)

    def log_likelihood(rbm):
        backend, H, out = get_backend(1, "float64"), naive.bits(3), np.empty(8)
        backend.cgf(rbm.visible_, rbm.intercept_visible_, H @ rbm.components_, out)
        return rbm.score_samples(X).mean() - np.logaddexp.reduce(H @ rbm.intercept_hidden_ + out)

    before, after = (log_likelihood(rbm.set_params(n_iter=n).fit(X)) for n in (0, 40))
    assert after > before + 2


def test_likelihoods():
    """Z by enumeration of the hidden states; annealing comes as near as it says; densities are on the scale of the data."""
    X = table()
    rbm = small(dtype="float64", n_iter=20).fit(X)
    backend, H, out = get_backend(1, "float64"), naive.bits(3), np.empty(8)
    backend.cgf(rbm.visible_, rbm.intercept_visible_, H @ rbm.components_, out)
    log_z = np.logaddexp.reduce(H @ rbm.intercept_hidden_ + out)
    assert np.isclose(evaluate.log_z(rbm), log_z)
    found = evaluate.ais(rbm, n_chains=50, n_steps=300, X=X, exact=False, random_state=0)
    assert abs(found.log_z - log_z) < 5 * found.std_error + 1e-6
    back = evaluate.reverse_ais(rbm, n_chains=50, n_steps=300, X=X, exact=False, random_state=0)
    assert abs(back.log_z - log_z) < 5 * back.std_error + 1e-6
    expected = rbm.score_samples(X) - log_z - np.log(X[:, :3].std(axis=0)).sum()
    assert np.allclose(evaluate.log_likelihood(rbm, X), expected)
    X[4, 8] = 0.5
    with pytest.raises(ValueError, match=r"X has 0\.5 in row 4, column 8, and bernoulli units"):
        evaluate.log_likelihood(rbm, X)


def test_scaling_is_by_parts():
    """Gaussian columns are standardised, others are as they are; later data are checked on the same scale."""
    X = table()
    rbm = small().fit(X)
    assert np.allclose(rbm.scaling_.shift[:3], X[:, :3].mean(axis=0))
    assert (rbm.scaling_.shift[3:] == 0).all()
    assert (rbm.scaling_.scale[3:] == 1).all()
    assert np.abs(rbm.reconstruct(X)[:, :3].mean(axis=0) - X[:, :3].mean(axis=0)).max() < 3
    assert small(scale="none").fit(np.hstack([X[:, :3] / 50, X[:, 3:]])).scaling_.scale is None
    bad = X.copy()
    bad[7, 9] = 2.0
    for use in (rbm.partial_fit, small().fit):
        with pytest.raises(ValueError, match=r"visible='bernoulli' needs values in \[0, 1\]; column 9 has max 2"):
            use(bad)
    bad[7, 9], bad[5, 3:7] = 0.0, 0.0
    with pytest.raises(ValueError, match="row 5 has 0 in group 0 from column 3 on"):
        small().fit(bad)
    with pytest.raises(ValueError, match="scale='minmax'"):
        small(scale="minmax").fit(X)
    with pytest.raises(ValueError, match=r"binarize=0.5"):
        small(binarize=0.5).fit(X)


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        ([("bernoulli", slice(0, 5)), ("gaussian", slice(7, 14))], "columns 5 to 6 are missing"),
        ([("bernoulli", slice(0, 5)), ("gaussian", slice(5, 12))], "columns 12 to 13 are missing"),
        ([("bernoulli", slice(1, 14))], "columns 0 to 0 are missing"),
        ([("bernoulli", slice(0, 6)), ("gaussian", slice(4, 14))], "columns 4 to 5 are named twice"),
        ([("bernoulli", slice(0, 20))], "more than the 14"),
        ([("bernoulli", slice(3, 3))], "names no columns"),
        ([("bernoulli", slice(0, 14, 2))], "without a step"),
        ([("bernoulli", 3)], "not a range of columns"),
        (["bernoulli"], "not a part of a mixed layer"),
        ([("relux", slice(0, 14))], "not a unit type"),
        ([("gaussian-variance", slice(0, 14))], "learn their log_variance"),
        ([], "columns 0 to 13 are missing"),
    ],
)
def test_bad_parts(visible, message):
    """The message names the columns and the remedy, before any work."""
    with pytest.raises(ValueError, match=message):
        small(visible=visible).fit(table())


def test_only_visible():
    """Hidden units are of one type."""
    with pytest.raises(ValueError, match="can only be visible"):
        small(hidden=visible_unit(SEVERAL, 14)).fit(table())
    with pytest.raises(ValueError, match="not a unit type"):
        small(hidden=SEVERAL).fit(table())


@pytest.mark.parametrize("persistent", [False, True])
def test_same_bits(persistent, split_everything):
    """Threads and CSR change nothing; nor does a list whose slices stand in another order."""
    X, options = table(), {"persistent": persistent, "k": 2}
    one = small(n_jobs=1, **options).fit(X)
    for other in (
        small(n_jobs=2, **options).fit(X),
        small(n_jobs=1, **options).fit(sparse.csr_matrix(X)),
        small(n_jobs=1, **(options | {"visible": SEVERAL[::-1]})).fit(X),
    ):
        assert np.array_equal(one.components_, other.components_)
        assert np.array_equal(one.sample(5, 3, random_state=1), other.sample(5, 3, random_state=1))


@pytest.mark.parametrize("parts", [SEVERAL, COUNTS], ids=["several", "counts"])
def test_round_trips(parts, tmp_path):
    """Files, pickles and clones give the same layer and the same results."""
    X = table()[:, 3:9] if parts is COUNTS else table()
    rbm = small(visible=parts).fit(X)
    assert clone(rbm).get_params()["visible"] == parts
    rbm.save(tmp_path / "model.safetensors")
    copies = load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(rbm)), clone(rbm).fit(X)
    for copy in copies:
        assert copy.visible_ == rbm.visible_
        assert copy.visible == parts
        assert np.array_equal(copy.reconstruct(X), rbm.reconstruct(X))
        assert np.array_equal(copy.sample(3, 2, random_state=0), rbm.sample(3, 2, random_state=0))


def test_networks():
    """Stacks and classifiers begin at mixed layers; imputation fills whole groups."""
    X, draw = table(), np.random.default_rng(0)
    dbn = DBN((4, 3), rbm=RBM(visible=SEVERAL, n_iter=2), random_state=0).fit(X)
    assert dbn.sample(5, 3).shape == (5, 14)
    assert np.isfinite(dbn.score_samples(X)).all()
    y = (X[:, 0] > 50).astype(int)
    assert DBNClassifier((6,), rbm=RBM(visible=SEVERAL, n_iter=5), max_iter=20, random_state=0).fit(X, y).score(X, y) > 0.9
    rbm = small(n_iter=20).fit(X)
    lost = np.where(draw.random(X.shape) < 0.2, np.nan, X)
    filled = rbm.impute(lost, n_steps=20, method="sample", random_state=0)
    known = ~np.isnan(lost)
    known[:, 3:7] &= known[:, 3:7].all(axis=1, keepdims=True)
    assert np.allclose(filled[known], X[known])
    assert np.allclose(filled[:, 3:7].sum(axis=1), 1)
    assert set(np.unique(filled[:, 12:])) <= {0, 1, 2, 3}
