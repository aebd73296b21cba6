"""Matrix products inside kernels: SciPy's BLAS, called by address and held to one thread.

The addresses come from the optional Cython extension `fastdbn._blas` or, where it is not built, straight from SciPy; both
end in the same sgemm and dgemm, so the results are the same bits. Kernels split a product into blocks that depend on its
shape alone and call BLAS on one thread within each: OpenBLAS rounds differently for each number of threads.
"""

import contextlib
import functools
import os
import threading

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import get_cython_function_address, intrinsic
from threadpoolctl import OpenBLASController, ThreadpoolController

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.support.system import at_fork


@functools.cache
def _scipy_addresses():
    module = "scipy.linalg.cython_blas"
    return {np.dtype(t): (0, get_cython_function_address(module, name)) for t, name in (("f", "sgemm"), ("d", "dgemm"))}


@functools.cache
def _extension_addresses():
    try:
        import fastdbn._blas  # noqa: F401
    except ImportError:
        return None
    return {
        np.dtype(t): (get_cython_function_address("fastdbn._blas", name), 0)
        for t, name in (("f", "sgemm_rows"), ("d", "dgemm_rows"))
    }


def has_extension():
    """Whether products go through the Cython extension; FASTDBN_NO_EXTENSION=1 turns it off."""
    return os.environ.get("FASTDBN_NO_EXTENSION") != "1" and _extension_addresses() is not None


def addresses(dtype):
    """(address of the extension's product or 0, address of SciPy's or 0) as kernels take it."""
    table = _extension_addresses() if has_extension() else _scipy_addresses()
    return np.array(table[np.dtype(dtype)], dtype=np.uint64)


def _gemm(arguments_of):
    """An intrinsic (address, numbers of the product) that calls a function; alpha's type is the arrays', addresses are uint64."""

    @intrinsic
    def gemm(typing, address, numbers):
        def generate(context, builder, signature, args):
            pointer = context.get_data_type(numbers[5]).as_pointer()
            arguments = arguments_of(builder, pointer, *cgutils.unpack_tuple(builder, args[1]))
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in arguments])
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), arguments)
            return context.get_dummy_value()

        return types.void(address, numbers), generate

    return gemm


@_gemm
def _gemm_rows(builder, pointer, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """The extension's function: everything by value."""
    a, b, c = (builder.inttoptr(x, pointer) for x in (a, b, c))
    return [ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc]


@_gemm
def _gemm_fortran(builder, pointer, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """BLAS itself, on the transposes in reverse order: everything by reference."""

    def reference(value):
        slot = cgutils.alloca_once(builder, value.type)  # in the entry block: in a loop the stack would grow
        builder.store(value, slot)
        return slot

    def letter(flag):
        yes, no = (ir.Constant(ir.IntType(8), ord(x)) for x in "TN")
        return reference(builder.select(builder.icmp_signed("!=", flag, ir.Constant(flag.type, 0)), yes, no))

    a, b, c = (builder.inttoptr(x, pointer) for x in (a, b, c))
    m, n, k, alpha, lda, ldb, beta, ldc = map(reference, (m, n, k, alpha, lda, ldb, beta, ldc))
    return [letter(tb), letter(ta), n, m, k, alpha, b, ldb, a, lda, beta, c, ldc]


@inlinable
def _row_stride(x):
    """In elements, for views with contiguous rows. NumPy gives a view of one row any stride, even 0, which BLAS refuses."""
    return np.int32(max(x.strides[0] // x.itemsize, x.shape[1], 1))


@inlinable
def gemm(blas, ta, tb, alpha, a, b, beta, c):
    """c = alpha op(a) op(b) + beta c on row-major views whose rows are contiguous; sizes come from c and a."""
    k = a.shape[0] if ta else a.shape[1]
    if c.shape[0] == 0 or c.shape[1] == 0:
        return
    numbers = (
        *(np.int32(ta), np.int32(tb), np.int32(c.shape[0]), np.int32(c.shape[1]), np.int32(k)),
        *(alpha, np.uint64(a.ctypes.data), _row_stride(a), np.uint64(b.ctypes.data), _row_stride(b)),
        *(beta, np.uint64(c.ctypes.data), _row_stride(c)),
    )
    if blas[0] != 0:
        _gemm_rows(blas[0], numbers)
    else:
        _gemm_fortran(blas[1], numbers)


class _SingleThread:
    """Counts who needs BLAS on one thread: the first sets it, the last gives the old setting back.

    A limit for each caller would not do: the first of two overlapping callers to leave would end the other's. OpenBLAS has one
    number of threads for the process, and threadpoolctl lets a single Python thread change it and silently ignores all others.
    Here that thread must be the first to come, or the last to leave.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.holders = 0
        self.limiter = None
        self.controller = None

    def acquire(self):
        with self.lock:
            if self.holders == 0:
                if self.controller is None:
                    import scipy.linalg.cython_blas  # noqa: F401 - the library to control must be loaded

                    self.controller = ThreadpoolController().select(user_api="blas")
                OpenBLASController.clear_controlling_thread(force=True)
                self.limiter = self.controller.limit(limits=1)
            self.holders += 1

    def release(self):
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                self.restore()

    def restore(self):
        OpenBLASController.clear_controlling_thread(force=True)
        self.limiter.restore_original_limits()
        OpenBLASController.clear_controlling_thread()


_single = _SingleThread()


def _after_fork():
    """A child starts with nobody holding the limit, whatever the parent's other threads were doing."""
    global _single
    held, _single = _single, _SingleThread()
    if held.holders:
        held.restore()


# a fork waits until no change is under way: otherwise a lock of threadpoolctl would stay locked in the child
at_fork(before=lambda: _single.lock.acquire(), after_in_parent=lambda: _single.lock.release(), after_in_child=_after_fork)


@contextlib.contextmanager
def single_threaded():
    """Hold BLAS to one thread while kernels run; may be nested and overlap in any number of threads."""
    holder = _single
    holder.acquire()
    try:
        yield
    finally:
        holder.release()
