"""Matrix products in kernels: c = op(a) op(b), or added to c, a tile of c at a time in registers.

A panel of op(b), as wide as a tile, is copied row after row into the nearest cache, and tiles of rows of op(a), copied too, are
multiplied with it (Goto and van de Geijn 2008). An element of c is summed up in the order of k alone, DEPTH terms at a time, so
it has the same bits wherever blocks begin, at any number of rows and threads. A product runs on one thread, without locks or
state, and fetches what it needs next into the cache meanwhile.
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastdbn.backends.cpu.jit import inlinable
from fastdbn.backends.cpu.simd import WIDE_REGISTERS, Vectors, prefetch, stack_like

BYTES, TALL, VECTORS = (64, 8, 2) if WIDE_REGISTERS else (32, 4, 3)
"""Bytes of a vector, rows of a tile and vectors of its rows: what fits the registers beside a row of the panel and a factor."""
DEPTH = 256 if WIDE_REGISTERS else 128
"""Terms of a sum at a time. As many rows of a panel stay in the nearest cache while tiles of few rows read it again and again."""
ROWS = 128
"""Rows of op(a) that are copied at a time."""
STREAM = 1024
"""Columns that are summed up at a time for a single row."""
WIDE = VECTORS * BYTES // 4
"""Columns of a tile in float32."""
_LEFT, _PANEL, _SUMS = ROWS * DEPTH, WIDE * DEPTH, TALL * WIDE
_I64 = ir.IntType(64)
_FUSE = ("contract",)
"""Let a multiplication and an addition become one instruction, where the processor has it."""


@intrinsic
def lanes_of(typing, x):
    """Numbers of the type of x in a vector; a constant."""
    return types.intp(x), lambda context, builder, signature, args: ir.Constant(_I64, BYTES * 8 // x.dtype.bitwidth)


@intrinsic
def not_inlined(typing):
    """Keep the function that calls this apart from its callers: it is long and they are many, or its loops fill the registers."""

    def generate(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _begin(typing, x):
    """A pointer to the first element of an array."""

    def generate(context, builder, signature, args):
        return context.make_array(x)(context, builder, args[0]).data

    return types.CPointer(x.dtype)(x), generate


class Tile:
    """The sums of a tile of rows, in registers."""

    def __init__(self, code, rows, vectors):
        self.code, self.builder, self.vectors = code, code.builder, vectors
        self.places = [(r, v) for r in range(rows) for v in range(vectors)]
        self.totals = {place: cgutils.alloca_once(self.builder, code.vector) for place in self.places}
        for total in self.totals.values():
            self.builder.store(code.zero, total)

    def add(self, r, factor, row):
        """Add a factor, a number, times the vectors of a row of the panel to the sums of row r."""
        factor = self.code.spread(factor)
        for v in range(self.vectors):
            total, product = self.totals[r, v], self.builder.fmul(factor, row[v], flags=_FUSE)
            self.builder.store(self.builder.fadd(self.builder.load(total), product, flags=_FUSE), total)

    def put(self, out, across, add):
        """Store the sums in rows that are `across` apart, or add them to what is there."""
        starts = [self.code.step(out, ir.Constant(_I64, r), across) for r in range(len(self.places) // self.vectors)]
        with self.builder.if_else(add) as (more, new):
            with more:
                for r, v in self.places:
                    total = self.builder.load(self.totals[r, v])
                    self.code.store(self.builder.fadd(self.code.load(starts[r], v), total), starts[r], v)
            with new:
                for r, v in self.places:
                    self.code.store(self.builder.load(self.totals[r, v]), starts[r], v)


def _tile(rows, vectors):
    """An intrinsic: c[r, :], or what is added to it, = the sum over k < depth of a[i + k lanes + r] b[j + k stride ...].

    c begins at c[at], its rows are `across` apart.
    """

    @intrinsic
    def tile(typing, a, i, b, j, stride, depth, add, c, at, across):
        def generate(context, builder, signature, args):
            a_, i_, b_, j_, stride_, depth_, add_, c_, at_, across_ = args
            code = Vectors(context, builder, a.dtype, BYTES)
            left, right, out = code.place(a, a_, i_), code.place(b, b_, j_), code.place(c, c_, at_)
            sums = Tile(code, rows, vectors)
            with cgutils.for_range(builder, depth_, intp=_I64) as loop:
                panel, factors = code.step(right, loop.index, stride_), code.step(left, loop.index, code.lanes)
                row = [code.load(panel, v) for v in range(vectors)]
                for r in range(rows):
                    sums.add(r, builder.load(builder.gep(factors, [ir.Constant(_I64, r)])), row)
            sums.put(out, across_, add_)
            return context.get_dummy_value()

        n = types.intp
        return types.void(a, n, b, n, n, n, types.boolean, c, n, n), generate

    return tile


_tall, _tall_one, _half, _half_one = (_tile(rows, vectors) for rows in (TALL, TALL // 2) for vectors in (VECTORS, 1))


def _rows(vectors):
    """An intrinsic: the vectors at out[place + k step] = those at x[start + k stride], for k < depth."""

    @intrinsic
    def rows(typing, x, start, stride, out, place, step, depth):
        def generate(context, builder, signature, args):
            x_, start_, stride_, out_, place_, step_, depth_ = args
            code = Vectors(context, builder, x.dtype, BYTES)
            source, target = code.place(x, x_, start_), code.place(out, out_, place_)
            with cgutils.for_range(builder, depth_, intp=_I64) as loop:
                for v in range(vectors):
                    value = code.load(code.step(source, loop.index, stride_), v)
                    code.store(value, code.step(target, loop.index, step_), v)
            return context.get_dummy_value()

        n = types.intp
        return types.void(x, n, n, out, n, n, n), generate

    return rows


_copy_one, _copy_all = _rows(1), _rows(VECTORS)


@intrinsic
def transpose_square(typing, x, start, stride, out, place, step):
    """out[place + step i + j] = x[start + stride j + i] for i and j up to a vector's lanes."""

    def generate(context, builder, signature, args):
        x_, start_, stride_, out_, place_, step_ = args
        code = Vectors(context, builder, x.dtype, BYTES)
        source, target = code.place(x, x_, start_), code.place(out, out_, place_)
        rows = [code.load(code.step(source, ir.Constant(_I64, j), stride_)) for j in range(code.lanes)]
        d = 1
        while d < code.lanes:
            low = [k if not k & d else code.lanes + k - d for k in range(code.lanes)]
            high = [k + d if not k & d else code.lanes + k for k in range(code.lanes)]
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), code.lanes), picks) for picks in (low, high))
            for i in range(code.lanes):
                if not i & d:
                    a, b = rows[i], rows[i + d]
                    rows[i], rows[i + d] = builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high)
            d *= 2
        for i, row in enumerate(rows):
            code.store(row, code.step(target, ir.Constant(_I64, i), step_))
        return context.get_dummy_value()

    n = types.intp
    return types.void(x, n, n, out, n, n), generate


