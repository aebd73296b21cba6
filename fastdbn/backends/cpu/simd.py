"""Vectors in kernels: the few loops over rows of numbers that the compiler does not turn into good vector code by itself.

Each is written once in LLVM's vector types, which LLVM splits for whatever the processor has (AVX-512, AVX2, NEON). Offsets
count elements from an array's first. Nothing is checked here.
"""

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, types
from numba.extending import intrinsic

LINE = 64
"""Bytes of a vector: a line of the cache."""
PANEL = 2 * LINE
"""Bytes of a row of a panel of weights, or of a table."""
GROUPS, SUMS = 16, 16
"""Groups of four inputs whose tables are kept at once, those of a word, and the sums of a group."""
_WIDE = bool(get_host_cpu_features().get("avx512f"))
STRIP = 4 * LINE if _WIDE else 2 * LINE
"""Bytes of a row of hidden means that are added up in registers; twice, for two sums run side by side."""
ROW = 8 * LINE if _WIDE else 4 * LINE
"""Bytes of a row of weights that are added up in registers."""
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _vector(context, dtype, lanes):
    return ir.VectorType(context.get_data_type(dtype), lanes)


def _address(context, builder, kind, array, offset):
    """A pointer to array[offset]."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def _load(builder, pointer, vector, width):
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=width)


def _store(builder, value, pointer, width):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=width)


def _width(dtype):
    return dtype.bitwidth // 8


WORD = 64
"""Numbers whose flags make a word."""


def _flags(test):
    """An intrinsic (x, j): a word whose bit l says whether x[j + l] passes a test; x has at least j + 64 elements."""

    @intrinsic
    def flags(typing, x, j):
        def generate(context, builder, signature, args):
            vector = _vector(context, x.dtype, WORD)
            pointer = _address(context, builder, x, *args)
            numbers = _load(builder, pointer, vector, _width(x.dtype))
            zero = ir.Constant(vector, [0.0] * WORD)
            one = ir.Constant(vector, [1.0] * WORD)
            return builder.bitcast(test(builder, numbers, zero, one), _I64)

        return types.uint64(x, types.intp), generate

    return flags


nonzero = _flags(lambda builder, x, zero, one: builder.fcmp_unordered("!=", x, zero))
not_binary = _flags(
    lambda builder, x, zero, one: builder.and_(builder.fcmp_unordered("!=", x, zero), builder.fcmp_unordered("!=", x, one))
)


@intrinsic
def count_bits(typing, word):
    """How many bits of a uint64 are set."""

    def generate(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), generate


@intrinsic
def lowest_bit(typing, word):
    """Number of the lowest bit of a uint64 that is set; not for 0."""

    def generate(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


def _stack(choose_dtype):
    """An intrinsic (x, size) that points to `size`, a constant, numbers on the stack, aligned to a line of the cache."""

    @intrinsic
    def buffer(typing, x, size):
        if not isinstance(size, types.IntegerLiteral):
            return None
        dtype = choose_dtype(x)

        def generate(context, builder, signature, args):
            place = cgutils.alloca_once(builder, context.get_data_type(dtype), size=size.literal_value)
            place.align = LINE
            return place

        return types.CPointer(dtype)(x, size), generate

    return buffer


stack_like = _stack(lambda x: x.dtype)


def _row_sums(context, builder, array, index, first, last, base, stride, vectors):
    """Sums over first <= q < last of `vectors` vectors of an array from base + stride index[q] on.

    array and index are pairs of type and value. Even and odd terms are added up apart, for an addition waits for the last.
    """
    (kind, _), (index_kind, index_) = array, index
    width = _width(kind.dtype)
    lanes = LINE // width
    vector = _vector(context, kind.dtype, lanes)
    sums = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(2)]
    for place in (*sums[0], *sums[1]):
        builder.store(ir.Constant(vector, [0.0] * lanes), place)

    def add(q, places):
        row = builder.zext(builder.load(_address(context, builder, index_kind, index_, q)), _I64)
        at = builder.add(base, builder.mul(row, stride))
        for n, place in enumerate(places):
            number = _address(context, builder, *array, builder.add(at, ir.Constant(_I64, n * lanes)))
            builder.store(builder.fadd(builder.load(place), _load(builder, number, vector, width)), place)

    one = ir.Constant(_I64, 1)
    stop = builder.sub(last, one)
    with cgutils.for_range_slice(builder, first, stop, ir.Constant(_I64, 2), inc=True) as (q, _):
        add(q, sums[0])
        add(builder.add(q, one), sums[1])
    odd = builder.and_(builder.sub(last, first), one)
    with builder.if_then(builder.icmp_signed("!=", odd, ir.Constant(_I64, 0))):
        add(stop, sums[0])
    return [builder.fadd(builder.load(a), builder.load(b)) for a, b in zip(*sums, strict=True)]


def _add_rows(bytes_):
    """An intrinsic: out[o : o + bytes_] (+)= sums of rows of an array; begin: the first time, so nothing is added to."""

    @intrinsic
    def add_rows(typing, array, base, stride, index, first, last, out, o, begin):
        def generate(context, builder, signature, args):
            array_, base_, stride_, index_, first_, last_, out_, o_, begin_ = args
            width = _width(array.dtype)
            sums = _row_sums(context, builder, (array, array_), (index, index_), first_, last_, base_, stride_, bytes_ // LINE)
            for n, total in enumerate(sums):
                place = _address(context, builder, out, out_, builder.add(o_, ir.Constant(_I64, n * LINE // width)))
                with builder.if_else(begin_) as (set_, add):
                    with set_:
                        _store(builder, total, place, width)
                    with add:
                        _store(builder, builder.fadd(total, _load(builder, place, total.type, width)), place, width)
            return context.get_dummy_value()

        i = types.intp
        return types.void(array, i, i, index, i, i, out, i, types.boolean), generate

    return add_rows


add_panel_rows, add_whole_rows = _add_rows(PANEL), _add_rows(ROW)


@intrinsic
def move_strip(typing, H, base, stride, index, first, last, d, at_d, W, at_w, kept, scale, decay):
    """d = kept d + scale (sum of rows of H) - decay W, then W += d: a strip of a row of weights W and of their velocity d."""

    def generate(context, builder, signature, args):
        H_, base_, stride_, index_, first_, last_, d_, at_d_, W_, at_w_, *numbers = args
        width = _width(H.dtype)
        lanes = LINE // width
        vector = _vector(context, H.dtype, lanes)
        kept_, scale_, decay_ = (_same(builder, x, vector) for x in numbers)
        sums = _row_sums(context, builder, (H, H_), (index, index_), first_, last_, base_, stride_, STRIP // LINE)
        for n, total in enumerate(sums):
            off = ir.Constant(_I64, n * lanes)
            place_d = _address(context, builder, d, d_, builder.add(at_d_, off))
            place_w = _address(context, builder, W, W_, builder.add(at_w_, off))
            w, old = _load(builder, place_w, vector, width), _load(builder, place_d, vector, width)
            new = builder.fsub(builder.fmul(kept_, old), builder.fmul(decay_, w))
            new = builder.fadd(new, builder.fmul(scale_, total))
            _store(builder, new, place_d, width)
            _store(builder, builder.fadd(w, new), place_w, width)
        return context.get_dummy_value()

    i, real = types.intp, H.dtype
    return types.void(H, i, i, index, i, i, d, i, W, i, real, real, real), generate


@intrinsic
def center_strip(typing, d, at_d, W, at_w, mu, step_v, step_h, offset_h, totals):
    """Less mu step_h + step_v offset_h in a strip of a row of the velocity d and of the weights W.

    step_h, offset_h and totals are of the strip's width: totals += mu d, and d . offset_h is returned. The two products are
    taken one after the other: of a sum of two the compiler may fuse either with the addition, which rounds differently.
    """

    def generate(context, builder, signature, args):
        d_, at_d_, W_, at_w_, mu_, step_v_, *strips = args
        width = _width(d.dtype)
        lanes = LINE // width
        vector = _vector(context, d.dtype, lanes)
        mu_, step_v_ = _same(builder, mu_, vector), _same(builder, step_v_, vector)
        product = ir.Constant(vector, [0.0] * lanes)
        for n in range(STRIP // LINE):
            off = ir.Constant(_I64, n * lanes)
            place_d = _address(context, builder, d, d_, builder.add(at_d_, off))
            place_w = _address(context, builder, W, W_, builder.add(at_w_, off))
            steps, offsets, sums = (_address(context, builder, totals, x, off) for x in strips)
            step, offset = _load(builder, steps, vector, width), _load(builder, offsets, vector, width)
            for place in (place_w, place_d):
                new = builder.fsub(_load(builder, place, vector, width), builder.fmul(mu_, step))
                new = builder.fsub(new, builder.fmul(step_v_, offset))
                _store(builder, new, place, width)
            _store(builder, builder.fadd(_load(builder, sums, vector, width), builder.fmul(mu_, new)), sums, width)
            product = builder.fadd(product, builder.fmul(new, offset))
        return _total(builder, product, lanes)

    i, real = types.intp, d.dtype
    return real(d, i, W, i, real, real, step_h, offset_h, totals), generate


def _total(builder, vector, lanes):
    """The sum of a vector's numbers, halves added to halves."""
    while lanes > 1:
        lanes //= 2
        halves = (ir.Constant(ir.VectorType(_I32, lanes), list(range(first, first + lanes))) for first in (0, lanes))
        vector = builder.fadd(*(builder.shuffle_vector(vector, vector, half) for half in halves))
    return builder.extract_element(vector, ir.Constant(_I32, 0))


