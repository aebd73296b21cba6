"""SVMlight files: a target and index:value pairs in each line, read by scikit-learn as a CSR matrix."""

import numpy as np
from sklearn.datasets import load_svmlight_file

from fastdbn.tables.packed import damage_named, unpacked
from fastdbn.tables.table import Table

SVMLIGHT = ".svmlight", ".libsvm", ".svm"


def read_svmlight(path):
    """(Table, what was found) of an SVMlight file, gzipped or not. Whole targets are integers.

    Raises
    ------
    ValueError
        if it is none.
    """
    with damage_named(path), unpacked(path) as file:
        try:
            X, y = load_svmlight_file(file)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{path} is no SVMlight file: {error}. A line is a target and pairs index:value") from None
    whole = np.isfinite(y).all() and (y == np.round(y)).all()
    return Table(
        X, target=y.astype(np.int64) if whole else y
    ), f"{Table(X).size}, sparse: {X.nnz} values; target first in each line"
