"""Replicated softmax: counts of words, against brute force over all documents of a few words."""

import itertools
import pickle

import naive
import numpy as np
import pytest
from runs import phases, run_of
from scipy import sparse, special, stats

from fastdbn import DBN, RBM, DBNClassifier, evaluate, load
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Params
from fastdbn.machine.block import BlockMachine
from fastdbn.maths import rng
from fastdbn.training.options.totals import Totals
from fastdbn.units import get_unit

UNIT, BERNOULLI = get_unit("replicated-softmax"), get_unit("bernoulli")


def documents(words, total):
    """All vectors of counts that sum to a total."""
    rows = [x for x in itertools.product(range(total + 1), repeat=words) if sum(x) == total]
    return np.array(rows, float)


def ways(x):
    """How many texts have these counts."""
    return special.gammaln(x.sum(axis=-1) + 1) - special.gammaln(x + 1).sum(axis=-1)


def corpus(n=200, words=12, seed=0, longest=30):
    """Documents of two topics and of unlike lengths, one of them empty."""
    draw = np.random.default_rng(seed)
    topics = draw.dirichlet(np.full(words, 0.3), 2)
    X = np.array([draw.multinomial(draw.integers(5, longest), topics[i % 2]) for i in range(n)])
    X[3] = 0
    return X.astype(np.float32)


def small(**more):
    options = {"visible": "replicated-softmax", "n_iter": 3, "batch_size": 20, "random_state": 0}
    return RBM(4, **(options | more))


def draws(s, totals, dtype="float32", seed=1):
    """States drawn for rows of one input s and their own totals."""
    backend, n = get_backend(1, dtype), len(totals)
    mean, v = backend.array(np.tile(s, (n, 1)).astype(float)), backend.zeros(n, len(s))
    v[:, -1] = totals
    key = rng.key(seed, 0, rng.stream(rng.VISIBLE))
    backend.activate(UNIT, backend.zeros(len(s)), mean, v, np.arange(n, dtype=np.uint32), key)
    return mean, v


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_are_multinomial(dtype):
    """Frequencies of all count vectors, by a chi-square test at its 0.1 % point; means are of D trials."""
    s, n = np.array([0.3, -1.0, 1.2]), 20_000
    p = naive.softmax(s)
    for total in (1, 2, 4):
        mean, v = draws(s, np.full(n, total), dtype)
        assert np.allclose(mean, total * p, rtol=1e-5)
        states = documents(3, total)
        expected = n * np.exp(ways(states) + states @ np.log(p))
        seen = np.array([(v == x).all(axis=1).sum() for x in states])
        assert seen.sum() == n
        assert ((seen - expected) ** 2 / expected).sum() < stats.chi2.isf(1e-3, len(states) - 1)


def test_draws_of_long_documents():
    """Rows keep totals from nothing to more than one chunk of noise; means and covariances are the multinomial's."""
    draw = np.random.default_rng(4)
    s, n, total = draw.normal(size=40), 4000, 700
    p = naive.softmax(s)
    totals = np.array([0, 1, 63, 64, 65, 128, 5000] * 9)
    _, v = draws(s, totals)
    assert np.array_equal(v.sum(axis=1), totals)
    assert (v == np.floor(v)).all()
    _, v = draws(s, np.full(n, total))
    error = np.sqrt(total * p * (1 - p) / n)
    assert (np.abs(v.mean(axis=0) - total * p) < 5 * error).all()
    covariance = total * (np.diag(p) - np.outer(p, p))
    spread = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / n)
    assert (np.abs(np.cov(v.T) - covariance) < 6 * spread).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_energies_against_brute_force(dtype):
    """Hidden means and F(v) with the hidden biases scaled by D, as weights of W + c give them; and the visible normaliser."""
    backend, draw = get_backend(1, dtype), np.random.default_rng(5)
    W, b, c = draw.normal(size=(3, 2)), draw.normal(size=3), draw.normal(size=2)
    loose = 1e-5 if dtype == "float32" else 1e-12
    machine = BlockMachine(backend, UNIT, BERNOULLI, Params(*(backend.array(x) for x in (W + c, b, np.zeros(2)))))
    for total in (0, 1, 4):
        v = documents(3, total)
        x, out, mean = backend.array(v), np.empty(len(v)), backend.zeros(len(v), 2)
        machine.hidden_given(x, mean)
        assert np.allclose(mean, naive.sigmoid(v @ W + total * c), atol=loose)
        machine.free_energy_block(x, out)
        H = naive.bits(2)
        energies = (v @ b)[:, None] + v @ W @ H.T + total * (H @ c)
        assert np.allclose(out, -ways(v) - np.logaddexp.reduce(energies, axis=1), atol=20 * loose)
        log_p = machine.log_visible(x, backend.array(np.tile(H[2], (len(v), 1))))
        assert np.isclose(np.logaddexp.reduce(log_p), 0, atol=20 * loose)
        expected = ways(v) + v @ np.log(naive.softmax(b + W @ H[2]))
        assert np.allclose(log_p, expected, atol=20 * loose)


def exact_moments(params, totals):
    """(mean of v h', of v) under the model, for documents of some totals, one after another."""
    found = [np.zeros_like(params.W), np.zeros_like(params.b)]
    for total in totals:
        v = documents(len(params.b), total)
        log_p = ways(v) + v @ params.b + np.logaddexp(0, v @ params.W).sum(axis=1)
        p = np.exp(log_p - np.logaddexp.reduce(log_p))
        found[0] += (p[:, None] * v).T @ naive.sigmoid(v @ params.W) / len(totals)
        found[1] += p @ v / len(totals)
    return found


