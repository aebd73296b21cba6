"""What a user of a fitted RBM or DBN looks for first, and the machines that estimators wrap."""

import copy
import pickle
import threading

import numpy as np
import pytest
from exact import as_rbm, log_joint
from naive import bits, sigmoid
from sklearn.base import clone
from small import binary, small

from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, GenerativeDBNClassifier, Machine, load

X = binary()


def network(sizes=(7,), **more):
    return DBN(sizes, rbm=RBM(n_iter=2, batch_size=20, **more), random_state=0).fit(X)


def counting():
    """An RBM and a network of one layer whose visible units count, and documents."""
    documents = np.random.default_rng(0).integers(0, 4, (50, 6)).astype(float)
    rbm = RBM(5, visible="replicated-softmax", n_iter=2, random_state=0)
    return (
        documents,
        rbm.fit(documents),
        DBN((5, 4), rbm=RBM(visible="replicated-softmax", n_iter=2), random_state=0).fit(documents),
    )


# ---- features and back


def test_hidden_to_visible():
    """inverse_transform: visible means given hidden states, of all layers of a network; on the scale of the data."""
    rbm, dbn = small().fit(X), network((7, 5))
    H = bits(7)
    down = sigmoid(H @ rbm.components_.astype(np.float64) + rbm.intercept_visible_)
    assert np.allclose(rbm.inverse_transform(H), down, atol=1e-5)
    assert np.array_equal(rbm.inverse_transform(rbm.transform(X)), rbm.reconstruct(X))
    assert np.array_equal(dbn.inverse_transform(dbn.transform(X)), dbn.reconstruct(X))
    assert np.array_equal(dbn.inverse_transform(dbn.transform(X, 0), 0), dbn.layers_[0].reconstruct(X))
    real = RBM(3, visible="gaussian", scale="standard", n_iter=1, random_state=0).fit(
        5 + 3 * np.random.default_rng(0).normal(size=(50, 4))
    )
    assert np.abs(real.inverse_transform(np.zeros((1, 3))) - 5).max() < 1.5
    with pytest.raises(ValueError, match="X has 6 columns: give 7, one for each hidden unit"):
        rbm.inverse_transform(H[:, :6])
    with pytest.raises(ValueError, match="layer=2"):
        dbn.inverse_transform(H, 2)


def test_hidden_draws():
    """sample_hidden draws from the means of transform; a seed gives the same draws; a network draws every layer on the way."""
    rows = np.repeat(X[:1], 20_000, axis=0)
    rbm, dbn = small().fit(X), network((7, 5))
    for model in (rbm, DBN.stack([rbm])):
        drawn = model.sample_hidden(rows, random_state=1)
        assert set(np.unique(drawn)) == {0.0, 1.0}
        assert np.abs(drawn.mean(axis=0) - model.transform(X[:1])).max() < 0.02
        assert np.array_equal(drawn, model.sample_hidden(rows, random_state=1))
        assert not np.array_equal(model.sample_hidden(rows), model.sample_hidden(rows))
    first = dbn.layers_[0].transform(X[:1])[0]
    p = np.prod(np.where(bits(7) == 1, first, 1 - first), axis=1)
    assert np.abs(dbn.sample_hidden(rows, random_state=1).mean(axis=0) - p @ dbn.layers_[1].transform(bits(7))).max() < 0.02
    assert dbn.sample_hidden(X, 0).shape == (61, 7)


# ---- energies


def test_energy_of_pairs():
    """E(v, h) of an RBM and of a network of one layer is its formula, and sums to the free energy."""
    draw = np.random.default_rng(0)
    W, b, c = draw.normal(size=(4, 3)), draw.normal(size=4), draw.normal(size=3)
    rbm, V, H = as_rbm(W, b, c, dtype="float64"), bits(4), bits(3)
    for model in (rbm, DBN.stack([rbm])):
        energies = model.energy(np.repeat(V, 8, axis=0), np.tile(H, (16, 1))).reshape(16, 8)
        assert np.allclose(energies, -log_joint(V, H, W, b, c))
        assert np.allclose(model.free_energy(V), -np.logaddexp.reduce(-energies, axis=1))
    with pytest.raises(ValueError, match="X has 16 rows and H has 8"):
        rbm.energy(V, H)


def test_methods_for_one_layer():
    """Free energy and Gibbs steps of a network of one layer are its RBM's; deeper networks and labels say what to take."""
    one, deep = network(), network((7, 5))
    rbm = one.layers_[0]
    assert np.array_equal(one.free_energy(X), rbm.free_energy(X))
    assert np.array_equal(one.gibbs(X, 3, random_state=1), rbm.gibbs(X, 3, random_state=1))
    for call in (lambda m: m.gibbs(X), lambda m: m.free_energy(X), lambda m: m.energy(X, X[:, :7])):
        with pytest.raises(ValueError, match="is for networks of one layer, and this one has 2"):
            call(deep)
    labelled = GenerativeDBNClassifier((5,), rbm=RBM(n_iter=1), up_down_iter=1, random_state=0).fit(X, np.arange(61) % 3)
    assert np.allclose(labelled.free_energy(X), -labelled.score_samples(X))
    with pytest.raises(ValueError, match=r"gibbs is for networks without labels: use top_rbm\(\)"):
        labelled.gibbs(X)


# ---- chains


