"""Products of zeros and ones with weights, by tables of five inputs that stay in registers (AVX-512, float32).

For one output and five inputs the 32 possible sums of their weights are two registers of 16 numbers. One instruction looks the
sum up for 16 rows at once and one adds it: 80 pairs of an input and an output, where two multiplications with additions do 32.
No table is stored, so this pays for few rows too. Weights are read one at a time, so W' needs no transposing.

An output is summed up in the order of groups of five inputs, whatever the cut of rows or outputs.
"""

import numpy as np
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.product import not_inlined, transpose_square
from fastdbn.backends.cpu.simd import WIDE_REGISTERS, WORD, Vectors, stack_like

LANES, AT_ONCE, INPUTS = 16, 128, 5
"""Rows that one instruction looks up, rows whose sums stay in registers, and inputs of a table."""
_OUTPUTS = 2
"""Outputs whose tables are in registers at once."""
_SUMS, _SQUARE, _TAIL = LANES * AT_ONCE, LANES * LANES, LANES * INPUTS
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FUSE = ("contract",)


def has_registers(dtype):
    """Whether the processor has registers for tables of a NumPy type."""
    return WIDE_REGISTERS and dtype == np.float32


def in_registers(x):
    """`has_registers` of an array's type; a constant in kernels."""
    return has_registers(x.dtype)


@overload(in_registers)
def _in_registers(x):
    if WIDE_REGISTERS and x.dtype == types.float32:
        return lambda x: True
    return lambda x: False


def _table(code, pointer, along):
    """The two registers of a table: the sums of five numbers that are `along` apart."""
    builder = code.builder

    low = None
    for q in range(INPUTS - 1):  # times 1 where bit q of a lane's number is set, or 0: exact, fused or not
        marked = ir.Constant(code.vector, [float(lane >> q & 1) for lane in range(LANES)])
        product = builder.fmul(_number(code, pointer, along, q), marked, flags=_FUSE)
        low = product if low is None else builder.fadd(low, product, flags=_FUSE)
    return low, builder.fadd(low, _number(code, pointer, along, INPUTS - 1))


def _number(code, pointer, along, q):
    return code.spread(code.builder.load(code.step(pointer, ir.Constant(_I64, q), along)))


