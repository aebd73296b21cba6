"""Uniforms of 64 units at a time: Philox (maths/rng.py) in vectors, to the same bits.

A vector holds one word of each of 16 counters. Two shuffles put their four words into the order of units; of the scalar text
the compiler makes a store for each number.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastdbn.backends.cpu.simd import WORD, Vectors
from fastdbn.maths import rng

_COUNTERS = WORD // 4
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I64, _COUNTERS)


def _all(number):
    return ir.Constant(_WORDS, [number] * _COUNTERS)


def _philox(builder, counters, keys):
    """Ten rounds on four vectors of words in the lower halves of 64-bit numbers; what is in the upper ones does not matter."""
    c0, c1, c2, c3 = counters
    low, half = _all(0xFFFFFFFF), _all(32)
    for i in range(10):
        k0, k1 = (_spread(builder, builder.add(k, ir.Constant(_I64, int(w[i])))) for k, w in zip(keys, rng.WEYL, strict=True))
        p0, p1 = (builder.mul(builder.and_(c, low), _all(int(m))) for c, m in zip((c0, c2), rng.MULTIPLIERS, strict=True))
        high_0, high_1 = builder.lshr(p0, half), builder.lshr(p1, half)
        c0, c1 = builder.xor(builder.xor(high_1, c1), k0), p1
        c2, c3 = builder.xor(builder.xor(high_0, c3), k1), p0
    return c0, c1, c2, c3


def _spread(builder, number):
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), number, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, _COUNTERS), [0] * _COUNTERS))


def _interleave(builder, a, b, kind):
    """Numbers of two vectors in turn: whole ones of 64 bits, or their lower halves, which one vector holds."""
    if kind == _I32:
        a, b = (builder.bitcast(x, ir.VectorType(_I32, 2 * _COUNTERS)) for x in (a, b))
        order = [n for c in range(_COUNTERS) for n in (2 * c, 2 * c + 2 * _COUNTERS)]
        pairs = builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 2 * _COUNTERS), order))
        return builder.bitcast(pairs, _WORDS)
    order = [n for c in range(_COUNTERS) for n in (c, _COUNTERS + c)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 2 * _COUNTERS), order))


@intrinsic
def _fill_word(typing, out, at, block, row, key):
    """out[at : at + 64] = the uniforms, with 24 bits, of the units of 16 counters from `block` on."""

    def generate(context, builder, signature, args):
        out_, at_, block_, row_, key_ = args
        k0, k1, step, stream = (builder.zext(builder.extract_value(key_, i), _I64) for i in range(4))
        first = builder.add(_spread(builder, builder.zext(block_, _I64)), ir.Constant(_WORDS, list(range(_COUNTERS))))
        counters = first, *(_spread(builder, x) for x in (builder.zext(row_, _I64), step, stream))
        words = _philox(builder, counters, (k0, k1))
        pairs = [_interleave(builder, *words[:2], _I32), _interleave(builder, *words[2:], _I32)]
        units = builder.bitcast(_interleave(builder, *pairs, _I64), ir.VectorType(_I32, WORD))
        code = Vectors(context, builder, out.dtype, WORD * out.dtype.bitwidth // 8)
        units = builder.lshr(units, ir.Constant(units.type, [8] * WORD))
        numbers = builder.sitofp(units, code.vector)
        numbers = builder.fmul(numbers, ir.Constant(code.vector, [2.0**-24] * WORD))
        code.store(numbers, code.place(out, out_, at_))
        return context.get_dummy_value()

    return types.void(out, types.intp, types.uint32, types.uint32, key), generate


def uniforms_32(out, first, row, key):
    """`rng.uniforms_32`: out = the row's uniforms of units first, first + 1, ..., with 24 bits; first a multiple of 4."""
    whole = len(out) // WORD * WORD
    for j in range(0, whole, WORD):
        _fill_word(out, j, (first + j) // 4, row, key)
    if whole < len(out):
        rng.uniforms_32(out[whole:], first + whole, row, key)