@intrinsic
def fetch(typing, x, start, stride, rows):
    """Ask for the lines of a tile's rows that begin at x[start + r stride], without waiting for them."""

    def generate(context, builder, signature, args):
        x_, start_, stride_, rows_ = args
        code = Vectors(context, builder, x.dtype, BYTES)
        first = code.place(x, x_, start_)
        with cgutils.for_range(builder, rows_, intp=_I64) as loop:
            prefetch(builder, code.step(first, loop.index, stride_), VECTORS * BYTES, write=False)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, types.intp), generate


@inlinable
def _copy(x, stride, flip, k0, k1, j0, j1, width, out):
    """out[k, j] = op(x)[k0 + k, j0 + j] for a panel of `width` columns, whole vectors, zero beyond j1; op(x) = x' where flip.

    x is flat, its rows are `stride` apart.
    """
    lanes, depth = lanes_of(x), k1 - k0
    if not flip and j0 + width <= j1 and width > lanes:
        _copy_all(x, k0 * stride + j0, stride, out, 0, width, depth)
        return
    for j in range(j0, j0 + width, lanes):
        at = j - j0
        if not flip and j + lanes <= j1:
            _copy_one(x, k0 * stride + j, stride, out, at, width, depth)
            continue
        squares = depth // lanes * lanes if flip and j + lanes <= j1 else 0
        for k in range(0, squares, lanes):
            transpose_square(x, j * stride + k0 + k, stride, out, k * width + at, width)
        along, across = (1, stride) if flip else (stride, 1)
        for i in range(lanes):
            for k in range(squares, depth):
                out[k * width + at + i] = x[(j + i) * across + (k0 + k) * along] if j + i < j1 else 0


@inlinable
def _tiles(rows, columns, a, i, b, j, stride, depth, add, c, at, across):
    """The smallest tile that covers rows and columns."""
    lanes = lanes_of(a)
    if columns > lanes:
        if 2 * rows > TALL:
            _tall(a, i, b, j, stride, depth, add, c, at, across)
        else:
            _half(a, i, b, j, stride, depth, add, c, at, across)
    elif 2 * rows > TALL:
        _tall_one(a, i, b, j, stride, depth, add, c, at, across)
    else:
        _half_one(a, i, b, j, stride, depth, add, c, at, across)


@inlinable
def _store_edge(sums, width, add, c, at, across, rows, columns):
    """A tile that begins at c[at] and is not all inside of c."""
    for i in range(rows):
        s, o = sums[i * width : i * width + columns], c[at + i * across : at + i * across + columns]
        for j in range(columns):
            o[j] = o[j] + s[j] if add else s[j]


