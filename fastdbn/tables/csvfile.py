"""CSV files: unpacking within bounds, the delimiter, the header, and rows of equal length."""

import contextlib
import csv
import itertools
import shlex
import warnings
from array import array
from collections import Counter

import numpy as np

from fastdbn.tables.cells import is_missing, is_text, looks_numeric, numbers
from fastdbn.tables.packed import damage_named, unpacked
from fastdbn.tables.table import Table, position

DELIMITERS = ",;\t|"
HEAD, BLOCK = 1000, 500
"""The rows that show whether line 1 is a header, and the lines that are read at once where all cells are numbers."""


def _open(path):
    """The text of a file, plain or gzipped."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"PK", b"\xd0\xcf"):
        raise ValueError(f"{path} is a spreadsheet or an archive: save the table as UTF-8 CSV")
    wide = start in (b"\xff\xfe", b"\xfe\xff")
    return unpacked(path, encoding="utf-16" if wide else "utf-8-sig", newline="")


class _Lines:
    """The lines of an open file as rows of cells, or many at a time as numbers."""

    def __init__(self, path, file):
        self.path, self.file, self.line, self.n, self.first = path, file, 0, 0, None
        self.delimiter = _delimiter(file)
        file.seek(0)
        self.rows = self._rows(file)

    def _rows(self, lines):
        """The cells of every line that is not blank, without surrounding space."""
        # strict: a quote that nothing closes is an error, and does not take the lines after it for one field
        reader, before = csv.reader(lines, delimiter=self.delimiter, strict=True), self.line
        try:
            for row in reader:
                self.line = before + reader.line_num
                if len(row) > 1 or (row and row[0].strip()):
                    row, self.n = [cell.strip() for cell in row], self.n + 1
                    self.first = self.first or row
                    if len(row) != len(self.first):
                        raise ValueError(_ragged(f"{self.path}: line {self.line}", self.first, row, self.n))
                    yield row
        except csv.Error as error:
            raise ValueError(
                f"{self.path}: what follows line {self.line} is no CSV ({error}): look for a quote that is not closed"
            ) from None

    def blocks(self, place):
        """Rows of finite numbers, many at a time, and their cells at a place that is not None; ends where a row is none.

        `rows` goes on from there.
        """
        while lines := list(itertools.islice(self.file, BLOCK)):
            block = None if any('"' in line for line in lines) else self._numbers(lines)
            if block is None:
                self.rows = self._rows(itertools.chain(lines, self.file))
                return
            self.line, self.n = self.line + len(lines), self.n + len(block)
            yield block, None if place is None else [line.split(self.delimiter)[place].strip() for line in lines if line.strip()]

    def _numbers(self, lines):
        """The numbers of some lines by NumPy's reader; None if any is not finite, or is no number to it."""
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")  # of lines without data
            block = np.loadtxt(lines, delimiter=self.delimiter, comments=None, ndmin=2)
            if block.shape[1] == len(self.first) and np.isfinite(block).all():
                return block
        return None


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
    if not header:
        if not told and rows[0] == [str(j) for j in range(len(rows[0]))]:
            found += "; line 1 counts 0, 1, 2, ... and is taken for data: give --header if it names the columns"
        return None, found
    names = [cell or f"Unnamed: {j}" for j, cell in enumerate(rows[0])]  # as pandas calls what has no name
    if names[0].startswith("#"):
        names[0] = names[0].lstrip("# ") or "Unnamed: 0"
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{path}: the header names the column {name!r} twice: give each a name of its own, or --no-header if line 1 is data"
        )
    if len(rows) == 1:
        raise ValueError(f"{path} has a header and no rows")
    return names, found


class _Cells:
    """The cells of a table as they come. Numbers are all that is held of most; the target is held as it is spelt."""

    def __init__(self, width, place):
        self.width, self.place = width, place
        self.flat, self.text, self.n, self.known = array("d"), {}, 0, {}

    def add(self, row):
        values = numbers(row)
        self.flat.extend(values)
        for j, x in enumerate(values):
            if x != x or j == self.place:
                self._spelt(j).append(self.known.setdefault(row[j], row[j]))
        self.n += 1

    def add_block(self, block, spelt):
        self.flat.frombytes(block.tobytes())
        if self.place is not None:
            self._spelt(self.place).extend(self.known.setdefault(cell, cell) for cell in spelt)
        self.n += len(block)

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
    try:
        with damage_named(path), _open(path) as file:
            lines = _Lines(path, file)
            head = list(itertools.islice(lines.rows, HEAD))
            if not head:
                raise ValueError(f"{path} is empty")
            names, found = _names(path, head, header, names, every)
            place = None
            with contextlib.suppress(ValueError):  # whoever asks for the target says why there is none
                place = None if target is None else position(names, len(head[0]), target)
            cells = _Cells(len(head[0]), place)
            for row in head[names is not None :]:
                cells.add(row)
            for block, spelt in lines.blocks(place):
                cells.add_block(block, spelt)
            for row in lines.rows:
                cells.add(row)
            table = cells.table(names)
            return table, f"{table.size}, {found}"
    except UnicodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 ({error}): save it as UTF-8 CSV, or, if it comes from Windows, convert it by "
            f"iconv -f windows-1252 -t utf-8 {shlex.quote(str(path))} > utf8.csv"
        ) from None
