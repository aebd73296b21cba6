"""`--config FILE`: options of a command from a TOML file. Options on the command line win.

data = "titanic.csv"
target = "survived"
layers = [256, 128]
keep = ["deck"]
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
    first = argparse.ArgumentParser(add_help=False)
    option(first)
    path = first.parse_known_args(argv[1:])[0].config
    command = _command(parser, argv[0]) if argv else None
    if path is None or command is None:
        return argv
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path}: no TOML file: {error}") from None
    words, typed = [], vars(command.parse_known_args(argv[1:])[0])
    for name, value in given.items():
        words += _words(command, path, name, value, typed)
    return [argv[0], *words, *argv[1:]]


def _command(parser, name):
    """The parser of a command, or None."""
    of_commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return of_commands.choices.get(name)


def _words(command, path, name, value, typed):
    """The words of one entry of the file; typed are the arguments of the command line alone."""
    flag = "--" + name.replace("_", "-")
    known = {text: action for action in command._actions for text in action.option_strings}
    places = {action.dest for action in command._actions if not action.option_strings}
    if name in places:
        return [] if typed[name] is not None else [str(value)]
    if flag not in known or name == "config":
        wanted = sorted({text[2:] for text in known if text.startswith("--")} - {"config", "help"} | places)
        raise ValueError(f"--config {path}: {command.prog} has no option {name!r}; it has {', '.join(wanted)}")
    action = known[flag]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"--config {path}: {name} = {value!r}: give true or false")
        return [flag] if value else []
    if isinstance(value, list) and isinstance(action, argparse._AppendAction):
        return [word for each in value for word in (flag, str(each))]
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return [f"{flag}={text}"]
