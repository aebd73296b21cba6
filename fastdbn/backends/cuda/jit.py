"""How CUDA kernels are made and launched: for a GPU by numba-cuda, or in CUDA's simulator, which runs them as plain Python.

Kernels are compiled from the same scalar formulas as those of the CPU (jit.py makes them callable from kernels of either). With
`NUMBA_ENABLE_CUDASIM=1` in the environment they run without a GPU. Blocks are then tiny, because each of their threads is a
Python thread. The simulator replaces only the name `cuda` of a kernel's module, so functions that use it stay in one file with
the kernels that call them.
"""

import inspect
import math

import numpy as np
from numba import config, cuda

from fastdbn.backends.cpu.jit import inlinable  # whose module makes the formulas callable from kernels
from fastdbn.maths import scalar

SIMULATED = bool(config.ENABLE_CUDASIM)  # type: ignore[attr-defined]
SIDE = 2 if SIMULATED else 16
THREADS = SIDE * SIDE
"""Threads of a block, a square of SIDE x SIDE in products; a power of two."""
MOST_BLOCKS = 2 if SIMULATED else 4096
"""Blocks of a launch at most; their threads go on to further items where there are more."""
REALS = {np.dtype(np.float32): np.float32, np.dtype(np.float64): np.float64}

if not SIMULATED:
    from numba.cuda.extending import overload  # type: ignore[attr-defined]

    @overload(scalar.floor)
    def _floor(x):
        return lambda x: math.floor(x)

    @overload(scalar.sqrt)
    def _sqrt(x):
        return lambda x: math.sqrt(x)


def kernel(function):
    """A kernel of a plain function."""
    return cuda.jit(function)


def device(function):
    """A function for kernels of its own file that uses `cuda`."""
    return cuda.jit(device=True)(function)


def kernel_of(formula, first, text, scope, *given):
    """The kernel that a text makes of a formula, in which ARGUMENTS stands for the formula's arguments from number `first` on.

    So all are plain arguments: each launch looks up the types of these, but would work out that of a tuple of arrays anew.

    Parameters
    ----------
    formula : function
    first : int
    text : str
        of a function `make(formula, *given)` that returns the kernel's function.
    scope : dict
        The globals of the module that the text belongs to.
    """
    names = ", ".join(list(inspect.signature(formula).parameters)[first:])
    made: dict = {}
    exec(text.replace("ARGUMENTS", names), scope, made)
    return kernel(made["make"](inlinable(formula), *given))


def blocks_for(items, each=THREADS):
    """Blocks for so many items, `each` of them to a block."""
    return max(1, min(-(-items // each), MOST_BLOCKS))
