"""The parser of every command: its help is the command's docstring, with the meaning and the default of each option."""

import argparse

COMMON = {
    "--rows": "rows to train on",
    "--epochs": "epochs of a fit",
    "--rounds": "how often each contender is timed",
    "--seeds": "fits with seeds from 0 on",
    "--hidden": "hidden units of a layer",
    "--units": "hidden units of a layer",
    "--batch": "rows of a minibatch",
    "--threads": "threads",
    "--data": "folder of the data, by default that of FASTDBN_DATA",
    "--out": "JSON file of the results",
    "--first": "number of the first",
    "--count": "how many",
    "--settings": "settings that are drawn at random",
}
"""What an option means where the command does not say it."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Adds the default where the help has none."""

    def _get_help_string(self, action):
        if "[" in action.help or action.default is argparse.SUPPRESS or isinstance(action.default, bool):
            return action.help
        default = "all processors" if action.dest == "threads" and action.default is None else action.default
        return f"{action.help} [{default}]" if isinstance(default, str | int | float) else action.help


class Parser(argparse.ArgumentParser):
    """Parser(__doc__) of a command's file."""

    def __init__(self, description):
        super().__init__(description=description, formatter_class=Formatter)

    def add_argument(self, *names, **options):
        if names[0] in COMMON:
            options.setdefault("help", COMMON[names[0]])
        return super().add_argument(*names, **options)
