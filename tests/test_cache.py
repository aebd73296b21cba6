"""The kernel cache: hits in the next process, and never a reason to fail."""

import os
import shutil
import subprocess
import sys

import pytest

from fastdbn.backends.cpu.jit import fingerprint

SETUP = """
import hashlib, shutil, tempfile
import numpy as np
from fastdbn import RBM
from fastdbn.backends.cpu.jit import cache_folder, count_kernels
X = (np.random.default_rng(0).random((150, 130)) < 0.3).astype(np.float32)
"""
FIT = "rbm = RBM(70, k=2, batch_size=20, n_iter=2, centering='data', random_state=0, n_jobs=1).fit(X)\n"
SAY = "print(*count_kernels(), hashlib.sha256(rbm.components_.tobytes() + rbm.free_energy(X).tobytes()).hexdigest())\n"
SMALL = """
from fastdbn.backends.cpu.kernels import square_sum
arrays = [X.ravel(), X.ravel().astype(float)]
arrays += [np.frombuffer(a.tobytes(), a.dtype) for a in arrays]  # read-only, so each has a kernel of its own
sums = [square_sum(a) for a in arrays]
print(*count_kernels(), *sums)
"""
"""Four kernels that compile in a fraction of a second."""


def start(folder, code=SMALL):
    """A new process that runs code with a cache folder."""
    environment = os.environ | {"FASTDBN_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", SETUP + code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def end(process):
    """(kernels compiled, kernels read, what else is printed) of a process, at its end."""
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    compiled, cached, *rest = stdout.split()
    return int(compiled), int(cached), rest


def run(folder, code=SMALL):
    return end(start(folder, code))


@pytest.fixture
def folder(warmed, tmp_path):
    """A warm cache of one's own."""
    return shutil.copytree(warmed, tmp_path / "cache")


def test_hits(folder):
    """A new process that fits an RBM reads what it needs and writes nothing."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    compiled, cached, _ = run(folder, FIT + SAY)
    assert compiled == 0
    assert cached > 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_processes_take_turns(tmp_path):
    """Of two processes that start at once, one compiles a kernel, and the other reads it."""
    (compiled, cached, sums), (more, others, same) = map(end, [start(tmp_path), start(tmp_path)])
    assert (compiled + more, cached + others) == (4, 4)
    assert sums == same


def test_damage_is_mended(tmp_path):
    """Files cut short, garbled, empty, or wrong in one bit are compiled anew, to the same bits, and are whole again."""
    compiled, cached, sums = run(tmp_path)
    assert (compiled, cached) == (4, 0)
    for i, path in enumerate(sorted(tmp_path.rglob("*.nbc"))):
        content = path.read_bytes()
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes((content[: len(content) // 2], b"\x80garbled" + content[9:], b"", flipped)[i])
    assert run(tmp_path) == (4, 0, sums)
    assert run(tmp_path) == (0, 4, sums)


def test_kernels_that_cannot_be_linked(tmp_path):
    """Intact files whose content is no kernel, as another library's version might leave them, mean compiling."""
    expected = run(tmp_path)
    code = "from fastdbn.backends.cpu import jit\nimport pathlib, pickle\n"
    code += "path = next(pathlib.Path(cache_folder()).glob('*square_sum*.nbc'))\n"
    code += "jit.write(path.name, pickle.dumps(('no', 'kernel')))\n"
    assert run(tmp_path, code + SMALL) == (1, 3, expected[2])


def test_folder_removed_while_running(tmp_path):
    """A folder that disappears is made again for what is compiled afterwards."""
    code = "from fastdbn.backends.cpu.kernels import square_sum\nsquare_sum(X.ravel().astype(np.uint8))\n"
    compiled, _, _ = run(tmp_path, code + "shutil.rmtree(cache_folder())\n" + SMALL)
    assert compiled == 5
    assert len(list(tmp_path.rglob("*.nbc"))) == 4


def test_folder_that_cannot_be_written(tmp_path):
    """A read-only cache is read; what it lacks is compiled and not kept."""
    run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    next(path for path in before if "square_sum" in path.name).unlink()
    code = "def refuse(*args, **more): raise OSError(30, 'Read-only file system')\n"
    code += "tempfile.mkstemp = tempfile.TemporaryFile = refuse\n"
    assert run(tmp_path, code + SMALL)[:2] == (1, 3)
    assert len(list(tmp_path.rglob("*"))) == len(before) - 1


@pytest.mark.parametrize("kind", ["a file", "below a file", "nowhere"])
def test_no_folder_is_no_error(kind, tmp_path):
    """Where no folder can be made, kernels compile uncached."""
    (tmp_path / "place").write_text("a file")
    target = {"a file": tmp_path / "place", "below a file": tmp_path / "place" / "below", "nowhere": "/proc/nowhere"}[kind]
    compiled, cached, sums = run(target, "assert cache_folder() is None\n" + SMALL)
    assert (compiled, cached) == (4, 0)
    assert float(sums[0]) == float(sums[2])


def test_fingerprint_sees_edits():
    """A kernel is filed under what its formula computes, not under its name."""

    def make(code):
        space = {}
        exec(code, space)
        return space["f"]

    one, same, other = (make(f"k = 2\ndef g(x): return x * {c}\ndef f(x): return g(x) + k") for c in (3, 3, 4))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
