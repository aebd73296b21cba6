"""The order of the rows in an epoch, keyed by seed, layer and epoch, and what of them is in memory.

Rows are shuffled as a whole, or in two levels where memory holds a window of them: blocks of up to 1024 neighbours come in a
drawn order, and the rows of each window of blocks are shuffled among themselves.
"""

from typing import NamedTuple

import numpy as np

from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.stored import BLOCK

BLOCKS = 16
"""The fewest blocks of a window, where it has as many rows."""
NUMBER = 8
"""Bytes of a number in memory at most."""


class Shuffle(NamedTuple):
    """How rows are shuffled: not at all, as a whole (a window of None), or in windows of so many rows."""

    shuffles: bool = True
    window: int | None = None


WHOLE = Shuffle()


def shuffle_of(estimator, width):
    """The `Shuffle` of rows of some width, by an estimator's `shuffle` and `memory_limit`.

    The limit has room for two windows: one that is trained on and one that is read ahead. Nothing else decides a window, so the
    order is the same whatever holds the rows.
    """
    limit = estimator.memory_limit
    window = None if limit is None else checks.bytes_of(limit, "memory_limit") // (2 * NUMBER * width)
    if window == 0:
        raise ValueError(
            f"memory_limit={checks.shown(limit)} is too small for two rows of {width} numbers: give at least "
            f"{2 * NUMBER * width} bytes"
        )
    return Shuffle(checks.flag(estimator.shuffle, "shuffle"), window)


def order_of_epoch(seed, layer, epoch, n, shuffle=WHOLE):
    """The numbers of n rows in the order of an epoch, uint32."""
    if not shuffle.shuffles:
        return np.arange(n, dtype=np.uint32)
    draw, window = rng.host_generator(seed, epoch, rng.stream(rng.ORDER, layer)), shuffle.window
    if window is None or n <= window:
        return draw.permutation(n).astype(np.uint32)
    block = max(1, min(BLOCK, window // BLOCKS))
    starts, per_window, at = draw.permutation(-(-n // block)) * block, window // block, 0
    order = np.empty(n, np.uint32)
    for first in range(0, len(starts), per_window):
        rows = (starts[first : first + per_window, None] + np.arange(block)).ravel()
        rows = rows[rows < n]
        draw.shuffle(rows)
        order[at : at + len(rows)] = rows
        at += len(rows)
    return order


def calls(order, size, stored, window):
    """Parts of an order, of up to `size` rows each.

    Where the rows are `Stored`, those of the next window are asked for while one is trained on, and the pages of the last one
    leave memory.
    """
    entered = 0
    for start in range(0, len(order), size):
        if stored is not None and window is not None and start >= entered:
            stored.release()
            for ahead in (start, start + window) if start == 0 else (start + window,):
                stored.ask_for(order[ahead : ahead + window])
            entered = start + window
        yield order[start : start + size]
