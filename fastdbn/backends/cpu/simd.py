"""Vectors in kernels: the few loops over rows of numbers that the compiler does not turn into good vector code by itself.

Each is written once in LLVM's vector types, which LLVM splits for whatever the processor has (AVX-512, AVX2, NEON). Offsets
count elements from an array's first. Nothing is checked here.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastdbn.backends.cpu.target import has

LINE = 64
"""Bytes of a vector: a line of the cache."""
PANEL = 2 * LINE
"""Bytes of a row of a panel of weights."""
TABLE = LINE
"""Bytes of a row of a table."""
GROUPS, SUMS = 16, 16
"""Groups of four inputs whose tables are kept at once, those of a word, and the sums of a group."""
WIDE_REGISTERS = has("avx512f")
"""Whether the processor has vectors of 64 bytes."""
STRIP = 4 * LINE if WIDE_REGISTERS else 2 * LINE
"""Bytes of a row of hidden means that are added up in registers; twice, because two sums run side by side."""
ROW = 8 * LINE if WIDE_REGISTERS else 4 * LINE
"""Bytes of a row of weights that are added up in registers."""
WORD = 64
"""Numbers whose flags make a word."""
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_INDEX = types.intp
_NAMES = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}


def fuse(builder, a, b, c):
    """Code for a b + c, rounded once where the processor can do that.

    For a plain product and a plain sum LLVM chooses between one rounding and two, by the loop around them.
    """
    kind = a.type
    named = f"v{kind.count}{_NAMES[kind.element]}" if isinstance(kind, ir.VectorType) else _NAMES[kind]
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{named}")
    return builder.call(function, [a, b, c])


class Vectors:
    """Code that works on vectors of so many bytes of numbers of a type."""

    def __init__(self, context, builder, dtype, size=LINE):
        self.context, self.builder = context, builder
        self.width, self.lanes = dtype.bitwidth // 8, size * 8 // dtype.bitwidth
        self.vector = ir.VectorType(context.get_data_type(dtype), self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def place(self, kind, array, offset):
        """A pointer to an element of an array, counted from its first."""
        return self.builder.gep(self.context.make_array(kind)(self.context, self.builder, array).data, [offset])

    def step(self, pointer, count, size):
        """The pointer, count times size elements on; size is a number or a value."""
        size = ir.Constant(_I64, size) if isinstance(size, int) else size
        return self.builder.gep(pointer, [self.builder.mul(count, size)])

    def _at(self, pointer, v):
        pointer = self.builder.gep(pointer, [ir.Constant(_I64, v * self.lanes)])
        return self.builder.bitcast(pointer, self.vector.as_pointer())

    def load(self, pointer, v=0, align=None):
        """Vector number v from a pointer on."""
        return self.builder.load(self._at(pointer, v), align=align or self.width)

    def store(self, value, pointer, v=0, align=None):
        self.builder.store(value, self._at(pointer, v), align=align or self.width)

    def set_or_add(self, begin, totals, pointer):
        """Store vectors one after another, or where `begin` is not set add them to what is there."""
        for v, total in enumerate(totals):
            with self.builder.if_else(begin) as (set_, add):
                with set_:
                    self.store(total, pointer, v)
                with add:
                    self.store(self.builder.fadd(total, self.load(pointer, v)), pointer, v)

    def spread(self, number):
        """A vector of one number."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), number, ir.Constant(_I32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def total(self, vector):
        """The sum of a vector's numbers, halves added to halves."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            halves = (ir.Constant(ir.VectorType(_I32, lanes), list(range(first, first + lanes))) for first in (0, lanes))
            vector = self.builder.fadd(*(self.builder.shuffle_vector(vector, vector, half) for half in halves))
        return self.builder.extract_element(vector, ir.Constant(_I32, 0))


@intrinsic
def multiply_add(typing, a, b, c):
    """a b + c, rounded once where the processor can do that, whatever is around it."""
    return a(a, a, a), lambda context, builder, signature, args: fuse(builder, *args)


def prefetch(builder, pointer, size, write):
    """Ask for the lines of so many bytes, to be written or read, without waiting for them; any address will do."""
    bytes_ = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [bytes_, _I32, _I32, _I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    flags = [ir.Constant(_I32, flag) for flag in (int(write), 3, 1)]  # into the first-level cache, data
    pointer = builder.bitcast(pointer, bytes_)
    for line in range(0, size, LINE):
        builder.call(function, [builder.gep(pointer, [ir.Constant(_I64, line)]), *flags])


def _flags(test):
    """An intrinsic (x, j): a word whose bit l says whether x[j + l] passes a test; x has at least j + 64 elements."""

    @intrinsic
    def flags(typing, x, j):
        def generate(context, builder, signature, args):
            code = Vectors(context, builder, x.dtype, WORD * x.dtype.bitwidth // 8)
            one = ir.Constant(code.vector, [1.0] * WORD)
            return builder.bitcast(test(builder, code.load(code.place(x, *args)), code.zero, one), _I64)

        return types.uint64(x, _INDEX), generate

    return flags


nonzero = _flags(lambda builder, x, zero, one: builder.fcmp_unordered("!=", x, zero))
not_binary = _flags(
    lambda builder, x, zero, one: builder.and_(builder.fcmp_unordered("!=", x, zero), builder.fcmp_unordered("!=", x, one))
)


@intrinsic
def count_bits(typing, word):
    """How many bits of a uint64 are set."""
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


@intrinsic
def lowest_bit(typing, word):
    """Number of the lowest bit of a uint64 that is set; not for 0."""
    not_zero = ir.Constant(ir.IntType(1), 1)
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.cttz(args[0], not_zero)


@intrinsic
def compress_bits(typing, word, first, index, at):
    """index[at], index[at + 1], ... = first + the numbers of the bits of a uint64 that are set, and 32 places are written over.

    Returns the place after the last. For processors with wide registers; some of them compress numbers of 16 bits, others only
    numbers of 32.
    """

    def generate(context, builder, signature, args):
        word_, first_, index_, at_ = args
        short = ir.IntType(16)
        number, lanes = (short, 32) if has("avx512vbmi2") else (_I32, 16)
        vector, flags, out = (ir.VectorType(kind, lanes) for kind in (number, ir.IntType(1), short))
        kind = ir.FunctionType(vector, [vector, vector, flags])
        name = f"llvm.x86.avx512.mask.compress.v{lanes}i{number.width}"
        compress = cgutils.get_or_insert_function(builder.module, kind, name)
        begin = builder.insert_element(ir.Constant(vector, ir.Undefined), builder.trunc(first_, number), ir.Constant(_I32, 0))
        begin = builder.shuffle_vector(begin, begin, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))
        for at in range(0, WORD, lanes):
            bits = builder.trunc(builder.lshr(word_, ir.Constant(_I64, at)), ir.IntType(lanes))
            numbers = builder.add(begin, ir.Constant(vector, list(range(at, at + lanes))))
            chosen = builder.call(compress, [numbers, ir.Constant(vector, None), builder.bitcast(bits, flags)])
            chosen = chosen if number == short else builder.trunc(chosen, out)
            place = context.make_array(index)(context, builder, index_).data
            place = builder.bitcast(builder.gep(place, [at_]), out.as_pointer())
            builder.store(chosen, place, align=2)
            at_ = builder.add(at_, builder.zext(builder.ctpop(bits), _I64))
        return at_

    return types.intp(types.uint64, _INDEX, index, _INDEX), generate


@intrinsic
def transpose_bits(typing, words):
    """Bit i of word r becomes bit r of word i (Warren 2012, 7-3); 64 uint64, which begin at a line of the cache."""

    def generate(context, builder, signature, args):
        vector = ir.VectorType(_I64, WORD)
        place = builder.bitcast(context.make_array(words)(context, builder, args[0]).data, vector.as_pointer())
        x, rows = builder.load(place, align=LINE), range(WORD)
        rotate = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.fshl.v64i64")
        for step in (32, 16, 8, 4, 2, 1):
            low = sum(1 << i for i in rows if not i & step)  # of each pair of rows, the lower keeps these of its bits
            keep = ir.Constant(vector, [low if not r & step else low ^ (1 << WORD) - 1 for r in rows])
            taken = ir.Constant(vector, [low ^ (1 << WORD) - 1 if not r & step else low for r in rows])
            turn = ir.Constant(vector, [step if not r & step else WORD - step for r in rows])
            other = builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(_I32, WORD), [r ^ step for r in rows]))
            other = builder.call(rotate, [other, other, turn])
            x = builder.or_(builder.and_(x, keep), builder.and_(other, taken))
        builder.store(x, place, align=LINE)
        return context.get_dummy_value()

    return types.void(words), generate


@intrinsic
def stack_like(typing, x, size):
    """A pointer to `size`, a constant, numbers of the type of x on the stack, aligned to a line of the cache."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def generate(context, builder, signature, args):
        place = cgutils.alloca_once(builder, context.get_data_type(x.dtype), size=size.literal_value)
        place.align = LINE
        return place

    return types.CPointer(x.dtype)(x, size), generate


