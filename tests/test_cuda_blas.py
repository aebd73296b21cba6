"""What cuBLAS is told of a product, by a stand-in that does on host memory what its manual says of cublasGemmEx."""

import ctypes
import itertools
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastdbn.backends.cuda import blas

KINDS = [np.float32, np.float64]
COMPUTE = {"32F": 68, "32F_FAST_TF32": 77, "32F_FAST_16BF": 75, "64F": 70}
"""How numbers are multiplied, by the names of cublas_api.h."""


class Array:
    """A host array as blas asks for a device's."""

    def __init__(self, x):
        self.shape, self.strides, self.dtype, self.x = x.shape, x.strides, x.dtype, x
        self.device_ctypes_pointer = ctypes.c_void_p(x.ctypes.data)


def matrix(pointer, kind, rows, columns, leading):
    """A column-major matrix at a pointer; nothing is read or written between its columns."""
    assert leading >= max(1, rows)
    real = KINDS[kind]
    size = leading * (columns - 1) + rows
    memory = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(np.ctypeslib.as_ctypes_type(real))), (size,))
    step = np.dtype(real).itemsize
    return np.lib.stride_tricks.as_strided(memory, (rows, columns), (step, step * leading))


@pytest.fixture
def stand_in(monkeypatch):
    """A library whose calls are recorded."""
    asked = []

    def gemm(handle, turn_a, turn_b, m, n, k, alpha, a, kind_a, lda, b, kind_b, ldb, beta, c, kind_c, ldc, compute, algorithm):
        asked.append(compute)
        A = matrix(a, kind_a, *((k, m) if turn_a else (m, k)), lda)
        B = matrix(b, kind_b, *((n, k) if turn_b else (k, n)), ldb)
        C = matrix(c, kind_c, m, n, ldc)
        before = C if beta._obj.value else np.zeros_like(C)  # C may hold anything, NaN too, where beta is 0
        C[...] = alpha._obj.value * (A.T if turn_a else A) @ (B.T if turn_b else B) + beta._obj.value * before
        return blas.OK

    calls = SimpleNamespace(cublasCreate_v2=lambda handle: 0, cublasSetStream_v2=lambda handle, stream: 0, cublasGemmEx=gemm)
    monkeypatch.setattr(blas, "library", lambda: calls)
    monkeypatch.setattr(blas, "_own", threading.local())
    return calls, asked


def made(shape, turned, order, wide):
    """A matrix to be turned or not, in C or F order, or rows of a matrix that has more columns than it."""
    x = np.random.default_rng(0).normal(size=shape[::-1] if turned else shape)
    if wide:
        x = np.pad(x, ((0, 0), (0, 3)))[:, :-3]
    return x if wide else np.asarray(x, order=order)


SIZES = [(1, 1, 1), (5, 3, 4), (1, 6, 5), (6, 1, 5), (5, 6, 1)]


@pytest.mark.parametrize("dtype", KINDS)
def test_product(dtype, stand_in):
    """C = alpha op(A) op(B) + beta C, whatever the memory order of A and B, for odd and single rows and columns."""
    yes_or_no, layouts = (False, True), (("C", False), ("F", False), ("C", True))
    for (m, n, k), turn_A, turn_B, layout, beta in itertools.product(SIZES, yes_or_no, yes_or_no, layouts, (0.0, 0.5)):
        A = made((m, k), turn_A, *layout).astype(dtype, order="K")
        B = made((k, n), turn_B, *layout).astype(dtype, order="K")
        C = np.full((m, n), 2.0 if beta else np.nan, dtype)
        expected = 1.5 * (A.T if turn_A else A) @ (B.T if turn_B else B) + (beta * C if beta else 0)
        blas.multiply(0, "float32", 1.5, Array(A), turn_A, Array(B), turn_B, beta, Array(C))
        assert np.allclose(C, expected, rtol=1e-5), ((m, n, k), turn_A, turn_B, layout, beta)


@pytest.mark.parametrize(
    ("dtype", "precision", "compute"),
    [
        ("float32", "float32", "32F"),
        ("float32", "tf32", "32F_FAST_TF32"),
        ("float32", "bf16", "32F_FAST_16BF"),
        ("float64", "bf16", "64F"),
    ],
)
def test_precision(dtype, precision, compute, stand_in):
    """How numbers are multiplied, by the names and numbers of cublas_api.h; float64 is never rounded."""
    x = np.ones((2, 2), dtype)
    blas.multiply(0, precision, 1.0, Array(x), False, Array(x), False, 0.0, Array(x.copy()))
    assert stand_in[1] == [COMPUTE[compute]]


def test_library():
    """The extra's library is found without a GPU, has what is called, and in its header the numbers that we give it."""
    library = blas.library()
    if library is None:
        pytest.skip("needs cuBLAS")
    for name in ("cublasCreate_v2", "cublasSetStream_v2", "cublasGemmEx"):
        assert getattr(library, name)
    header = Path(library._name).parents[1] / "include" / "cublas_api.h"
    if not header.exists():
        pytest.skip("needs cuBLAS's header")
    text = header.read_text()
    for name, number in COMPUTE.items():
        assert re.search(rf"\bCUBLAS_COMPUTE_{name}\s*=\s*{number}\b", text)
    assert re.search(rf"\bCUBLAS_STATUS_ALLOC_FAILED\s*=\s*{blas.NO_DEVICE_MEMORY}\b", text)


def test_faults(stand_in, monkeypatch):
    """A lack of memory is a MemoryError, other states are errors that name the product."""
    x = Array(np.ones((2, 3)))
    for status, error in ((blas.NO_DEVICE_MEMORY, MemoryError), (13, RuntimeError)):
        monkeypatch.setattr(stand_in[0], "cublasGemmEx", lambda *given, status=status: status)
        with pytest.raises(error, match=r"the product \(3, 2\) x \(2, 3\)"):
            blas.multiply(0, "float32", 1.0, x, True, x, False, 0.0, Array(np.ones((3, 3))))
