"""Vectors in kernels: the few operations on 64 numbers at a time that the compiler does not find by itself.

Each is written once in LLVM's vector types, which LLVM splits for whatever the processor has (AVX-512, AVX2, NEON). The arrays
are one-dimensional and contiguous; offsets count elements. Nothing is checked here.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 32
"""Columns of a table."""
GROUPS, SUMS = 8, 16
"""Groups of four inputs whose tables are kept at once, and the sums of a group."""
LINE = 64
"""Bytes of a vector: a line of the cache."""
STRIP = 128
"""Columns that are added up in registers."""
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
    def room(typing, x, size):
        if not isinstance(size, types.IntegerLiteral):
            return None
        dtype = choose_dtype(x)

        def generate(context, builder, signature, args):
            place = cgutils.alloca_once(builder, context.get_data_type(dtype), size=size.literal_value)
            place.align = LINE
            return place

        return types.CPointer(dtype)(x, size), generate

    return room


stack_words, stack_shorts = _stack(lambda x: types.uint64), _stack(lambda x: types.uint16)
stack_like = _stack(lambda x: x.dtype)


def _masked(builder, vector, width):
    """LLVM's load and store of the lanes that a mask names."""
    pointer, mask, name = vector.as_pointer(), ir.VectorType(ir.IntType(1), vector.count), f"v{vector.count}f{8 * width}.p0"
    load = ir.FunctionType(vector, [pointer, _I32, mask, vector])
    store = ir.FunctionType(ir.VoidType(), [vector, pointer, _I32, mask])
    return (
        cgutils.get_or_insert_function(builder.module, load, f"llvm.masked.load.{name}"),
        cgutils.get_or_insert_function(builder.module, store, f"llvm.masked.store.{name}"),
    )


def _below(builder, count, lanes):
    """A mask of the lanes whose number is below a count."""
    numbers = ir.VectorType(_I64, lanes)
    same = builder.insert_element(ir.Constant(numbers, ir.Undefined), count, ir.Constant(_I32, 0))
    same = builder.shuffle_vector(same, same, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))
    return builder.icmp_signed("<", ir.Constant(numbers, list(range(lanes))), same)