def row_sums(code, array, index, first, last, base, stride, vectors):
    """Sums over first <= q < last of `vectors` vectors of an array from base + stride index[q] on.

    array and index are pairs of type and value. Even and odd terms are added up apart, because an addition waits for the last.
    """
    builder = code.builder
    sums = [[cgutils.alloca_once(builder, code.vector) for _ in range(vectors)] for _ in range(2)]
    for place in (*sums[0], *sums[1]):
        builder.store(code.zero, place)

    def add(q, places):
        row = builder.zext(builder.load(code.place(*index, q)), _I64)
        start = code.place(*array, builder.add(base, builder.mul(row, stride)))
        for n, place in enumerate(places):
            builder.store(builder.fadd(builder.load(place), code.load(start, n)), place)

    one = ir.Constant(_I64, 1)
    stop = builder.sub(last, one)
    with cgutils.for_range_slice(builder, first, stop, ir.Constant(_I64, 2), inc=True) as (q, _):
        add(q, sums[0])
        add(builder.add(q, one), sums[1])
    odd = builder.and_(builder.sub(last, first), one)
    with builder.if_then(builder.icmp_signed("!=", odd, ir.Constant(_I64, 0))):
        add(stop, sums[0])
    return [builder.fadd(builder.load(a), builder.load(b)) for a, b in zip(*sums, strict=True)]


