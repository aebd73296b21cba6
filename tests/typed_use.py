"""Uses of fastdbn with the types that an editor shows. mypy checks them, and nothing runs this file."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import fastdbn
from fastdbn import DBN, RBM, DBNClassifier, DBNRegressor, Machine, TableModel
from fastdbn.callbacks import Callback, Checkpoint, EarlyStopping
from fastdbn.evaluate import ais, log_likelihood
from fastdbn.support.types import Array, Doubles, Labels, Stage


class Printer(Callback):
    def on_epoch_end(self, estimator: object, stage: Stage, epoch: int, metrics: dict[str, float]) -> None:
        print(stage, epoch, metrics["loss"])


def networks(X: NDArray[np.float64], y: list[str]) -> None:
    model = DBNClassifier((10,), rbm=RBM(k=[1, 2], learning_rate="auto"), callbacks=[Printer(), EarlyStopping(), print])
    assert_type(model.fit(X, y, validation_data=(X, y), resume="last"), DBNClassifier)
    assert_type(model.predict(X.tolist()), Labels)
    assert_type(model.predict_proba(sparse.csr_matrix(X)), Doubles)
    assert_type(model.score(X, y), float)
    assert_type(model.dbn_, DBN | None)
    assert_type(model.history_["loss"], Doubles)
    assert_type(DBNRegressor(10, dropout=[0.0, 0.2]).fit("rows.npy", X[:, 0]).predict(X), Doubles)
    assert_type(DBN((8, 4), rbm=[RBM(), RBM(hidden="gaussian")], random_state=np.random.default_rng(0)).fit(X).layers_, list[RBM])
    assert_type(TableModel(DBN((8,))).fit([["a", 1]]).score([["a", 1]]), float)


def machines(X: NDArray[np.float64]) -> None:
    rbm = RBM(16, callbacks=[Checkpoint("folder")], memory_limit="1GB").fit(iter([X, X]))
    assert_type(rbm.components_, Array)
    assert_type(rbm.sample(3, start="random", method="tempering"), Array)
    assert_type(rbm.machine_, Machine)
    assert_type(Machine(np.eye(2), [0, 0], [0, 0]).energy([[1, 0]], [[1, 1]]), Doubles)
    assert_type(log_likelihood(rbm, X, ais(rbm, n_chains=10).log_z), Doubles)
    fastdbn.load("model.safetensors").save("copy.safetensors")
    RBM(device="tpu")  # type: ignore[arg-type]
    rbm.transform(X, outt=X)  # type: ignore[call-arg]
