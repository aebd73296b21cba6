"""Files that may be gzipped, unpacked within bounds."""

import contextlib
import gzip
import zlib

ROOM, RATIO = 1 << 28, 100
"""Bytes that a compressed file may unpack to, plus so many for each of its own bytes. Tables of text shrink to a tenth."""


def check_unpacked(path, unpacked):
    """Refuse a compressed file that unpacks to so many bytes, if they are too many.

    Raises
    ------
    ValueError
        with the remedy.
    """
    size = path.stat().st_size
    bound = ROOM + RATIO * size
    if unpacked > bound:
        raise ValueError(
            f"{path} has {size} bytes and unpacks to more than {bound >> 20} MB, as files made to fill a memory do: unpack it "
            "yourself if you trust it"
        )


def unpacked(path, **text):
    """An open file, of text if an encoding is given. What it unpacks to is counted before anything is kept."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                check_unpacked(path, file.tell())
    return (gzip.open if packed else open)(path, "rt" if text else "rb", **text)


@contextlib.contextmanager
def damage_named(path):
    """What gzip raises as a ValueError that names the file."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or cut short: gzip says {error}") from None
