"""A table: its columns by name or position, those that are features, and those that are left out."""

import difflib
import re
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastdbn.support.stored import Stored, store
from fastdbn.tables.cells import in_rows, is_missing, is_number, text_among

SAMPLE = 100
"""Rows that are compared first: for most columns they show that the column does not repeat the target."""
SHOWN = 8
"""The most columns that a message lists."""
ONE_COLUMN = "only one column found: separate fields by commas, semicolons, tabs or |, not by spaces or anything else"


def listed(words):
    """Some words in a line, not all where there are many."""
    words = list(words)
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


class Table(NamedTuple):
    """Columns of numbers, and what else a file says.

    numbers is an (n, width) array, or a CSR matrix or rows in a file that a model takes as they are. text has by position the
    cells of a column that are no finite numbers, None for those that are; in numbers they are NaN. names are those of the columns
    or None. target is what a file holds apart. image is the shape of a row of
    pixels, or None.
    """

    numbers: Any
    names: Any = None
    text: Any = MappingProxyType({})
    target: Any = None
    image: Any = None

    @property
    def height(self) -> int:
        return self.numbers.shape[0]

    @property
    def width(self) -> int:
        return self.numbers.shape[1]

    @property
    def whole(self) -> bool:
        """Whether it is one thing, an image or a sparse matrix, rather than columns of their own kinds."""
        return self.image is not None or sparse.issparse(self.numbers)

    @property
    def size(self) -> str:
        """Rows and columns in words."""
        n, width = self.numbers.shape
        return f"{n} row{'s' * (n != 1)}, {width} column{'s' * (width != 1)}"

    def rows(self, rows: Any) -> Self:
        """The table of some rows, given by their numbers."""
        text = {j: [cells[i] for i in rows] for j, cells in self.text.items()}
        return self._replace(numbers=self.numbers[rows], text=text, target=None if self.target is None else self.target[rows])

    def name(self, j: int) -> str:
        """A column's name in quotes, or its position."""
        return repr(self.names[j]) if self.names else str(j)

    def column(self, j: int) -> NDArray[Any]:
        """A column: numbers, or numbers and text as an array of objects."""
        column = self.numbers[:, j]
        if j in self.text:
            column = column.astype(object)
            for i, cell in enumerate(self.text[j]):
                column[i] = column[i] if cell is None else cell
        return column

    def cells(self, j: int) -> NDArray[Any]:
        """The cells of a column as text, None where a value is missing; numbers are spelt as short as they can be."""
        column, text = self.numbers[:, j], self.text.get(j)
        if text is None:
            found, at = np.unique(column, return_inverse=True)
            spelt = np.array([None if np.isnan(x) else f"{x:.15g}" for x in np.asarray(found, np.float64)], object)
            return spelt[at.ravel()]
        cells = np.empty(len(column), object)
        cells[:] = [
            f"{x:.15g}" if cell is None else None if is_missing(cell) else cell for x, cell in zip(column, text, strict=True)
        ]
        return cells


def is_position(column):
    """Whether a text names a column by its position."""
    return bool(re.fullmatch(r"[+-]?\d+", column))


def named(column):
    """The names that show where a header is, for a column that is given by name, by position or not at all."""
    return () if column is None or is_position(column) else (column,)


def position(names, width, column, option="--target"):
    """The position of a column, given by name or by an integer. An integer is always a position; -1 is the last.

    Raises
    ------
    ValueError
        if there is no such column.
    """
    if not is_position(column):
        if names and column in names:
            return names.index(column)
        if not names:
            remedy = "no header was found, so give its position, from 0 (-1 is the last), or --header if line 1 names the columns"
            raise ValueError(f"{option} {column}: no such column; {remedy}")
        lower = [name.lower() for name in names]
        near = [names[lower.index(name)] for name in difflib.get_close_matches(column.lower(), lower, 1)]
        guess = f"did you mean {near[0]!r}? The columns" if near else "the columns"
        raise ValueError(f"{option} {column}: no such column; {guess} are {listed(names)}")
    place = int(column)
    if not -width <= place < width:
        named = f"; the column named {column!r} is number {names.index(column)}" if column in (names or ()) else ""
        raise ValueError(f"{option} {column}: an integer is a position, and they go from {-width} to {width - 1}{named}")
    return place % width


