"""Reading tables for the command line: CSV (also gzipped), .npy and .npz, with what was found said in words."""

import csv
import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FEW_CLASSES = 20
"""So many distinct integers at most are taken for classes, when they are also fewer than half of the rows."""


class Table(NamedTuple):
    """Columns (n, width) as numbers or text, their names or None, and for .npz the target."""

    columns: Any
    names: Any
    target: Any = None


def read_table(path, no_header=False):
    """Read a file of data.

    Parameters
    ----------
    path : str
        .csv, .csv.gz (or .txt, .tsv), .npy or .npz.
    no_header : bool
        Take the first line of a CSV file as data.

    Returns
    -------
    Table
    str
        what was found, for a person.

    Raises
    ------
    ValueError
        if the file is not what its name says, with line or column.
    OSError
        if it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no data file at {path}: give the path of a .csv, .npy or .npz file")
    if path.suffix == ".npy":
        X = _array(path, _load(path))
        return Table(X, None), f"{X.shape[0]} rows, {X.shape[1]} columns"
    if path.suffix == ".npz":
        return _read_npz(path)
    return _read_csv(path, no_header)


def _load(path):
    """What NumPy's file holds: an array, or a dict of arrays where its name says so."""
    try:
        held = np.load(path, allow_pickle=False)
        arrays = isinstance(held, np.lib.npyio.NpzFile)
        if arrays == (path.suffix == ".npz"):
            return dict(held) if arrays else held
        why = "there are several arrays in it" if arrays else "there is a single array in it"
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy advises to load pickles, which run what code they please: not from a file of any origin
        why = "there is no array of numbers in it" if "pickle" in str(error) else error
    raise ValueError(f"{path} is no {path.suffix} file: {why}")


def _array(path, X):
    if X.ndim != 2:
        raise ValueError(f"{path} holds an array of {X.ndim} dimensions: a table has 2, rows and columns")
    return X


def _read_npz(path):
    arrays = _load(path)
    if "X" not in arrays:
        raise ValueError(f"{path} has the keys {sorted(arrays)}: it needs X, and y for training")
    X = _array(path, arrays["X"])
    return Table(X, None, arrays.get("y")), f"{X.shape[0]} rows, {X.shape[1]} columns{', target y' if 'y' in arrays else ''}"


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_csv(path, no_header):
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path} is damaged or cut short: gzip says {error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): save it as UTF-8 CSV") from None
    delimiter = _delimiter(text)
    rows = []
    # strict: a quote that nothing closes is an error, and does not take the lines after it for one field
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if rows and len(row) != len(rows[0]):
                where, first = reader.line_num, len(rows[0])
                raise ValueError(f"{path}: line {where} has {len(row)} fields, the first has {first}: every line needs as many")
            rows.append([field.strip() for field in row])
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num} is no CSV ({error}): look for a quote that is not closed") from None
    if not rows:
        raise ValueError(f"{path} is empty")
    header = not no_header and _has_header(rows)
    names = rows.pop(0) if header else None
    if names is not None and len(set(names)) != len(names):
        raise ValueError(f"{path}: the header names a column twice: give each a name of its own")
    if not rows:
        raise ValueError(f"{path} has a header and no rows")
    columns = np.array(rows, dtype=object)
    found = "header found" if header else "no header" + (" (as told)" if no_header else " found")
    return Table(columns, names), f"{len(rows)} rows, {columns.shape[1]} columns, {found}"


def _delimiter(text):
    """Comma, semicolon or tab: the one that the first line has most of."""
    first = text.lstrip().split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _has_header(rows):
    """A header is a first line with text over a column of numbers, or of distinct names over text only."""
    first, rest = rows[0], rows[1:101]
    if any(_is_number(field) for field in first):
        return False
    if not rest:
        return True
    numeric = [all(_is_number(row[j]) for row in rest) for j in range(len(first))]
    return any(numeric) or (len(set(first)) == len(first) and not any(f in {r[j] for r in rest} for j, f in enumerate(first)))


def column_index(table, column):
    """The position of a column given by name or by integer, -1 the last.

    Raises
    ------
    ValueError
        if there is none such.
    """
    width = table.columns.shape[1]
    if table.names is not None and column in table.names:
        return table.names.index(column)
    try:
        position = int(column)
    except ValueError:
        known = f"the columns are {', '.join(table.names)}" if table.names else "there is no header, so give its position"
        raise ValueError(f"--target {column}: no such column; {known}") from None
    if not -width <= position < width:
        raise ValueError(f"--target {column}: positions go from {-width} to {width - 1}")
    return position % width


def numbers(table, keep):
    """Some columns as float64.

    Parameters
    ----------
    table : Table
    keep : sequence of positions

    Raises
    ------
    ValueError
        naming row and column of what is no finite number.
    """
    if not len(keep):
        raise ValueError("no columns are left as features: the table needs more than its target")
    part = table.columns[:, list(keep)]
    try:
        X = part.astype(np.float64)
    except (ValueError, TypeError):
        for i, row in enumerate(part):
            for j, field in zip(keep, row, strict=True):
                if not _is_number(field):
                    what = "is empty" if field == "" else f"holds the text {field!r}"
                    raise ValueError(
                        f"column {_name(table, j)} {what} in row {i + 1}: features must be numbers; encode text as numbers and "
                        "fill or drop what is missing"
                    ) from None
        raise
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        i, j = bad[0]
        raise ValueError(f"column {_name(table, keep[j])} is {X[i, j]} in row {i + 1}: fill or drop what is missing")
    return X


def _name(table, position):
    return repr(table.names[position]) if table.names else str(position)


def target_values(values, task):
    """The target as labels or numbers, the task, and why.

    Parameters
    ----------
    values : (n,) or (n, k) array of text or numbers
    task : "auto", "classify" or "regress"

    Returns
    -------
    y, "classify" or "regress", str

    Raises
    ------
    ValueError
        if a value is missing, or is no number where one is needed.
    """
    values = np.asarray(values)
    if values.dtype == object:
        flat = [str(v) for v in values.ravel()]
        if "" in flat:
            raise ValueError(f"the target is empty in row {flat.index('') + 1}: fill or drop what is missing")
        numeric = all(_is_number(v) for v in flat)
        values = np.array(flat, dtype=np.float64 if numeric else str).reshape(values.shape)
    numeric = values.dtype.kind in "biuf"
    if numeric and not np.isfinite(values.astype(np.float64)).all():
        row = int(np.argwhere(~np.isfinite(values.astype(np.float64)))[0][0]) + 1
        raise ValueError(f"the target is not finite in row {row}: fill or drop what is missing")
    whole = numeric and np.array_equal(values, np.round(values.astype(np.float64)))
    distinct = len(np.unique(values))
    if task == "auto":
        few = whole and values.ndim == 1 and distinct <= FEW_CLASSES and distinct < len(values) / 2
        if not numeric or values.dtype.kind == "b":
            task, why = "classify", "the target is text" if not numeric else "the target is true or false"
        elif few:
            task, why = "classify", f"the target has {distinct} distinct integers"
        else:
            task, why = "regress", f"the target has {distinct} distinct numbers"
    else:
        why = "as told"
    if task == "regress" and not numeric:
        raise ValueError("--task regress needs a target of numbers, and it holds text: use --task classify")
    if task == "classify" and whole and values.dtype.kind == "f":
        values = values.astype(np.int64)
    return values.astype(np.float64) if task == "regress" else values, task, why
