# cython: language_level=3, boundscheck=False, wraparound=False
"""General matrix products on row-major arrays over SciPy's BLAS, without the GIL.

The two functions are exported by address (`__pyx_capi__`), which is how compiled kernels call them.
C (m x n) = alpha op(A) op(B) + beta C, where op transposes if its flag is set; ld* are the row strides in elements.
A row-major product is the column-major product of the transposes in reverse order.
"""

from scipy.linalg.cython_blas cimport dgemm, sgemm


cdef api void sgemm_rows(int ta, int tb, int m, int n, int k, float alpha, float* a, int lda, float* b, int ldb,
                         float beta, float* c, int ldc) noexcept nogil:
    cdef char transpose_a = b'T' if ta else b'N'
    cdef char transpose_b = b'T' if tb else b'N'
    sgemm(&transpose_b, &transpose_a, &n, &m, &k, &alpha, b, &ldb, a, &lda, &beta, c, &ldc)


cdef api void dgemm_rows(int ta, int tb, int m, int n, int k, double alpha, double* a, int lda, double* b, int ldb,
                         double beta, double* c, int ldc) noexcept nogil:
    cdef char transpose_a = b'T' if ta else b'N'
    cdef char transpose_b = b'T' if tb else b'N'
    dgemm(&transpose_b, &transpose_a, &n, &m, &k, &alpha, b, &ldb, a, &lda, &beta, c, &ldc)
