"""The command that trained a model and a hash of its data, which the model's file notes."""

import argparse
from pathlib import Path

from fastdbn.cli.commands import train
from fastdbn.cli.models import task_of
from fastdbn.cli.rows import check_shape
from fastdbn.support.report import progress
from fastdbn.tables.read import hash_of, read_with


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(f"the model notes a command that this fastdbn does not know, so it cannot be repeated: {message}")


def training_of(model):
    """The options by which `fastdbn train` made a model; None for a model that was not made by it."""
    if not hasattr(model, "command_"):
        return None
    parser = _Parser(add_help=False)
    train.options(parser)
    told = parser.parse_args(model.command_[1:])
    told.task = task_of(told.model, told.task)
    return told


def is_of_training(model, told, path):
    """Whether a file is that of a model's training, by its path and by the content of all files that this read.

    None is the path that the training notes.

    Raises
    ------
    ValueError
        if path is None, and a file has changed since.
    """
    if path is not None and (told.data is None or Path(path).resolve() != Path(told.data).resolve()):
        return False
    if told.data is None:
        return True
    if not hasattr(model, "data_hash_"):
        progress(f"{told.data} is taken for the file of the training, because the model notes this path and no hash")
        return True
    files = read_with(told.data, told.labels, told.test)
    if hash_of(*files) == model.data_hash_:
        return True
    changed = f"{'one of ' * (len(files) > 1)}{', '.join(map(str, files))} is not as it was when the model was trained on it"
    if path is None:
        raise ValueError(f"DATA is missing, and {changed}: name a file")
    progress(f"{changed}, so {path} is taken for another file")
    return False


def image_shape_of(model, given):
    """The shape of a row that is an image: the given one, or else what the training was told; None if neither says."""
    check_shape(given, model.n_features_in_)
    told = training_of(model) if given is None else None
    return given if told is None else told.image_shape
