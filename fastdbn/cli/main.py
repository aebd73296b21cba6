"""The command line. Its commands are the files of cli/commands/.

Results go to stdout, progress and remarks to stderr. Exit codes: 0 success, 1 data or model at fault, 2 wrong usage, 130
Ctrl-C.
"""

import argparse
import importlib
import inspect
import os
import sys
import warnings

from fastdbn import __version__
from fastdbn.cli.commands import NAMES
from fastdbn.cli.config import with_config
from fastdbn.support.report import silence

OF_TRAIN = {
    "(n_iter)": "(--pretrain-epochs)",
    "(max_iter)": "(--epochs)",
    "learning_rate_init": "--learning-rate",
    "memory_limit=": "--memory-limit ",
    "device=": "--device ",
    "scale='standard'": "--scale standard",
    "class_weight='balanced'": "--class-weight balanced",
}
"""Parameters that messages of fits name, and the options of `fastdbn train` for them."""


def build_parser():
    """The argument parser of all commands."""
    told = "fastdbn COMMAND --help shows the options of a command, with examples. Begin with: fastdbn train"
    parser = argparse.ArgumentParser(prog="fastdbn", description="Train and use Deep Belief Networks.", epilog=told)
    parser.add_argument("--version", action="version", version=f"fastdbn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in NAMES:
        module = importlib.import_module(f"fastdbn.cli.commands.{name}")
        summary, _, examples = inspect.getdoc(module).partition("\n")
        raw = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(name, help=summary, description=summary, epilog=examples, formatter_class=raw)
        module.options(command)
        command.set_defaults(run=module.run)
    return parser


def _told(message, words):
    """A warning or an error, with options of `fastdbn train` where it names parameters of estimators."""
    text = str(message)
    for name, option in OF_TRAIN.items() if words[:1] == ["train"] else ():
        text = text.replace(name, option)
    return text


def main(argv=None):
    """Run a command line.

    Parameters
    ----------
    argv : list of str or None
        None takes those of the process.

    Returns
    -------
    int
        0, 1 if data or model are at fault, 130 after Ctrl-C. argparse itself exits with 2 for wrong usage.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        parser = build_parser()
        words = with_config(parser, words)
        if not words:
            parser.exit(2, parser.format_help())
        args = parser.parse_args(words)
        args.words = tuple(words)
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: print(
                f"warning: {_told(message, words)}", file=sys.stderr, flush=True
            )
            silence(getattr(args, "quiet", False))
            args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has left, as `head` does: no error; stdout must not be flushed again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        print(f"fastdbn: error: not enough memory{why}: give fewer rows or columns, or smaller --layers", file=sys.stderr)
        return 1
    except (ValueError, OSError, ArithmeticError) as error:
        print(f"fastdbn: error: {_told(error, words) or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastdbn: stopped", file=sys.stderr)
        return 130
    finally:
        silence(False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
