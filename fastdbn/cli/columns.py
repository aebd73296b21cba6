"""Roles of the columns of a table: the target and its task, the features, and the columns that are left out."""

import re

import numpy as np

from fastdbn.cli.cells import advice, first_text, is_missing, is_number, mostly_numeric, parse

FEW_CLASSES = 20
"""Integers are classes if there are at most so many distinct ones, and fewer than half of the rows."""
SAMPLE = 100
"""Rows that are compared first: for most columns they show that the column does not repeat the target."""
SHOWN = 8
"""The most columns that a message lists."""


ONE_COLUMN = "only one column found: separate fields by commas, semicolons, tabs or |, not by spaces or anything else"


def name_of(table, position):
    """A column's name in quotes, or its position."""
    return repr(table.names[position]) if table.names else str(position)


def listed(words):
    """Some words in a line, not all where there are many."""
    words = list(words)
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def position(table, column, option="--target"):
    """The position of a column, given by name or by an integer. An integer is always a position; -1 is the last.

    Raises
    ------
    ValueError
        if there is no such column.
    """
    width = table.columns.shape[1]
    if not re.fullmatch(r"[+-]?\d+", column):
        if table.names and column in table.names:
            return table.names.index(column)
        unknown = "no header was found, so give its position, from 0 (-1 is the last), or --header if line 1 names the columns"
        known = f"the columns are {listed(table.names)}" if table.names else unknown
        raise ValueError(f"{option} {column}: no such column; {known}")
    place = int(column)
    if not -width <= place < width:
        named = f"; the column named {column!r} is number {table.names.index(column)}" if column in (table.names or ()) else ""
        raise ValueError(f"{option} {column}: an integer is a position, and they go from {-width} to {width - 1}{named}")
    return place % width


# ---- columns that are left out


def _repeats(column, target):
    """Whether the values of two columns determine each other one to one, in enough rows to tell."""
    for n in (SAMPLE, len(target)):
        ours, theirs = column[:n].tolist(), target[:n].tolist()
        kinds = len(set(theirs))
        if not kinds == len(set(ours)) == len(set(zip(ours, theirs, strict=True))):
            return False
    return 1 < kinds <= len(target) / 2


def left_out(table, target, columns):
    """Which columns must not be features, and why.

    Parameters
    ----------
    table : Table
    target : (n,) array of text or numbers
    columns : list of int
        The columns to look at.

    Returns
    -------
    dict of int to str
        Why, in words, by position.
    """
    found = {}
    for j in columns:
        column = table.columns[:, j]
        unnamed = table.names is not None and table.names[j] == f"Unnamed: {j}"
        if unnamed and not any(column):
            found[j] = "is empty and has no name"
        elif unnamed and j == 0 and len(set(column)) == len(column):
            found[j] = "has no name and numbers the rows, as the index that pandas writes"
        elif _repeats(column, target):
            found[j] = "determines the target one to one, so it would give the answer away"
    return found


# ---- features


def wanted(table, names, n_features, absent):
    """The positions of the columns that a model was trained on, in its order.

    Parameters
    ----------
    table : Table
    names : list of str
        The model's feature names. Empty if it has none.
    n_features : int
    absent : sequence of int
        Positions that are not features in the table of the training, such as that of the target.

    Raises
    ------
    ValueError
        if the table lacks a column or has too many to tell.
    """
    width = table.columns.shape[1]
    if names and table.names:
        missing = [name for name in names if name not in table.names]
        if missing:
            raise ValueError(
                f"the table lacks the column {missing[0]!r}, which the model was trained on ({len(missing)} of {len(names)} lack)"
            )
        return [table.names.index(name) for name in names]
    if width == n_features:
        return list(range(width))
    if width == n_features + len(absent):
        return [j for j in range(width) if j not in set(absent)]
    if width == 1:
        raise ValueError(f"{ONE_COLUMN}. The model was trained on {n_features} features")
    also = f", or a table of {n_features + len(absent)} columns as it was trained on" if absent else ""
    raise ValueError(
        f"the table has {width} columns and the model was trained on {n_features} features: give it those alone, without the "
        f"target{also}"
    )


