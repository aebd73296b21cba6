"""Products of a minibatch's small matrices as they lie, without copies: a tile of the result at a time, in registers.

product.py copies panels of both factors, which pays where they are large. Here the factors of a minibatch and a block of weights
stay in the second-level cache, so a tile reads them where they are. The order of an element's sum is that of product.py: that of
k, DEPTH terms at a time, each fused with its multiplication. So both give the same bits.

Real inputs that are mostly zeros are not multiplied where they are zero. A row's list names the others; terms keep their order.

Offsets count elements from an array's first; nothing is checked. Tiles compute rows and columns beyond the last: arrays of states
have TALL rows and a line of the cache more than are used, arrays of weights need not. Functions stay apart from their callers,
which compile sooner so.
"""

from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.lists import list_bits
from fastdbn.backends.cpu.product import BYTES, DEPTH, TALL, VECTORS, WIDE, Tile, lanes_of, not_inlined, transpose_square
from fastdbn.backends.cpu.simd import LINE, PANEL, ROW, WORD, Vectors, prefetch, stack_like

FAR = 1 << 18
"""Weights of more numbers are not all in the second-level cache."""
LOW = TALL // 2
"""Rows of a low tile."""
_I64, _INDEX = ir.IntType(64), types.intp
_PANEL_SIZE, _ROWS_SIZE, _SUMS_SIZE = DEPTH * WIDE, DEPTH * LOW, TALL * WIDE


def _tile(rows, vectors, along):
    """An intrinsic: c (+)= the sum over k < depth of factors a times rows of b.

    Factor r of term k is a[i + r step + k] where `along` is set, so rows of a are summed along, else a[i + k step + r]. Rows of b
    begin at j and are `stride` apart, those of c at `at` and `across` apart. What follows in b is fetched into the cache.
    """

    @intrinsic
    def tile(typing, a, i, step, b, j, stride, depth, add, c, at, across):
        def generate(context, builder, signature, args):
            a_, i_, step_, b_, j_, stride_, depth_, add_, c_, at_, across_ = args
            code = Vectors(context, builder, a.dtype, BYTES)
            left, right, out = code.place(a, a_, i_), code.place(b, b_, j_), code.place(c, c_, at_)
            sums = Tile(code, rows, vectors)
            starts = [code.step(left, ir.Constant(_I64, r), step_) for r in range(rows)] if along else []
            with cgutils.for_range(builder, depth_, intp=_I64) as loop:
                panel = code.step(right, loop.index, stride_)
                factors = None if along else code.step(left, loop.index, step_)
                row = [code.load(panel, v) for v in range(vectors)]
                prefetch(builder, code.step(panel, ir.Constant(_I64, vectors), code.lanes), vectors * BYTES, write=False)
                for r in range(rows):
                    place = builder.gep(starts[r], [loop.index]) if along else builder.gep(factors, [ir.Constant(_I64, r)])
                    sums.add(r, builder.load(place), row)
            sums.put(out, across_, add_)
            return context.get_dummy_value()

        n = _INDEX
        return types.void(a, n, n, b, n, n, n, types.boolean, c, n, n), generate

    return tile


def _smallest(along):
    """(rows, wide, ...): the smallest tile that covers so many rows of the result; wide: of all vectors."""
    tall, tall_one, low, low_one = (_tile(height, vectors, along) for height in (TALL, LOW) for vectors in (VECTORS, 1))

    @inlinable
    def tile(rows, wide, a, i, step, b, j, stride, depth, add, c, at, across):
        not_inlined()
        if rows > LOW:
            if wide:
                tall(a, i, step, b, j, stride, depth, add, c, at, across)
            else:
                tall_one(a, i, step, b, j, stride, depth, add, c, at, across)
        elif wide:
            low(a, i, step, b, j, stride, depth, add, c, at, across)
        else:
            low_one(a, i, step, b, j, stride, depth, add, c, at, across)

    return tile


tile_along, tile_across = _smallest(True), _smallest(False)


