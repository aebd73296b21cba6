"""`fastdbn warmup`: afterwards a new process compiles nothing, and a second run finds everything done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastdbn.backends.cpu import jit
from fastdbn.cli import warmup as module
from fastdbn.cli.main import main
from fastdbn.units import UNITS

USES = """
import itertools
import numpy as np
from scipy import sparse
from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, DBNRegressor, GenerativeDBNClassifier
from fastdbn.backends.cpu.jit import count_kernels

draw = np.random.default_rng(5)
real = draw.random((300, 300), dtype=np.float32)
binary = (real < 0.2).astype(np.float32)
frozen = binary.copy()
frozen.flags.writeable = False
y, weights = np.arange(300) % 3, draw.random(300)
forms = real, binary, frozen, sparse.csr_matrix(binary)
options = itertools.product(forms, (None, 0.5, "sample"), (False, True), (None, weights))
for X, binarize, persistent, w in options:
    for size, n_jobs in ((5, 1), (300, 2)):
        RBM(size, n_iter=1, binarize=binarize, persistent=persistent, batch_size=100, n_jobs=n_jobs).fit(X, sample_weight=w)
for X in forms:
    rbm = RBM(7, n_iter=1, k=3, scale="minmax").fit(X)
    for use in (rbm.transform, rbm.free_energy, rbm.score_samples, rbm.reconstruct, rbm.gibbs):
        use(X)
        use(X[:1])
    rbm.sample(2, n_steps=3)
    dbn = DBN((9, 5), rbm=RBM(n_iter=1, persistent=True), propagate="sample").fit(X)
    dbn.score_samples(X)
    dbn.sample(2, n_steps=2, mean=True)
    for solver, dropout, bound in itertools.product(("sgd", "adam"), (0.0, (0.2, 0.5, 0.0)), (None, 2.0)):
        more = {"solver": solver, "dropout": dropout, "max_norm": bound, "rbm": RBM(n_iter=1), "max_iter": 1}
        DBNClassifier((9, 5), early_stopping=True, **more).fit(X, y, weights).predict_proba(X[:1])
        DBNRegressor((9, 5), **more).fit(X, weights).partial_fit(X, weights).predict(X)
    model = GenerativeDBNClassifier((9, 5), rbm=RBM(n_iter=1)).fit(X, y).up_down(X, y, 1, sample_weight=weights)
    model.predict_proba(X, n_samples=2)
    for label in (None, 2):
        model.sample(3, n_steps=2, label=label)
    BernoulliRBM(5, n_iter=1).fit(X).score_samples(X)
print(*count_kernels())
"""


def run(folder, *argv, code=0):
    """stdout of Python in a new process with a cache folder."""
    result = subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, env=os.environ | {"FASTDBN_CACHE_DIR": str(folder)}
    )
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


COMMAND = ("-m", "fastdbn.cli.main", "warmup", "--dtype", "float32", "--units", "bernoulli", "--data", "float32", "--quiet")


@pytest.fixture(scope="module")
def warmed(tmp_path_factory):
    """A folder of compiled kernels: what `fastdbn warmup` needs for one precision, one type of data and binary units.

    They are compiled into the cache of the test run itself, because other tests use them too.
    """
    subprocess.run([sys.executable, *COMMAND], check=True, capture_output=True)
    own, folder = Path(jit.cache_folder()), tmp_path_factory.mktemp("warmed")
    copy = folder / own.name
    copy.mkdir(mode=0o700)
    record = f"warm.{jit.machine()}"
    for name in {record}.union(*json.loads(jit.read(record)).values()):
        shutil.copy(own / name, copy)
    return folder


@pytest.mark.slow
def test_nothing_is_left_to_compile(warmed, tmp_path):
    """All sorts of use in a new process, of what was asked for, read the cache alone."""
    folder = shutil.copytree(warmed, tmp_path / "cache")
    compiled, cached = map(int, run(folder, "-c", USES).split())
    assert compiled == 0
    assert cached > 15


@pytest.mark.slow
def test_second_run(warmed, tmp_path):
    """A second run compiles nothing and says where the cache is; a lost kernel is compiled anew, a lost record does no harm."""
    folder = shutil.copytree(warmed, tmp_path / "cache")
    out = run(folder, *COMMAND)
    assert out.startswith("0 kernels compiled, ")
    assert str(folder) in out
    n = int(out.split(", ")[1].split()[0])
    assert n > 15
    next(path for path in folder.rglob("*.nbc") if "square_sum" in path.name).unlink()
    assert run(folder, *COMMAND).startswith("1 kernels compiled, ")
    for record in folder.rglob("warm.*"):
        record.write_bytes(b"\x80 no record")
    assert run(folder, *COMMAND).startswith(f"0 kernels compiled, {n} in the cache already")


def test_no_folder_is_an_error():
    """To warm a cache that cannot be kept is refused, with the remedy."""
    message = run("/proc/nowhere", "-m", "fastdbn.cli.main", "warmup", code=1)
    assert "fastdbn: error: compiled kernels cannot be kept" in message
    assert "FASTDBN_CACHE_DIR" in message
    assert "Traceback" not in message


def test_usage(capsys):
    """Names that are none are refused on the command line and in Python."""
    for option in ("--dtype", "--units", "--data"):
        with pytest.raises(SystemExit) as error:
            main(["warmup", option, "complex"])
        assert error.value.code == 2
    with pytest.raises(ValueError, match="units='relux': give one of 'bernoulli'"):
        module.warmup(units="relux")
    with pytest.raises(ValueError, match="dtype='half'"):
        module.warmup(dtype=["float32", "half"])


def test_steps_are_all_there():
    """Every pair of units in every precision, and every form of data, has its place."""
    steps = [label for label, _, _ in module._steps(module.DTYPES, tuple(UNITS), module.DATA)]
    above = len(UNITS) - len({"replicated-softmax", "gaussian-variance"})  # what can only be visible
    assert len(steps) == len(set(steps)) == len(module.DTYPES) * (len(UNITS) * above + above + 2)
    for unit in UNITS:
        for kind in module.DATA:
            forms = list(module._forms(unit, kind))
            assert all(X.dtype == kind for X in forms)
            assert len(forms) == (4 if kind.startswith("float") else 2)
            if unit == "softmax":
                assert all(np.all(np.asarray(X.sum(axis=1)) == 1) for X in forms)