def features(table, keep, needed=False):
    """Some columns as float64.

    Parameters
    ----------
    table : Table
    keep : list of positions
    needed : bool
        Whether a model needs all of them.

    Raises
    ------
    ValueError
        if a cell is not a finite number. It names row, column and remedy.
    """
    if not keep:
        raise ValueError("no columns are left as features: the table needs more than its target; --keep uses what is left out")
    if table.columns.dtype != object:
        whole = len(keep) == table.columns.shape[1]
        X = np.asarray(table.columns if whole else table.columns[:, keep], np.float64)
        bad = {} if np.isfinite(X).all() else {i: ~np.isfinite(X[:, i]) for i in range(len(keep))}
        faults = [_not_finite(table, keep[i], X[:, i], rows) for i, rows in bad.items() if rows.any()]
    else:
        X, faults = np.empty((len(table.columns), len(keep))), []
        for i, j in enumerate(keep):
            values = parse(table.columns[:, j])
            if values is not None:
                X[:, i] = values
            if values is None or not np.isfinite(values).all():
                faults.append(_fault(table, j, values))
    if faults:
        said, remedies = zip(*faults, strict=True)
        more = f"; {len(faults) - SHOWN} more cannot be features either" if len(faults) > SHOWN else ""
        remedies = ", ".join([*dict.fromkeys(remedies), *([] if needed else ["or take the column out of the file"])])
        wrong = "; ".join(said[:SHOWN]) + more
        raise ValueError(f"{wrong}. Features must be finite numbers: {remedies}{_header_advice(table, keep)}")
    return X


def _column(table, j):
    return f"column {name_of(table, j)}"


def _rows(bad):
    """The number of the first marked row and the count of them, in words."""
    rows = np.flatnonzero(bad)
    return f"row {rows[0] + 1}" + (f" and in {len(rows) - 1} more" if len(rows) > 1 else "")


def _fault(table, j, values):
    """What is wrong with a column of text, and the remedy. values are given if it holds only numbers and empty cells."""
    cells = table.columns[:, j]
    if values is None:
        first = first_text(cells)
        said = f"{_column(table, j)} holds the text {cells[first]!r}"
        if not mostly_numeric(cells):
            return f"{said} in row {first + 1}", "encode text as numbers"
        bad = np.array([bool(cell) and not is_number(cell) for cell in cells])
        return f"{said}{'' if bad.all() else ' among numbers'} in {_rows(bad)}", advice(cells[first])
    empty = cells == ""
    if empty.any():
        return f"{_column(table, j)} is empty in {_rows(empty)}", "fill or drop what is missing"
    return _not_finite(table, j, values, ~np.isfinite(values))


def _not_finite(table, j, values, bad):
    return f"{_column(table, j)} is {values[bad][0]} in {_rows(bad)}", "fill or drop what is missing"


def _header_advice(table, keep):
    """Advice for a line 1 that was taken for data but is a header."""
    if table.names or table.columns.dtype != object:
        return ""
    first = table.columns[0, keep]
    return "; or give --header, if line 1 names the columns" if not all(map(is_number, first)) else ""


# ---- the target


def target_values(values, task):
    """The target as labels or numbers, the task, and why.

    Parameters
    ----------
    values : (n,) or (n, k) array of text or numbers
        Labels of text keep their spelling.
    task : "auto", "classify" or "regress"

    Returns
    -------
    y : (n,) or (n, k) array
    "classify" or "regress"
    str

    Raises
    ------
    ValueError
        if a value is missing or is not a number where one is needed, or if there is nothing to learn.
    """
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind not in "biufUO":
        raise ValueError(f"the target has values of type {values.dtype}: give numbers, or text for classes")
    if values.ndim > 1:
        y, task, why = _of_several(values, task)
    elif values.dtype.kind in "UO":
        y, task, why = _of_cells([str(cell).strip() for cell in values], task)
    else:
        y, task, why = _of_numbers(values, task)
    if len(y) > 1 and (y == y[0]).all():
        if task == "classify":
            raise ValueError(f"the target holds one class alone, {str(y[0])!r}: a classifier needs at least two")
        raise ValueError("the target holds one value alone: there is nothing to learn")
    return y, task, why


