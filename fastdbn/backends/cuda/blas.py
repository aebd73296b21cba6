"""Matrix products by cuBLAS, called through ctypes on device arrays.

cuBLAS comes with the `nvidia-cublas` wheel, or with a CUDA toolkit; cuda-pathfinder finds either. A call takes pointers and
numbers alone, so no array library stands between. Row-major arrays are column-major ones turned: C = A B is C' = B' A'.
"""

import ctypes
import functools
import threading

import numpy as np

OK, NO_DEVICE_MEMORY = 0, 3
_REAL = {np.dtype(np.float32): (0, ctypes.c_float), np.dtype(np.float64): (1, ctypes.c_double)}
"""cudaDataType and the C type of scalars."""
_COMPUTE = {"float32": 68, "tf32": 77, "bf16": 75, "float64": 70}
"""cublasComputeType: how float32 numbers are multiplied; sums are in float32 whatever the factors are rounded to."""
_DEFAULT_ALGORITHM = -1

_own = threading.local()


@functools.cache
def library():
    """The cuBLAS library, or None where there is none."""
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception:  # whatever keeps a library from being found or loaded: the products of our own take its place
        return None


def _check(status, call):
    if status == NO_DEVICE_MEMORY:
        raise MemoryError(f"{call}: cuBLAS found no memory on the GPU: use a smaller batch_size, or free memory there")
    if status != OK:
        raise RuntimeError(f"{call} failed with status {status}")


def _handle():
    """This thread's handle: one must not be used by two threads at once."""
    if not hasattr(_own, "handle"):
        handle = ctypes.c_void_p()
        _check(library().cublasCreate_v2(ctypes.byref(handle)), "cublasCreate")
        _own.handle = handle
    return _own.handle


def layout(x, transpose):
    """(transposed, leading dimension) of a matrix as row-major memory."""
    step = x.dtype.itemsize
    if x.strides[1] == step or x.shape[1] == 1:
        return transpose, max(x.strides[0] // step, x.shape[1])
    return not transpose, max(x.strides[1] // step, x.shape[0])


def multiply(stream, precision, alpha, A, turn_A, B, turn_B, beta, C):
    """C = alpha op(A) op(B) + beta C, on a stream; op transposes where `turn` is set. C in C order.

    Parameters
    ----------
    stream : int
        The handle of the stream.
    precision : "float32", "tf32" or "bf16"
        What factors in float32 are rounded to; float64 is never rounded.
    """
    (m, n), k = C.shape, A.shape[0 if turn_A else 1]
    kind, real = _REAL[C.dtype]
    (turned_a, across_a), (turned_b, across_b) = layout(A, turn_A), layout(B, turn_B)
    call, handle = library(), _handle()
    _check(call.cublasSetStream_v2(handle, ctypes.c_void_p(stream)), "cublasSetStream")
    a, b, c = (x.device_ctypes_pointer for x in (A, B, C))
    status = call.cublasGemmEx(
        *(handle, int(turned_b), int(turned_a), n, m, k, ctypes.byref(real(alpha))),
        *(b, kind, across_b, a, kind, across_a, ctypes.byref(real(beta)), c, kind, max(C.strides[0] // C.dtype.itemsize, n)),
        *(_COMPUTE[precision if C.dtype == np.float32 else "float64"], _DEFAULT_ALGORITHM),
    )
    _check(status, f"the product ({m}, {k}) x ({k}, {n})")