@inlinable
def forward(x, W, out, r0, r1, j0, j1):
    """out[r0:r1, j0:j1] = those rows of x by those columns of W."""
    not_inlined()
    lanes, inputs = lanes_of(W), W.shape[0]
    edge, sums = carray(stack_like(W, _PANEL_SIZE), _PANEL_SIZE), carray(stack_like(W, _SUMS_SIZE), _SUMS_SIZE)
    a, b, c = x.reshape(-1), W.reshape(-1), out.reshape(-1)
    step, stride, across = x.shape[1], W.shape[1], out.shape[1]
    for j in range(j0, j1, VECTORS * lanes):
        wide = j1 - j > lanes
        columns = VECTORS * lanes if wide else lanes
        whole = j + columns <= j1
        for k0 in range(0, inputs, DEPTH):
            depth = min(DEPTH, inputs - k0)
            if whole:
                for r in range(r0, r1, TALL):
                    at, place = r * step + k0, r * across + j
                    tile_along(r1 - r, wide, a, at, step, b, k0 * stride + j, stride, depth, k0 > 0, c, place, across)
            else:
                for k in range(depth):
                    w, e = W[k0 + k, j:j1], edge[k * columns : (k + 1) * columns]
                    for q in range(len(w)):
                        e[q] = w[q]
                    for q in range(len(w), columns):
                        e[q] = 0
                for r in range(r0, r1, TALL):
                    tile_along(r1 - r, wide, a, r * step + k0, step, edge, 0, columns, depth, False, sums, 0, columns)
                    for i in range(min(TALL, r1 - r)):
                        t, o = sums[i * columns : (i + 1) * columns], out[r + i, j:j1]
                        for q in range(len(o)):
                            o[q] = o[q] + t[q] if k0 > 0 else t[q]


@inlinable
def back(W, turned, n, out, i0, i1, j0, j1):
    """out (i1 - i0, n) = a block of W by columns j0 to j1 of deltas, which lie turned; added to it where j0 is not 0."""
    not_inlined()
    lanes, stride, across = lanes_of(W), turned.shape[1], out.shape[1]
    edge = carray(stack_like(W, _ROWS_SIZE), _ROWS_SIZE)
    a, b, c, step = W.reshape(-1), turned.reshape(-1), out.reshape(-1), W.shape[1]
    whole = i0 + (i1 - i0) // LOW * LOW
    for k0 in range(j0, j1, DEPTH):
        k1 = min(k0 + DEPTH, j1)
        for i in range(whole, i1):  # a tile would read beyond the last row of W
            w, e = W[i, k0:k1], edge[(i - whole) * DEPTH : (i - whole + 1) * DEPTH]
            for q in range(len(w)):
                e[q] = w[q]
        for r in range(0, n, VECTORS * lanes):
            wide, begin, depth = n - r > lanes, k0 * stride + r, k1 - k0
            for i in range(i0, whole, TALL):
                at = (i - i0) * across + r
                tile_along(whole - i, wide, a, i * step + k0, step, b, begin, stride, depth, k0 > 0, c, at, across)
            if whole < i1:
                at = (whole - i0) * across + r
                tile_along(i1 - whole, wide, edge, 0, DEPTH, b, begin, stride, depth, k0 > 0, c, at, across)


@inlinable
def gradient(x, delta, n, out, i0, i1, j0, j1, W, first, second):
    """out (i1 - i0, j1 - j0) = columns i0 to i1 of x, turned, by columns j0 to j1 of deltas, in n rows.

    The block of weights W and of their states that will move by it is claimed meanwhile, if W is large.
    """
    not_inlined()
    lanes, across = lanes_of(delta), out.shape[1]
    a, b, c, step, stride = x.reshape(-1), delta.reshape(-1), out.reshape(-1), x.shape[1], delta.shape[1]
    for j in range(j0, j1, VECTORS * lanes):
        wide = j1 - j > lanes
        for k in range(0, n, DEPTH):
            depth = min(DEPTH, n - k)
            for i in range(i0, i1, TALL):
                at = (i - i0) * across + j - j0
                if k == 0 and W.size > FAR:
                    place, rows, columns = i * W.shape[1] + j, min(TALL, i1 - i), min(VECTORS * lanes, j1 - j)
                    claim(W, place, W.shape[1], rows, columns)
                    claim(first, place, W.shape[1], rows, columns)
                    claim(second, place, W.shape[1], rows, columns)
                tile_across(i1 - i, wide, a, k * step + i, step, b, k * stride + j, stride, depth, k > 0, c, at, across)


@intrinsic
def _claim_line(typing, x, at):
    """Ask for the line of x[at], to be written, without waiting for it."""

    def generate(context, builder, signature, args):
        code = Vectors(context, builder, x.dtype)
        prefetch(builder, code.place(x, *args), LINE, write=True)
        return context.get_dummy_value()

    return types.void(x, _INDEX), generate