@inlinable
def _add_rows(n, inner, a, step_a, b, stride_b, add, c, buffer):
    """One row, c = a b: rows of b are read as they lie, many columns at a time, and summed up in the order of the tiles."""
    for j0 in range(0, n, len(buffer)):
        j1 = min(j0 + len(buffer), n)
        for k0 in range(0, max(inner, 1), DEPTH):
            k1 = min(k0 + DEPTH, inner)
            s, o = buffer[: j1 - j0], c[j0:j1]
            for j in range(len(s)):
                s[j] = 0
            whole = k0 + (k1 - k0) // 4 * 4
            for k in range(k0, whole, 4):
                at, x = k * stride_b, k * step_a
                p, q = b[at + j0 : at + j1], b[at + stride_b + j0 : at + stride_b + j1]
                at += 2 * stride_b
                u, v = b[at + j0 : at + j1], b[at + stride_b + j0 : at + stride_b + j1]
                f, g, h, i = a[x], a[x + step_a], a[x + 2 * step_a], a[x + 3 * step_a]
                for j in range(len(s)):
                    s[j] = (((s[j] + f * p[j]) + g * q[j]) + h * u[j]) + i * v[j]
            for k in range(whole, k1):
                p, f = b[k * stride_b + j0 : k * stride_b + j1], a[k * step_a]
                for j in range(len(s)):
                    s[j] += f * p[j]
            for j in range(len(s)):
                o[j] = o[j] + s[j] if add or k0 > 0 else s[j]


class Flat(NamedTuple):
    """A row-major matrix as a flat array, whose rows are `stride` apart: code is compiled once whatever the layouts of views."""

    data: Any
    stride: int


@inlinable
def _multiply(ta, tb, m, n, inner, left_flat, right_flat, add, out_flat, more, x_flat, y_flat):
    """The product of `Flat` matrices; with `more` x and y are fetched meanwhile."""
    not_inlined()
    (a, stride_a), (b, stride_b), (c, stride_c) = left_flat, right_flat, out_flat
    (x, stride_more), (y, _) = x_flat, y_flat
    lanes = lanes_of(c)
    left, panel = carray(stack_like(c, _LEFT), _LEFT), carray(stack_like(c, _PANEL), _PANEL)
    sums = carray(stack_like(c, _SUMS), _SUMS)
    if m == 1 and not tb:
        _add_rows(n, inner, a, stride_a if ta else 1, b, stride_b, add, c, panel[:STREAM])
        return
    for r0 in range(0, m, ROWS):
        r1 = min(r0 + ROWS, m)
        for k0 in range(0, max(inner, 1), DEPTH):
            k1 = min(k0 + DEPTH, inner)
            depth, adds = k1 - k0, add or k0 > 0
            for r in range(r0, r1, lanes):
                _copy(a, stride_a, not ta, k0, k1, r, r1, lanes, left[(r - r0) * depth :])
            for j0 in range(0, n, VECTORS * lanes):
                j1 = min(j0 + VECTORS * lanes, n)
                width = VECTORS * lanes if j1 - j0 > lanes else lanes
                source, place, stride = b, k0 * stride_b + j0, stride_b  # for few rows a copy would not pay
                if tb or r1 - r0 > lanes or j1 - j0 < width:
                    _copy(b, stride_b, tb, k0, k1, j0, j1, width, panel)
                    source, place, stride = panel, 0, width
                ahead = k0 if j1 < n else k1  # every tile fetches a part of the next panel
                for r in range(r0, r1, TALL):
                    rows, at = min(TALL, r1 - r), r * stride_c + j0
                    if ahead < k1 and tb:
                        fetch(b, j1 * stride_b + ahead, stride_b, min(VECTORS * lanes, n - j1))
                        ahead += VECTORS * lanes
                    elif ahead < k1:
                        part = min(depth * TALL // (r1 - r0) + 1, k1 - ahead)
                        fetch(b, ahead * stride_b + j1, stride_b, part)
                        ahead += part
                    fetch(c, at, stride_c, rows)
                    if more:
                        fetch(x, r * stride_more + j0, stride_more, rows)
                        fetch(y, r * stride_more + j0, stride_more, rows)
                    first = (r - r0) // lanes * lanes * depth + (r - r0) % lanes
                    inside = rows % (TALL // 2) == 0 and j1 - j0 == width
                    target, to, across = (c, at, stride_c) if inside else (sums, 0, width)
                    _tiles(rows, width, left, first, source, place, stride, depth, adds and inside, target, to, across)
                    if not inside:
                        _store_edge(sums, width, adds, c, at, stride_c, rows, j1 - j0)


@inlinable
def _flat(x):
    return Flat(carray(_begin(x), x.shape[0] * x.strides[0] // x.itemsize), x.strides[0] // x.itemsize)


@inlinable
def _on_views(ta, tb, a, b, add, c, more, x, y):
    inner = a.shape[0] if ta else a.shape[1]
    _multiply(ta, tb, c.shape[0], c.shape[1], inner, _flat(a), _flat(b), add, _flat(c), more, _flat(x), _flat(y))


@inlinable
def multiply(ta, tb, a, b, add, c):
    """c = op(a) op(b), or with `add` c + op(a) op(b), on row-major views; op(x) is x' where ta or tb is set."""
    _on_views(ta, tb, a, b, add, c, False, c, c)


@inlinable
def multiply_and_fetch(ta, tb, a, b, add, c, x, y):
    """`multiply`, which meanwhile fetches x and y into the cache: two views of one layout, with the shape of c."""
    _on_views(ta, tb, a, b, add, c, True, x, y)
