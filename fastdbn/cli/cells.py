"""Cells of text: which are numbers, which look like numbers, and which mean that a value is missing."""

import re

import numpy as np

MISSING = frozenset(("", "?", "na", "n/a", "#n/a", "nan", "null", "none", "-", "."))
"""Lower-case cells that mean a missing value."""
_DECORATION = re.compile(r"^[+-]?\s*[$€£¥]?\s*|\s*[%$€£¥]?$|[ '_]")
_NUMBER = re.compile(r"[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")


def is_number(cell):
    """Whether a cell parses as a number; NaN and infinities do."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def is_missing(cell):
    """Whether a cell is empty or a usual word for a missing value."""
    return cell.lower() in MISSING


def looks_numeric(cell):
    """Whether a person would read a cell as a number: 1, $1.20, 1,5 or 12 %."""
    return is_number(cell) or bool(_NUMBER.fullmatch(_DECORATION.sub("", cell)))


def is_text(cell):
    """Whether a cell contains a word, as the name of a column does."""
    return any(char.isalpha() for char in cell) and not is_number(cell) and not is_missing(cell)


def parse(cells):
    """The cells of a column as float64, empty ones NaN; None if a cell that is not empty is no number."""
    try:
        values = np.array([cell or "nan" for cell in cells], dtype=object).astype(np.float64)
    except ValueError:
        return None
    return None if "_" in "".join(cells) else values


def mostly_numeric(cells):
    """Whether more than half of a column's cells, other than missing ones, look like numbers."""
    held = [looks_numeric(cell) for cell in cells if not is_missing(cell)]
    return 2 * sum(held) > len(held)


def first_text(cells):
    """The position of the first cell that is neither empty nor a number."""
    return next(i for i, cell in enumerate(cells) if cell and not is_number(cell))


def advice(cell):
    """Advice for a cell among numbers that is not a number."""
    if is_missing(cell):
        return "fill or drop what is missing"
    if "," in cell and looks_numeric(cell):
        return "write numbers with a decimal point and without separators of thousands"
    return "write the number alone"
