"""A short form of the command that fuzzes model files (fuzz_files.py)."""

import contextlib
import resource

import fuzz_files

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
    """Files of six classes and more: refused by name, the same, or another model that works."""
    paths = fuzz_files.originals(tmp_path, fuzz_files.QUICK)
    files = {name: path.read_bytes() for name, path in paths.items()}
    models = {name: fuzz_files.load(path) for name, path in paths.items()}
    for path in paths.values():
        fuzz_files.use(fuzz_files.load(path), True)  # compiles, which takes more memory
    with little_memory():
        results = [fuzz_files.judge(seed, files, models, tmp_path) for seed in range(COUNT)]
    assert [result for result in results if result[3] == "FAILED"] == []
    assert {result[3] for result in results} >= {"refused", "same", "other"}


def test_seeds_repeat(tmp_path):
    """A seed names one mutation."""
    data = fuzz_files.originals(tmp_path, ["rbm"])["rbm"].read_bytes()
    assert all(fuzz_files.mutated(seed, data) == fuzz_files.mutated(seed, data) for seed in range(20))