@inlinable
def claim(x, at, stride, rows, columns):
    """Ask for a block of a matrix that will be written, without waiting for it."""
    if x is not None:
        for r in range(rows):
            for j in range(0, columns, LINE // x.itemsize):
                _claim_line(x, at + r * stride + j)


@inlinable
def turn(x, r0, r1, j0, j1, out, shift):
    """out[j, shift + r] = x[r, j] for a block of x."""
    not_inlined()
    lanes, stride, step = lanes_of(x), x.shape[1], out.shape[1]
    a, b = x.reshape(-1), out.reshape(-1)
    for j in range(j0, j1, lanes):
        for r in range(r0, r1, lanes):
            if j + lanes <= j1 and r + lanes <= r1:
                transpose_square(a, r * stride + j, stride, b, j * step + shift + r, step)
            else:
                for e in range(j, min(j + lanes, j1)):
                    for q in range(r, min(r + lanes, r1)):
                        out[e, shift + q] = x[q, e]


def _factored(size):
    """An intrinsic: out[o : o + size bytes] (+)= the sum of rows of an array, each times its factor.

    The rows are base + stride index[q], the factors x[at + step index[q]], for first <= q < last; begin: nothing is added to.
    """

    @intrinsic
    def add(typing, x, at, step, array, base, stride, index, first, last, out, o, begin):
        def generate(context, builder, signature, args):
            x_, at_, step_, array_, base_, stride_, index_, first_, last_, out_, o_, begin_ = args
            code = Vectors(context, builder, array.dtype)
            vectors = size // code.width // code.lanes
            sums = Tile(code, 1, vectors)
            with cgutils.for_range_slice(builder, first_, last_, ir.Constant(_I64, 1), inc=True) as (q, _):
                number = builder.zext(builder.load(code.place(index, index_, q)), _I64)
                factor = builder.load(code.place(x, x_, builder.add(at_, builder.mul(number, step_))))
                row = code.place(array, array_, builder.add(base_, builder.mul(number, stride_)))
                sums.add(0, factor, [code.load(row, v) for v in range(vectors)])
            code.set_or_add(begin_, [builder.load(total) for total in sums.totals.values()], code.place(out, out_, o_))
            return context.get_dummy_value()

        n = _INDEX
        return types.void(x, n, n, array, n, n, index, n, n, out, n, types.boolean), generate

    return add


_add_row, _add_panel = _factored(ROW), _factored(PANEL)


@inlinable
def strip_of(x, columns):
    """Columns that are added up together: as many as there are rows of registers for, or fewer; 0 where there are too few."""
    wide, narrow = ROW // x.itemsize, PANEL // x.itemsize
    return wide if columns >= wide else narrow if columns >= narrow else 0


@inlinable
def add_factored(x, at, step, array, base, stride, index, first, last, out, o, begin, strip):
    """`_factored` of a strip's columns; arrays are flat."""
    if strip == ROW // array.itemsize:
        _add_row(x, at, step, array, base, stride, index, first, last, out, o, begin)
    else:
        _add_panel(x, at, step, array, base, stride, index, first, last, out, o, begin)


@inlinable
def list_inputs(words, index, starts):
    """The numbers of the inputs of a row that are not zero, and where those of each DEPTH inputs begin."""
    n, per = 0, DEPTH // WORD
    for q in range(len(words)):
        if q % per == 0:
            starts[q // per] = n
        n = list_bits(words[q], q * WORD, index, n)
    starts[(len(words) + per - 1) // per] = n


@inlinable
def forward_listed(x, index, starts, W, out, r0, r1, j0, j1):
    """out[r0:r1, j0:j1] = those rows of x, whose inputs other than zero are listed, by those columns of W."""
    not_inlined()
    strip, sums = strip_of(W, W.shape[1]), carray(stack_like(W, _SUMS_SIZE), _SUMS_SIZE)
    a, b, c, entries = x.reshape(-1), W.reshape(-1), out.reshape(-1), index.reshape(-1)
    for r in range(r0, r1):
        at, place, listed = r * x.shape[1], r * out.shape[1], r * index.shape[1]
        for j in range(j0, j1, strip):
            begin, whole = min(j, W.shape[1] - strip), j + strip <= j1  # the last strip begins in the one before it
            for s in range((W.shape[0] + DEPTH - 1) // DEPTH):
                first, last = listed + starts[r, s], listed + starts[r, s + 1]
                if whole:
                    add_factored(a, at, 1, b, begin, W.shape[1], entries, first, last, c, place + begin, s == 0, strip)
                else:
                    add_factored(a, at, 1, b, begin, W.shape[1], entries, first, last, sums, 0, s == 0, strip)
            if not whole:
                o = out[r, j:j1]
                for q in range(len(o)):
                    o[q] = sums[j - begin + q]
