"""The data's table: type, range and missing values of each column."""

import numpy as np
from scipy import sparse

from fastdbn.support.checks import is_missing
from fastdbn.tables import cells

HEADER = "column", "type", "missing", "distinct", "range, or most frequent", "mean ± deviation"
MOST_COLUMNS = 200
"""Columns that are described."""
FREQUENT = 3
"""The texts of a column that are named."""


def columns_of(table):
    """The first columns of a Table by name, to be described: numbers, or text where any cell is text.

    None for a sparse matrix, whose rows say as much.
    """
    if sparse.issparse(table.numbers):
        return None
    columns = {}
    for j in range(min(table.width, MOST_COLUMNS)):
        text = any(cell is not None and not cells.is_missing(cell) for cell in table.text.get(j, ()))
        columns[table.names[j] if table.names else str(j)] = table.cells(j) if text else np.asarray(table.numbers[:, j])
    return columns


def described(name, values):
    """A line of the table.

    Parameters
    ----------
    name : str
    values : (n,) array of numbers, where NaN is missing, or of text, where None is
    """
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        return name, *_of_numbers(numbers[~np.isnan(numbers)], len(values))
    known = [str(value) for value in values.tolist() if not is_missing(value)]
    return name, *_of_text(known, len(values))


def _missing(known, n):
    lacking = n - known
    return f"{lacking} ({lacking / n:.1%})" if lacking else "–"


def _of_numbers(known, n):
    if not len(known):
        return "empty", _missing(0, n), 0, "–", "–"
    distinct = np.unique(known)
    kind = "whole numbers" if (known == np.round(known)).all() else "numbers"
    if len(distinct) == 1:
        kind = "constant"
    elif distinct.tolist() == [0, 1]:
        kind = "0 and 1"
    with np.errstate(over="ignore", invalid="ignore"):
        spread = f"{known.mean():.4g} ± {known.std():.3g}"
    return kind, _missing(len(known), n), len(distinct), f"{known.min():.6g} to {known.max():.6g}", spread


def _of_text(known, n):
    labels, counts = np.unique(np.array(known, dtype=object), return_counts=True)
    most = np.argsort(-counts, kind="stable")[:FREQUENT]
    more = ", …" if len(labels) > FREQUENT else ""
    said = ", ".join(f"{labels[i]} ({counts[i] / len(known):.0%})" for i in most) + more
    return "text", _missing(len(known), n), len(labels), said or "–", "–"


def of_images(X, shape):
    """One line for images, whose columns are pixels."""
    low, high = X.min(axis=0), X.max(axis=0)
    same = int(np.sum(low == high))
    words = f"images of {'×'.join(map(str, shape))}"
    constant = f"; {same} pixels are the same in all rows" if same else ""
    spread = f"{X.mean(dtype=np.float64):.4g} ± {X.std(dtype=np.float64):.3g}"
    return f"{X.shape[1]} columns", words, "–", "–", f"{low.min():.6g} to {high.max():.6g}{constant}", spread
