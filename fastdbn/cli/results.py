"""What commands write: tables as CSV or .npy, complete or not at all, and a trained model wherever it can be saved."""

import contextlib
import csv
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastdbn.support.atomic import replacing
from fastdbn.support.report import progress

IN_TABLES = ".csv", ".tsv", ".npy", ".npz", ".parquet", ".feather", ".h5", ".xlsx", ".json", ".gz", ".zip"
IN_PICTURES = ".png", ".jpg", ".jpeg", ".pdf", ".svg", ".html", ".htm"
ENDINGS = frozenset((*IN_TABLES, *IN_PICTURES, ".onnx", ".py", ".safetensors"))
"""Endings that say what a file holds. Files with other endings, or with none, may hold anything."""


def check_out(path, force, option="--out"):
    """Refuse, before any work, a path that cannot or may not be written; `option` is where it was given.

    Raises
    ------
    ValueError
        with the remedy.
    """
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{option} {path} is a folder: name a file")
    if path.exists() and not force:
        raise ValueError(f"{path} exists and is kept: give --force to replace it, or {option} with another name")
    if not path.parent.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {path.parent}: make it, or name another")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{option} {path}: the folder {path.parent} cannot be written")


def is_picture(path):
    """Whether a path, or None, is that of a picture."""
    return path is not None and path.lower().endswith(".png")


def check_ending(path, what, endings, option="--out"):
    """Refuse a path whose ending names another form than those of `endings`, in which a command writes `what`; None is stdout."""
    ending = Path(path or "").suffix.lower()
    if ending in ENDINGS and ending not in endings:
        names = " or ".join(endings)
        raise ValueError(f"{option} {path}: {what} written as {names}: give a name that ends so")


def put_table(path, header, columns):
    """Columns as CSV to a path or stdout, or as .npy; None in a column of text is an empty cell."""
    if path is None:
        _put_csv(sys.stdout, header, columns)
        return
    ending = Path(path).suffix.lower()
    if ending == ".npy" and any(column.dtype.kind in "OSU" for column in columns):
        raise ValueError(f"--out {path}: the table has text, which .npy files do not hold: write a .csv file")
    with replacing(path) as aside:
        if ending == ".npy":
            with open(aside, "wb") as file:
                np.save(file, np.column_stack(columns), allow_pickle=False)
        else:
            with open(aside, "w", encoding="utf-8", newline="") as file:
                _put_csv(file, header, columns)
    progress(f"wrote {path}")


def table_lines(header, lines):
    """The lines of a table for a person: the first column to the left, the others to the right."""
    widths = [max(len(line[j]) for line in (header, *lines)) for j in range(len(header))]
    for first, *others in (header, *lines):
        yield "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip()


def put_json(record):
    """A record as one line of JSON on stdout; what is not finite, which JSON has no word for, is null."""
    print(json.dumps(_finite(record), allow_nan=False))


def _finite(x):
    if isinstance(x, dict):
        return {name: _finite(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_finite(value) for value in x]
    if isinstance(x, (float, np.floating)):
        return float(x) if np.isfinite(x) else None
    return x


def put_rows(path, model, X, names=None):
    """Features as `put_table` writes them, in the form of the table that a model was trained on, whose columns names has."""
    if hasattr(model, "preparation_"):
        table = model.preparation_.inverse_table(X)
        names = table.names or [f"x{j}" for j in model.preparation_.places]
        put_table(path, names, [table.cells(j) for j in range(table.width)])
    else:
        put_table(path, [f"x{j}" for j in range(X.shape[1])] if names is None else names, X.T)


def needs_matplotlib():
    """Refuse before any work where there is no matplotlib."""
    try:
        import fastdbn.plot  # noqa: F401
    except ImportError as error:
        raise ValueError(str(error)) from None


def put_picture(path, model, image_shape, draw, n_columns=None):
    """Rows of images as a PNG, in a grid; draw() makes the rows, once it is known that they are images."""
    needs_matplotlib()
    from fastdbn.plot.images import picture, shape_of

    shape = shape_of(model, image_shape)
    if shape is None:
        raise ValueError(
            f"--out {path}: the {model.n_features_in_} features of this model are not taken for images: give --image-shape "
            "HEIGHT,WIDTH, or write a .csv file"
        )
    with replacing(path) as aside:
        picture(aside, draw(), shape, n_columns)
    progress(f"wrote {path}")


def put_report(path, model, rows, image_shape=None):
    """The report of a model on `Rows`."""
    from fastdbn import write_report
    from fastdbn.report.data import columns_of

    columns = None if rows.table is None else columns_of(rows.table)
    held_out = {"X_test": rows.X_test, "y_test": rows.y_test}
    write_report(path, model, rows.X, rows.y, **held_out, table=columns, image_shape=image_shape)
    progress(f"wrote {path}")


def _put_csv(file, header, columns):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def save_somewhere(model, path):
    """Save a model. If that fails, save it in another folder, so that its training is not lost.

    Raises
    ------
    OSError
        if the model is not at the path; the message says where it is.
    """
    try:
        model.save(path)
    except OSError as error:
        failure, kept = f"{path} could not be saved ({error})", _saved_elsewhere(model, Path(path).name)
        if kept is None:
            raise OSError(
                f"{failure}, nor is there room in {tempfile.gettempdir()}, the current or the home folder: the training is lost"
            ) from None
        raise OSError(
            f"{failure}, but nothing is lost: the trained model is {kept}. Move it where you want it, for example: "
            f"{shlex.join(['mv', str(kept), str(path)])}"
        ) from None


def _saved_elsewhere(model, name):
    """The path at which a model was saved, in a new folder, or None."""
    for parent in (tempfile.gettempdir(), Path.cwd(), Path.home()):
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="fastdbn-", dir=parent))
            try:
                model.save(folder / name)
                return folder / name
            except OSError:
                folder.rmdir()
    return None
