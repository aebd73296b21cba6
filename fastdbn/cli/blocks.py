"""Rows of a file or a folder that are read block by block, as `fit` takes them, to train on and to test on.

All columns are numbers and none is left out but the target, so no preparation has to see the whole table first.
"""

import numpy as np

from fastdbn.cli.rows import Rows, check_pairs, training_rows
from fastdbn.cli.split import split
from fastdbn.cli.target import check_varies, labelled, target_values
from fastdbn.support.report import progress
from fastdbn.tables.blocks import holds_rows, read_blocks
from fastdbn.tables.cells import in_rows
from fastdbn.tables.read import read_labels

WHOLE = "keep", "kinds", "groups", "rows", "header"
"""Options that need the whole table."""
FLAGS = {"kinds": "--as", "header": "--header and --no-header"}


def by_blocks(args):
    """Whether a command that trains reads its rows block by block."""
    if args.memory_limit is not None and args.data is None:
        raise ValueError("--memory-limit needs DATA: the digits are in memory")
    return args.memory_limit is not None or (args.data is not None and holds_rows(args.data))


def rows_to_train_on(args, **how):
    """`Rows` that are read block by block, or as `training_rows` reads them."""
    return _rows_in_blocks(args) if by_blocks(args) else training_rows(args, **how)


def _rows_in_blocks(args):
    """`Rows` whose X is `Stored`. Rows to test on are held out at random, no more than a baseline learns from."""
    from fastdbn.evaluate.scores import most_rows

    given = [FLAGS.get(name, f"--{name}") for name in WHOLE if getattr(args, name) not in (None, [])]
    if given:
        raise ValueError(
            f"{', '.join(given)}: {args.data} is read block by block, and all its columns are numbers but the target; leave it "
            "out, or give one file and no --memory-limit, which reads the whole table"
        )
    check_pairs(args)
    found, place, said = _read(args.data, args.target)
    progress(f"{args.data}: {said}")
    values = found.target if args.labels is None else read_labels(args.labels, found.height)
    y, task, why = _target(values, args.task, args.data)
    check_varies(y, task)
    attributes = {"left_out_": () if place is None else (place,)}
    if found.names is not None:
        attributes["feature_names_in_"] = np.array(found.names, dtype=object)
    progress(f"task: {task or 'learn the rows'} ({why}); {found.height} rows, {found.width} features")
    if args.test is not None:
        if args.labels is not None and task is not None:
            raise ValueError(
                f"--labels {args.labels} has no targets for the rows of --test {args.test}: give --test-size instead"
            )
        more, _, said = _read(args.test, args.target)
        progress(f"test rows: {said}")
        y_test, *_ = _target(more.target, task, args.test)
        return Rows(found.numbers, y, more.numbers[:], y_test, task, attributes)
    share = args.test_size or min(0.2, most_rows(found.width) / found.height)
    X, X_test, order = found.numbers.split(np.sort(split(found.height, y, task, share)[1]))
    y, y_test = (None, None) if y is None else np.split(y[order], [len(X)])
    return Rows(X, y, X_test, y_test, task, attributes)


def _read(path, target):
    """`read_blocks`, whose errors name the remedy for text."""
    try:
        return read_blocks(path, target)
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(f"{error}; a table with text is read whole: give one file and no --memory-limit") from None


def _target(values, task, path):
    """(y, task, why), as `target_values` gives them; every row of the file must have one."""
    if task is None:
        return None, None, "no target"
    if values is None:
        raise ValueError(
            "--target is missing: name the column to predict, or its position (-1 is the last), or a file with --labels. To "
            "learn rows without a target give --model, such as dbn or outliers"
        )
    y, task, why = target_values(values, task)
    if np.ma.isMaskedArray(y):
        lacking = np.flatnonzero(~labelled(y))
        raise ValueError(
            f"{len(lacking)} rows of {path} have no target, {in_rows(lacking)}: take them out, or give one file and no "
            "--memory-limit, which reads the whole table"
        )
    return y, task, why