def _look_up(vectors):
    """An intrinsic: sums of two outputs for `vectors` x 16 rows, over groups of inputs.

    codes[at + g stride + r] is row r's number in the table of group g. The weights of an output begin at W[start], those of the
    other `second` numbers on. Sums begin at sums[to], those of the outputs AT_ONCE apart; with `add` they go on from there.
    """

    @intrinsic
    def look_up(typing, codes, at, stride, groups, W, start, second, along, sums, to, add):
        def generate(context, builder, signature, args):
            codes_, at_, stride_, groups_, W_, start_, second_, along_, sums_, to_, add_ = args
            code = Vectors(context, builder, W.dtype)
            numbers = ir.VectorType(_I32, LANES)
            kind = ir.FunctionType(code.vector, [code.vector, numbers, code.vector])
            permute = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpermi2var.ps.512")
            first = code.place(W, W_, start_)
            outputs = first, builder.gep(first, [second_])
            out, source = code.place(sums, sums_, to_), code.place(codes, codes_, at_)
            places = [(v, s) for v in range(_OUTPUTS) for s in range(vectors)]
            totals = {place: cgutils.alloca_once(builder, code.vector) for place in places}
            for (v, s), total in totals.items():
                old = code.load(out, v * AT_ONCE // LANES + s)
                builder.store(builder.select(add_, old, code.zero), total)
            with cgutils.for_range(builder, groups_, intp=_I64) as loop:
                inputs = builder.mul(loop.index, ir.Constant(_I64, INPUTS))
                tables = [_table(code, code.step(p, inputs, along_), along_) for p in outputs]
                row = code.step(source, loop.index, stride_)
                for s in range(vectors):
                    place = builder.gep(row, [ir.Constant(_I64, s * LANES)])
                    index = builder.load(builder.bitcast(place, numbers.as_pointer()), align=4)
                    for v, (low, high) in enumerate(tables):
                        found = builder.call(permute, [low, index, high])
                        builder.store(builder.fadd(builder.load(totals[v, s]), found), totals[v, s])
            for (v, s), total in totals.items():
                code.store(builder.load(total), out, v * AT_ONCE // LANES + s)
            return context.get_dummy_value()

        def nothing(context, builder, signature, args):  # never called: see `in_registers`
            return context.get_dummy_value()

        i, fits = types.intp, WIDE_REGISTERS and W.dtype == types.float32
        return types.void(codes, i, i, i, W, i, i, i, sums, i, types.boolean), generate if fits else nothing

    return look_up


_one, _two, _three, _four, _five, _six, _seven, _eight = (_look_up(vectors) for vectors in range(1, AT_ONCE // LANES + 1))


@inlinable
def _any(vectors, codes, at, stride, groups, W, start, second, along, sums, to, add):
    not_inlined()
    if vectors == 1:
        _one(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 2:
        _two(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 3:
        _three(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 4:
        _four(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 5:
        _five(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 6:
        _six(codes, at, stride, groups, W, start, second, along, sums, to, add)
    elif vectors == 7:
        _seven(codes, at, stride, groups, W, start, second, along, sums, to, add)
    else:
        _eight(codes, at, stride, groups, W, start, second, along, sums, to, add)


@inlinable
def whole_vectors(rows):
    return (rows + LANES - 1) // LANES * LANES


@inlinable
def count_groups(words):
    """Groups of inputs that so many words hold, the last perhaps in part."""
    return (words * WORD + INPUTS - 1) // INPUTS


@inlinable
def make_codes(words, codes, r0, r1):
    """codes[g, r] = the five bits of group g of inputs of row r, of rows r0 to r1."""
    for g in range(count_groups(words.shape[1])):
        q, shift = g * INPUTS // WORD, np.uint64(g * INPUTS % WORD)
        row, more = codes[g, r0:r1], shift > WORD - INPUTS and q + 1 < words.shape[1]
        for r in range(len(row)):
            bits = words[r0 + r, q] >> shift
            if more:
                bits |= words[r0 + r, q + 1] << (np.uint64(WORD) - shift)
            row[r] = np.int32(bits & np.uint64(31))


@inlinable
def _fill_tail(W, transpose, i0, inputs, j, columns, tail):
    """The weights of inputs i0 and on, fewer than a group, of a few outputs, group by group; zero beyond them."""
    for v in range(LANES):
        for q in range(INPUTS):
            inside = v < columns and i0 + q < inputs
            tail[v * INPUTS + q] = (W[j + v, i0 + q] if transpose else W[i0 + q, j + v]) if inside else 0


@inlinable
def multiply_codes(codes, inputs, W, transpose, out, r0, r1, j0, j1):
    """out[r0:r1, j0:j1] = those rows of x W, or x W', where codes are those of x."""
    not_inlined()
    sums, square = carray(stack_like(W, _SUMS), _SUMS), carray(stack_like(W, _SQUARE), _SQUARE)
    tail, stride = carray(stack_like(W, _TAIL), _TAIL), codes.strides[0] // codes.itemsize
    row, across = W.strides[0] // W.itemsize, out.strides[0] // out.itemsize
    next_output, next_input = (row, 1) if transpose else (1, row)
    groups = inputs // INPUTS
    whole = groups * INPUTS
    for s0 in range(r0 // LANES * LANES, r1, AT_ONCE):
        vectors = min((r1 - s0 + LANES - 1) // LANES, AT_ONCE // LANES)
        for j in range(j0, j1, LANES):
            columns = min(LANES, j1 - j)
            if whole < inputs:
                _fill_tail(W, transpose, whole, inputs, j, columns, tail)
            for v in range(0, columns, _OUTPUTS):
                start, second = (j + v) * next_output, next_output if v + 1 < columns else 0
                _any(vectors, codes, s0, stride, groups, W, start, second, next_input, sums, v * AT_ONCE, False)
                if whole < inputs:
                    at = groups * stride + s0
                    _any(vectors, codes, at, stride, 1, tail, v * INPUTS, INPUTS, 1, sums, v * AT_ONCE, True)
            for s in range(vectors):
                first = s0 + s * LANES
                if columns == LANES and first >= r0 and first + LANES <= r1:
                    transpose_square(sums, s * LANES, AT_ONCE, out, first * across + j, across)
                    continue
                transpose_square(sums, s * LANES, AT_ONCE, square, 0, LANES)
                for r in range(max(first, r0), min(first + LANES, r1)):
                    o, x = out[r, j : j + columns], square[(r - first) * LANES : (r - first + 1) * LANES]
                    for e in range(len(o)):
                        o[e] = x[e]
