"""What several test files share."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("FASTDBN_QUIET", "1")  # tests of stderr hold whether or not kernels are in the cache

from fastdbn.backends.cpu import backprop_steps, blas, pool
from fastdbn.backends.cpu.backend import CPU


@pytest.fixture(params=["extension", "address"])
def product_route(request, monkeypatch):
    """Both ways to BLAS: through the Cython extension and by SciPy's address."""
    if request.param == "extension" and not blas.has_extension():
        pytest.skip("the extension is not built or is turned off")
    if request.param == "address":
        monkeypatch.setenv("FASTDBN_NO_EXTENSION", "1")
    return request.param


@pytest.fixture
def split_everything(monkeypatch):
    """Let the pool share out even the smallest region."""
    monkeypatch.setattr(pool, "WORK_PER_THREAD", 1)
    monkeypatch.setattr(backprop_steps, "FEWEST_ROWS", 1)


@pytest.fixture
def composed(monkeypatch):
    """Let models train by single operations: whole minibatches would be compiled for each pair of unit types and precision."""
    monkeypatch.setattr(CPU, "cd_steps", lambda *_: False)
    monkeypatch.setattr(CPU, "backprop_steps", lambda *_: None)


def pytest_addoption(parser):
    parser.addoption("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the tests of CUDA run on this machine's GPU")


def _shared_array(lock):
    """Shared memory of CUDA's simulator, one array for each line of a kernel. Its own may give two threads two of them."""

    def array(self, shape, dtype):
        caller = sys._getframe(1)
        with lock:
            return self._allocations.setdefault((caller.f_code, caller.f_lineno), np.empty(shape, dtype))

    return array


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Every device that estimators compute on; CUDA in its simulator or, by --device cuda, on a GPU."""
    if request.param == "cuda":
        request.getfixturevalue("cuda_device")
    return request.param


@pytest.fixture
def cuda_device(request, monkeypatch):
    """Leave a test out where there is neither CUDA's simulator nor, by --device cuda, a GPU."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        if request.config.getoption("--device") != "cuda":
            pytest.skip("CUDA is tested with NUMBA_ENABLE_CUDASIM=1 in its simulator, or with --device cuda on a GPU")
        yield
        return
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    monkeypatch.setattr(FakeCUDAShared, "array", _shared_array(threading.Lock()))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # a block's threads are Python's, and wait for each other often
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def binary():
    """(rows, columns, density, seed) -> float32 zeros and ones."""

    def make(rows, columns, density=0.3, seed=0):
        return (np.random.default_rng(seed).random((rows, columns)) < density).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's 8x8 digits in [0, 1] and their labels."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y
