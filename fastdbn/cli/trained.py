"""The command that trained a model, which its file notes."""

import argparse

from fastdbn.cli.commands import train
from fastdbn.cli.models import task_of


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


def image_shape_of(model, given):
    """The shape of a row that is an image: the given one, or else what the training was told; None if neither says."""
    told = training_of(model) if given is None else None
    return given if told is None else told.image_shape
