"""CSV files: unpacking within bounds, the delimiter, the header, and rows of equal length."""

import csv
import gzip
import io
import itertools
import zlib
from collections import Counter

import numpy as np

from fastdbn.cli.cells import is_missing, is_number, is_text, looks_numeric

DELIMITERS = ",;\t|"
ROOM, RATIO = 1 << 28, 100
"""Bytes that a compressed file may unpack to, plus so many for each of its own bytes. Tables of text shrink to a tenth."""


def bound(path):
    """The bytes that a compressed file may unpack to."""
    return ROOM + RATIO * path.stat().st_size


def refuse_bomb(path):
    """Refuse a file that unpacks to more than `bound`.

    Raises
    ------
    ValueError
        always, with the remedy.
    """
    raise ValueError(
        f"{path} has {path.stat().st_size} bytes and unpacks to more than {bound(path) >> 20} MB, as files made to fill a memory "
        "do: unpack it yourself if you trust it"
    )


def _check_unpacked(path):
    """Refuse a gzip file that unpacks to more than its bound, before any row is kept."""
    with gzip.open(path) as file:
        left = bound(path)
        while block := file.read(1 << 20):
            left -= len(block)
            if left < 0:
                refuse_bomb(path)


def _is_gzip(path):
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path):
    """The text of a file, plain or gzipped."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"PK", b"\xd0\xcf"):
        raise ValueError(f"{path} is a spreadsheet or an archive: save the table as UTF-8 CSV")
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(f"{path} is UTF-16 text: save it as UTF-8 CSV")
    return io.TextIOWrapper(gzip.open(path) if _is_gzip(path) else path.open("rb"), "utf-8-sig", newline="")


def _rows(file, delimiter):
    """(line number, cells) of every line that is not blank."""
    # strict: a quote that nothing closes is an error, and does not take the lines after it for one field
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    for row in reader:
        if len(row) > 1 or (row and row[0].strip()):
            yield reader.line_num, [cell.strip() for cell in row]


def _delimiter(lines):
    """The delimiter that cuts most lines into the same number of fields, and into the most numbers."""

    def rank(delimiter):
        rows = list(csv.reader(lines, delimiter=delimiter))
        widths = Counter(len(row) for row in rows if len(row) > 1)
        cells = [cell.strip() for row in rows for cell in row]
        return max(widths.values(), default=0), sum(map(looks_numeric, cells)) / max(len(cells), 1), max(widths, default=0)

    return max(DELIMITERS, key=rank)


def is_header(rows, names=(), every=False):
    """Whether the first row names the columns.

    It does if one of its cells is text and the cells below are numbers, or if it holds known names. If there is only one row,
    all of its cells must be text.

    Parameters
    ----------
    rows : list of lists of str
    names : sequence of str
        Known names.
    every : bool
        Whether all of the names must be there, instead of any.
    """
    first = rows[0]
    if len(names) and (all if every else any)(name in first for name in names):
        return True
    if len(rows) == 1:
        return all(map(is_text, first))
    for j, cell in enumerate(first):
        if is_text(cell):
            below = [row[j] for row in rows[1:] if not is_missing(row[j])]
            if below and all(map(is_number, below)):
                return True
    return False


def read_csv(path):
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        UTF-8 text, or gzip of it. The delimiter is the one of `DELIMITERS` that fits best.

    Returns
    -------
    list of lists of str
        Rows of cells, without surrounding space. Blank lines are left out.

    Raises
    ------
    ValueError
        with the number of the faulty line.
    """
    line = 1
    try:
        if _is_gzip(path):
            _check_unpacked(path)
        with _open(path) as file:
            lines = list(itertools.islice((text for text in file if text.strip()), 20))
        with _open(path) as file:
            rows = []
            for line, row in _rows(file, _delimiter(lines)):
                rows.append(row)
                if len(row) != len(rows[0]):
                    raise ValueError(_ragged(path, line, rows))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cut short: gzip says {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): save it as UTF-8 CSV") from None
    except csv.Error as error:
        raise ValueError(f"{path}: what follows line {line} is no CSV ({error}): look for a quote that is not closed") from None
    if not rows:
        raise ValueError(f"{path} is empty")
    return rows


def _ragged(path, line, rows):
    first, last = rows[0], rows[-1]
    if first[0].startswith("#"):
        remedy = "remove the lines of comments above the table"
    elif len(rows) == 2 and len(last) > len(first) and not last[-1]:
        remedy = "remove the delimiter at the end of the lines"
    elif len(rows) == 2 and len(last) == len(first) + 1:
        remedy = "every line needs as many; if the lines begin with names of rows, give that column a name in line 1"
    elif len(rows) == 2:
        remedy = "every line needs as many; if line 1 is no part of the table, remove it"
    else:
        remedy = "every line needs as many"
    return f"{path}: line {line} has {len(last)} fields, the first has {len(first)}: {remedy}"


def split_header(path, rows, header, names=(), every=False):
    """(names or None, (n, width) object array of cells, what was found): line 1 as told by `header`, or as it looks for None.

    Raises
    ------
    ValueError
        if no rows are left, or if a name occurs twice.
    """
    told = header is not None
    header = header if told else is_header(rows, names, every)
    found = f"{'header' if header else 'no header'} {'(as told)' if told else 'found'}"
    if not header:
        if not told and rows[0] == [str(j) for j in range(len(rows[0]))]:
            found += "; line 1 counts 0, 1, 2, ... and is taken for data: give --header if it names the columns"
        return None, _array(rows), found
    first = [cell or f"Unnamed: {j}" for j, cell in enumerate(rows[0])]  # as pandas calls what has no name
    if first[0].startswith("#"):
        first[0] = first[0].lstrip("# ") or "Unnamed: 0"
    name, times = Counter(first).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"{path}: the header names the column {name!r} twice: give each a name of its own, or --no-header if line 1 is data"
        )
    if len(rows) == 1:
        raise ValueError(f"{path} has a header and no rows")
    return first, _array(rows[1:]), found


def _array(rows):
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        cells[i] = row
    return cells
