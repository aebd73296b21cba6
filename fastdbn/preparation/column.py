"""One column of a table as visible units: what it is, its values as numbers, and numbers as its values."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastdbn.preparation.dates import parse, written
from fastdbn.support.types import Doubles
from fastdbn.tables.cells import is_number
from fastdbn.tables.table import Table

NUMBER, FLAG, CATEGORY, DATE = KINDS = "number", "flag", "category", "date"
OTHER = "(other)"
"""Stands for the categories that are too rare to be labels."""
MISSING, UNSEEN = -1, -2


class Column(NamedTuple):
    """How a column is prepared.

    name and place are those in the table of the fit; name is "" where columns have none. A number and a date have the range low
    to high of the fit, and digits after the decimal point (-1 for any; a date 0 for whole days). A date has the form of its cells
    as its only label. A flag has the labels of 0 and 1, a category those of its units. fill stands for a value that is missing
    or was never seen: the median of numbers, the shares of labels. marked says that the fit had missing values which the model
    sees as such: in a unit of their own.
    """

    name: str
    place: int
    kind: str
    labels: tuple[str, ...] = ()
    fill: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    digits: int = -1
    marked: bool = False

    @property
    def words(self) -> str:
        """The column as messages name it."""
        return repr(self.name) if self.name else str(self.place)

    @property
    def real(self) -> bool:
        return self.kind in (NUMBER, DATE)

    @property
    def units(self) -> int:
        """How many units its values take; the mark of a number or a flag is apart."""
        return len(self.labels) + self.marked if self.kind == CATEGORY else 1

    @property
    def numeric(self) -> bool:
        """Whether it has numbers: of its own, or labels that all spell numbers."""
        return self.real or all(is_number(label) and f"{float(label):.15g}" == label for label in self.labels)

    def unmarked(self) -> Self:
        """The column without a unit for missing values."""
        known = self.fill[: len(self.labels)] if self.kind == CATEGORY else self.fill
        fill = tuple(x / sum(known) for x in known) if self.kind == CATEGORY else known
        return self._replace(fill=fill, marked=False)

    # ---- to numbers

    def read(self, table: Table, place: int) -> tuple[NDArray[Any], Any]:
        """(numbers or label numbers (n,), which are NaN, `MISSING` or `UNSEEN` where there is none; the first cell unseen)."""
        if self.kind == NUMBER:
            return self._numbers(table, place)
        cells = table.cells(place)
        if self.kind == DATE:
            return self._dates(cells)
        index = {label.casefold(): i for i, label in enumerate(self.labels)}
        index |= {label: i for i, label in enumerate(self.labels)}
        unseen = index.get(OTHER, UNSEEN)

        def number(cell: str | None) -> int:
            return MISSING if cell is None else index[cell] if cell in index else index.get(cell.casefold(), unseen)

        numbers = np.fromiter(map(number, cells), np.int64, len(cells))
        strange = np.flatnonzero(numbers == UNSEEN)
        return numbers, (int(strange[0]), cells[strange[0]]) if len(strange) else None

    def _numbers(self, table: Table, place: int) -> tuple[Doubles, tuple[int, str] | None]:
        """What is text among the numbers is unseen; the sign of a missing value is not."""
        x = np.asarray(table.numbers[:, place], np.float64)
        lacking = np.flatnonzero(~np.isfinite(x)) if place in table.text or not np.isfinite(x).all() else ()
        strange = None
        if len(lacking):
            cells = table.cells(place)
            bad = [i for i in lacking if cells[i] is not None]
            strange = (int(bad[0]), cells[bad[0]]) if bad else None
            x = np.where(np.isfinite(x), x, np.nan)
        return x, strange

    def _dates(self, cells: NDArray[Any]) -> tuple[Doubles, tuple[int, str] | None]:
        days, strange = np.full(len(cells), np.nan), None
        for i, cell in enumerate(cells):
            try:
                days[i] = np.nan if cell is None else parse(cell, self.labels[0])
            except (ValueError, OverflowError):
                strange = strange or (i, cell)
        return days, strange

    # ---- from numbers

    def cells(self, x: NDArray[Any]) -> NDArray[Any]:
        """The cells that numbers (n,), or means of a category's units (n, units), stand for: an array of numbers or texts.

        What is NaN stays missing: NaN among numbers, None among texts.
        """
        if not self.real:
            labels = [*map(float, self.labels), np.nan] if self.numeric else [*self.labels, None]
            chosen = x.argmax(axis=1) if self.kind == CATEGORY else (x >= 0.5).astype(int)
            chosen[np.isnan(x.reshape(len(x), -1)).any(axis=1)] = len(self.labels)
            return np.array(labels, object if labels[-1] is None else float)[chosen]
        x = np.clip(x.astype(np.float64), self.low, self.high)
        if self.kind == DATE:
            return np.array([None if np.isnan(d) else written(d, self.labels[0], self.digits == 0) for d in x], object)
        return x if self.digits < 0 else np.round(x, self.digits)
