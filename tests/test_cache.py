"""The kernel cache: hits in the next process, and never a reason to fail."""

import os
import subprocess
import sys

import pytest

from fastdbn.backends.jit import fingerprint

FIT = "import numpy as np; from fastdbn import RBM; X = np.eye(6, dtype=np.float32); " + (
    "print(RBM(3, n_iter=1, random_state=0).fit(X).components_.sum())"
)


def fit(folder):
    """A fit in a new process with a cache folder; its output."""
    environment = os.environ | {"FASTDBN_CACHE_DIR": str(folder)}
    result = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb*")}


def test_cache_hits_and_survives_damage(tmp_path):
    """A second process compiles nothing; truncated and garbled files are compiled anew and mended."""
    out = fit(tmp_path)
    before = files(tmp_path)
    assert before
    assert fit(tmp_path) == out
    assert files(tmp_path) == before
    for i, path in enumerate(sorted(before)):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if i % 2 else b"\x80garbled" + data[9:])
    assert fit(tmp_path) == out


@pytest.mark.parametrize("kind", ["file", "unwritable"])
def test_no_folder_is_no_error(kind, tmp_path):
    """Where no folder can be made, kernels compile uncached."""
    place = tmp_path / "place"
    place.write_text("a file")
    target = place / "below" if kind == "file" else "/proc/nowhere"
    assert float(fit(target)) == float(fit(tmp_path / "good"))


def test_fingerprint_sees_edits():
    """A kernel is filed under what its formula computes, not under its name."""

    def make(code):
        space = {}
        exec(code, space)
        return space["f"]

    one, same, other = (make(f"k = 2\ndef g(x): return x * {c}\ndef f(x): return g(x) + k") for c in (3, 3, 4))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
