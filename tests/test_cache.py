"""The kernel cache: hits in the next process, and never a reason to fail."""

import os
import shutil
import subprocess
import sys

import pytest

from fastdbn.backends.jit import fingerprint

SETUP = """
import hashlib, shutil, tempfile
import numpy as np
from fastdbn import RBM
from fastdbn.backends.jit import cache_folder, count_kernels
X = (np.random.default_rng(0).random((150, 130)) < 0.3).astype(np.float32)
"""
FIT = "rbm = RBM(70, k=2, batch_size=20, n_iter=2, centering='data', random_state=0, n_jobs=1).fit(X)\n"
SAY = "print(*count_kernels(), hashlib.sha256(rbm.components_.tobytes() + rbm.free_energy(X).tobytes()).hexdigest())\n"


def run(folder, code=FIT + SAY):
    """(kernels compiled, kernels read, what else is printed) of code in a new process with a cache folder."""
    environment = os.environ | {"FASTDBN_CACHE_DIR": str(folder)}
    result = subprocess.run([sys.executable, "-c", SETUP + code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    compiled, cached, *rest = result.stdout.split()
    return int(compiled), int(cached), rest


@pytest.fixture
def folder(warmed, tmp_path):
    """A warm cache of one's own."""
    return shutil.copytree(warmed, tmp_path / "cache")


def test_hits(folder):
    """A new process reads what it needs and writes nothing."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    compiled, cached, _ = run(folder)
    assert compiled == 0
    assert cached > 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_damage_is_mended(folder):
    """Files cut short, garbled, empty, or wrong in one bit are compiled anew, to the same bits, and are whole again."""
    expected = run(folder)
    for i, path in enumerate(sorted(folder.rglob("*.nbc"))):
        content = path.read_bytes()
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes((content[: len(content) // 2], b"\x80garbled" + content[9:], b"", flipped)[i % 4])
    compiled, cached, out = run(folder)
    assert (compiled, cached, out) == (expected[1], 0, expected[2])
    assert run(folder) == expected


def test_kernels_that_cannot_be_linked(folder):
    """Intact files whose content is no kernel, as another library's version might leave them, mean compiling."""
    expected = run(folder)
    code = "from fastdbn.backends import jit\nimport pathlib, pickle\n"
    code += "for path in pathlib.Path(cache_folder()).glob('*square_sum*.nbc'):\n"
    code += "    jit.write(path.name, pickle.dumps(('no', 'kernel')))\n"
    assert run(folder, code + FIT + SAY) == (1, expected[1] - 1, expected[2])


def test_folder_removed_while_running(folder):
    """A folder that disappears is made again for what is compiled afterwards."""
    expected = run(folder)
    code = FIT + "shutil.rmtree(cache_folder())\nrbm.free_energy(X)\n" + SAY
    compiled, _, out = run(folder, code)
    assert compiled > 0
    assert out == expected[2]
    assert len(list(folder.rglob("*.nbc"))) == compiled


def test_folder_that_cannot_be_written(folder):
    """A read-only cache is read; what it lacks is compiled and not kept."""
    before = sorted(folder.rglob("*"))
    next(path for path in before if "square_sum" in path.name).unlink()
    code = "def refuse(*args, **more): raise OSError(30, 'Read-only file system')\n"
    code += "tempfile.mkstemp = tempfile.TemporaryFile = refuse\n"
    compiled, cached, _ = run(folder, code + FIT + SAY)
    assert compiled == 1
    assert cached > 0
    assert len(list(folder.rglob("*"))) == len(before) - 1


@pytest.mark.parametrize("kind", ["a file", "below a file", "nowhere"])
def test_no_folder_is_no_error(kind, folder, tmp_path):
    """Where no folder can be made, kernels compile uncached."""
    (tmp_path / "place").write_text("a file")
    target = {"a file": tmp_path / "place", "below a file": tmp_path / "place" / "below", "nowhere": "/proc/nowhere"}[kind]
    code = "assert cache_folder() is None\nfrom fastdbn.backends.cpu_kernels import square_sum\n"
    assert run(target, code + "print(*count_kernels(), square_sum(np.ones(1, np.float32)), *count_kernels())")[2] == [
        "1.0",
        "1",
        "0",
    ]
    if kind == "nowhere":
        compiled, cached, out = run(target)
        assert compiled > 0
        assert (cached, out) == (0, run(folder)[2])


def test_fingerprint_sees_edits():
    """A kernel is filed under what its formula computes, not under its name."""

    def make(code):
        space = {}
        exec(code, space)
        return space["f"]

    one, same, other = (make(f"k = 2\ndef g(x): return x * {c}\ndef f(x): return g(x) + k") for c in (3, 3, 4))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
