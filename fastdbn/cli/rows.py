"""The rows of a command: those to train on and to test on, and those that a model takes from a table."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

import fastdbn
from fastdbn.cli.models import CLASSES
from fastdbn.cli.options import PAGE, PICTURE
from fastdbn.cli.results import check_ending, check_out, is_picture
from fastdbn.cli.split import fewer, split
from fastdbn.cli.target import check_varies, labelled, target_values, warn_of_single_rows, with_target
from fastdbn.preparation.kinds import can_be_kept
from fastdbn.preparation.preparation import KEEP, Preparation
from fastdbn.preparation.words import table_of
from fastdbn.support.report import progress
from fastdbn.tables import read, table
from fastdbn.tables.blocks import KINDS, holds_rows, read_blocks
from fastdbn.tables.cells import text_among


class Rows(NamedTuple):
    """X and y to train on, X and y to test on, the task, and attributes of the model that say what the features are.

    table is that of the file, or None. groups are those of the rows to train on, or None.
    """

    X: Any
    y: Any
    X_test: Any
    y_test: Any
    task: str | None
    attributes: dict
    table: Any = None
    groups: Any = None

    @property
    def visible(self):
        """The visible units that the features need."""
        return self.attributes["preparation_"].visible_ if "preparation_" in self.attributes else "auto"


def _digits(args):
    """Rows of digits, scaled, without labels where the task is None."""
    from sklearn.datasets import load_digits

    given = args.target, args.labels, args.test, args.groups, args.keep, args.kinds
    if any(given) or args.header is not None:
        raise ValueError(
            "--target, --labels, --test, --groups, --keep, --as and --header need DATA: name a file, or leave them out and train "
            "on digits"
        )
    if args.task == "regress":
        raise ValueError("digits have labels, which are no numbers to predict: name a file to learn numbers from")
    X, y = load_digits(return_X_y=True)
    progress("data: 1797 handwritten digits of 8x8 pixels, which scikit-learn carries")
    train, test = split(len(y), y, "classify", args.test_size)
    train = fewer(train, y, "classify", args.rows)
    y_train, y_test = (None, None) if args.task is None else (y[train], y[test])
    return Rows(X[train] / 16, y_train, X[test] / 16, y_test, args.task and "classify", {})


def training_rows(args, unlabelled=False, searches=False):
    """The rows of a file, or digits without one, split into those to train on and to test on.

    Rows without a target are left out. With `unlabelled` classifiers train on them; then y is a masked array. `searches` says
    that the command splits the rows to train on once more, by their groups.
    """
    if args.data is None:
        return _digits(args)
    check_pairs(args)
    found, said = read.read_table(args.data, args.header, table.named(args.target), target=args.target)
    progress(f"{args.data}: {said}")
    if found.height < 2:
        raise ValueError(f"{args.data} has only one row: training and testing need more")
    values, place = _target(found, args)
    y, task, why = (None, None, "no target") if values is None else target_values(values, args.task)
    if unlabelled and task == "classify" and np.ma.isMaskedArray(y):
        progress(f"{np.sum(~labelled(y))} of {len(y)} rows have no label: training learns from them without one")
    else:
        found, y = with_target(found, y)
    groups, absent = None, () if place is None else (place,)
    if args.groups is not None:
        of_group = table.position(found.names, found.width, args.groups, "--groups")
        groups, absent = np.array([str(group) for group in found.cells(of_group)]), (*absent, of_group)
    preparation = None
    if found.whole and (args.kinds or args.keep):
        raise ValueError(f"--as and --keep are for columns of a table, and {args.data} is not one: leave them out")
    if not found.whole:
        preparation = Preparation(kinds=_kinds(args.kinds), keep=list(map(_as_column, args.keep))).fit_table(found, y, absent)
        for j, fault in preparation.left_out_.items():
            option = shlex.join(["--keep", found.names[j] if found.names else str(j)])
            unless = f" (unless you give {option})" if fault != "as told" and can_be_kept(found, j) else ""
            progress(f"left out: column {found.name(j)} {fault}{unless}")
    check_varies(y, task)
    warn_of_single_rows(y, task)
    rare = task == "classify" and found.names is None and len(y) > 2 and np.sum(y == y[0]) == 1
    if rare and values.dtype == object:
        why += f"; its first label, {str(y[0])!r}, occurs once: give --header if line 1 names the columns"
    more = _more_rows(args, found, task, place)
    if more and groups is not None and not searches:
        given, other = ("--test names", "leave out --test") if args.test else (f"{args.data} has", "give --test-size")
        raise ValueError(
            f"--groups {args.groups}: {given} the rows to test on, so no groups are held out: leave out --groups (--as "
            f"{args.groups}=drop leaves its column out), or {other}"
        )
    train, test = (np.arange(found.height), None) if more else split(found.height, y, task, args.test_size, groups)
    train = fewer(train, y, task, args.rows)
    if test is None and len(train) < found.height:
        found, (y, groups) = found.rows(train), (None if x is None else x[train] for x in (y, groups))
        train = np.arange(found.height)
    plain = preparation is None or preparation.visible_ == "auto"
    if plain:
        keep = [j for j in range(found.width) if j not in absent] if preparation is None else preparation.places
        X = table.features(found, keep)
        attributes = {"left_out_": tuple(j for j in range(found.width) if j not in set(keep))}
        if found.names is not None:
            attributes["feature_names_in_"] = np.array([found.names[j] for j in keep], dtype=object)
    else:
        preparation = _learnt_from(preparation, found, train, absent)
        for line in table_of(preparation, lambda place: found.names[place] if found.names else str(place)):
            progress(f"  {line}")
        X, attributes = preparation.transform_table(found), {"preparation_": preparation}
    if not sparse.issparse(X) and len(X) > 1 and (X == X[0]).all():
        raise ValueError("every feature has only one value: there is nothing to learn from")
    progress(f"task: {task or 'learn the rows'} ({why}); {X.shape[0]} rows, {X.shape[1]} features")
    if test is None:
        try:
            X_test = _features_of(more[0], attributes, X.shape[1])[1]
        except ValueError as error:
            raise ValueError(f"{args.test or args.data}, the rows to test on: {error}") from None
        return Rows(X, y, X_test, more[1], task, attributes, found, groups)
    y_train, y_test = (None, None) if y is None else (y[train], np.ma.getdata(y[test]))
    return Rows(X[train], y_train, X[test], y_test, task, attributes, found, None if groups is None else groups[train])


def check_pairs(args):
    """Refuse options that say the same thing twice, or of which one has no effect beside the other."""
    if args.labels is not None and args.task is None:
        raise ValueError(f"--labels {args.labels}: --model {args.model} learns no target: leave out one of them")
    for one, other in (("target", "labels"), ("test", "test_size")):
        if getattr(args, one) is not None and getattr(args, other) is not None:
            raise ValueError(f"--{one} and --{other.replace('_', '-')}: give only one of them")


def _kinds(given):
    """{column: kind} of "column=kind" texts."""
    pairs = [text.rpartition("=") for text in given]
    for (name, _, kind), text in zip(pairs, given, strict=True):
        if not name:
            raise ValueError(f"--as {text}: give COLUMN=KIND, such as --as {kind or 'age'}=category")
    found = {_as_column(name): kind for name, _, kind in pairs}
    if len(found) < len(pairs):
        raise ValueError(f"--as {' --as '.join(given)}: a column is named twice: give it one kind")
    return found


def _as_column(text):
    """A column as `Preparation` takes it: an integer is a position, as on the whole command line."""
    return int(text) if table.is_position(text) else text


def _learnt_from(preparation, found, train, absent):
    """A preparation that takes columns for the same, and has learnt what is usual from some rows alone."""
    kinds = {column.place: column.kind for column in preparation.columns_}
    dropped = dict.fromkeys(preparation.left_out_, "drop")
    new = Preparation(kinds=kinds | dropped).fit_table(found.rows(train), None, absent)
    return new.set_params(kinds=preparation.kinds, keep=preparation.keep)


def _target(found, args):
    """The values of the target, or None where none is learned, and its position if it is a column."""
    if args.task is None:
        place = None if args.target is None else table.position(found.names, found.width, args.target)
        if place is not None:
            progress(f"column {found.name(place)} is the target, so it is no feature")
        return None, place
    if args.labels is not None:
        return read.read_labels(args.labels, found.height), None
    if found.target is not None and args.target is None:
        return found.target, None
    if found.whole and (args.target is None or sparse.issparse(found.numbers)):
        raise ValueError(
            f"{args.data} holds no target: name the file that does with --labels, or save both as X and y in one .npz"
        )
    if found.width == 1:
        raise ValueError(f"{args.data}: {table.ONE_COLUMN}. Training needs features beside the target")
    if args.target is None:
        known = f"; the columns are {table.listed(found.names)}" if found.names else ""
        raise ValueError(
            f"--target is missing: name the column to predict, or its position (-1 is the last){known}. To learn rows without "
            "a target give --model, such as dbn or outliers"
        )
    place = table.position(found.names, found.width, args.target)
    progress(f"target: column {found.name(place)}")
    return found.column(place), place


def _more_rows(args, found, task, place):
    """The table and y of the test rows that the user or the data name, or None; place is that of the target."""
    if args.test is not None:
        names = table.named(args.target) if place is not None else ()
        more, said = read.read_table(args.test, args.header, names, target=args.target)
        if place is not None:
            values = more.column(table.position(more.names, more.width, args.target))
        elif more.target is None and task is not None:
            raise ValueError(f"--test {args.test} holds no target: save X and y in one .npz file, or give --test-size instead")
        else:
            values = more.target
    elif args.test_size is not None or args.labels is not None or not read.has_split(args.data, "test"):
        return None
    else:
        more, said = read.read_table(args.data, split="test")
        if (more.target is None and task is not None) or more.width != found.width:
            return None
        values = more.target
    progress(f"test rows: {said}")
    return (more, None) if task is None else with_target(more, target_values(values, task)[0])


def _features_of(found, attributes, n, lacking=False):
    """(positions, features) of the columns that a model with these attributes takes from a table, n features.

    lacking says whether NaN may stand for missing values, as it may anyway in tables whose preparation keeps it.
    """
    preparation = attributes.get("preparation_")
    if preparation is not None:
        return preparation.places_in(found), preparation.transform_table(found, KEEP if lacking else None)
    keep = table.wanted(found, list(attributes.get("feature_names_in_", ())), n, attributes.get("left_out_", ()))
    return keep, table.features(found, keep, needed=True, lacking=lacking)


def check_shape(shape, n_features):
    """Refuse the shape of an image that rows of so many features do not have; None is no shape."""
    if shape is not None and np.prod(shape) != n_features:
        raise ValueError(
            f"--image-shape {','.join(map(str, shape))} has {np.prod(shape)} pixels, and a row has {n_features} features: give "
            "the height and the width of a row"
        )


def check_paths(args):
    """Refuse, before any work, data that are not there, and outputs that cannot or may not be written."""
    if getattr(args, "data", None) is not None:
        read.existing(args.data)
    for name, form in (("out", getattr(args, "form", None)), ("report", PAGE)):
        path = getattr(args, name, None)
        if form is not None:
            check_ending(path, *form, f"--{name}")
        check_out(path, getattr(args, "force", False), f"--{name}")
    report, folder = getattr(args, "report", None), getattr(args, "checkpoint", None)
    if report is not None and Path(report).resolve() == Path(args.out).resolve():
        raise ValueError(f"--report {report} is the model file of --out: give it another name")
    if folder is not None and Path(folder).is_file():
        raise ValueError(f"--checkpoint {folder} is a file: name a folder")
    draws = getattr(args, "form", None) == PICTURE
    if draws and args.image_shape is not None and not is_picture(args.out):
        raise ValueError("--image-shape is for pictures, and --out names none: give --out F.png, or leave --image-shape out")


def load_model(args, method=None):
    """Check the paths of a command, then load a model, which must have the method that the command needs."""
    check_paths(args)
    model = fastdbn.load(args.model)
    if method is not None and not hasattr(model, method):
        able = [name for name, kind in CLASSES.items() if hasattr(kind, method)]
        raise ValueError(
            f"{args.model} holds a {type(model).__name__}, which cannot {method}: models that `fastdbn train` makes by --model "
            f"{', '.join(able)} can"
        )
    return model


def network_of(args, model, method):
    """The model itself, or its pretrained network, whichever has a method."""
    network = model if hasattr(model, method) else getattr(model, "dbn_", None)
    if not hasattr(network, method):
        raise ValueError(
            f"{args.model} holds a {type(model).__name__} without pretrained layers, which cannot {method}: fit it with "
            "pretrain=True"
        )
    return network


def model_and_rows(args, method=None):
    """A model, which must have the method if one is given, and the features that it takes from a table.

    A folder is read block by block, and so is a file by a model that was trained so. One with a preparation takes whole tables.
    """
    model = load_model(args, method)
    in_blocks = holds_rows(args.data) or (getattr(model, "memory_limit", None) is not None and Path(args.data).suffix in KINDS)
    if in_blocks and not hasattr(model, "preparation_"):
        return model, _rows_in_blocks(model, args)
    return model, rows_for(model, args)[-1]


def _rows_in_blocks(model, args):
    """The features that a model takes from files that are read block by block."""
    if args.header is not None:
        raise ValueError(
            f"--header and --no-header: {args.data} is read block by block, which finds by itself whether line 1 has names: "
            "leave them out"
        )
    _split_of(args)
    found, _, said = read_blocks(args.data)
    progress(f"{args.data}: {said}")
    X = _features_of(found, vars(model), model.n_features_in_)[1]
    vars(model).pop("feature_names_in_", None)
    return X


def _split_of(args):
    """The set of rows to take of a file: the one that the user named, or else that of the tests, if the file has one."""
    if args.split in ("val", "test") and not read.has_split(args.data, args.split):
        raise ValueError(f"--split {args.split}: {args.data} has no such set of rows; leave it out, and all rows are taken")
    return args.split or ("test" if read.has_split(args.data, "test") else "train")


def rows_for(model, args, lacking=False):
    """(the table of a command, the positions of the columns that a model takes, its features).

    Columns are found by name if both have names, else in their order. From here on they come in the model's order, so it needs no
    names any more.

    lacking says whether NaN may stand for missing values.
    """
    preparation = getattr(model, "preparation_", None)
    names = list(vars(model).get("feature_names_in_", ())) if preparation is None else preparation.names
    found, said = read.read_table(args.data, args.header, names, True, _split_of(args))
    progress(f"{args.data}: {said}")
    if sparse.issparse(found.numbers) and found.width < model.n_features_in_:  # the last columns are zeros in all rows
        found.numbers.resize(found.height, model.n_features_in_)
    keep, X = _features_of(found, vars(model), model.n_features_in_, lacking)
    vars(model).pop("feature_names_in_", None)
    others = [found.name(j) for j in range(found.width) if j not in set(keep)]
    if others:
        progress(f"columns left out: {table.listed(others)}")
    if bool(found.names) != bool(names):
        progress(f"columns are taken in their order, because the {'table' if names else 'model'} has no names for them")
    return found, keep, X


def labelled_rows(model, args, of_training):
    """(the table of a command, its features, its targets or None), without the rows that have no target; see `targets_for`."""
    found, _, X = rows_for(model, args)
    return found, *with_target(X, targets_for(model, found, args, of_training))


def learns_target(model):
    """Whether a model was trained to predict a target."""
    return hasattr(model, "classes_") or hasattr(model, "target_mean_")


def targets_for(model, found, args, of_training):
    """The targets of a file's rows, by the column that the user named or else that of the training; None if it has none.

    A position counts in files of as many columns as that of the training had. Of an outlier detector they are 1 and -1, and only
    the user names them.
    """
    classifies, detects = hasattr(model, "classes_"), hasattr(model, "decision_function")
    if not learns_target(model) and args.target is None:
        return None
    if not learns_target(model) and not detects:
        raise ValueError(f"--target {args.target}: a {type(model).__name__} learns no target: leave it out")
    values, name = found.target, args.target
    if name is None and values is None and of_training is not None:
        width = model.preparation_.width_ if hasattr(model, "preparation_") else model.n_features_in_ + len(model.left_out_)
        if of_training in (found.names or ()) or (table.is_position(of_training) and found.width == width):
            name = of_training
    if name is not None:
        names = found.names or table.named(name)  # which find the header that was found before
        spelt, _ = read.read_table(args.data, args.header, names, bool(found.names), target=name)  # labels as they are spelt
        values = spelt.column(table.position(spelt.names, spelt.width, name))
    if values is None:
        return None
    y = target_values(values, "classify" if classifies else "regress")[0]
    if detects and not np.isin(np.ma.compressed(y), (-1, 1)).all():
        raise ValueError(f"--target {name}: give a column of 1 for rows that are normal and -1 for outliers")
    if not classifies or model.classes_.dtype.kind not in "iuf":
        return y
    if y.dtype.kind in "UO" and text_among(y):
        raise ValueError(f"the target {text_among(y)[0]}, and the classes of the model are numbers, such as {model.classes_[0]}")
    return y.astype(np.float64).astype(model.classes_.dtype)
