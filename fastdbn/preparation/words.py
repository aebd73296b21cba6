"""What a preparation decided, as lines for a person."""

from collections.abc import Callable

from fastdbn.preparation.column import CATEGORY, DATE, NUMBER, Column
from fastdbn.preparation.dates import written
from fastdbn.preparation.preparation import Preparation

MOST = 40
"""The most columns that have a line each."""
WIDTH = 48
"""The most characters of the values in a line."""


def table_of(preparation: Preparation, names: Callable[[int], str]) -> list[str]:
    """A line for each column of a fitted preparation: name, what it is taken for, its values, and what stands for missing ones.

    names(place) gives the name of a column of the table.
    """
    rows = [("column", "taken as", "values", "missing")]
    shown = preparation.columns_[:MOST]
    rows += [(names(c.place), _kind(c), _values(c), _missing(c, preparation.missing)) for c in shown]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]).rstrip() for row in rows]
    more = len(preparation.columns_) - len(shown)
    return lines + ([f"and {more} more columns"] if more else [])


def _kind(column: Column) -> str:
    return "whole number" if column.kind == NUMBER and column.digits == 0 else column.kind


def _values(column: Column) -> str:
    if column.kind == NUMBER:
        return f"{column.low:g} to {column.high:g}"
    if column.kind == DATE:
        return " to ".join(written(end, column.labels[0], column.digits == 0) for end in (column.low, column.high))
    text = ", ".join(column.labels)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 4]} ..."


def _missing(column: Column, how: str) -> str:
    if not column.marked:
        return ""
    if column.kind == CATEGORY:
        return "is a label of its own"
    share = f"{column.fill[0]:g}" if column.kind == NUMBER else "the median" if column.kind == DATE else "the share of the second"
    return f"filled by {share}, and marked"
