"""What starting costs: `python -m benchmarks.startup [--out F]`; each figure the median of new processes.

Import of fastdbn over that of numpy; the first fit with an empty kernel cache and with a warm one; `fastdbn --help`; and
`fastdbn train` on digits from an empty cache.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe

FIT = """
import time
import numpy as np
from fastdbn import RBM
X = np.eye(64, dtype=np.float32)
rbm = RBM(32, n_iter=1, random_state=0)
start = time.perf_counter()
rbm.fit(X)
print(time.perf_counter() - start)
"""
IMPORT = "import numpy, time; start = time.perf_counter(); import fastdbn; print(time.perf_counter() - start)"


def run(code, folder):
    """What a new process prints, as a number."""
    environment = os.environ | {"FASTDBN_CACHE_DIR": folder}
    return float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)


def command(argv, folder):
    """Wall time of `fastdbn ...` in a new process."""
    environment = os.environ | {"FASTDBN_CACHE_DIR": folder, "PYTHONPATH": os.getcwd()}
    start = time.perf_counter()
    line = [sys.executable, "-m", "fastdbn.cli", *argv]
    subprocess.run(line, env=environment, cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - start


def main():
    """Run, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "import over numpy": np.median([run(IMPORT, folder) for _ in range(5)]),
            "first fit, empty cache": run(FIT, folder),
            "first fit, warm cache": np.median([run(FIT, folder) for _ in range(5)]),
            "fastdbn --help": np.median([command(["--help"], folder) for _ in range(5)]),
        }
    with tempfile.TemporaryDirectory() as folder:
        results["fastdbn train, empty cache"] = command(["train"], folder)
        results["fastdbn train, warm cache"] = command(["train", "--force"], folder)
    results = {name: float(value) for name, value in results.items()}
    for name, value in results.items():
        print(f"{name:<28}{value:>9.3f} s")
    if args.out:
        Path(args.out).write_text(json.dumps({"machine": describe(None), "seconds": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
