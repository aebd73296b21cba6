"""The machine and the versions behind a figure."""

import importlib.metadata
import os
import platform
from pathlib import Path

from threadpoolctl import threadpool_info

PACKAGES = ("fastdbn", "numpy", "scipy", "numba", "scikit-learn", "torch")


def cpu_model():
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def version(package):
    """A package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(threads):
    """Machine, versions and threads as a dict for JSON."""
    from fastdbn.backends.blas import has_extension

    libraries = {(x["internal_api"], x["version"], x.get("architecture")) for x in threadpool_info() if x["user_api"] == "blas"}
    return {
        "cpu": cpu_model(),
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        "blas": sorted(" ".join(map(str, library)) for library in libraries),
        "extension": has_extension(),
        "threads": threads,
    }
