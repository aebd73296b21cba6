"""Lines for a person, on stderr."""

import sys


def progress(line):
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)
