"""What the commands that write a report share."""

import numpy as np
from scipy import sparse

from fastdbn.report.data import MOST_COLUMNS
from fastdbn.support.report import progress
from fastdbn.tables import read
from fastdbn.tables.cells import is_missing


def columns_of(table, header=None):
    """The first columns of a Table, or of a data file, by name, to be described: numbers, or text where any cell is text.

    None for a sparse matrix, whose rows say as much.
    """
    table = read.read_table(table, header)[0] if isinstance(table, str) else table
    if sparse.issparse(table.numbers):
        return None
    columns = {}
    for j in range(min(table.width, MOST_COLUMNS)):
        text = any(cell is not None and not is_missing(cell) for cell in table.text.get(j, ()))
        columns[table.names[j] if table.names else str(j)] = table.cells(j) if text else np.asarray(table.numbers[:, j])
    return columns


def write(path, model, rows, columns, image_shape=None):
    """Write the report of a model on rows; columns are those of their file, or None."""
    from fastdbn import write_report

    held_out = {"X_test": rows.X_test, "y_test": rows.y_test}
    write_report(path, model, rows.X, rows.y, **held_out, table=columns, image_shape=image_shape)
    progress(f"wrote {path}")
