"""Kernels at odd sizes under Numba's bounds checks, which see every index of an array but no vector that is read by its address.

Kernels with checks are compiled anew, into a folder of their own, which takes minutes. `FASTDBN_BOUNDS_CACHE` names one to keep.
"""

import os
import subprocess
import sys
import tempfile

COUNT, OF, STEP = 2000, "works under bounds checks", 200


def works(first, count, **environment):
    """(number of works done, failures) of a process with such an environment."""
    command = [sys.executable, "-m", "benchmarks.robustness.sizes", "--first", str(first), "--count", str(count)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    last = done.stdout.split()
    errors = done.stderr.strip().splitlines()
    wrong = done.returncode != 0 or len(last) != count
    return len(last), [f"work {last[-1] if last else 'none'}: status {done.returncode}: {' '.join(errors[-3:])}"] * wrong


def run(first, count):
    with tempfile.TemporaryDirectory() as folder:
        folder = os.environ.get("FASTDBN_BOUNDS_CACHE", folder)
        checked = {"NUMBA_BOUNDSCHECK": "1", "FASTDBN_CACHE_DIR": folder, "FASTDBN_NO_SHIPPED": "1", "FASTDBN_QUIET": "1"}
        for start in range(first, first + count, STEP):
            _, failures = works(start, STEP, **checked)
            yield STEP, {}, failures