def _add_rows(size):
    """An intrinsic: out[o : o + size bytes] (+)= sums of rows of an array; begin: the first time, so nothing is added to."""

    @intrinsic
    def add_rows(typing, array, base, stride, index, first, last, out, o, begin):
        def generate(context, builder, signature, args):
            array_, base_, stride_, index_, first_, last_, out_, o_, begin_ = args
            code = Vectors(context, builder, array.dtype)
            sums = row_sums(code, (array, array_), (index, index_), first_, last_, base_, stride_, size // LINE)
            code.set_or_add(begin_, sums, code.place(out, out_, o_))
            return context.get_dummy_value()

        i = _INDEX
        return types.void(array, i, i, index, i, i, out, i, types.boolean), generate

    return add_rows


add_panel_rows, add_whole_rows = _add_rows(PANEL), _add_rows(ROW)


@intrinsic
def dot_lines(typing, x, at_x, y, at_y, count):
    """The product of `count` lines of x and of y; even and odd lines are summed up apart."""

    def generate(context, builder, signature, args):
        x_, at_x_, y_, at_y_, count_ = args
        code = Vectors(context, builder, x.dtype)
        sums = [cgutils.alloca_once(builder, code.vector) for _ in range(2)]
        for place in sums:
            builder.store(code.zero, place)
        first, second = code.place(x, x_, at_x_), code.place(y, y_, at_y_)

        def add(number, place):
            a, b = (code.load(code.step(start, number, code.lanes)) for start in (first, second))
            builder.store(fuse(builder, a, b, builder.load(place)), place)

        one = ir.Constant(_I64, 1)
        last = builder.sub(count_, one)
        with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), last, ir.Constant(_I64, 2), inc=True) as (number, _):
            add(number, sums[0])
            add(builder.add(number, one), sums[1])
        with builder.if_then(builder.icmp_signed("!=", builder.and_(count_, one), ir.Constant(_I64, 0))):
            add(last, sums[0])
        return code.total(builder.fadd(*map(builder.load, sums)))

    return x.dtype(x, _INDEX, y, _INDEX, _INDEX), generate


