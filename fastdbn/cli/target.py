"""The target of a table: labels or numbers, and whether to classify or to regress."""

import numpy as np

from fastdbn.preparation.kinds import LARGEST
from fastdbn.support.report import DataWarning, warn
from fastdbn.tables.cells import in_rows, is_missing, is_number, mostly_numeric, numbers, text_among
from fastdbn.tables.table import Table, listed

FEW_CLASSES = 20
"""Integers are classes if there are at most so many distinct ones, and fewer than half of the rows."""


def target_values(values, task):
    """The target as labels or numbers, the task, and why.

    Parameters
    ----------
    values : (n,) or (n, k) array of text or numbers
        Labels of text keep their spelling.
    task : "auto", "classify" or "regress"

    Returns
    -------
    y : (n,) or (n, k) array; a masked one if values are missing
    "classify" or "regress"
    str

    Raises
    ------
    ValueError
        if no row has a value, or one is not a number where one is needed.
    """
    values = np.asarray(values)
    known = _known(values)
    if not known.all() and known.any():
        filled = values.copy()
        filled[~known] = values[known][0]
        y, task, why = target_values(filled, task)
        return np.ma.array(y, mask=np.broadcast_to(~known.reshape(-1, *[1] * (y.ndim - 1)), y.shape)), task, why
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind not in "biufUO":
        raise ValueError(f"the target has values of type {values.dtype}: give numbers, or text for classes")
    if values.ndim > 1:
        return _of_several(values, task)
    if values.dtype.kind in "UO":
        return _of_cells([str(cell).strip() for cell in values], task)
    return _of_numbers(values, task)


def _known(values):
    """Which rows have a target, (n,) bool: none that is empty or NaN, nor NA and the like beside numbers."""
    if values.dtype.kind == "f":
        return ~np.isnan(values).reshape(len(values), -1).any(axis=1)
    if values.ndim > 1 or values.dtype.kind not in "UO":
        return np.ones(len(values), bool)
    cells = [str(cell).strip() for cell in values]
    numeric = all(is_number(cell) for cell in cells if not is_missing(cell))
    return np.array([not is_missing(cell) if numeric else cell not in ("", "nan") for cell in cells], bool)


def labelled(y):
    """Which rows have a target, (n,) bool, of what `target_values` gave."""
    return ~np.ma.getmaskarray(y).reshape(len(y), -1).any(axis=1)


def with_target(rows, y):
    """The rows, a Table or an array, that have a target, and their targets; a warning counts the others."""
    if not np.ma.isMaskedArray(y):
        return rows, y
    known, lacking = np.flatnonzero(labelled(y)), np.flatnonzero(~labelled(y))
    warn(f"{len(lacking)} of {len(y)} rows have no target, {in_rows(lacking)}, and are left out", DataWarning)
    return rows.rows(known) if isinstance(rows, Table) else rows[known], y.data[known]


def check_varies(y, task):
    """Refuse a target of only one value; None is no target."""
    y = None if y is None else np.ma.getdata(y)[labelled(y)]
    if y is not None and len(y) > 1 and (y == y[0]).all():
        if task == "classify":
            raise ValueError(f"the target holds only one class, {str(y[0])!r}: a classifier needs at least two")
        raise ValueError("the target holds only one value: there is nothing to learn")


def warn_of_single_rows(y, task):
    """Warn of classes that have one row alone."""
    if task != "classify":
        return
    classes, counts = np.unique(np.ma.getdata(y)[labelled(y)], return_counts=True)
    single = [repr(str(label)) for label in classes[counts == 1]]
    if single:
        warn(
            f"{len(single)} of {len(classes)} classes ha{'s' if len(single) == 1 else 've'} one row alone, {listed(single)}: too "
            "little to learn a class from or to test it on. Drop or relabel what is rare, or give --task regress for amounts",
            DataWarning,
        )


def _finite(values):
    """The values as float64, which must be finite."""
    values = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(bad):
        raise ValueError(f"the target is not finite {in_rows(bad)}: fill or drop what is missing")
    large = np.flatnonzero((np.abs(values) > LARGEST).reshape(len(values), -1).any(axis=1))
    if len(large):
        raise ValueError(f"the target holds {np.abs(values[large[0]]).max():g} {in_rows(large)}: scale it to at most {LARGEST:g}")
    return values


def _decided(numbers, task):
    """The task for a target of numbers, and why."""
    distinct, whole = len(np.unique(numbers)), np.array_equal(numbers, np.round(numbers))
    if task == "classify" and not whole and distinct > FEW_CLASSES:
        raise ValueError(
            f"the target has {distinct} distinct numbers in {len(numbers)} rows, such as {numbers[0]:g}, which are no classes: "
            "use --task regress, or leave --task and --model out"
        )
    if task != "auto":
        return task, "as told"
    if whole and distinct <= FEW_CLASSES and distinct < len(numbers) / 2:
        return "classify", f"the target has {distinct} distinct integers"
    hint = "; give --task classify if they are classes" if whole else ""
    return "regress", f"the target has {distinct} distinct numbers{hint}"


def _of_numbers(values, task):
    numbers = _finite(values)
    if values.dtype.kind == "b" and task != "regress":
        return values, "classify", "the target is true or false"
    task, why = _decided(numbers, task)
    if task == "regress":
        return numbers, task, why
    if values.dtype.kind == "f":
        values = values.astype(np.int64 if np.array_equal(numbers, np.round(numbers)) else str)
    return values, task, why


def _of_cells(cells, task):
    empty = [i for i, cell in enumerate(cells) if not cell]
    if empty:
        raise ValueError(f"the target is empty {in_rows(empty)}: fill or drop what is missing")
    text = text_among(cells)
    if text and (task == "regress" or (task == "auto" and mostly_numeric(cells))):
        said, remedy = text
        raise ValueError(f"the target {said}: use --task classify if the cells name classes; else {remedy}")
    if text:
        return np.array(cells), *_of_text(cells, task)
    values = _finite(np.array(numbers(cells)))
    task, why = _decided(values, task)
    return values if task == "regress" else np.array(cells), task, why


def _of_text(cells, task):
    """The task, which is to classify, and why, for labels of text."""
    distinct = set(cells)
    if task == "auto" and len(distinct) > max(FEW_CLASSES, len(cells) / 2):
        raise ValueError(
            f"the target has {len(distinct)} distinct texts in {len(cells)} rows, such as {cells[0]!r}, too many to be classes: "
            "name another column, or give --task classify"
        )
    doubtful = sorted(filter(is_missing, distinct))
    remark = f"; {doubtful[0]!r} is a class too: drop its rows if it stands for a missing value" if doubtful else ""
    return "classify", ("as told" if task == "classify" else "the target is text") + remark


def _of_several(values, task):
    """The same for a target of several columns."""
    if values.ndim > 2 or values.dtype.kind in "UO":
        raise ValueError(
            f"the target has the shape {values.shape} and type {values.dtype}: give one label or number for each row"
        )
    numbers, columns = _finite(values), f"the target has {values.shape[1]} columns"
    if task == "regress":
        return numbers, task, "as told"
    flags = bool(np.isin(numbers, (0, 1)).all())
    if flags and (numbers.sum(axis=1) == 1).all():
        return numbers.argmax(axis=1), "classify", f"{columns}, one of them 1 in each row (one-hot)"
    if flags or task == "classify":
        several = ", with several or no ones in a row" if flags else ""
        raise ValueError(
            f"{columns}{several}: a classifier learns one label a row; save one column as y, or give --task regress to predict "
            "them all as numbers"
        )
    return numbers, "regress", f"{columns} of numbers"
