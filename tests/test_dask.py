"""Training on a Dask cluster: the same bits however many workers there are, and those of one machine where that is promised."""

import os
import pickle
import signal
from concurrent.futures import CancelledError

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from fastdbn import DBN, RBM, DBNClassifier, DBNRegressor, evaluate, load
from fastdbn.callbacks import Checkpoint
from tests.small import bits

pytest.importorskip("distributed", reason='needs pip install "fastdbn[dask]"')

import dask.array as da
import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

from fastdbn.dask import DaskDBN, DaskDBNClassifier, DaskDBNRegressor, DaskRBM, ais, shard
from fastdbn.dask.shards import Shards, Sync
from fastdbn.inputs import data

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*makes a round over all machines:UserWarning"),
    pytest.mark.filterwarnings("ignore:The network:UserWarning"),
]
X = (np.random.default_rng(0).random((300, 16)) < np.linspace(0.1, 0.6, 16)).astype(np.float32)
GREY = np.random.default_rng(1).random((300, 16)).astype(np.float32)
Y = (X[:, 8:].sum(axis=1) > 3).astype(int)
DX, DGREY, DY = (da.from_array(x, chunks=70) for x in (X, GREY, Y))
SHORT = {"n_components": 6, "random_state": 0, "n_iter": 2}
NETWORK = {"hidden_layer_sizes": (6, 4), "rbm": RBM(n_iter=1, batch_size=50), "random_state": 0}
DASK = {"n_shards": 3, "sync_every": 2}


def cluster(n_workers, processes=False):
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=processes, dashboard_address=":0")


@pytest.fixture(scope="module")
def client():
    """A cluster of two workers, which are threads of this process."""
    with cluster(2) as workers, Client(workers) as client:
        yield client


# ---- the same bits


def test_bits_depend_on_shards_alone():
    """One, two and three workers, and other chunks of the data, give the same bits; another number of shards others."""
    found = []
    for n, chunks in ((1, 70), (2, 70), (3, 300)):
        with cluster(n) as workers, Client(workers):
            model = DaskDBNClassifier(max_iter=2, batch_size=50, **NETWORK, **DASK).fit(da.from_array(X, chunks=chunks), DY)
            steps = DaskRBM(sync="gradient", batch_size=100, n_shards=3, **SHORT).fit(da.from_array(X, chunks=chunks))
            found.append([*model.coefs_, *model.intercepts_, steps.components_])
    for other in found[1:]:
        assert all(np.array_equal(x, y) for x, y in zip(found[0], other, strict=True))


@pytest.mark.slow
def test_killed_and_new_workers_change_no_bit():
    """In processes: a worker joins after the first epoch, and the first one is killed after the second."""
    kinds = {"n_components": 6, "random_state": 0, "n_iter": 4, "n_shards": 4, "sync_every": 1, "batch_size": 20}
    with cluster(1, processes=True) as workers, Client(workers) as client:
        whole, first, busy = DaskRBM(**kinds).fit(DX), *client.nthreads(), []

        def change(epoch, **_):
            if epoch == 1:
                workers.scale(2)
                client.wait_for_workers(2, timeout=300)
            elif epoch == 2:
                busy.extend(worker for worker, keys in client.has_what().items() if keys)
                os.kill(client.run(os.getpid)[first], signal.SIGKILL)

        assert bits(DaskRBM(callbacks=[change], **kinds).fit(DX)) == bits(whole)
        assert len(busy) == 2


def test_tasks_are_submitted_again(client, monkeypatch):
    """A cluster gives up three times, once under each kind of task: shards and rounds are made anew, to the same bits."""
    whole, gather, calls = DaskRBM(**SHORT, **DASK).fit(DX), client.gather, []

    def give_up(futures):
        calls.append(futures)
        if len(calls) in (1, 4, 6):
            raise CancelledError
        return gather(futures)

    monkeypatch.setattr(client, "gather", give_up)
    assert bits(DaskRBM(client=client, **SHORT, **DASK).fit(DX)) == bits(whole)
    assert all(future.status == "cancelled" for future in calls[0])


@pytest.mark.parametrize("more", [{}, {"persistent": True}, {"shuffle": False}], ids=str)
def test_average_of_one_shard_is_a_local_fit(client, more):
    local = RBM(batch_size=50, **SHORT, **more).fit(X)
    assert bits(DaskRBM(batch_size=50, n_shards=1, sync_every=2, **SHORT, **more).fit(DX)) == bits(local)


def test_statistics_of_one_shard_are_local(client):
    """To the last bit of float64, which scaling and initial biases are made of."""
    weights = np.linspace(0, 2, 300)
    shards = Shards.of(DGREY, client, Sync("average", 1), 1, False)
    for found, known in zip(data.columns(shards, weights), data.columns(GREY, weights), strict=True):
        assert np.array_equal(found, known)
    mean = data.columns(GREY).mean
    assert np.array_equal(data.column_variance(shards, mean, weights), data.column_variance(GREY, mean, weights))
    shards.release()