@pytest.mark.parametrize("persistent", [False, True])
def test_gradient_of_the_likelihood(persistent):
    """Long chains, each with the total of its row, have the model's expectations given their totals, within 5 standard errors."""
    draw, n = np.random.default_rng(6), 6000
    params = Params(draw.normal(size=(3, 2)), draw.normal(size=3) * 0.5, np.zeros(2))
    X = np.zeros((n, 3))
    X[np.arange(n), draw.integers(0, 3, n)] = np.arange(n) % 5
    minus = phases(run_of(params, X, visible=UNIT, seed=3, k=30, persistent=persistent, options=[Totals()]))[1]
    assert np.array_equal(minus.v.sum(axis=1), X.sum(axis=1))
    each = [minus.v[:, :, None] * minus.h[:, None, :], minus.v]
    for x, expected in zip(each, exact_moments(params, range(5)), strict=True):
        assert (np.abs(x.mean(axis=0) - expected) < 5 * x.std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("persistent", [False, True])
def test_learns(persistent):
    """The exact likelihood of each document given its length rises; the hidden biases stay in the weights."""
    X = corpus(300, words=4, longest=9)
    rbm = small(dtype="float64", learning_rate=0.01, persistent=persistent)

    def log_likelihood(rbm):
        score = rbm.score_samples(X)
        log_z = {total: np.logaddexp.reduce(rbm.score_samples(documents(4, total))) for total in range(10)}
        return np.mean(score - [log_z[int(total)] for total in X.sum(axis=1)])

    before, after = (log_likelihood(rbm.set_params(n_iter=n).fit(X)) for n in (0, 60))
    assert after > before + 0.3, (before, after)
    assert (rbm.intercept_hidden_ == 0).all()


@pytest.mark.parametrize("persistent", [False, True])
def test_same_bits(persistent, split_everything):
    """Threads, CSR and integers change nothing."""
    X, options = corpus(), {"persistent": persistent, "k": 2}
    one = small(n_jobs=1, **options).fit(X)
    for other in (
        small(n_jobs=2, **options).fit(X),
        small(n_jobs=1, **options).fit(sparse.csr_matrix(X)),
        small(n_jobs=1, **options).fit(X.astype(int)),
    ):
        assert np.array_equal(one.components_, other.components_)
        assert np.array_equal(one.sample(5, 3, random_state=1), other.sample(5, 3, random_state=1))


def test_totals_are_kept(tmp_path):
    """Chains, reconstructions and denoising keep each row's total; samples have those of the data, or those asked for."""
    X = corpus()
    rbm = small().fit(sparse.csr_matrix(X))
    totals = X.sum(axis=1)
    for result in (
        rbm.gibbs(X, 3),
        rbm.reconstruct(X),
        rbm.reconstruct(sparse.csr_matrix(X)),
        rbm.denoise(X),
        rbm.denoise(X, method="sample"),
    ):
        assert np.allclose(result.sum(axis=1), totals, rtol=1e-5)
    assert set(rbm.sample(50, 3).sum(axis=1)) <= set(totals)
    assert len(set(rbm.sample(50, 3).sum(axis=1))) > 5
    assert (rbm.sample(3, 2, totals=7).sum(axis=1) == 7).all()
    assert np.array_equal(rbm.sample(2, 2, totals=[0, 90]).sum(axis=1), [0, 90])
    for bad in (-1, 1.5, [1, 2]):
        with pytest.raises(ValueError, match="totals="):
            rbm.sample(3, totals=bad)
    with pytest.raises(ValueError, match="visible units that count"):
        RBM(2, n_iter=1).fit(np.eye(4)).sample(totals=3)
    with pytest.raises(ValueError, match="cannot be imputed"):
        rbm.impute(np.where(X == 0, np.nan, X))
    rbm.save(tmp_path / "model.safetensors")
    for copy in (load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(rbm))):
        assert np.array_equal(copy.totals_, rbm.totals_)
        assert np.array_equal(copy.sample(4, 2, random_state=0), rbm.sample(4, 2, random_state=0))


def test_data_are_checked():
    """Counts are whole and not negative, and only visible."""
    X = corpus()
    X[5, 7] = 0.5
    for data in (X, sparse.csr_matrix(X)):
        with pytest.raises(ValueError, match=r"row 5 has 0\.5 in column 7"):
            small().fit(data)
    X[5, 7] = -2
    with pytest.raises(ValueError, match="column 7 has min -2"):
        small().fit(X)
    with pytest.raises(ValueError, match="hidden='replicated-softmax'"):
        small(hidden="replicated-softmax").fit(corpus())
    with pytest.raises(ValueError, match="binarize"):
        small(binarize=0.5).fit(corpus())


def test_there_is_no_one_z():
    """What asks for log Z is refused."""
    rbm = small().fit(corpus())
    for use in (evaluate.log_z, evaluate.ais, evaluate.reverse_ais):
        with pytest.raises(ValueError, match="one for every total"):
            use(rbm)
    with pytest.raises(ValueError, match="totals belong to the gradient"):
        small(centering="data").fit(corpus())


def test_networks():
    """Stacks and classifiers begin at counts."""
    X, y = corpus(), np.arange(200) % 2
    dbn = DBN((5, 3), rbm=RBM(visible="replicated-softmax", n_iter=3), random_state=0).fit(X)
    assert set(dbn.sample(9, 3).sum(axis=1)) <= set(X.sum(axis=1))
    assert np.isfinite(dbn.score_samples(X)).all()
    assert np.allclose(dbn.reconstruct(X).sum(axis=1), X.sum(axis=1), rtol=1e-5)
    with pytest.raises(ValueError, match="totals of units that count"):
        dbn.up_down(X)
    model = DBNClassifier((6,), rbm=RBM(visible="replicated-softmax", n_iter=5), max_iter=20, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
