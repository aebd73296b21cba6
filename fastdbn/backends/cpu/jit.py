"""How every CPU kernel is compiled and cached: the JIT options live here and nowhere else.

Kernels compile at their first call and are kept on disk for the next process (cache.py). The folder's name holds a hash of the
kernels' sources and of Numba's version, so an upgrade never runs stale code. A kernel made for a unit record is filed under a
fingerprint of the record's functions, so an edited unit is compiled anew, wherever it was written. Without a writable folder,
or with a damaged file, kernels are compiled without the cache.

The first kernel that takes seconds to compile is announced on stderr, with how long this takes and where later runs find it;
the environment variable FASTDBN_QUIET=1 turns that off.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import types

import numpy as np
from numba import njit, typeof
from numba.core import cgutils
from numba.core import types as nbt
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.extending import intrinsic, overload, register_jitable

from fastdbn.backends.cpu import flush, noise, shipped
from fastdbn.backends.cpu.cache import cache_folder, end_turn, read, take_turn, write
from fastdbn.backends.cpu.compiler import Inner
from fastdbn.maths import rng, scalar
from fastdbn.support.report import progress

_COMMON = {"error_model": "numpy", "boundscheck": False, "fastmath": {"contract", "nsz", "arcp"}, "no_cfunc_wrapper": True}
OPTIONS = _COMMON | {"nogil": True}
# error_model: Python's checks for a division by zero, which keeps loops from being vectorised. fastmath: fused multiply-add is
# allowed, but no reordering of sums, and nothing is assumed of NaN and infinity, which show that a fit diverges.
# no_cfunc_wrapper: C calls none of these functions.

_INNER = _COMMON | {"pipeline_class": Inner}
_SCALAR = _INNER | {"forceinline": True}
# A call keeps the loop around it from being vectorised, and LLVM would not inline Philox by itself, because it is long.

SECONDS = {
    "pack": 25,
    "cd_steps": 20,
    "backprop_steps": 15,
    "backward_and_step": 10,
    "anneal": 8,
    "sweeps": 6,
    "rounds": 10,
    "field_rows": 20,
}
"""Seconds that a run compiles if this is the first kernel that it lacks, by the function that makes the kernel: a fit of an RBM
begins by packing, back-propagation by the way back. Other kernels take about a second or less."""
_said = False


def keep_quiet():
    """Announce nothing in this process."""
    global _said
    _said = True


def _announce(kernel, folder):
    """Say that a kernel, a Python function, is about to be compiled; folder is where it is kept, or None."""
    seconds = SECONDS.get(kernel.__qualname__.split(".")[0])
    if seconds is None or _said or os.environ.get("FASTDBN_QUIET") == "1":
        return
    keep_quiet()
    later = f"later runs load them from {folder}" if folder else "no folder can keep them: set FASTDBN_CACHE_DIR to one that can"
    progress(f"fastdbn: compiling kernels, about {seconds} s; {later}")


def _by_precision(generic, single, double):
    """Let kernels call `generic`: the text for the precision of its first argument."""

    @overload(generic, jit_options=_SCALAR, inline="never", strict=False)
    def choose(x):
        return single if x == nbt.float32 else double


def _by_array(generic, single, double):
    """Let kernels call `generic`: the text for the precision of its first argument, an array; all have the same four."""

    @overload(generic, jit_options=_SCALAR, inline="never", strict=False)
    def choose_by_array(out, unit, row, key):
        return single if out.dtype == nbt.float32 else double


def inlinable(function):
    """Make a plain function callable from kernels; returns it."""
    return register_jitable(**_INNER)(function)


def inlined(function):
    """Make a scalar formula callable from kernels, always inlined; returns it."""
    return register_jitable(**_SCALAR)(function)


def rounded(function):
    """Make a scalar formula callable from kernels, each of its operations rounded as IEEE 754 says; returns it.

    Elsewhere the compiler may multiply by an approximate reciprocal, and which one depends on the loop.
    """
    return register_jitable(**(_SCALAR | {"fastmath": False}))(function)


for _function in (*scalar.SHARED, *rng.SHARED):
    inlined(_function)
for _generic, _texts in scalar.PRECISIONS.items():
    for _function in _texts:
        inlined(_function)
    _by_precision(_generic, *_texts)
inlined(noise.uniforms_32)
for _named, (_single, _double) in rng.BY_ARRAY.items():
    _by_array(_named, noise.uniforms_32 if _named is rng.uniforms else _single, _double)


def fingerprint(function, seen=None):
    """A hash of what a function computes: its bytecode, constants, and the functions and numbers that it refers to."""
    seen = {} if seen is None else seen
    if id(function) in seen:
        return b"seen"
    seen[id(function)] = function
    code = function.__code__
    digest = hashlib.sha256(code.co_code)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__.get(name) for name in code.co_names]
    for item in (*code.co_consts, *cells, *named):
        if isinstance(item, types.FunctionType):
            digest.update(fingerprint(item, seen))
        elif isinstance(item, (int, float, complex, str, bytes, tuple, np.generic, type(None))):
            digest.update(repr(item).encode())
    return digest.digest()


_used: set[str] = set()


class _Cache(NullCache):
    """The files of a kernel, one for each compiled signature; whatever is wrong with one means: compile.

    A file is named by a hash of what it was compiled from and for. Numba's own files number the signatures in an index, where two
    processes that compile at once may give one number to both: a file would then hold the wrong code.
    """

    def __init__(self, function):
        self._function = function

    @functools.cached_property
    def _fingerprint(self):
        return fingerprint(self._function).hex()

    def _name(self, sig, processor):
        key = sig, processor, sys.implementation.cache_tag, self._fingerprint
        name = self._function.__qualname__.replace("<locals>.", "")
        return f"{name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.nbc"

    def load_overload(self, sig, target_context):
        target_context.refresh()
        found = self._read(sig, target_context)
        if found is not None:
            return found
        _announce(self._function, cache_folder())
        name = self._name(sig, target_context.codegen().magic_tuple())
        take_turn(name)
        found = self._read(sig, target_context)  # what another process has compiled meanwhile
        if found is not None:
            end_turn(name)
        return found

    def _read(self, sig, target_context):
        processor = target_context.codegen().magic_tuple()
        for folder, named in ((read, processor), (shipped.read, shipped.in_place_of(processor))):
            with contextlib.suppress(Exception):  # no file, or whatever a damaged one makes of unpickling and linking
                name = self._name(sig, named)
                found = CompileResult._rebuild(target_context, *pickle.loads(folder(name)))
                if folder is read:
                    _used.add(name)
                return found
        return None

    def save_overload(self, sig, cres):
        name = self._name(sig, cres.codegen.magic_tuple())
        # a full or read-only disk is no reason to fail
        with contextlib.suppress(OSError, pickle.PickleError, ValueError, TypeError, AttributeError):
            if cache_folder() is not None and not cres.library.has_dynamic_globals:
                write(name, dumps(cres._reduce()))
                _used.add(name)
        end_turn(name)


_kernels: list = []


def used_files():
    """Names of the files of compiled kernels that this process has read or written."""
    return frozenset(_used)


def machine():
    """A name for the processor and its features, which kernels are compiled for."""
    codegen = cpu_target.target_context.codegen()
    return hashlib.sha256(repr(codegen.magic_tuple()).encode()).hexdigest()[:16]


def kernel(function):
    """Compile a function lazily with the library's options, through the cache where there is one; it flushes subnormals."""
    dispatcher = njit(**OPTIONS, pipeline_class=flush.Compiler)(function)
    dispatcher._cache = _Cache(function)
    _kernels.append(dispatcher)
    return dispatcher


def address_of(dispatcher, *arguments):
    """Where the machine code of a kernel for arguments of these types is, for `call`."""
    signature = tuple(typeof(x) for x in arguments)
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@intrinsic
def call(typing, address, arguments):
    """What a kernel returns, an int64: it is called by its address with a tuple of arguments, which must have its types.

    So kernels share the code of another one. What they call by name is compiled in each of them.
    """

    def generate(context, builder, signature, args):
        kinds, convention = arguments.types, context.call_conv
        kind = convention.get_function_type(nbt.int64, kinds)
        place = builder.inttoptr(args[0], kind.as_pointer())
        return convention.call_function(builder, place, nbt.int64, kinds, cgutils.unpack_tuple(builder, args[1]))[1]

    return nbt.int64(address, arguments), generate


def count_kernels():
    """(compiled, read from the cache): how many kernels this process has made ready, a kernel for each signature."""
    compiled = sum(sum(dispatcher.stats.cache_misses.values()) for dispatcher in _kernels)
    return compiled, sum(sum(dispatcher.stats.cache_hits.values()) for dispatcher in _kernels)
