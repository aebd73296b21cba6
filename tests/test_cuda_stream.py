"""Data that do not fit on the device: streamed through two pinned buffers they give what data that lie there give."""

import numpy as np
import pytest

from fastdbn import RBM, DBNClassifier
from fastdbn.backends.protocol import Source
from fastdbn.maths import rng

pytestmark = pytest.mark.usefixtures("cuda_device")


@pytest.fixture
def stream(monkeypatch):
    """From its call on no data fit on the device; gives the list of the buffer that each minibatch goes through."""
    from fastdbn.backends.cuda.backend import CUDA
    from fastdbn.backends.cuda.loading import Streamed

    turns, take = [], Streamed.load_rows

    def watched(self, *given):
        take(self, *given)
        turns.append(self.turn)

    def start():
        monkeypatch.setattr(CUDA, "fits", lambda self, size: False)
        monkeypatch.setattr(Streamed, "load_rows", watched)
        return turns

    return start


def data(kind, folder):
    """(9, 4) rows, bits or real numbers, in a file mapped to memory."""
    draw = np.random.default_rng(1)
    np.save(folder / "X.npy", draw.integers(0, 2, (9, 4)).astype(np.uint8) if kind == "bits" else draw.random((9, 4)))
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("kind", ["bits", "real"])
def test_streamed_fit(kind, stream, tmp_path, monkeypatch):
    """A fit on a memory map or an array that is streamed gives the bits of one on data that lie on the device."""

    from fastdbn.backends.cuda import backend

    monkeypatch.setattr(backend, "PERSISTENT", 0)  # both compose the operations
    X = data(kind, tmp_path)
    model = RBM(3, n_iter=2, batch_size=4, device="cuda", random_state=0)
    resident = model.fit(X).components_
    turns = stream()
    assert np.array_equal(model.fit(X).components_, resident)
    assert turns[:6] == [1, 0] * 3  # the two buffers take turns over the minibatches
    assert np.array_equal(model.fit(np.array(X)).components_, resident)


def test_streamed_back_propagation(stream, tmp_path):
    """So does fine-tuning, and predictions from streamed rows."""
    X = data("real", tmp_path)
    model = DBNClassifier((4,), rbm=RBM(batch_size=8), pretrain=False, max_iter=2, batch_size=8, device="cuda", random_state=0)
    resident = model.fit(X, X[:, 0] > 0.5).predict_proba(X)
    turns = stream()
    assert np.array_equal(model.fit(X, X[:, 0] > 0.5).predict_proba(X), resident)
    assert {0, 1} == set(turns)


def test_buffers(stream):
    """A minibatch is copied beside the one before it, which may still be read; shorter and longer ones too."""
    from fastdbn.backends.cuda.backend import CUDA
    from fastdbn.backends.cuda.jit import SIMULATED

    n, columns, size = (40, 6, 5) if SIMULATED else (20_000, 784, 2_000)
    stream()
    b, X = CUDA(1), np.random.default_rng(2).random((n, columns)).astype(np.float32)
    source, key, taken = b.load(Source(X)), rng.key(1, 1, rng.stream(rng.DATA)), []
    for i in range(30):
        rows = np.random.default_rng(i).integers(0, n, size + i % 3 - 1).astype(np.uint32)
        taken.append((rows, b.zeros(len(rows), columns)))
        b.load_rows(source, b.array(rows), key, taken[-1][1])  # nothing waits here
    for rows, out in taken:
        assert np.array_equal(b.to_host(out), X[rows])
    for (rows, _), turn in zip(taken[-2:], (1 - source.turn, source.turn), strict=True):
        assert np.array_equal(source.buffers[turn][0][: len(rows)], X[rows])
