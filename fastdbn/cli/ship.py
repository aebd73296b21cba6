"""Compile the kernels that a release wheel holds: `python -m fastdbn.cli.ship [FOLDER [LEVEL ...]]`.

It warms up in one process for each level of x86-64, all at once, and copies what they compiled. This takes some minutes. The
processor must run all levels, because a warm-up does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fastdbn.backends.cpu import shipped, target

WARMUP = "from fastdbn.cli.warmup import warmup; warmup(dtype='float32', data='float32')"
"""The common kernels: float32; Bernoulli, Gaussian and softmax units; back-propagation, use and AIS."""


def main(to=None, *levels):
    """Write the kernels of some levels, or of all, into a folder, by default the package's."""
    to, levels = shipped.folder() if to is None else Path(to), levels or tuple(target.LEVELS)
    for name in levels:
        if name not in target.LEVELS:
            sys.exit(f"there is no level {name!r}: give some of {', '.join(target.LEVELS)}")
        if not target.reaches(name):
            sys.exit(f"this processor does not run {name}: build on one that does, or name lower levels alone")
    with tempfile.TemporaryDirectory() as caches:
        own = {name: Path(caches, name) for name in levels}
        running = []
        for name, cache in own.items():
            settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": "", "FASTDBN_CACHE_DIR": str(cache)}
            running.append(subprocess.Popen([sys.executable, "-c", WARMUP], env=os.environ | settings))
        failed = [process.args for process in running if process.wait()]
        if failed:
            sys.exit("the kernels of a level were not compiled")
        shipped.write(to, sorted(file for cache in own.values() for file in cache.glob("*/*.nbc")), levels)
    sizes = [file.stat().st_size for file in to.iterdir()]
    print(f"{len(sizes) - 1} kernels, {sum(sizes) / 1e6:.1f} MB, in {to}")


if __name__ == "__main__":
    main(*sys.argv[1:])
