"""The extension under the address and the undefined-behaviour sanitizer of gcc, at odd sizes.

A copy of the package gets the extension built with both. Python itself is not instrumented, so the sanitizer's library is loaded
first, and its allocator surrounds every array with memory that must not be touched. Leaks are not looked for: Python keeps
memory to its end.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.robustness.bounds import works

COUNT, OF, STEP = 400, "works under sanitizers", 100
ROOT = Path(__file__).parents[2]
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g"


def build(folder):
    """The package in a folder, with the extension built under both sanitizers, beside what runs it."""
    for name in ("fastdbn", "csrc"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    for name in ("benchmarks", "tests"):
        (folder / "package").mkdir(exist_ok=True)
        (folder / "package" / name).symlink_to(ROOT / name)
    environment = os.environ | {"CFLAGS": FLAGS, "LDFLAGS": FLAGS, "FASTDBN_REQUIRE_EXTENSION": "1"}
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    subprocess.run(command, cwd=folder / "source", env=environment, check=True)
    shutil.unpack_archive(next(folder.glob("*.whl")), folder / "package", "zip")
    return folder / "package"


def library(name):
    """The path of one of gcc's libraries."""
    return subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()


def run(first, count):
    with tempfile.TemporaryDirectory() as name:
        environment = {
            "PYTHONPATH": str(build(Path(name))),
            "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        for start in range(first, first + count, STEP):
            _, failures = works(start, STEP, **environment)
            yield STEP, {}, failures