# ---- columns that are left out


def _repeats(column, target):
    """Whether the values of two columns determine each other one to one."""
    for n in (SAMPLE, len(target)):
        ours, theirs = column[:n].tolist(), target[:n].tolist()
        kinds = len(set(theirs))
        if not kinds == len(set(ours)) == len(set(zip(ours, theirs, strict=True))):
            return False
    return True


def left_out(table, target, columns):
    """Which of some columns must not be features, and why, in words, by position. target is (n,), text or numbers, or None.

    Rows that its mask covers do not count.
    """
    found, seen = {}, slice(None)
    if np.ma.isMaskedArray(target):
        seen = np.flatnonzero(~np.ma.getmaskarray(target))
        target = target.data[seen]
    repeatable = target is not None and 1 < len(set(target.tolist())) <= len(target) / 2
    for j in columns:
        column = table.column(j)
        unnamed = table.names is not None and table.names[j] == f"Unnamed: {j}"
        if unnamed and set(table.text.get(j, ())) == {""}:
            found[j] = "is empty and has no name"
        elif unnamed and j == 0 and len(set(column)) == len(column):
            found[j] = "has no name and numbers the rows, as the index that pandas writes"
        elif repeatable and _repeats(column[seen], target):
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
    width = table.width
    if names and table.names:
        missing = [name for name in names if name not in table.names]
        if missing:
            raise ValueError(
                f"the table lacks the column {missing[0]!r}, which the model was trained on ({len(missing)} of {len(names)} "
                f"are missing): add it, or train without it. Its columns are {listed(table.names)}"
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
        f"the table has {width} columns and the model was trained on {n_features} features: give it only these, without the "
        f"target{also}"
    )


def features(table, keep, needed=False, lacking=False):
    """The columns at some positions as float64. needed says whether a model needs all of them, lacking whether NaN may stand for
    missing values.

    Raises
    ------
    ValueError
        if a cell is not a finite number. It names row, column and remedy.
    """
    if not keep:
        raise ValueError("no columns are left as features: the table needs more than its target; --keep uses what is left out")
    whole = keep == list(range(table.width))
    if isinstance(table.numbers, Stored):
        return table.numbers if whole else store(part[:, keep] for part in table.numbers.blocks())
    if sparse.issparse(table.numbers):
        if not np.isfinite(table.numbers.data).all():
            raise ValueError("the matrix holds infinite or missing values: fill or drop what is missing")
        return table.numbers if whole else table.numbers[:, keep]
    X = np.asarray(table.numbers if whole else table.numbers[:, keep], np.float64)
    faults = [_fault(table, j, lacking) for j, finite in zip(keep, np.isfinite(X).all(axis=0), strict=True) if not finite]
    faults = [fault for fault in faults if fault is not None]
    if faults:
        said, remedies = zip(*faults, strict=True)
        more = f"; {len(faults) - SHOWN} more cannot be features either" if len(faults) > SHOWN else ""
        first = [table.text[j][0] for j in keep if j in table.text] if table.names is None else []
        line = "" if all(cell is None or is_number(cell) for cell in first) else "; or give --header, if line 1 names the columns"
        remedies = ", ".join([*dict.fromkeys(remedies), *([] if needed else ["or take the column out of the file"])])
        raise ValueError(f"{'; '.join(said[:SHOWN])}{more}. Features must be finite numbers: {remedies}{line}")
    return X


def _fault(table, j, lacking):
    """What is wrong with a column, and the remedy; None if it merely lacks values and may."""
    cells = ["" if cell is None else cell for cell in table.cells(j)] if lacking else list(map(str, table.column(j)))
    fault = text_among(cells)
    if fault is None and lacking and not np.isinf(table.numbers[:, j]).any():
        return None
    if fault is None:
        bad = [i for i, cell in enumerate(cells) if not cell] or np.flatnonzero(~np.isfinite(table.numbers[:, j]))
        fault = f"is {float(cells[bad[0]]) if cells[bad[0]] else 'empty'} {in_rows(bad)}", "fill or drop what is missing"
    said, remedy = fault
    return f"column {table.name(j)} {said}", remedy