@intrinsic
def add_table_rows(typing, table, word, out, j, count, begin):
    """out[j : j + count] (+)= the sums that the 32 bits of a word choose; begin: the first time, so nothing is added to."""

    def generate(context, builder, signature, args):
        table_, word_, out_, j_, count_, begin_ = args
        width = _width(table.dtype)
        lanes = LINE // width
        vector = _vector(context, table.dtype, lanes)
        nothing = ir.Constant(vector, [0.0] * lanes)
        rows = []
        for group in range(GROUPS):
            bits = builder.and_(builder.lshr(word_, ir.Constant(_I64, 4 * group)), ir.Constant(_I64, SUMS - 1))
            chosen = builder.mul(bits, ir.Constant(_I64, LANES))
            rows.append(builder.add(chosen, ir.Constant(_I64, group * SUMS * LANES)))

        def piece(first):
            """The sum of the eight rows' elements from first on, and where in out it belongs."""
            sums = []
            for row in rows:
                at = builder.add(row, ir.Constant(_I64, first))
                sums.append(_load(builder, _address(context, builder, table, table_, at), vector, LINE))
            while len(sums) > 1:
                sums = [builder.fadd(a, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
            return sums[0], _address(context, builder, out, out_, builder.add(j_, ir.Constant(_I64, first)))

        with builder.if_else(builder.icmp_signed(">=", count_, ir.Constant(_I64, LANES))) as (whole, part):
            with whole, builder.if_else(begin_) as (set_, add):
                with set_:
                    for first in range(0, LANES, lanes):
                        _store(builder, *piece(first), width)
                with add:
                    for first in range(0, LANES, lanes):
                        total, place = piece(first)
                        _store(builder, builder.fadd(total, _load(builder, place, vector, width)), place, width)
            with part:
                load, store = _masked(builder, vector, width)
                align = ir.Constant(_I32, width)
                for first in range(0, LANES, lanes):
                    total, place = piece(first)
                    place = builder.bitcast(place, vector.as_pointer())
                    mask = _below(builder, builder.sub(count_, ir.Constant(_I64, first)), lanes)
                    old = builder.select(begin_, nothing, builder.call(load, [place, align, mask, nothing]))
                    builder.call(store, [builder.fadd(total, old), place, align, mask])
        return context.get_dummy_value()

    return types.void(table, types.uint64, out, types.intp, types.intp, types.boolean), generate


@intrinsic
def make_tables(typing, panel, table):
    """table = for each group of four rows of a panel (32 rows of LANES) the 16 sums of its rows."""

    def generate(context, builder, signature, args):
        panel_, table_ = args
        width = _width(table.dtype)
        lanes = LINE // width
        vector = _vector(context, table.dtype, lanes)
        zero = ir.Constant(vector, [0.0] * lanes)

        def address(kind, array, row, first):
            return _address(context, builder, kind, array, ir.Constant(_I64, row * LANES + first))

        for group in range(GROUPS):
            for first in range(0, LANES, lanes):
                sums = [zero]
                for q in range(4):
                    row = _load(builder, address(panel, panel_, 4 * group + q, first), vector, LINE)
                    sums += [row if s is zero else builder.fadd(s, row) for s in sums]
                for n, total in enumerate(sums):
                    _store(builder, total, address(table, table_, group * SUMS + n, first), LINE)
        return context.get_dummy_value()

    return types.void(panel, table), generate


@intrinsic
def transpose_tile(typing, W, start, stride, panel, place):
    """panel[place + LANES i + j] = W[start + stride j + i] for a tile of 64 bytes by as many elements."""

    def generate(context, builder, signature, args):
        W_, start_, stride_, panel_, place_ = args
        width = _width(W.dtype)
        size = LINE // width
        vector = _vector(context, W.dtype, size)
        rows, at = [], start_
        for _ in range(size):
            rows.append(_load(builder, _address(context, builder, W, W_, at), vector, width))
            at = builder.add(at, stride_)
        d = 1
        while d < size:
            low = [k if not k & d else size + k - d for k in range(size)]
            high = [k + d if not k & d else size + k for k in range(size)]
            low, high = (ir.Constant(ir.VectorType(_I32, size), picks) for picks in (low, high))
            for i in range(size):
                if not i & d:
                    a, b = rows[i], rows[i + d]
                    rows[i], rows[i + d] = builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high)
            d *= 2
        at = place_
        for row in rows:
            _store(builder, row, _address(context, builder, panel, panel_, at), width)
            at = builder.add(at, ir.Constant(_I64, LANES))
        return context.get_dummy_value()

    return types.void(W, types.intp, types.intp, panel, types.intp), generate


@intrinsic
def add_listed(typing, H, stride, j, index, first, last, sums):
    """sums[:STRIP] = the sum of H[index[q] stride + j : ... + STRIP] over first <= q < last, kept in registers."""

    def generate(context, builder, signature, args):
        H_, stride_, j_, index_, first_, last_, sums_ = args
        width = _width(H.dtype)
        lanes = LINE // width
        vector = _vector(context, H.dtype, lanes)
        zero = ir.Constant(vector, [0.0] * lanes)
        totals = [cgutils.alloca_once_value(builder, zero) for _ in range(STRIP // lanes)]
        for total in totals:
            builder.store(zero, total)
        with cgutils.for_range_slice(builder, first_, last_, ir.Constant(_I64, 1), inc=True) as (q, _):
            row = builder.zext(builder.load(_address(context, builder, index, index_, q)), _I64)
            at = builder.add(builder.mul(row, stride_), j_)
            for n, total in enumerate(totals):
                place = _address(context, builder, H, H_, builder.add(at, ir.Constant(_I64, n * lanes)))
                builder.store(builder.fadd(builder.load(total), _load(builder, place, vector, width)), total)
        for n, total in enumerate(totals):
            _store(builder, builder.load(total), _address(context, builder, sums, sums_, ir.Constant(_I64, n * lanes)), width)
        return context.get_dummy_value()

    return types.void(H, types.intp, types.intp, index, types.intp, types.intp, sums), generate