@intrinsic
def copy_panel_row(typing, W, at, panel, place):
    """A row of a panel from W."""

    def generate(context, builder, signature, args):
        W_, at_, panel_, place_ = args
        code = Vectors(context, builder, W.dtype)
        source, target = code.place(W, W_, at_), code.place(panel, panel_, place_)
        for n in range(PANEL // LINE):
            code.store(code.load(source, n), target, n, LINE)
        return context.get_dummy_value()

    return types.void(W, _INDEX, panel, _INDEX), generate


@intrinsic
def add_table_rows(typing, tables, offsets, first, out, o, begin):
    """out[o : o + TABLE bytes] (+)= the rows of the tables at GROUPS offsets from `first` on; begin as in `add_panel_rows`."""

    def generate(context, builder, signature, args):
        tables_, offsets_, first_, out_, o_, begin_ = args
        code = Vectors(context, builder, tables.dtype)
        sums = [[None, None] for _ in range(TABLE // LINE)]
        for group in range(GROUPS):
            turn = group % 2
            if group % 4 == 0:  # four offsets by one load, because loads are what this waits for
                place = code.place(offsets, offsets_, builder.add(first_, ir.Constant(_I64, group)))
                four = builder.load(builder.bitcast(place, _I64.as_pointer()), align=2)
            offset = builder.lshr(four, ir.Constant(_I64, 16 * (group % 4)))
            row = code.place(tables, tables_, builder.and_(offset, ir.Constant(_I64, 0xFFFF)))
            for n, pair in enumerate(sums):
                number = code.load(row, n, LINE)
                pair[turn] = number if pair[turn] is None else builder.fadd(pair[turn], number)
        code.set_or_add(begin_, [builder.fadd(*pair) for pair in sums], code.place(out, out_, o_))
        return context.get_dummy_value()

    return types.void(tables, offsets, _INDEX, out, _INDEX, types.boolean), generate


@intrinsic
def make_tables(typing, panel, tables):
    """tables = for each group of four rows of a panel (64 rows of TABLE bytes) the 16 sums of its rows."""

    def generate(context, builder, signature, args):
        panel_, tables_ = args
        code = Vectors(context, builder, tables.dtype)
        vectors = TABLE // LINE
        with cgutils.for_range(builder, ir.Constant(_I64, GROUPS)) as loop:
            group = builder.mul(loop.index, ir.Constant(_I64, vectors * code.lanes))
            source = code.place(panel, panel_, builder.mul(group, ir.Constant(_I64, 4)))
            target = code.place(tables, tables_, builder.mul(group, ir.Constant(_I64, SUMS)))
            for v in range(vectors):
                sums = [code.zero]
                for q in range(4):
                    row = code.load(source, q * vectors + v, LINE)
                    sums += [row if s is code.zero else builder.fadd(s, row) for s in sums]
                for n, total in enumerate(sums):
                    code.store(total, target, n * vectors + v, LINE)
        return context.get_dummy_value()

    return types.void(panel, tables), generate
