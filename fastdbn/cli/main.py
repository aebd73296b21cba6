"""The command line: train, predict, transform, sample, info, warmup, versions.

Results go to stdout, progress and remarks to stderr. Exit codes: 0 success, 1 data or model at fault, 2 wrong usage, 130
Ctrl-C. Heavy imports happen inside the commands, so help is quick.
"""

import argparse
import os
import sys
import warnings

from fastdbn import __version__
from fastdbn.cli.commands import run_info, run_predict, run_sample, run_train, run_transform, run_versions, run_warmup
from fastdbn.support.report import progress


def _sizes(text):
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give sizes as 256,128")
    return sizes


def _unit(text):
    from fastdbn.units import UNITS

    if text not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r}: give one of {', '.join(UNITS)}")
    return text


def _positive(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give an integer of at least 1")
    return value


def _share(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number between 0 and 1")
    return value


def build_parser():
    """The argument parser of all commands."""
    parser = argparse.ArgumentParser(prog="fastdbn", description="Train and use Deep Belief Networks.")
    parser.add_argument("--version", action="version", version=f"fastdbn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, run, summary, out_help=None, data=True):
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(run=run)
        if out_help:
            command.add_argument("--out", metavar="F", help=out_help)
            command.add_argument("--force", action="store_true", help="replace an existing file")
        if data:
            header = command.add_mutually_exclusive_group()
            told = {"dest": "header", "action": "store_const"}
            header.add_argument("--header", const=True, **told, help="line 1 of a CSV file names the columns [as it looks]")
            header.add_argument("--no-header", const=False, **told, help="line 1 of a CSV file is data")
        return command

    train = add("train", run_train, "Train a network on a table, or on 8x8 digits without one.", "model file [model.safetensors]")
    train.add_argument(
        "data", nargs="?", metavar="DATA", help=".csv, .csv.gz, .npy or .npz (keys X and y, or train_images and train_labels)"
    )
    train.add_argument("--target", metavar="COLUMN", help="name or position of the target column; -1 is the last")
    train.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN", help="use a column that would be left out; may be repeated"
    )
    train.add_argument("--task", choices=("auto", "classify", "regress"), default="auto")
    train.add_argument("--layers", type=_sizes, metavar="256,128", help="hidden units of each layer")
    train.add_argument("--scale", choices=("auto", "minmax", "standard", "none"), default="auto", help="scaling of the features")
    train.add_argument("--seed", type=int, default=0, help="seed of the model [0]")
    train.add_argument("--epochs", type=_positive, metavar="N", help="epochs of fine-tuning")
    train.add_argument("--pretrain-epochs", type=_positive, metavar="N", help="epochs of each layer's pretraining")
    train.add_argument("--test-size", type=_share, metavar="SHARE", help="share of rows held out to test [0.2]")
    train.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what computes: the CPU or an NVIDIA GPU [cpu]"
    )
    train.add_argument("--quiet", action="store_true", help="no progress")

    predict = add("predict", run_predict, "Predict the rows of a table, as CSV.", "CSV file [stdout]")
    transform = add("transform", run_transform, "Hidden features of the rows of a table.", "CSV or .npy file [stdout]")
    for command in (predict, transform):
        command.add_argument("model", metavar="MODEL")
        command.add_argument("data", metavar="DATA")
        command.add_argument("--split", choices=("train", "val", "test"), help="rows of a .npz file that has such sets [test]")
    transform.add_argument("--layer", type=int, default=-1, help="hidden layer, 0 the lowest, -1 the last")

    sample = add("sample", run_sample, "Draw new rows from a network.", ".npy or CSV file [CSV to stdout]", data=False)
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", type=_positive, default=10, metavar="N", help="rows [10]")
    sample.add_argument("--steps", type=_positive, default=1000, help="Gibbs steps [1000]")
    sample.add_argument("--seed", type=int, default=0)

    info = add("info", run_info, "What a model file holds.", data=False)
    info.add_argument("model", metavar="MODEL")
    warm = add("warmup", run_warmup, "Compile all kernels into the disk cache, for later runs to start at once.", data=False)
    warm.add_argument("--dtype", nargs="+", choices=("float32", "float64"), help="precisions of the models [all]")
    warm.add_argument("--units", nargs="+", type=_unit, metavar="UNIT", help="unit types [bernoulli gaussian softmax]")
    kinds = ("float32", "float64", "uint8", "bool", "int64", "int32")
    warm.add_argument("--data", nargs="+", choices=kinds, help="types of the data [all]")
    warm.add_argument("--quiet", action="store_true", help="no progress")
    add("versions", run_versions, "Versions of everything that computes.", data=False)
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
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: progress(f"warning: {message}")
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
        print(f"fastdbn: error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastdbn: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
