"""A short form of the command that fuzzes model files (fuzz_files.py)."""

import contextlib
import resource

import fuzz_files
from fuzz_models import QUICK, originals

COUNT = 300


@contextlib.contextmanager
def little_memory():
    """Half a gigabyte beyond what the process has."""
    before = fuzz_files.limit_memory(1 << 29)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_mutated_files(tmp_path):
    """Models and checkpoints: refused by name, the same, or another model that works."""
    files = fuzz_files.prepared(tmp_path, QUICK)  # compiles, which takes more memory
    with little_memory():
        results = [fuzz_files.judge(seed, files, tmp_path) for seed in range(COUNT)]
    assert [result for result in results if result[3] == "FAILED"] == []
    assert {result[3] for result in results} >= {"refused", "same", "other"}


def test_seeds_repeat(tmp_path):
    """A seed names one mutation."""
    data = originals(tmp_path, ["rbm"])["rbm"].data
    assert all(fuzz_files.mutated(seed, data) == fuzz_files.mutated(seed, data) for seed in range(20))
