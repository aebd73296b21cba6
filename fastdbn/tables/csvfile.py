"""CSV files: unpacking within bounds, the delimiter, the header, and rows of equal length."""

import contextlib
import csv
import itertools
import math
import shlex
from array import array
from collections import Counter

import numpy as np

from fastdbn.inputs.blocks import rows_at_once
from fastdbn.tables.cells import is_missing, is_number, is_text, looks_numeric, numbers
from fastdbn.tables.packed import damage_named, unpacked
from fastdbn.tables.table import Table, position

DELIMITERS = ",;\t|"
HEAD = 1000
"""The rows that show whether line 1 is a header."""


@contextlib.contextmanager
def _opened(path):
    """A context: the rows of cells of a file in UTF-8 or marked UTF-16, or gzip of it."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"PK", b"\xd0\xcf"):
        raise ValueError(f"{path} is a spreadsheet or an archive: save the table as UTF-8 CSV")
    encoding = "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        with damage_named(path), unpacked(path, encoding=encoding, newline="") as file:
            delimiter = _delimiter(file)
            file.seek(0)
            yield _rows(path, file, delimiter)
    except UnicodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 ({error}): save it as UTF-8 CSV, or, if it comes from Windows, convert it by "
            f"iconv -f windows-1252 -t utf-8 {shlex.quote(str(path))} > utf8.csv"
        ) from None


def _rows(path, file, delimiter):
    """The cells of every line that is not blank, without surrounding space."""
    # strict: a quote that nothing closes is an error, and does not take the lines after it for one field
    reader, first, n, line = csv.reader(file, delimiter=delimiter, strict=True), None, 0, 0
    try:
        for row in reader:
            line = reader.line_num
            if len(row) > 1 or (row and row[0].strip()):
                row, n = [cell.strip() for cell in row], n + 1
                first = first or row
                if len(row) != len(first):
                    raise ValueError(_ragged(f"{path}: line {line}", first, row, n))
                yield row
    except csv.Error as error:
        raise ValueError(f"{path}: what follows line {line} is not CSV ({error}): look for a quote that is not closed") from None


def _delimiter(file):
    """The delimiter that cuts most lines into the same number of fields, and into the most numbers."""
    lines = list(itertools.islice((text for text in file if text.strip()), 20))

    def rank(delimiter):
        rows = list(csv.reader(lines, delimiter=delimiter))
        widths = Counter(len(row) for row in rows if len(row) > 1)
        cells = [cell.strip() for row in rows for cell in row]
        return max(widths.values(), default=0), sum(map(looks_numeric, cells)) / max(len(cells), 1), max(widths, default=0)

    return max(DELIMITERS, key=rank)


def _ragged(where, first, row, n):
    """What is wrong with row number n, whose width is not that of the first."""
    remedy = "every line needs as many"
    if first[0].startswith("#"):
        remedy = "remove the lines of comments above the table"
    elif n == 2 and len(row) > len(first) and not row[-1]:
        remedy = "remove the delimiter at the end of the lines"
    elif n == 2 and len(row) == len(first) + 1:
        remedy += "; if the lines begin with names of rows, give that column a name in line 1"
    elif n == 2:
        remedy += "; if line 1 is no part of the table, remove it"
    return f"{where} has {len(row)} fields, the first has {len(first)}: {remedy}"


def _is_header(rows, names, every):
    """Whether the first row names the columns.

    It does if one of its cells is text and the cells below are numbers, or if it holds one of the known names, or `every` one. If
    there is only one row, all of its cells must be text.
    """
    first = rows[0]
    if len(names) and (all if every else any)(name in first for name in names):
        return True
    if len(rows) == 1:
        return all(map(is_text, first))
    below = [[row[j] for row in rows[1:] if not is_missing(row[j])] for j, cell in enumerate(first) if is_text(cell)]
    return any(cells and all(map(looks_numeric, cells)) for cells in below)


def _names(path, rows, header, known, every):
    """(names or None, what was found): line 1 as told by `header`, or as it looks for None."""
    told = header is not None
    header = header if told else _is_header(rows, known, every)
    found = f"{'header' if header else 'no header'} {'(as told)' if told else 'found'}"
    if header:
        return _in_header(path, rows[0]), found
    if not told and rows[0] == [str(j) for j in range(len(rows[0]))]:
        found += "; line 1 counts 0, 1, 2, ... and is taken for data: give --header if it names the columns"
    return None, found


def _in_header(path, cells):
    """The names of the columns in line 1."""
    names = [cell or f"Unnamed: {j}" for j, cell in enumerate(cells)]  # as pandas calls what has no name
    if names[0].startswith("#"):
        names[0] = names[0].lstrip("# ") or "Unnamed: 0"
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{path}: the header names the column {name!r} twice: give each a name of its own, or --no-header if line 1 is data"
        )
    return names


class _Cells:
    """The cells of a table as they come. Numbers are all that is held of most; the target is held as it is spelt."""

    def __init__(self, width, place):
        self.width, self.spelt = width, () if place is None else (place,)
        self.flat, self.text, self.n, self.known = array("d"), {}, 0, {}

    def add(self, row):
        values = numbers(row)
        self.flat.extend(values)
        for j in range(self.width) if math.isnan(sum(values)) else self.spelt:
            if math.isnan(values[j]) or j in self.spelt:
                self._spelt(j).append(self.known.setdefault(row[j], row[j]))
        self.n += 1

    def _spelt(self, j):
        """The texts of a column up to here, None for numbers."""
        cells = self.text.setdefault(j, [])
        cells += [None] * (self.n - len(cells))
        return cells

    def table(self, names):
        return Table(np.frombuffer(self.flat).reshape(self.n, self.width), names, {j: self._spelt(j) for j in self.text})


def read_csv(path, header=None, names=(), every=False, target=None):
    """Read a CSV file, of text in UTF-8 or marked UTF-16, or gzip of it. The delimiter is the one of `DELIMITERS` that fits best.

    Parameters
    ----------
    path : Path
    header : bool or None
        Whether line 1 names the columns. None decides by its first `HEAD` rows.
    names : sequence of str
        Names of columns: they show that line 1 is a header.
    every : bool
        Whether all of the names must be there to show it, instead of any.
    target : str or None
        Name or position of a column whose cells stay text.

    Returns
    -------
    Table
    str
        what was found, in words.

    Raises
    ------
    ValueError
        with the number of the faulty line.
    """
    with _opened(path) as rows:
        head = list(itertools.islice(rows, HEAD))
        if not head:
            raise ValueError(f"{path} is empty")
        names, found = _names(path, head, header, names, every)
        if names is not None and len(head) == 1:
            raise ValueError(f"{path} has a header and no rows")
        place = None
        with contextlib.suppress(ValueError):  # whoever asks for the target says why there is none
            place = None if target is None else position(names, len(head[0]), target)
        cells = _Cells(len(head[0]), place)
        for row in itertools.chain(head[names is not None :], rows):
            cells.add(row)
        table = cells.table(names)
        return table, f"{table.size}, {found}"


def csv_blocks(path):
    """(names of the columns or None, rows) of a CSV file of numbers, block by block; text in line 1 makes it a header."""
    with _opened(path) as rows:
        first, n = next(rows, ()), 0
        names = _in_header(path, first) if any(map(is_text, first)) else None
        rows = itertools.chain([first] if first and names is None else [], rows)
        while block := list(itertools.islice(rows, rows_at_once(len(first)))):
            yield names, _as_numbers(block, n)
            n += len(block)


def _as_numbers(block, n):
    """Rows of cells as numbers; n rows are before them."""
    values = np.array([numbers(row) for row in block])
    for i, j in np.argwhere(np.isnan(values)):
        cell = block[i][j]
        if not is_number(cell):
            raise ValueError(f"after row {n + i}: could not convert string {cell!r} to a number")
        values[i, j] = float(cell)  # NaN, or infinite
    return values
