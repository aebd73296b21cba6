"""`--config FILE`: options of a command from a TOML file. Options on the command line win.

data = "titanic.csv"
target = "survived"
layers = [256, 128]
keep = ["deck"]
as = {pclass = "category"}
quiet = true
"""

import argparse
import tomllib
from pathlib import Path


def option(parser):
    """--config."""
    parser.add_argument("--config", metavar="F", help='TOML file of options, such as target = "price"; those given here win')


def with_config(parser, argv):
    """The arguments of a command line, in which those of its --config file stand before its own.

    Raises
    ------
    ValueError
        for a file that is no TOML, or an option that the command does not have.
    """
    of_commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    command = of_commands.choices.get(argv[0]) if argv else None
    if command is None or "--config" not in command._option_string_actions:
        return argv
    unset = argparse.Namespace(**dict.fromkeys(action.dest for action in command._actions))
    typed = vars(command.parse_known_args(argv[1:], unset)[0])
    path = typed["config"]
    if path is None:
        return argv
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--config {path}: {error.strerror}: give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path}: not a TOML file: {error}") from None
    words = []
    for name, value in given.items():
        words += _words(command, path, name, value, typed)
    return [argv[0], *words, *argv[1:]]


def _words(command, path, name, value, typed):
    """The words of one entry of the file, none if it was typed; typed are the arguments of the command line alone."""
    known = {text.removeprefix("--"): action for action in command._actions for text in action.option_strings or [action.dest]}
    name = name.replace("_", "-")
    action = known.get(name)
    if action is None or action.dest in ("help", "config"):
        wanted = sorted(text for text in known if text not in ("-h", "help", "config"))
        raise ValueError(f"--config {path}: {command.prog} has no option {name!r}; it has {', '.join(wanted)}")
    if typed[action.dest] is not None:
        return []
    if not action.option_strings:
        return [str(value)]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"--config {path}: {name} = {value!r}: give true or false")
        return [f"--{name}"] if value else [f"--no-{name}"] if f"no-{name}" in known else []
    if isinstance(value, dict):  # a table of TOML, such as as = {zip = "category"}
        value = [f"{key}={each}" for key, each in value.items()]
    if isinstance(value, list) and isinstance(action, argparse._AppendAction):
        return [f"--{name}={each}" for each in value]
    return [f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}"]