def test_samples_go_on():
    """Chains that start at rows: `sample(start=)` of an RBM is `gibbs`; samples go on from samples."""
    rbm = small().fit(X)
    assert np.array_equal(rbm.sample(start=X, n_steps=3, random_state=1), rbm.gibbs(X, 3, random_state=1))
    assert np.array_equal(DBN.stack([rbm]).sample(start=X, n_steps=3, random_state=1), rbm.gibbs(X, 3, random_state=1))
    means = rbm.sample(start=X, n_steps=3, random_state=1, mean=True)
    assert ((means > 0) & (means < 1)).all()
    first = rbm.sample(10, n_steps=2)
    assert rbm.sample(start=first, n_steps=2).shape == first.shape
    with pytest.raises(ValueError, match="n_samples=3 and start has 61 rows"):
        rbm.sample(3, start=X)
    with pytest.raises(ValueError, match="method='annealing': give one of 'auto', 'gibbs'"):
        rbm.sample(method="annealing")


def test_samples_of_networks_start_at_rows():
    """With weights that copy, few steps from a row give it back; from nowhere they do not."""
    eye, zero = 40 * np.eye(4), np.full(4, -20.0)
    rows = np.repeat(bits(4)[[1, 6, 13]], 30, axis=0)
    dbn = DBN.stack([as_rbm(eye, zero, zero), as_rbm(eye, zero, zero)])
    assert np.array_equal(dbn.sample(start=rows, n_steps=2), rows)
    tuned = DBNClassifier((4, 4), pretrain=dbn, max_iter=0, random_state=0).fit(rows, np.arange(90) % 2)
    assert np.array_equal(tuned.sample(start=rows, n_steps=2, method="gibbs"), rows)
    top = GenerativeDBNClassifier((4,), rbm=RBM(n_iter=1), up_down_iter=0, random_state=0).fit(rows, np.arange(90) % 2)
    top.layers_[0].components_, top.layers_[0].intercept_visible_, top.layers_[0].intercept_hidden_ = eye, zero, zero
    for label in (None, 1):
        assert np.array_equal(top.sample(start=rows, n_steps=2, label=label), rows)


def test_totals_of_samples():
    """Totals that are asked for, those of `start`, or those of fit rows; for a network too."""
    documents, rbm, dbn = counting()
    for model in (rbm, dbn):
        assert model.sample(3, 2, totals=[4, 0, 9]).sum(axis=1).tolist() == [4, 0, 9]
        assert model.sample(2, 2, totals=5).sum(axis=1).tolist() == [5, 5]
        assert set(model.sample(20, 2).sum(axis=1)) <= set(documents.sum(axis=1))
        assert np.array_equal(model.sample(start=documents, n_steps=2).sum(axis=1), documents.sum(axis=1))
        with pytest.raises(ValueError, match="chains that begin at `start` keep the totals"):
            model.sample(start=documents, totals=3)
    with pytest.raises(ValueError, match="is for visible units that count"):
        network().sample(2, totals=3)


# ---- machine_


def test_machine_of_an_estimator(tmp_path):
    """It computes what the estimator does; it is in no pickle, clone, copy or file, and made anew for each of them."""
    rbm = small().fit(X)
    machine = rbm.machine_
    assert isinstance(machine, Machine)
    assert rbm.machine_ is machine
    assert np.array_equal(machine.hidden(X), rbm.transform(X))
    assert np.allclose(machine.free_energy(X), rbm.free_energy(X))
    assert not [value for value in vars(rbm).values() if isinstance(value, Machine)]
    rbm.save(tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(rbm)), copy.deepcopy(rbm), load(tmp_path / "model")):
        assert other.machine_ is not machine
        assert np.array_equal(other.machine_.hidden(X), machine.hidden(X))
    assert not hasattr(clone(rbm), "machine_")
    sklearns = BernoulliRBM(4, n_iter=1, random_state=0).fit(X)
    assert np.array_equal(sklearns.machine_.hidden(X), sklearns.transform(X))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "components_", m.components_ * 2),
        lambda m: setattr(m, "intercept_visible_", m.intercept_visible_ + 1),
        lambda m: setattr(m, "intercept_hidden_", m.intercept_hidden_ + 1),
        lambda m: setattr(m, "hidden_", "spin"),
        lambda m: m.set_params(n_jobs=3),
        lambda m: m.set_params(dtype="float64"),
        lambda m: m.set_params(warm_start=True).fit(X),
        lambda m: m.partial_fit(X),
    ],
)
def test_machine_is_dropped_when_its_sources_change(change):
    """And only then."""
    rbm, dbn = small(n_jobs=2).fit(X), network((7, 5))
    rbm.transform(X)
    machine, before = rbm.machine_, dbn.transform(X)
    assert rbm.set_params(verbose=0).machine_ is machine
    change(rbm)
    assert rbm.machine_ is not machine
    assert rbm.machine_.backend.n_threads == rbm.n_jobs
    for name in ("components_", "intercept_visible_"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(rbm, name)[:] = 0
    dbn.layers_[0].components_ = dbn.layers_[0].components_ * 3
    assert not np.array_equal(dbn.transform(X), before)
    dbn.set_params(dtype="float64")
    assert {dbn.transform(X).dtype, dbn.reconstruct(X).dtype, dbn.sample(2, 1).dtype} == {np.dtype("float64")}


def test_machine_under_threads():
    """Threads that ask at once get one machine; while parameters are replaced each result is of one set of them."""
    rbm = small().fit(X)
    found, barrier = [], threading.Barrier(8)

    def ask():
        barrier.wait()
        found.append(rbm.machine_)

    run([threading.Thread(target=ask) for _ in range(8)])
    assert len(set(map(id, found))) == 1
    weights = [rbm.components_, -rbm.components_]
    expected, results = [], []
    for W in weights:
        rbm.components_ = W
        expected.append(rbm.transform(X).tobytes())

    def use():
        results.extend(rbm.transform(X).tobytes() for _ in range(30))

    def replace():
        for i in range(60):
            rbm.components_ = weights[i % 2]

    run([threading.Thread(target=work) for work in (use, use, replace)])
    assert set(results) <= set(expected)


def run(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
