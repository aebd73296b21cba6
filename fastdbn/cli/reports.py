"""What the commands that write a report share."""

from fastdbn.report import data
from fastdbn.support.report import progress
from fastdbn.tables import read


def columns_of(path, header=None):
    """The columns of a data file, to be described."""
    return data.columns_of(read.read_table(path, header)[0])


def write(path, model, rows, columns, image_shape=None):
    """Write the report of a model on rows; columns are those of their file, or None."""
    from fastdbn import write_report

    held_out = {"X_test": rows.X_test, "y_test": rows.y_test}
    write_report(path, model, rows.X, rows.y, **held_out, table=columns, image_shape=image_shape)
    progress(f"wrote {path}")