def _is_whole(numbers):
    return np.array_equal(numbers, np.round(numbers))


def _decided(numbers, task):
    """The task for a target of numbers, and why."""
    distinct = len(np.unique(numbers))
    if task != "auto":
        if task == "classify" and not _is_whole(numbers) and distinct > max(FEW_CLASSES, len(numbers) / 2):
            raise ValueError(
                f"--task classify: the target has {distinct} distinct numbers in {len(numbers)} rows, such as {numbers[0]:g}: "
                "these are no classes, use --task regress"
            )
        return task, "as told"
    if _is_whole(numbers) and distinct <= FEW_CLASSES and distinct < len(numbers) / 2:
        return "classify", f"the target has {distinct} distinct integers"
    hint = "; give --task classify if they are classes" if _is_whole(numbers) else ""
    return "regress", f"the target has {distinct} distinct numbers{hint}"


def _check_finite(numbers):
    if not np.isfinite(numbers).all():
        bad = ~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
        raise ValueError(f"the target is not finite in {_rows(bad)}: fill or drop what is missing")


def _of_numbers(values, task):
    if values.dtype.kind == "b":
        return (values, "classify", "the target is true or false") if task != "regress" else (values * 1.0, task, "as told")
    numbers = values.astype(np.float64)
    _check_finite(numbers)
    task, why = _decided(numbers, task)
    if task == "regress":
        return numbers, task, why
    if values.dtype.kind == "f":
        values = values.astype(np.int64 if _is_whole(numbers) else str)
    return values, task, why


def _of_cells(cells, task):
    if "" in cells:
        bad = np.array([cell == "" for cell in cells])
        raise ValueError(f"the target is empty in {_rows(bad)}: fill or drop what is missing")
    labels, numbers = np.array(cells), parse(cells)
    if numbers is None and (task == "regress" or (task == "auto" and mostly_numeric(cells))):
        bad = np.array([not is_number(cell) for cell in cells])
        cell = cells[first_text(cells)]
        among = "" if bad.all() else " among numbers"
        remedy = f"use --task classify if the cells name classes; else {advice(cell)}"
        raise ValueError(f"the target holds the text {cell!r}{among} in {_rows(bad)}: {remedy}")
    if numbers is None:
        return labels, *_of_text(cells, task)
    _check_finite(numbers)
    task, why = _decided(numbers, task)
    return numbers if task == "regress" else labels, task, why


def _of_text(cells, task):
    """The task, which is to classify, and why, for labels of text."""
    distinct = len(set(cells))
    if task == "auto" and distinct > max(FEW_CLASSES, len(cells) / 2):
        raise ValueError(
            f"the target has {distinct} distinct texts in {len(cells)} rows, such as {cells[0]!r}, too many to be classes: name "
            "another column, or give --task classify"
        )
    doubtful = sorted({cell for cell in cells if is_missing(cell)})
    remark = f"; {doubtful[0]!r} is a class too: drop its rows if it stands for a missing value" if doubtful else ""
    return "classify", ("as told" if task == "classify" else "the target is text") + remark


def _of_several(values, task):
    """The same for a target of several columns."""
    if values.ndim > 2 or values.dtype.kind in "UO":
        raise ValueError(
            f"the target has the shape {values.shape} and type {values.dtype}: give one label or number for each row"
        )
    numbers = values.astype(np.float64)
    _check_finite(numbers)
    flags = bool(np.isin(numbers, (0, 1)).all())
    if task == "regress":
        return numbers, task, "as told"
    if flags and (numbers.sum(axis=1) == 1).all():
        return (
            numbers.argmax(axis=1),
            "classify",
            f"the target has {numbers.shape[1]} columns, one of them 1 in each row (one-hot)",
        )
    if flags or task == "classify":
        raise ValueError(
            f"the target has {numbers.shape[1]} columns"
            + (", with several or no ones in a row" if flags else "")
            + ": a classifier "
            "learns one label a row; save one column as y, or give --task regress to predict them all as numbers"
        )
    return numbers, "regress", f"the target has {numbers.shape[1]} columns of numbers"
