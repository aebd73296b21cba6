"""The kernel cache: hits in the next process, and never a reason to fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastdbn.backends.cpu import jit
from fastdbn.backends.cpu.jit import fingerprint

SETUP = """
import shutil, tempfile
import numpy as np
from fastdbn.backends.cpu.jit import cache_folder, count_kernels, used_files
X = (np.random.default_rng(0).random((150, 130)) < 0.3).astype(np.float32)
"""
FIT = """
from fastdbn import RBM
RBM(70, k=2, batch_size=20, n_iter=2, centering='data', random_state=0, n_jobs=1).fit(X).free_energy(X)
print(*count_kernels(), *used_files())
"""
SMALL = """
from fastdbn.backends.cpu.kernels import square_sum
arrays = [X.ravel(), X.ravel().astype(float)]
arrays += [np.frombuffer(a.tobytes(), a.dtype) for a in arrays]  # read-only, so each has a kernel of its own
sums = [square_sum(a) for a in arrays]
print(*count_kernels(), *sums)
"""
"""Four kernels that compile in a fraction of a second."""


def start(folder, code=SMALL):
    """A new process that runs code with a cache folder, by default that of the test run."""
    environment = os.environ | ({} if folder is None else {"FASTDBN_CACHE_DIR": str(folder)})
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


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that two processes have filled at once with the four kernels, and what these gave."""
    folder = tmp_path_factory.mktemp("filled")
    return folder, [*map(end, [start(folder), start(folder)])]


@pytest.fixture
def folder(filled, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(filled[0], tmp_path / "cache")


@pytest.fixture
def sums(filled):
    return filled[1][0][2]


def test_hits(tmp_path):
    """A new process that fits an RBM reads what it needs and writes nothing."""
    _, _, names = run(None, FIT)
    own = Path(jit.cache_folder())
    copy = tmp_path / "cache" / own.name
    copy.mkdir(mode=0o700, parents=True)
    copy.parent.chmod(0o700)
    for name in names:
        shutil.copy(own / name, copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    compiled, cached, same = run(tmp_path / "cache", FIT)
    assert (compiled, cached, sorted(same)) == (0, len(names), sorted(names))
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_processes_take_turns(filled):
    """Of two processes that start at once, one compiles a kernel, and the other reads it."""
    (compiled, cached, sums), (more, others, same) = filled[1]
    assert (compiled + more, cached + others) == (4, 4)
    assert sums == same


def test_damage_is_mended(folder, sums):
    """Files cut short, garbled, empty, or wrong in one bit are compiled anew, to the same bits, and are whole again."""
    for i, path in enumerate(sorted(folder.rglob("*.nbc"))):
        content = path.read_bytes()
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes((content[: len(content) // 2], b"\x80garbled" + content[9:], b"", flipped)[i])
    assert run(folder) == (4, 0, sums)
    assert run(folder) == (0, 4, sums)


def test_kernels_that_cannot_be_linked(folder, sums):
    """Intact files whose content is no kernel, as another library's version might leave them, mean compiling."""
    code = "from fastdbn.backends.cpu import jit\nimport pathlib, pickle\n"
    code += "path = next(pathlib.Path(cache_folder()).glob('*square_sum*.nbc'))\n"
    code += "jit.write(path.name, pickle.dumps(('no', 'kernel')))\n"
    assert run(folder, code + SMALL) == (1, 3, sums)


def test_folder_removed_while_running(tmp_path):
    """A folder that disappears is made again for what is compiled afterwards."""
    code = "from fastdbn.backends.cpu.kernels import square_sum\nsquare_sum(X.ravel().astype(np.uint8))\n"
    compiled, _, _ = run(tmp_path, code + "shutil.rmtree(cache_folder())\n" + SMALL)
    assert compiled == 5
    assert len(list(tmp_path.rglob("*.nbc"))) == 4


def test_folder_that_cannot_be_written(folder):
    """A read-only cache is read; what it lacks is compiled and not kept."""
    before = sorted(folder.rglob("*"))
    next(path for path in before if "square_sum" in path.name).unlink()
    code = "def refuse(*args, **more): raise OSError(30, 'Read-only file system')\n"
    code += "tempfile.mkstemp = tempfile.TemporaryFile = refuse\n"
    assert run(folder, code + SMALL)[:2] == (1, 3)
    assert len(list(folder.rglob("*"))) == len(before) - 1


def test_no_folder_is_no_error(tmp_path):
    """Where no folder can be made, kernels compile uncached."""
    (tmp_path / "place").write_text("a file")
    compiled, cached, sums = run(tmp_path / "place", "assert cache_folder() is None\n" + SMALL)
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
