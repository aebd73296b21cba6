"""What a column is taken for: a number, a flag, a category, a date, or nothing that a model could use."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastdbn.preparation import dates
from fastdbn.preparation.column import CATEGORY, DATE, FLAG, KINDS, NUMBER, OTHER, Column
from fastdbn.support.report import DataWarning, warn
from fastdbn.support.types import Doubles
from fastdbn.tables.cells import is_number, mostly_numeric, text_among
from fastdbn.tables.table import Table

MOST_LABELS, FEW_LABELS = 64, 5
"""A category has at most so many labels, the rarest of which are taken together. Text with more labels than `FEW_LABELS`, and
than one for two rows, is free text."""
MOST_DIGITS = 6
LARGEST = 1e100
"""The greatest number that a column may hold, so that variances are finite."""
ROWS = 20
"""Whole numbers that count rows are the numbers of rows, if there are at least so many."""


class Unusable(Exception):
    """A column that a model cannot use, and why, in words."""


class Fault(ValueError):
    """(what is wrong with a column, the remedy)."""


def column_of(table: Table, place: int, kind: str | None = None, keep: bool = False) -> Column:
    """The `Column` of a table's column, with `marked` where values are missing.

    Parameters
    ----------
    table : Table
    place : int
    kind : one of `KINDS` or None
        None decides by the values.
    keep : bool
        Whether a column is taken that would be left out.

    Raises
    ------
    Unusable
        if it should be left out.
    Fault
        if a cell does not suit, with its row.
    """
    name = table.names[place] if table.names is not None else ""
    if kind in (None, NUMBER) and place not in table.text:
        return _of_numbers(name, place, np.asarray(table.numbers[:, place], np.float64), kind, keep)
    cells = table.cells(place)
    held = [cell for cell in cells if cell is not None]
    if not held:
        raise Unusable("has no values")
    if kind == NUMBER or (kind is None and mostly_numeric(held)):
        fault = text_among(["" if cell is None else cell for cell in cells])
        if fault is None:
            x = np.array(table.numbers[:, place], np.float64)
            for i in np.flatnonzero(np.isnan(x)):
                x[i] = np.nan if cells[i] is None else float(cells[i])  # infinite
            return _of_numbers(name, place, x, kind, keep)
        if kind == NUMBER or not dates.forms(held):
            raise Fault(*fault)
    labels, counts = _counted(held)
    if len(labels) == 1:
        raise Unusable(f"holds only one value, {labels[0]!r}")
    if kind == FLAG and len(labels) > 2:
        raise Fault(
            f"has {len(labels)} values, such as {', '.join(map(repr, labels[:3]))}", "a flag has two: take it as a category"
        )
    if kind in (None, DATE):
        found = dates.forms(held)
        if len(found) == 1:
            return _of_dates(name, place, cells, found[0])
        if kind == DATE or found:
            said = "dates whose day and month cannot be told apart" if found else "values that are not dates"
            raise (Fault if kind == DATE else Unusable)(f"holds {said}, such as {held[0]!r}", "write dates as 2020-12-31")
    if kind is None and not keep and len(labels) > max(FEW_LABELS, len(held) / 2):
        raise Unusable(f"has {len(labels)} different texts in {len(held)} rows, such as {held[0]!r}: names or free text")
    return _of_labels(name, place, labels, counts, len(cells) - len(held), kind)


def can_be_kept(table: Table, place: int) -> bool:
    """Whether a column that was left out is used where it is named in `keep`; one that says nothing cannot be."""
    try:
        column_of(table, place, keep=True)
    except (Unusable, Fault):
        return False
    return True


def _of_numbers(name: str, place: int, x: Doubles, kind: str | None, keep: bool) -> Column:
    bad = np.flatnonzero(np.isinf(x))
    if len(bad):
        raise Fault(f"is {x[bad[0]]:g} in row {bad[0] + 1}", "fill or drop what is missing")
    held = x[~np.isnan(x)]
    if not len(held):
        raise Unusable("has no values")
    large = np.flatnonzero(np.abs(x) > LARGEST)
    if len(large):
        raise Fault(f"holds {x[large[0]]:g} in row {large[0] + 1}", f"scale numbers to at most {LARGEST:g}, or correct that one")
    low, high, n = float(held.min()), float(held.max()), len(held)
    if low == high and not keep:
        raise Unusable(f"holds only one value, {low:g}")
    whole = bool((held == np.round(held)).all())
    if kind is None and whole and low == 0 and high == 1:
        return Column(name, place, FLAG, ("0", "1"), (float(held.mean()),), marked=n < len(x))
    if max(-low, high) > 2**53 and whole:
        warn(
            f"column {name or place!r} has whole numbers above 2^53, such as {max(low, high, key=abs):.17g}: they are rounded to "
            "float64, and neighbours become equal. If they name things, take the column as a category, or leave it out",
            DataWarning,
        )
    return Column(name, place, NUMBER, (), (float(np.median(held)),), low, high, _digits(held), n < len(x))


def _digits(x: Doubles) -> int:
    """How many digits after the decimal point all of some numbers have at most; -1 for more than `MOST_DIGITS`."""

    def enough(values: Doubles, digits: int) -> bool:
        return bool((np.abs(values - np.round(values, digits)) <= 1e-12 * np.abs(values)).all())

    few = x[:ROWS]
    return next((digits for digits in range(MOST_DIGITS + 1) if enough(few, digits) and enough(x, digits)), -1)


def identifies_rows(name: str, x: NDArray[Any]) -> str | None:
    """Why a column of numbers says which row it is and nothing else, in words; None if it does not."""
    if len(x) >= ROWS and float(x[1]) - float(x[0]) == 1 and (np.diff(x.astype(np.float64)) == 1).all():
        return "numbers the rows"
    named = name.lower() == "id" or name.endswith(("_id", " id", "Id", "ID"))
    if named and len(x) >= ROWS and (x == np.round(x)).all() and len(np.unique(x)) == len(x):
        return "has another whole number in each row, and is named as an identifier"
    return None


def _of_dates(name: str, place: int, cells: Iterable[str | None], form: str) -> Column:
    days = np.array([np.nan if cell is None else dates.parse(cell, form) for cell in cells])
    held = days[~np.isnan(days)]
    whole = bool((held == np.round(held)).all()) and "%H" not in form and not any(":" in cell for cell in cells if cell)
    low, high = float(held.min()), float(held.max())
    return Column(name, place, DATE, (form,), (float(np.median(held)),), low, high, 0 if whole else -1, len(held) < len(days))


def _counted(cells: Sequence[str]) -> tuple[list[str], list[int]]:
    """(labels in order, their counts)."""
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell] = counts.get(cell, 0) + 1
    order = sorted(counts, key=lambda cell: (float(cell), cell)) if all(map(is_number, counts)) else sorted(counts)
    return order, [counts[label] for label in order]


def _of_labels(name: str, place: int, labels: list[str], counts: list[int], lacking: int, kind: str | None) -> Column:
    """A flag for two labels, otherwise a category. Where values are missing their share is the last of a category's."""
    if len(labels) == 2 and kind != CATEGORY:
        return Column(name, place, FLAG, tuple(labels), (counts[1] / sum(counts),), marked=lacking > 0)
    if len(labels) > MOST_LABELS:
        common = set(sorted(labels, key=dict(zip(labels, counts, strict=True)).__getitem__, reverse=True)[: MOST_LABELS - 1])
        kept = [(label, count) for label, count in zip(labels, counts, strict=True) if label in common]
        rare = sum(counts) - sum(count for _, count in kept)
        labels, counts = map(list, zip(*kept, (OTHER, rare), strict=True))
    counts = [*counts, lacking] if lacking else counts
    return Column(name, place, CATEGORY, tuple(labels), tuple(count / sum(counts) for count in counts), marked=lacking > 0)


def check_kind(kind: str, column: object) -> str:
    """A kind that the user gave for a column, or a ValueError."""
    if kind not in (*KINDS, "drop"):
        raise ValueError(f"kinds (--as) {column}={kind!r}: give one of {', '.join(map(repr, (*KINDS, 'drop')))}")
    return kind