# ---- one machine's results


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"centering": None, "k": 2},
        {"centering": "enhanced", "l1": 0.01, "max_norm": 0.05, "momentum": 0.5},
        {"persistent": True, "n_chains": 10},
    ],
    ids=str,
)
def test_gradient_equals_one_machine(client, more):
    """Of grey rows too, which are drawn; with weights of rows, and rows held out."""
    weights, kinds = (
        np.linspace(0, 2, 300),
        {"batch_size": 110, "validation_fraction": 0.1, "learning_rate": 0.5, **SHORT, **more},
    )
    local = RBM(**kinds).fit(GREY, sample_weight=weights)
    shared = DaskRBM(sync="gradient", n_shards=3, **kinds).fit(DGREY, sample_weight=weights)
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        np.testing.assert_allclose(getattr(shared, name), getattr(local, name), rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(shared.history_["reconstruction_error"], local.history_["reconstruction_error"], rtol=1e-2)


@pytest.mark.parametrize("more", [{}, {"solver": "sgd", "dropout": 0.3, "max_norm": 2.0}], ids=["adam", "sgd"])
def test_back_propagation_equals_one_machine(client, more):
    kinds = {"max_iter": 2, "batch_size": 110, "pretrain": False, **NETWORK, **more}
    local, shared = DBNClassifier(**kinds).fit(X, Y), DaskDBNClassifier(sync="gradient", n_shards=3, **kinds).fit(DX, DY)
    for x, y in zip(shared.coefs_, local.coefs_, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5)
    np.testing.assert_allclose(shared.history_["loss"], local.history_["loss"], rtol=1e-4)


def test_scaling_is_that_of_one_machine(client):
    """Columns are standardised by statistics of all shards; a data frame's names are known."""
    frame = pd.DataFrame(np.random.default_rng(2).normal(3.0, 2.0, (200, 4)), columns=list("abcd"))
    kinds, untrained = {"sample_weight": np.linspace(0, 1, 200)}, NETWORK | {"rbm": RBM(n_iter=0)}
    local = DBN(**untrained).fit(frame, **kinds)
    shared = DaskDBN(**untrained, **DASK).fit(dd.from_pandas(frame, npartitions=3), **kinds)
    assert shared.feature_names_in_.tolist() == list("abcd")
    assert shared.layers_[0].visible_ == "gaussian"
    for x, y in zip(shared.layers_[0].scaling_[:2], local.layers_[0].scaling_[:2], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_averaging_learns(client):
    """The mean of the shards' parameters is as good as one machine's here."""
    kinds = {"n_components": 12, "n_iter": 8, "random_state": 0, "learning_rate": 0.2}
    local, shared = RBM(**kinds).fit(X), DaskRBM(sync_every=3, n_shards=2, **kinds).fit(DX)
    assert shared.history_["pseudo_likelihood"][-1] > local.history_["pseudo_likelihood"][-1] - 0.5


# ---- use


def test_results_over_blocks(client):
    """Dask collections give dask arrays with the results of the local model; scores and AIS agree too."""
    model = DaskDBNClassifier(max_iter=1, batch_size=50, **NETWORK, **DASK).fit(DX, DY)
    local = model.to_local()
    for name in ("transform", "predict", "predict_proba"):
        found = getattr(model, name)(DX)
        assert found.shape == getattr(local, name)(X).shape
        np.testing.assert_allclose(found.compute(), getattr(local, name)(X), rtol=1e-5)
        np.testing.assert_array_equal(getattr(model, name)(X), getattr(local, name)(X))
    assert model.score(DX, DY) == local.score(X, Y)
    for rows, dask_rows in ((X, DX), (GREY * 9 - 3, DGREY * 9 - 3)):
        rbm = DaskRBM(6, n_iter=0, random_state=0, **DASK).fit(dask_rows)
        weights = np.linspace(0, 1, 300)
        assert rbm.score(dask_rows, sample_weight=weights) == pytest.approx(
            rbm.to_local().score(rows, sample_weight=weights), rel=1e-5
        )
    numbers = {"n_chains": 20, "n_steps": 50, "exact": False, "random_state": 0}
    rbm = DaskRBM(**SHORT, **DASK).fit(DX)
    assert ais(rbm, n_shards=3, **numbers).log_z == pytest.approx(evaluate.ais(rbm.to_local(), **numbers).log_z, rel=1e-6)


def test_blocks_without_rows(client):
    """Filters leave blocks with no rows, or with a number of rows that only their computation shows."""
    model = DaskDBNClassifier(max_iter=1, batch_size=50, **NETWORK, **DASK).fit(DX, DY)
    some, none = DX[DX[:, 0] > 0], DX[DX[:, 0] > 2]
    known = X[X[:, 0] > 0]
    assert np.isnan(some.shape[0])
    for name in ("predict", "predict_proba"):
        found = getattr(model, name)(da.concatenate([none, some, none])).compute()
        np.testing.assert_allclose(found, getattr(model.to_local(), name)(known), rtol=1e-5)
    with pytest.raises(ValueError, match="X has no rows"):
        model.predict(none)
    assert model.score(some, DY[DX[:, 0] > 0]) == model.to_local().score(known, Y[X[:, 0] > 0])


def test_sparse_blocks(client):
    """Blocks that are CSR matrices train and predict as dense ones do."""
    rows = DX.map_blocks(sparse.csr_matrix)
    kinds = {"max_iter": 1, "batch_size": 50, **NETWORK, **DASK}
    dense, model = (DaskDBNClassifier(**kinds).fit(given, DY) for given in (DX, rows))
    for x, y in zip(dense.coefs_, model.coefs_, strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(model.predict(rows).compute(), dense.predict(DX).compute())


def test_regressor(client):
    model = DaskDBNRegressor(max_iter=1, batch_size=50, **NETWORK, **DASK).fit(DX, DY)
    assert isinstance(model.to_local(), DBNRegressor)
    assert model.score(DX, DY) == pytest.approx(model.to_local().score(X, Y))


def test_manners(client, tmp_path):
    """Parameters are those of the local class and four more; copies keep or drop the client."""
    for cls, local in ((DaskRBM, RBM), (DaskDBN, DBN), (DaskDBNClassifier, DBNClassifier), (DaskDBNRegressor, DBNRegressor)):
        assert set(cls().get_params(deep=False)) == {*local().get_params(deep=False), "client", "sync", "sync_every", "n_shards"}
    model = DaskRBM(client=client, **SHORT, **DASK)
    assert clone(model).client is client
    model.fit(DX)
    assert model.client_ is client
    copied = pickle.loads(pickle.dumps(model))
    assert copied.client is None
    assert bits(copied) == bits(model)
    model.save(tmp_path / "model.safetensors")
    saved = load(tmp_path / "model.safetensors")
    assert type(saved) is RBM
    assert bits(saved) == bits(model) == bits(model.to_local())
    assert not hasattr(model.to_local(), "client")


def test_checkpoints(client, tmp_path):
    """A fit that lost its cluster goes on from its last checkpoint to the same bits."""
    kinds = {"max_iter": 3, "batch_size": 50, **NETWORK, **DASK}
    whole = DaskDBNClassifier(**kinds).fit(DX, DY)

    def lose(layer, epoch, **_):
        if layer == "fine-tuning" and epoch == 2:
            raise RuntimeError("the scheduler is gone")

    with pytest.raises(RuntimeError, match="gone"):
        DaskDBNClassifier(callbacks=[Checkpoint(tmp_path), lose], **kinds).fit(DX, DY)
    resumed = DaskDBNClassifier(callbacks=[Checkpoint(tmp_path)], **kinds).fit(DX, DY, resume="last")
    assert all(np.array_equal(x, y) for x, y in zip(whole.coefs_, resumed.coefs_, strict=True))


# ---- refusals


def test_workers_of_another_version(monkeypatch):
    """A shard is neither made nor taken by another fastdbn, which might compute other bits."""
    sent = pickle.dumps(shard.checked_shard(X, 0, 0, False, shard.__version__))
    monkeypatch.setattr(shard, "__version__", "new")
    with pytest.raises(ValueError, match="sent a task to fastdbn new: install one"):
        pickle.loads(sent)
    with pytest.raises(ValueError, match="fastdbn old sent a task"):
        shard.checked_shard(X, 0, 0, False, "old")


def test_refusals(client):
    for given, remedy in ((X, "from_array"), ("rows.parquet", "read_parquet"), (iter([X]), "from_delayed")):
        with pytest.raises(TypeError, match=f"give a dask array .*{remedy}"):
            DaskRBM().fit(given)
    frame = dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), npartitions=1)
    with pytest.raises(ValueError, match=r"X has the type .* in 'b': give numbers"):
        DaskRBM().fit(frame)
    with pytest.raises(ValueError, match=r"group 0.*\(counted from row 100\)"):
        DaskRBM(visible="softmax:4", **SHORT, **DASK).fit(
            da.from_array(np.tile(np.eye(4), (75, 4)) * (np.arange(300) // 50 != 3)[:, None])
        )
    with pytest.raises(ValueError, match="out is for rows in memory"):
        DaskRBM(**SHORT, **DASK).fit(DX).transform(DX, out=np.empty((300, 6), np.float32))
    with pytest.raises(ValueError, match="memory_limit='1GB': workers hold"):
        DaskRBM(memory_limit="1GB").fit(DX)
    with pytest.raises(ValueError, match="sync='both'"):
        DaskRBM(sync="both").fit(DX)
    with pytest.raises(ValueError, match="cannot share what Tempering keeps"):
        DaskRBM(persistent=True, temperatures=4, **SHORT).fit(DX)
    with pytest.raises(ValueError, match="Input X contains NaN in row"):
        DaskRBM(**SHORT).fit(da.where(DX > 2, DX, np.nan))
    with pytest.raises(ValueError, match="client='here'"):
        DaskRBM(client="here").fit(DX)
    with pytest.raises(AttributeError, match="warm_start"):
        DaskRBM().partial_fit(DX)
    assert not hasattr(DaskRBM(), "partial_fit")  # so that tools do not call it
    with pytest.warns(UserWarning, match="sync='average'"):
        DaskRBM(sync="gradient", batch_size=300, **SHORT).fit(DX)
