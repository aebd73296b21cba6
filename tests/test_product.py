"""Our own matrix product against NumPy's: shapes around every edge of tiles and panels, views, scales."""

import numba
import numpy as np
import pytest

from fastdbn.backends.cpu.jit import kernel
from fastdbn.backends.cpu.product import DEPTH, ROWS, multiply, multiply_and_fetch

SIZES = [1, 2, 4, 7, 8, 15, 16, 17, 31, 33, 50, 65]
SHAPES = [(m, 5, n) for m in SIZES for n in SIZES]
SHAPES += [(3, k, 37) for k in (1, 16, 17, DEPTH - 1, DEPTH, 2 * DEPTH + 3)] + [(ROWS + 9, 300, 70), (2 * ROWS, 20, 40)]
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


@kernel
def product(ta, tb, a, b, add, c):
    multiply(ta, tb, a, b, add, c)


@kernel
def product_fetching(a, b, c, x, y):
    multiply_and_fetch(False, False, a, b, False, c, x, y)


@pytest.fixture(scope="module", autouse=True)
def of_views():
    """Both kernels take every array as a view: those of one row or column would be types of their own."""
    for real in (numba.float32, numba.float64):
        matrix, flag = real[:, :], numba.boolean
        product.compile((flag, flag, matrix, matrix, flag, matrix))
        product_fetching.compile((matrix,) * 5)
    product.disable_compile()
    product_fetching.disable_compile()


def view(draw, rows, columns, dtype):
    """A matrix in the midst of a larger one."""
    return draw.normal(size=(rows + 3, columns + 5)).astype(dtype)[1 : rows + 1, 2 : columns + 2]


@both_types
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_product(dtype, ta, tb):
    """op(a) op(b), or what is added to c, and nothing is written around c."""
    draw = np.random.default_rng(0)
    for m, k, n in SHAPES:
        a = view(draw, *((k, m) if ta else (m, k)), dtype)
        b = view(draw, *((n, k) if tb else (k, n)), dtype)
        exact = (a.T if ta else a).astype(float) @ (b.T if tb else b).astype(float)
        for add in (False, True):
            around = draw.normal(size=(m + 2, n + 40)).astype(dtype)
            expected, c = around.astype(float), around[1 : m + 1, 1 : n + 1]
            expected[1 : m + 1, 1 : n + 1] = exact + add * c.astype(float)
            product(ta, tb, a, b, add, c)
            assert np.abs(around - expected).max() < (1e-4 if dtype == "float32" else 1e-12), (m, k, n, add)


@both_types
def test_old_values_do_not_matter(dtype):
    """NaN in c is overwritten; an empty sum is zero."""
    draw = np.random.default_rng(0)
    for k in (0, 7):
        a, b, c = view(draw, 9, k, dtype), view(draw, k, 21, dtype), np.full((9, 21), np.nan, dtype)
        product(False, False, a, b, False, c)
        assert np.allclose(c, a @ b, atol=1e-5)


@both_types
def test_bits_do_not_depend_on_the_shape_of_c(dtype):
    """Any rows and columns of a product have the bits that they have in the whole."""
    draw = np.random.default_rng(1)
    a, b = view(draw, 150, 2 * DEPTH + 5, dtype), view(draw, 2 * DEPTH + 5, 90, dtype)
    start = draw.normal(size=(150, 90)).astype(dtype)
    for add in (False, True):
        whole = start.copy()
        product(False, False, a, b, add, whole)
        for rows in (slice(0, 1), slice(3, 13), slice(100, 150)):
            for columns in (slice(0, 90), slice(5, 6), slice(40, 79)):
                c = start[rows, columns].copy()
                product(False, False, a[rows], b[:, columns], add, c)
                assert c.tobytes() == whole[rows, columns].tobytes()


@both_types
def test_fetching_changes_nothing(dtype):
    """What is fetched stays as it is, and the product is the same."""
    draw = np.random.default_rng(2)
    a, b, c, d = view(draw, 20, 9, dtype), view(draw, 9, 50, dtype), np.zeros((20, 50), dtype), np.zeros((20, 50), dtype)
    x, y = view(draw, 20, 50, dtype), view(draw, 20, 50, dtype)
    before = x.copy(), y.copy()
    product(False, False, a, b, False, c)
    product_fetching(a, b, d, x, y)
    assert c.tobytes() == d.tobytes()
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])
