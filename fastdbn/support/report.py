"""Lines for a person, on stderr, and warnings."""

import sys
import warnings


class DataWarning(UserWarning):
    """Data were changed before the model could take them, or it is unclear how to read them. The message names the remedy."""


class FitWarning(UserWarning):
    """A fit ended badly. The message names layer, number and remedy."""


class EstimateWarning(UserWarning):
    """An estimate is less certain than was asked for, or than it looks. The message names the remedy."""


def warn(message, category):
    """Warn at the line of the caller's code that called the library, directly or through scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("fastdbn", "sklearn"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


_silent = False


def silence(on=True):
    """Print no lines of progress in this process from now on, or print them again."""
    global _silent
    _silent = on


def progress(line):
    """Print a line of progress."""
    if not _silent:
        print(line, file=sys.stderr, flush=True)
