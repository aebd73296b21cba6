"""The command line: train, predict, transform, sample, info, warmup, versions.

Results go to stdout, progress and remarks to stderr. Exit codes: 0 success, 1 data or model at fault, 2 wrong usage, 130
Ctrl-C. What the commands do is imported after the command line is read, so help is quick.
"""

import argparse
import os
import sys
import warnings

from fastdbn import __version__
from fastdbn.support.report import progress


def _checked(convert, holds, wanted):
    """A type of argparse: what `convert` makes of a text, if `holds` says yes to it."""

    def read(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not holds(value):
            raise argparse.ArgumentTypeError(f"{text!r}: give {wanted}")
        return value

    return read


_sizes = _checked(lambda text: tuple(map(int, text.split(","))), lambda sizes: min(sizes) > 0, "sizes as 256,128")
_positive = _checked(int, lambda value: value > 0, "an integer of at least 1")
_share = _checked(float, lambda value: 0 < value < 1, "a number between 0 and 1")


def _unit(text):
    from fastdbn.units import UNITS

    return _checked(str, UNITS.__contains__, f"one of {', '.join(UNITS)}")(text)


def _out(what):
    """A parser of the options of an output."""
    out = argparse.ArgumentParser(add_help=False)
    out.add_argument("--out", metavar="F", help=what)
    out.add_argument("--force", action="store_true", help="replace an existing file")
    return out


def build_parser():
    """The argument parser of all commands."""
    parser = argparse.ArgumentParser(prog="fastdbn", description="Train and use Deep Belief Networks.")
    parser.add_argument("--version", action="version", version=f"fastdbn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, summary, *parents):
        return commands.add_parser(name, help=summary, description=summary, parents=parents).add_argument

    # ---- what several commands have

    csv, model, rows, quiet = (argparse.ArgumentParser(add_help=False) for _ in range(4))
    header = csv.add_mutually_exclusive_group()
    told = {"dest": "header", "action": "store_const"}
    header.add_argument("--header", const=True, **told, help="line 1 of a CSV file names the columns [as it looks]")
    header.add_argument("--no-header", const=False, **told, help="line 1 of a CSV file is data")
    model.add_argument("model", metavar="MODEL")
    rows.add_argument("data", metavar="DATA")
    rows.add_argument("--split", choices=("train", "val", "test"), help="rows of a .npz file that has such sets [test]")
    quiet.add_argument("--quiet", action="store_true", help="no progress")

    # ---- the commands

    out = _out("model file [model.safetensors]")
    out.set_defaults(out="model.safetensors")
    option = add("train", "Train a network on a table, or on 8x8 digits without one.", out, csv, quiet)
    option("data", nargs="?", metavar="DATA", help=".csv, .csv.gz, .npy or .npz (keys X and y, or train_images and train_labels)")
    option("--target", metavar="COLUMN", help="name or position of the target column; -1 is the last")
    option("--keep", action="append", default=[], metavar="COLUMN", help="use a column that would be left out; may be repeated")
    told = "take a column for a number, flag, category or date, or drop it; may be repeated"
    option("--as", action="append", default=[], metavar="COLUMN=KIND", dest="kinds", help=told)
    option("--task", choices=("auto", "classify", "regress"), default="auto")
    option("--layers", type=_sizes, metavar="256,128", help="hidden units of each layer")
    option("--scale", choices=("auto", "minmax", "standard", "none"), default="auto", help="scaling of the features")
    option("--seed", type=int, default=0, help="seed of the model [0]")
    option("--epochs", type=_positive, metavar="N", help="epochs of fine-tuning")
    option("--pretrain-epochs", type=_positive, metavar="N", help="epochs of each layer's pretraining")
    option("--test-size", type=_share, metavar="SHARE", help="share of rows held out to test [0.2]")
    option("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what computes: the CPU or an NVIDIA GPU [cpu]")

    add("predict", "Predict the rows of a table, as CSV.", _out("CSV file [stdout]"), csv, model, rows)
    option = add("transform", "Hidden features of the rows of a table.", _out("CSV or .npy file [stdout]"), csv, model, rows)
    option("--layer", type=int, default=-1, help="hidden layer, 0 the lowest, -1 the last")

    option = add("sample", "Draw new rows from a network.", _out(".npy or CSV file [CSV to stdout]"), model)
    option("-n", type=_positive, default=10, metavar="N", help="rows [10]")
    option("--steps", type=_positive, default=1000, help="Gibbs steps [1000]")
    option("--seed", type=int, default=0)

    option = add("impute", "Fill in the missing values of a table.", _out("CSV file [stdout]"), csv, model, rows)
    option(
        "--method",
        choices=("mean", "sample", "mean-field"),
        default="mean",
        help="expected values, draws, or a quick guess [mean]",
    )
    option("--steps", type=_positive, default=100, help="Gibbs steps of each row [100]")
    option("--seed", type=int, default=0)

    add("info", "What a model file holds.", model)
    option = add("warmup", "Compile all kernels into the disk cache, for later runs to start at once.", quiet)
    option("--dtype", nargs="+", choices=("float32", "float64"), help="precisions of the models [all]")
    option("--units", nargs="+", type=_unit, metavar="UNIT", help="unit types [bernoulli gaussian softmax]")
    kinds = ("float32", "float64", "uint8", "bool", "int64", "int32")
    option("--data", nargs="+", choices=kinds, help="types of the data [all]")
    add("versions", "Versions of everything that computes.")
    return parser


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
    args = build_parser().parse_args(argv)
    try:
        from fastdbn.cli import commands

        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: progress(f"warning: {message}")
            getattr(commands, f"run_{args.command}")(args)
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
        print(f"fastdbn: error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastdbn: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
