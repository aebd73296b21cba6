"""What kernels are compiled for: this processor, or a level of x86-64, whose code runs on every processor that reaches it.

Numba's variables NUMBA_CPU_NAME and NUMBA_CPU_FEATURES choose a level, or any processor.
"""

import functools

from llvmlite.binding import get_host_cpu_features
from numba.core import config

_V3 = "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"
LEVELS = {"x86-64-v4": (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"), "x86-64-v3": _V3}
"""The features of each level, the highest first, by LLVM's names."""


@functools.cache
def _of_host():
    return frozenset(name for name, there in get_host_cpu_features().items() if there)


def has(feature):
    """Whether kernels may use a feature of processors."""
    if config.CPU_FEATURES is None:
        return feature in _of_host()
    return feature in LEVELS.get(config.CPU_NAME, ()) or f"+{feature}" in config.CPU_FEATURES.split(",")


def reaches(name):
    """Whether this processor runs the code of a level."""
    return _of_host().issuperset(LEVELS[name])


def level():
    """The highest level that this processor reaches, or None. Kernels of the level are laid out as its own would be."""
    if config.CPU_NAME or config.CPU_FEATURES is not None:
        return None
    name = next(filter(reaches, LEVELS), None)
    return name if name and ("avx512f" in LEVELS[name]) == has("avx512f") else None
