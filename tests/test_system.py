"""Without fork and locks of files, as on Windows: models are saved, and kernels kept."""

import os
import subprocess
import sys

PROGRAM = """
import os, random, sys
import numba, numpy as np, safetensors.numpy, scipy.sparse, sklearn.base, threadpoolctl
sys.modules["fcntl"] = None
del os.register_at_fork
import fastdbn
from fastdbn.backends.cpu import kernels, jit
print(kernels.square_sum(np.arange(4.0)), jit.count_kernels(), fastdbn.RBM.__name__)
from fastdbn.support.atomic import replacing
for text in ("old", "new"):
    with replacing("file") as path:
        path.write_text(text)
print(open("file").read(), os.listdir())
"""


def test_import_save_and_cache(tmp_path):
    own = {
        "FASTDBN_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.getcwd(),
        "FASTDBN_NO_SHIPPED": "1",
    }
    (tmp_path / "own").mkdir()
    run = {"cwd": tmp_path / "own", "env": os.environ | own, "capture_output": True, "text": True}
    for compiled in (1, 0):
        done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, **run)
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert first.endswith(f"({compiled}, {1 - compiled}) RBM")
        assert second == "new ['file']"
