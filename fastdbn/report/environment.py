"""What computes here: versions, processor, threads. A bug report and a model's report should contain it."""

import importlib.metadata
import platform
import sys
from pathlib import Path

from threadpoolctl import threadpool_info

import fastdbn
from fastdbn.backends.cpu.blas import has_extension, single_threaded
from fastdbn.backends.cpu.cache import cache_folder
from fastdbn.backends.cpu.pool import available_threads

PACKAGES = ("fastdbn", "numpy", "scipy", "numba", "scikit-learn", "safetensors", "threadpoolctl", "numba-cuda")


def environment() -> dict[str, str]:
    """What computes, by name, as texts: Python, the platform, packages, the processor, and the BLAS libraries in use."""
    installed = {package.name: package.version for package in importlib.metadata.distributions()}
    values = {"python": f"{sys.version.split()[0]} on {platform.platform()}"}
    values |= {name: installed.get(name, "not installed") for name in PACKAGES}
    values["fastdbn"] = installed.get("fastdbn", f"{fastdbn.__version__} (not installed)")
    values["processor"] = _processor()
    values["processors"] = str(available_threads())
    values["extension"] = "in use" if has_extension() else "not in use"
    with single_threaded():
        pass  # loads SciPy's BLAS
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    values["blas"] = "; ".join(f"{x['internal_api']} {x['version']} {x.get('architecture', '')}".strip() for x in libraries)
    return values


def show_versions() -> None:
    """Print the versions of Python, the platform and the packages, the kernel cache and the BLAS libraries in use."""
    cache = cache_folder() or "none: no folder can be written"
    for name, value in (environment() | {"kernel cache": cache}).items():
        print(f"{name:<14} {value}")


def _processor():
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
