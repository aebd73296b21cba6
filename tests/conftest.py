"""What several test files share."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fastdbn.backends import blas, pool


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


@pytest.fixture(scope="session")
def warmed(tmp_path_factory):
    """A folder of compiled kernels: what `fastdbn warmup` makes for one precision, one type of data and binary units."""
    folder = tmp_path_factory.mktemp("warmed")
    command = [sys.executable, "-m", "fastdbn.cli", "warmup", "--dtype", "float32", "--units", "bernoulli", "--data", "float32"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"FASTDBN_CACHE_DIR": str(folder)})
    return folder
