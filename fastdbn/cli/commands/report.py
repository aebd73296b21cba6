"""Write a page about a model: scores, curves, filters, samples, data and settings.

examples:
  fastdbn report model.safetensors
  fastdbn report price.safetensors houses.csv --out houses.html
  fastdbn report rbm.safetensors faces.npz --image-shape 40,30
"""

import argparse
from pathlib import Path

from fastdbn.cli import options as common
from fastdbn.cli.commands import train
from fastdbn.support.report import progress


def options(parser):
    common.model(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="data file [that of the training]")
    parser.add_argument("--target", metavar="COLUMN", help="name or position of the target column [that of the training]")
    parser.add_argument("--split", choices=("train", "val", "test"), help="rows of a file that has such sets [test]")
    common.header(parser)
    common.image_shape(parser)
    common.out(parser, "HTML file [report.html]", "report.html")


def run(args):
    """Load a model and rows, and write the page. If the file is that of the training, the scores are of the rows held out."""
    from fastdbn.cli.models import task_of
    from fastdbn.cli.reports import columns_of, write
    from fastdbn.cli.results import needs_matplotlib
    from fastdbn.cli.rows import Rows, digits, load_model, rows_for, training_rows
    from fastdbn.tables.read import existing

    needs_matplotlib()
    model, told = load_model(args), None
    if hasattr(model, "command_"):
        parser = argparse.ArgumentParser()
        train.options(parser)
        told = parser.parse_args(model.command_[1:])
        told.task = task_of(told.model, told.task)
    elif args.data is None:
        raise ValueError("DATA is missing: only `fastdbn train` notes in a model which file it was trained on. Name a file")
    if told is not None and (args.data is None or (told.data and Path(args.data).resolve() == Path(told.data).resolve())):
        rows = training_rows(told) if told.data else digits(told.task)
        columns = columns_of(told.data, told.header) if told.data else None
    else:
        existing(args.data)
        found, _, X = rows_for(model, args)
        y = _targets(model, found, args, told and told.target)
        rows, columns = Rows(X, y, None, None, "", {}), columns_of(found)
    write(args.out, model, rows, columns, args.image_shape)


def _targets(model, found, args, of_training):
    """The targets of a file's rows, by the column that the user named or else that of the training; None if it has none."""
    from fastdbn.cli.target import target_values
    from fastdbn.tables.read import read_table
    from fastdbn.tables.table import position

    classifies = hasattr(model, "classes_")
    if not classifies and not hasattr(model, "target_mean_"):
        return None
    values, name = found.target, args.target
    if name is None and values is None and of_training in (found.names or ()):
        name = of_training
    if name is not None:
        spelt, _ = read_table(args.data, args.header, (name,), target=name)  # labels keep the spelling of their cells
        values = spelt.column(position(spelt.names, spelt.width, name))
    if values is None:
        progress("no scores, because the file has no target that is known: name its column by --target")
        return None
    y = target_values(values, "classify" if classifies else "regress")[0]
    return y.astype(model.classes_.dtype) if classifies and model.classes_.dtype.kind in "iuf" else y
