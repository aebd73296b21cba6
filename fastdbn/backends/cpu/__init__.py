"""The CPU backend: kernels in Numba, products by BLAS or our own, threads."""