def _same(builder, number, vector):
    """A vector of one number."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


@intrinsic
def prefetch_strip(typing, array, at):
    """Bid the cache fetch a strip that will be written; any address will do."""

    def generate(context, builder, signature, args):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for n in range(0, STRIP, LINE):
            at_ = builder.add(args[1], ir.Constant(_I64, n // _width(array.dtype)))
            place = builder.bitcast(_address(context, builder, array, args[0], at_), pointer)
            builder.call(function, [place, ir.Constant(_I32, 1), ir.Constant(_I32, 3), ir.Constant(_I32, 1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def copy_panel_row(typing, W, at, panel, place):
    """A row of a panel from W."""

    def generate(context, builder, signature, args):
        W_, at_, panel_, place_ = args
        width = _width(W.dtype)
        vector = _vector(context, W.dtype, LINE // width)
        for n in range(0, PANEL // width, LINE // width):
            off = ir.Constant(_I64, n)
            row = _load(builder, _address(context, builder, W, W_, builder.add(at_, off)), vector, width)
            _store(builder, row, _address(context, builder, panel, panel_, builder.add(place_, off)), LINE)
        return context.get_dummy_value()

    return types.void(W, types.intp, panel, types.intp), generate


@intrinsic
def add_table_rows(typing, tables, offsets, first, out, o, begin):
    """out[o : o + PANEL bytes] (+)= the rows of the tables at GROUPS offsets from `first` on; begin as in `add_panel_rows`."""

    def generate(context, builder, signature, args):
        tables_, offsets_, first_, out_, o_, begin_ = args
        width = _width(tables.dtype)
        lanes = LINE // width
        vector = _vector(context, tables.dtype, lanes)
        sums = [[None, None] for _ in range(PANEL // LINE)]
        for group in range(GROUPS):
            at = builder.add(first_, ir.Constant(_I64, group))
            row = builder.zext(builder.load(_address(context, builder, offsets, offsets_, at)), _I64)
            for n, pair in enumerate(sums):
                place = _address(context, builder, tables, tables_, builder.add(row, ir.Constant(_I64, n * lanes)))
                number, turn = _load(builder, place, vector, LINE), group % 2
                pair[turn] = number if pair[turn] is None else builder.fadd(pair[turn], number)
        for n, pair in enumerate(sums):
            total = builder.fadd(*pair)
            place = _address(context, builder, out, out_, builder.add(o_, ir.Constant(_I64, n * lanes)))
            with builder.if_else(begin_) as (set_, add):
                with set_:
                    _store(builder, total, place, width)
                with add:
                    _store(builder, builder.fadd(total, _load(builder, place, vector, width)), place, width)
        return context.get_dummy_value()

    i = types.intp
    return types.void(tables, offsets, i, out, i, types.boolean), generate


@intrinsic
def make_tables(typing, panel, tables):
    """tables = for each group of four rows of a panel (64 rows of PANEL bytes) the 16 sums of its rows."""

    def generate(context, builder, signature, args):
        panel_, tables_ = args
        width = _width(tables.dtype)
        lanes, columns = LINE // width, PANEL // width
        vector = _vector(context, tables.dtype, lanes)
        zero = ir.Constant(vector, [0.0] * lanes)
        with cgutils.for_range(builder, ir.Constant(_I64, GROUPS)) as loop:
            group = builder.mul(loop.index, ir.Constant(_I64, columns))
            for first in range(0, columns, lanes):
                sums = [zero]
                for q in range(4):
                    at = builder.add(builder.mul(group, ir.Constant(_I64, 4)), ir.Constant(_I64, q * columns + first))
                    row = _load(builder, _address(context, builder, panel, panel_, at), vector, LINE)
                    sums += [row if s is zero else builder.fadd(s, row) for s in sums]
                for n, total in enumerate(sums):
                    at = builder.add(builder.mul(group, ir.Constant(_I64, SUMS)), ir.Constant(_I64, n * columns + first))
                    _store(builder, total, _address(context, builder, tables, tables_, at), LINE)
        return context.get_dummy_value()

    return types.void(panel, tables), generate
