"""The same numbers give the same model, whatever holds them."""

import numpy as np
import pytest
from scipy import sparse

from fastdbn import RBM, DataWarning, DBNRegressor

TIMES = 1_700_000_000 + np.arange(120, dtype=np.int64)[:, None]
"""Seconds of an epoch, of which float32 holds every 128th."""
SMALL = np.random.default_rng(0).integers(0, 100, (60, 3))


def frame(library, dtype):
    """X -> a data frame of a library with columns of some type."""

    def make(X):
        module = pytest.importorskip(library)
        if dtype.endswith("[pyarrow]"):
            pytest.importorskip("pyarrow")
        columns = {f"c{j}": X[:, j] for j in range(X.shape[1])}
        return (
            module.DataFrame(columns, schema=dict.fromkeys(columns, getattr(module, dtype)))
            if library == "polars"
            else (module.DataFrame(columns).astype(dtype))
        )

    return make


WIDE = {
    "list": lambda X: X.tolist(),
    "object": lambda X: X.astype(object),
    "Fortran": lambda X: np.asfortranarray(X, np.float64),
    "csr int32": lambda X: sparse.csr_matrix(X.astype(np.int32)),
    "csr int64": sparse.csr_matrix,
    "coo": sparse.coo_matrix,
} | {
    kind: lambda X, kind=kind: X.astype(kind)
    for kind in ("int32", "int64", "uint32", "uint64", ">i4", ">i8", ">f8", "longdouble")
}
WIDE |= {f"pandas {kind}": frame("pandas", kind) for kind in ("int32", "Int64", "Float64", "int64[pyarrow]", "object")}
WIDE |= {f"polars {kind}": frame("polars", kind) for kind in ("Int32", "UInt64", "Float64")}
NARROW = {kind: lambda X, kind=kind: X.astype(kind) for kind in ("int8", "uint8", ">u2", "int16", "float16", "float32", ">f4")}


def fitted(X, **parameters):
    rbm = RBM(2, n_iter=1, random_state=0, **parameters).fit(X)
    return rbm.components_.tobytes(), rbm.intercept_visible_.tobytes(), rbm.transform(X).tobytes()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("kind", WIDE)
def test_columns_far_from_zero(kind):
    """No container is rounded to float32 before its columns are standardised."""
    assert fitted(WIDE[kind](TIMES)) == fitted(TIMES.astype(np.float64))


@pytest.mark.parametrize("kind", NARROW)
def test_small_numbers(kind):
    """Types that hold the numbers exactly give the same bits too."""
    assert fitted(NARROW[kind](SMALL)) == fitted(SMALL.astype(np.float64))


def test_regression_on_times():
    """What the columns say is learned: R2 is 1 for int32 as for float64."""
    X, y = TIMES.astype(np.int32), np.arange(120.0)
    assert DBNRegressor((16,), pretrain=False, batch_size=10, random_state=0).fit(X, y).score(X, y) > 0.99


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_whole_numbers_beyond_float64(kind):
    """Whole numbers that float64 does not hold are rounded with a warning."""
    X = (2**60 + 2**40 * np.arange(50)[:, None]).astype(kind)
    with pytest.warns(DataWarning, match="subtract a constant"):
        rbm = RBM(2, n_iter=1, random_state=0).fit(X)
    assert rbm.scaling_.scale[0] < 1


def test_types_that_are_read_as_they_are_are_not_copied():
    """Arrays, memory maps and CSR of these types reach the backend without a copy."""
    from fastdbn.estimators.rows import checked

    for kind in ("float32", "float64", "uint8", "bool", "int32", "int64"):
        X = (SMALL % 2).astype(kind)
        assert np.shares_memory(checked(RBM(), X, reset=True), X)
        rows = sparse.csr_matrix(X)
        assert np.shares_memory(checked(RBM(), rows, reset=True).data, rows.data)
