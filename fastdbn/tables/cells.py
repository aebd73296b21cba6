"""Cells of text: which are numbers, which look like numbers, and which mean that a value is missing."""

import math
import re
from collections.abc import Sequence

MISSING = frozenset(("", "?", "na", "n/a", "#n/a", "nan", "null", "none", "-", "."))
"""Lower-case cells that mean a missing value."""
_DECORATION = re.compile(r"^[+-]?\s*[$€£¥]?\s*|\s*[%$€£¥]?$|[ '_]")
_NUMBER = re.compile(r"[\d.,]*\d[\d.,]*([eE][+-]?\d+)?")


def is_number(cell: str) -> bool:
    """Whether a cell parses as a number; NaN and infinities do."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows between digits


def number(cell: str) -> float:
    """A cell as a float, NaN if it is no finite number."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in cell else math.nan


def numbers(cells: Sequence[str]) -> list[float]:
    """The cells as floats, NaN for those that are no finite numbers."""
    try:
        values = list(map(float, cells))
    except ValueError:
        values = [math.inf]
    plain = math.isfinite(sum(values)) and "_" not in "".join(cells)
    return values if plain else list(map(number, cells))


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or a usual word for a missing value."""
    return cell.lower() in MISSING


def looks_numeric(cell: str) -> bool:
    """Whether a person would read a cell as a number: 1, $1.20, 1,5 or 12 %."""
    return is_number(cell) or bool(_NUMBER.fullmatch(_DECORATION.sub("", cell)))


def is_text(cell: str) -> bool:
    """Whether a cell contains a word, as the name of a column does."""
    return any(char.isalpha() for char in cell) and not is_number(cell) and not is_missing(cell)


def mostly_numeric(cells: Sequence[str]) -> bool:
    """Whether more than half of a column's cells, other than missing ones, look like numbers."""
    held = [looks_numeric(cell) for cell in cells if not is_missing(cell)]
    return 2 * sum(held) > len(held)


def in_rows(bad: Sequence[int]) -> str:
    """The number of the first of some rows, and the count of the others, in words."""
    return f"in row {bad[0] + 1}" + (f" and in {len(bad) - 1} more" if len(bad) > 1 else "")


def text_among(cells: Sequence[str]) -> tuple[str, str] | None:
    """(what is said of the cells that are neither empty nor numbers, advice); None if there are none."""
    bad = [i for i, cell in enumerate(cells) if cell and not is_number(cell)]
    if not bad:
        return None
    cell, numeric = cells[bad[0]], mostly_numeric(cells)
    among = " among numbers" if numeric and len(bad) < len(cells) else ""
    said = f"holds the text {cell!r}{among} {in_rows(bad)}"
    if not numeric:
        return said, "encode text as numbers"
    if is_missing(cell):
        return said, "fill or drop what is missing"
    if "," in cell and looks_numeric(cell):
        return said, "write numbers with a decimal point and without separators of thousands"
    return said, "write only the number"
