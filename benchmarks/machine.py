"""The machine and the versions behind a figure."""

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

from llvmlite import binding
from threadpoolctl import threadpool_info

import fastdbn

PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "torch", "rbms", "learnergy")


def cpu_model():
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def cpu_features():
    """The widest vector instructions, by the names of Linux."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return None
    return next((name for name in ("avx512f", "avx2", "asimd", "sse2") if name in flags), None)


def version(package):
    """A package's version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def sources():
    """A hash of fastdbn's source files, because figures of different sources must not be mixed."""
    digest = hashlib.sha256()
    for path in sorted(Path(fastdbn.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def describe(threads):
    """Machine, versions and threads as a dict for JSON."""
    from fastdbn.backends.cpu.blas import has_extension

    libraries = {(x["internal_api"], x["version"], x.get("architecture")) for x in threadpool_info() if x["user_api"] == "blas"}
    return {
        "cpu": cpu_model(),
        "core": binding.get_host_cpu_name(),
        "vectors": cpu_features(),
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {"fastdbn": fastdbn.__version__} | {package: version(package) for package in PACKAGES},
        "sources": sources(),
        "blas": sorted(" ".join(map(str, library)) for library in libraries),
        "extension": has_extension(),
        "threads": threads,
    }


def make(machine):
    """A processor's name and its kind of core, by LLVM's name: of a virtual machine the first may say little."""
    return f"{machine['cpu']} {machine['core']}" if "core" in machine else machine["cpu"]


def in_words(machine):
    """A machine's description as one line."""
    installed = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    extension = "with" if machine["extension"] else "without"
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}, " if machine["threads"] else ""
    return (
        f"{make(machine)} ({machine['processors']} processors, {machine['vectors']}), {threads}Python {machine['python']}, "
        f"{installed}, {extension} the extension; BLAS: {'; '.join(machine['blas'])}"
    )
