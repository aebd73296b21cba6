"""Data that do not fit on the device: streamed through two pinned buffers they give what data that lie there give."""

import numpy as np
import pytest

from fastdbn import RBM, DBNClassifier, rng
from fastdbn.backends import Source

pytestmark = pytest.mark.usefixtures("cuda_device")


@pytest.fixture
def stream(monkeypatch):
    """From its call on no data fit on the device; gives the list of the buffer that each minibatch goes through."""
    from fastdbn.backends.cuda import CUDA
    from fastdbn.backends.cuda_data import Streamed

    turns, take = [], Streamed.take

    def watched(self, *given):
        take(self, *given)
        turns.append(self.turn)

    def start():
        monkeypatch.setattr(CUDA, "fits", lambda self, size: False)
        monkeypatch.setattr(Streamed, "take", watched)
        return turns

    return start


def data(kind, folder):
    """(17, 6) rows: bits, real numbers, and either in a file mapped to memory."""
    draw = np.random.default_rng(1)
    X = draw.integers(0, 2, (17, 6)).astype(np.uint8) if "bits" in kind else draw.random((17, 6)).astype(np.float32)
    if "file" not in kind:
        return X
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("kind", ["bits", "real", "bits in a file", "real in a file"])
def test_streamed_fit(kind, stream, tmp_path, monkeypatch):
    """A fit on streamed data, arrays or memory maps, gives the bits of one on data that lie on the device."""
    from fastdbn.backends import cuda

    monkeypatch.setattr(cuda, "PERSISTENT", 0)  # both compose the operations
    X = data(kind, tmp_path)
    model = RBM(5, n_iter=2, batch_size=4, device="cuda", random_state=0)
    resident = model.fit(X).components_.copy()
    turns = stream()
    assert np.array_equal(model.fit(X).components_, resident)
    assert turns[:10] == [1, 0] * 5  # the two buffers take turns over the 5 minibatches of each epoch


def test_streamed_back_propagation(stream):
    """So does fine-tuning, and predictions from streamed rows."""
    X = data("real", None)
    model = DBNClassifier((4,), pretrain=False, max_iter=2, batch_size=8, device="cuda", random_state=0)
    resident = model.fit(X, X[:, 0] > 0.5).predict_proba(X)
    turns = stream()
    assert np.array_equal(model.fit(X, X[:, 0] > 0.5).predict_proba(X), resident)
    assert {0, 1} == set(turns)


def test_buffers(stream):
    """A minibatch is copied beside the one before it, which may still be read; shorter and longer ones too."""
    from fastdbn.backends.cuda import CUDA
    from fastdbn.backends.cuda_jit import SIMULATED

    n, columns, size = (40, 6, 5) if SIMULATED else (20_000, 784, 2_000)
    stream()
    b, X = CUDA(1), np.random.default_rng(2).random((n, columns)).astype(np.float32)
    source, key, taken = b.load(Source(X)), rng.key(1, 1, rng.stream(rng.DATA)), []
    for i in range(30):
        rows = np.random.default_rng(i).integers(0, n, size + i % 3 - 1).astype(np.uint32)
        taken.append((rows, b.zeros(len(rows), columns)))
        b.take(source, b.array(rows), key, taken[-1][1])  # nothing waits here
    for rows, out in taken:
        assert np.array_equal(b.to_host(out), X[rows])
    for (rows, _), turn in zip(taken[-2:], (1 - source.turn, source.turn), strict=True):
        assert np.array_equal(source.buffers[turn][0][: len(rows)], X[rows])
