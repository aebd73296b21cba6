"""CSV files: unpacking within bounds, the delimiter, the header, and rows of equal length."""

import contextlib
import csv
import gzip
import itertools
import math
import zlib
from array import array
from collections import Counter

import numpy as np

from fastdbn.tables.cells import is_missing, is_text, looks_numeric, numbers
from fastdbn.tables.table import Table, position

DELIMITERS = ",;\t|"
HEAD = 1000
"""The rows that show whether line 1 is a header."""
ROOM, RATIO = 1 << 28, 100
"""Bytes that a compressed file may unpack to, plus so many for each of its own bytes. Tables of text shrink to a tenth."""


def check_unpacked(path, unpacked):
    """Refuse a compressed file that unpacks to so many bytes, if they are too many.

    Raises
    ------
    ValueError
        with the remedy.
    """
    size = path.stat().st_size
    bound = ROOM + RATIO * size
    if unpacked > bound:
        raise ValueError(
            f"{path} has {size} bytes and unpacks to more than {bound >> 20} MB, as files made to fill a memory do: unpack it "
            "yourself if you trust it"
        )


def _open(path):
    """The text of a file, plain or gzipped. What it unpacks to is counted before anything is kept."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"PK", b"\xd0\xcf"):
        raise ValueError(f"{path} is a spreadsheet or an archive: save the table as UTF-8 CSV")
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"{path} is UTF-16 text: save it as UTF-8 CSV")
    packed = start == b"\x1f\x8b"
    if packed:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                check_unpacked(path, file.tell())
    return (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline="")


def _rows(path, file):
    """The cells of every line that is not blank, without surrounding space."""
    lines = list(itertools.islice((text for text in file if text.strip()), 20))
    file.seek(0)
    # strict: a quote that nothing closes is an error, and does not take the lines after it for one field
    reader = csv.reader(file, delimiter=_delimiter(lines), strict=True)
    first, line, n = None, 1, 0
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):
                row, line, n = [cell.strip() for cell in row], reader.line_num, n + 1
                first = first or row
                if len(row) != len(first):
                    raise ValueError(_ragged(f"{path}: line {line}", first, row, n))
                yield row
    except csv.Error as error:
        raise ValueError(f"{path}: what follows line {line} is no CSV ({error}): look for a quote that is not closed") from None


def _delimiter(lines):
    """The delimiter that cuts most lines into the same number of fields, and into the most numbers."""

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


def _table(rows, names, width, target):
    """The table of some rows. Its numbers are all that is held of most cells; the target is held as it is spelt."""
    flat, text, n, spelt = array("d"), {}, 0, set()
    with contextlib.suppress(ValueError):  # whoever asks for the target says why there is none
        spelt = {position(names, width, target)} if target is not None else set()
    for n, row in enumerate(rows, 1):
        values = numbers(row)
        flat.extend(values)
        for j in spelt.union(j for j, x in enumerate(values) if math.isnan(x)):
            cells = text.setdefault(j, [])
            cells += [None] * (n - 1 - len(cells))
            cells.append(row[j])
    for cells in text.values():
        cells += [None] * (n - len(cells))
    return Table(np.frombuffer(flat).reshape(n, width), names, text)


def read_csv(path, header=None, names=(), every=False, target=None):
    """Read a CSV file: UTF-8 text, or gzip of it, whose delimiter is the one of `DELIMITERS` that fits best.

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
        with _open(path) as file:
            rows = _rows(path, file)
            head = list(itertools.islice(rows, HEAD))
            if not head:
                raise ValueError(f"{path} is empty")
            names, found = _names(path, head, header, names, every)
            table = _table(itertools.chain(head[names is not None :], rows), names, len(head[0]), target)
            return table, f"{table.size}, {found}"
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cut short: gzip says {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): save it as UTF-8 CSV") from None
