"""Arguments that several commands share, and the types of arguments."""

import argparse


def checked(convert, holds, wanted):
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


sizes = checked(lambda text: tuple(map(int, text.split(","))), lambda sizes: min(sizes) > 0, "sizes as 256,128")
positive = checked(int, lambda value: value > 0, "an integer of at least 1")
above_zero = checked(float, lambda value: 0 < value < float("inf"), "a number above 0")
share = checked(float, lambda value: 0 < value < 1, "a number between 0 and 1")


def _size(text):
    from fastdbn.support.checks import bytes_of

    bytes_of(text, "memory_limit")
    return text


memory = checked(_size, bool, "a size such as 500MB or 2GiB")


def model(parser):
    """MODEL, the path of a model file."""
    parser.add_argument("model", metavar="MODEL", help="model file")


MODEL, PAGE = ("a model is", (".safetensors",)), ("a page is", (".html", ".htm"))
TABLE, PICTURE = ("tables are", (".csv", ".npy")), ("tables and pictures are", (".csv", ".npy", ".png"))
"""What commands write, in words, and the endings of its files."""


def out(parser, what, default=None, form=None):
    """--out and --force; `form` is one of the above, or None where the command looks at the ending itself."""
    parser.set_defaults(form=form)
    parser.add_argument("--out", metavar="F", default=default, help=what)
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def table_out(parser, what, pictures=False):
    """The same for a command that writes a table, or a picture too."""
    out(parser, what, form=PICTURE if pictures else TABLE)


def header(parser):
    """--header and --no-header."""
    group, told = parser.add_mutually_exclusive_group(), {"dest": "header", "action": "store_const"}
    group.add_argument("--header", const=True, **told, help="line 1 of a CSV file names the columns [found by itself]")
    group.add_argument("--no-header", const=False, **told, help="line 1 of a CSV file is data")


def data(parser):
    """DATA, the path of a data file that a model is used on, and which of its rows."""
    parser.add_argument("data", metavar="DATA", help="data file")
    parser.add_argument("--split", choices=("train", "val", "test"), help="which rows of a file that has such sets [test]")
    header(parser)


def jobs(parser, of=""):
    """--jobs."""
    threads = checked(int, lambda value: value != 0, "a number of threads, or -1 for all processors")
    parser.add_argument("--jobs", type=threads, metavar="N", help=f"threads{of}; -1 is all processors [all]")


def image_shape(parser):
    """--image-shape."""
    wanted = "height,width as 28,28, or height,width,3 for colour"
    shape = checked(lambda text: tuple(map(int, text.split(","))), lambda sizes: len(sizes) in (2, 3) and min(sizes) > 0, wanted)
    parser.add_argument(
        "--image-shape", type=shape, metavar="28,28", help="height and width of rows that are images [square ones are found]"
    )


def seed(parser, what="seed of the draws [0]"):
    """--seed."""
    parser.add_argument("--seed", type=int, default=0, help=what)


def json(parser):
    """--json."""
    parser.add_argument("--json", action="store_true", help="print results as one line of JSON")


def quiet(parser):
    """--quiet."""
    parser.add_argument("--quiet", action="store_true", help="print results and warnings only")
