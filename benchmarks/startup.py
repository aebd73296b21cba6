"""What starting costs: `python -m benchmarks.startup`; each figure the median of new processes.

Measured are: the import of fastdbn over that of numpy; a first CD-1 fit (784-500, binary, batch 100) with an empty and with a
warm kernel cache; its compile or cache time, which is the first fit less a second, equal fit in the same process; `fastdbn
--help`, `fastdbn warmup`, and `fastdbn train` on digits.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words
from benchmarks.targets import WARM_START

FIT = """
import time
import numpy as np
from fastdbn import RBM
X = (np.random.default_rng(0).random((1000, 784)) < 0.14).astype(np.float32)
for _ in range(2):
    rbm = RBM(500, visible="bernoulli", binarize=0.5, batch_size=100, momentum=0.5, n_iter=1, random_state=0)
    start = time.perf_counter()
    rbm.fit(X)
    print(time.perf_counter() - start)
"""
IMPORT = "import numpy, time; start = time.perf_counter(); import fastdbn; print(time.perf_counter() - start)"
REPEATS = 5
CACHED = "compile or cache time"
"""How the names of the figures begin that have a target."""


def environment(folder):
    """The environment of a new process with its kernel cache in a folder."""
    root = str(Path(__file__).parent.parent)
    return os.environ | {"FASTDBN_CACHE_DIR": folder, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}


def run(code, folder):
    """The numbers that a new process prints."""
    line = [sys.executable, "-c", code]
    return [float(x) for x in subprocess.run(line, env=environment(folder), stdout=subprocess.PIPE, check=True).stdout.split()]


def command(argv, folder):
    """Wall time of `fastdbn ...` in a new process; None where there is no such command."""
    start = time.perf_counter()
    line = [sys.executable, "-m", "fastdbn.cli.main", *argv]
    code = subprocess.run(line, env=environment(folder), cwd=folder, capture_output=True).returncode
    if code == 2:
        return None
    if code:
        raise RuntimeError(f"fastdbn {' '.join(argv)} ended with code {code}")
    return time.perf_counter() - start


def fits(folder, repeats):
    """Medians over new processes of the first fit, and of the first less the second."""
    pairs = [run(FIT, folder) for _ in range(repeats)]
    return statistics.median(first for first, _ in pairs), statistics.median(first - second for first, second in pairs)


def measure():
    """Seconds of everything, by name."""
    with tempfile.TemporaryDirectory() as folder:
        results = {"import over numpy": statistics.median(run(IMPORT, folder)[0] for _ in range(REPEATS))}
        results["first fit, empty cache"], results["compile time, empty cache"] = fits(folder, 1)
        results["first fit, warm cache"], results[f"{CACHED}, warm cache"] = fits(folder, REPEATS)
        results["fastdbn --help"] = statistics.median(command(["--help"], folder) for _ in range(REPEATS))
    with tempfile.TemporaryDirectory() as folder:
        results["fastdbn train, empty cache"] = command(["train"], folder)
        results["fastdbn train, warm cache"] = command(["train", "--force"], folder)
    with tempfile.TemporaryDirectory() as folder:
        results["fastdbn warmup"] = command(["warmup"], folder)
        if results["fastdbn warmup"] is not None:
            _, results[f"{CACHED} after warmup"] = fits(folder, REPEATS)
    return {name: value for name, value in results.items() if value is not None}


def main():
    """Run, print, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--out", default=store.FOLDER / "startup.json")
    args = parser.parse_args()
    machine = describe(None)
    print(in_words(machine) + "\n")
    results = measure()
    for name, value in results.items():
        asked = f"   target < {WARM_START:g} s{' ✗' * (value >= WARM_START)}" if name.startswith(CACHED) else ""
        print(f"{name:<36}{value:>9.3f} s{asked}")
    store.write(args.out, machine, seconds=results)


if __name__ == "__main__":
    main()
