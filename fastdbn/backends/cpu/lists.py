"""Lists of ones: of a word, and for each visible unit the rows where it is 1, from the words of those rows."""

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from fastdbn.backends.cpu import simd
from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.simd import WORD, count_bits, lowest_bit, stack_like, transpose_bits

FEW = 200
"""Ones of 64 rows of 64 units: fewer are listed one by one, and more after the bits are transposed."""


class Lists(NamedTuple):
    """For each visible unit the rows where it is 1.

    index (nv, listed rows of both phases + APART) uint16: rows of the data, then those of the chains, counted on from the
    data's where these are listed. count (nv, 2) int32: how many there are, and how many of them are data.
    """

    index: Any
    count: Any


@inlinable
def scan_bits(word, first, index, at):
    """`list_bits` for any processor."""
    while word != 0:
        index[at] = first + simd.lowest_bit(word)
        at += 1
        word &= word - np.uint64(1)
    return at


list_bits = simd.compress_bits if simd.WIDE_REGISTERS else scan_bits
"""(word, first, index, at): index[at], index[at + 1], ... = first + the numbers of a word's bits that are set; returns the place
after the last. APART places from there on may be written over."""


@inlinable
def _append(words, rows, first, i0, i1, q, lists, square):
    index, count = lists
    for r0 in range(0, rows, WORD):
        ones, height = 0, min(WORD, rows - r0)
        for r in range(height):
            square[r] = words[r0 + r, q]
            ones += count_bits(square[r])
        if ones < FEW:
            _append_few(square[:height], first + r0, i0, index, count)
            continue
        for r in range(height, WORD):
            square[r] = 0
        transpose_bits(square)
        for i in range(i0, i1):
            count[i, 0] = list_bits(square[i - i0], first + r0, index[i], count[i, 0])


@inlinable
def _append_few(words, first, i0, index, count):
    for r in range(len(words)):
        word = words[r]
        while word != 0:
            i = i0 + lowest_bit(word)
            index[i, count[i, 0]] = first + r
            count[i, 0] += 1
            word &= word - np.uint64(1)


@inlinable
def list_units(positive, n_positive, negative, n_negative, lists, q0, q1):
    """The lists of the units of words q0 to q1 from so many rows of either phase's words, 0 where a phase is not listed."""
    count = lists.count
    square = carray(stack_like(positive, WORD), WORD)
    for q in range(q0, q1):
        i0, i1 = q * WORD, min(q * WORD + WORD, count.shape[0])
        for i in range(i0, i1):
            count[i, 0] = 0
        _append(positive, n_positive, 0, i0, i1, q, lists, square)
        for i in range(i0, i1):
            count[i, 1] = count[i, 0]
        _append(negative, n_negative, n_positive, i0, i1, q, lists, square)
