"""The buffers in which whole minibatches are trained, aligned to lines of the cache."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.cpu.binary import APART, States, count_segments, count_words
from fastdbn.backends.cpu.centre import make_centre
from fastdbn.backends.cpu.lists import Lists
from fastdbn.backends.cpu.lookup import LANES, count_groups, has_registers, whole_vectors
from fastdbn.backends.cpu.simd import GROUPS, LINE, STRIP, WORD
from fastdbn.backends.cpu.update import LISTED
from fastdbn.backends.protocol import Params


class Workspace(NamedTuple):
    """Buffers of a problem, rows of weights and means padded to whole words of columns.

    params and velocity are the `Params` in work; chain and fast those that the chains run at and the fast weights, the same two
    where there are none; v0, vk and h `States`; means_h (batch + chains, nh), the data's hidden means
    and then the chains'; means_v (chains, nv); lists as update.py has them; packed (threads, rows strip); sums (2, nv); centre
    its `Centre`, whose h is padded.
    """

    params: Any
    velocity: Any
    chain: Any
    fast: Any
    v0: Any
    vk: Any
    h: Any
    means_h: Any
    means_v: Any
    lists: Any
    packed: Any
    sums: Any
    centre: Any


def aligned(shape, dtype):
    """An array of zeros that begins at a line of the cache."""
    size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
    buffer = np.zeros(size + LINE, np.uint8)
    start = -buffer.__array_interface__["data"][0] % LINE
    return buffer[start : start + size].view(dtype).reshape(shape)


def _states(floats):
    """`States` around a buffer of floats."""
    rows, n = floats.shape
    words = count_words(n)
    return States(
        floats,
        aligned((rows, words), np.uint64),
        aligned((rows, words * WORD + APART), np.uint16),
        np.zeros((rows, count_segments(n) + 1), np.int32),
        aligned((rows, words * GROUPS + APART), np.uint16),
        aligned((count_groups(words) if has_registers(floats.dtype) else 0, whole_vectors(rows) + LANES), np.int32),
    )


def make_workspace(problem, n_threads):
    """The `Workspace` of a problem, for so many threads."""
    nv, nh = problem.params.W.shape
    dtype = problem.params.W.dtype
    batch, chains = len(problem.positive.v), len(problem.negative.v)
    wide_v, wide_h = count_words(nv) * WORD, count_words(nh) * WORD
    line = LINE // dtype.itemsize  # one more keeps rows apart, as APART does

    def params():
        return Params(aligned((wide_v, wide_h + line), dtype), aligned(wide_v, dtype), aligned(wide_h, dtype))

    plain = params(), params()
    return Workspace(
        *plain,
        *(plain if problem.fast is None else (params(), params())),
        _states(problem.positive.v),
        _states(problem.negative.v),
        _states(problem.states),
        aligned((batch + chains, wide_h + line), dtype),
        aligned((chains, wide_v + line), dtype),
        Lists(np.zeros((nv, min(batch, LISTED) + min(chains, LISTED) + APART), np.uint16), np.zeros((nv, 2), np.int32)),
        aligned((n_threads, (batch + chains) * STRIP // 4), dtype),
        aligned((2, nv), dtype),
        make_centre(nv, wide_h, dtype, zeros=aligned),
    )
