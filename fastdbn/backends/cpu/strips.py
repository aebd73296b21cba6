"""The step of CD in vectors: strips of rows of weights, of their velocity and of fast weights, as `simd` has its loops."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastdbn.backends.cpu.simd import LINE, STRIP, Vectors, fuse, prefetch, row_sums

_I64, _INDEX = ir.IntType(64), types.intp


def _move(code, kinds, args, size, also=()):
    """Code for d = kept d + scale (sum of rows of H) - decay W, then W += d, of `size` bytes of a row.

    also : (pointer, kept, scale) of further velocities, without weights
    """
    builder = code.builder
    H, base, stride, index, first, last, d, at_d, W, at_w, *numbers = args
    kept, scale, decay = map(code.spread, (numbers[0], numbers[1], builder.fneg(numbers[2])))
    sums = row_sums(code, (kinds[0], H), (kinds[3], index), first, last, base, stride, size // LINE)
    to_d, to_w = code.place(kinds[6], d, at_d), code.place(kinds[8], W, at_w)
    for n, total in enumerate(sums):
        w, old = code.load(to_w, n), code.load(to_d, n)
        new = fuse(builder, scale, total, fuse(builder, decay, w, builder.fmul(kept, old)))
        code.store(new, to_d, n)
        code.store(builder.fadd(w, new), to_w, n)
        for place, keep, factor in also:
            code.store(fuse(builder, factor, total, builder.fmul(keep, code.load(place, n))), place, n)


def _move_strip(size):
    """An intrinsic: d = kept d + scale (sum of rows of H) - decay W, then W += d: `size` bytes of a row of weights W and of their
    velocity d."""

    @intrinsic
    def move(typing, H, base, stride, index, first, last, d, at_d, W, at_w, kept, scale, decay):
        def generate(context, builder, signature, args):
            _move(Vectors(context, builder, H.dtype), signature.args, args, size)
            return context.get_dummy_value()

        i, real = _INDEX, H.dtype
        return types.void(H, i, i, index, i, i, d, i, W, i, real, real, real), generate

    return move


move_strip, move_line = _move_strip(STRIP), _move_strip(LINE)


@intrinsic
def move_both(typing, H, base, stride, index, first, last, d, at_d, W, at_w, kept, scale, decay, f, at_f, kept_f, scale_f):
    """`move_strip`, and of another velocity f = kept_f f + scale_f (sum of rows of H)."""

    def generate(context, builder, signature, args):
        code = Vectors(context, builder, H.dtype)
        f_, at_f_, kept_, scale_ = args[13:]
        _move(code, signature.args, args[:13], STRIP, [(code.place(f, f_, at_f_), code.spread(kept_), code.spread(scale_))])
        return context.get_dummy_value()

    i, real = _INDEX, H.dtype
    return types.void(H, i, i, index, i, i, d, i, W, i, real, real, real, f, i, real, real), generate


@intrinsic
def add_strip(typing, x, at_x, y, at_y, out, at):
    """out = x + y in a strip of a row."""

    def generate(context, builder, signature, args):
        x_, at_x_, y_, at_y_, out_, at_ = args
        code = Vectors(context, builder, x.dtype)
        first, second, to = code.place(x, x_, at_x_), code.place(y, y_, at_y_), code.place(out, out_, at_)
        for n in range(STRIP // LINE):
            code.store(builder.fadd(code.load(first, n), code.load(second, n)), to, n)
        return context.get_dummy_value()

    i = _INDEX
    return types.void(x, i, y, i, out, i), generate


@intrinsic
def center_strip(typing, d, at_d, W, at_w, mu, step_v, step_h, offset_h, totals):
    """Less mu step_h + step_v offset_h in a strip of a row of the velocity d and of the weights W.

    step_h, offset_h and totals are of the strip's width: totals += mu d, and d . offset_h is returned.
    """

    def generate(context, builder, signature, args):
        d_, at_d_, W_, at_w_, mu_, step_v_, *strips = args
        code = Vectors(context, builder, d.dtype)
        mu_, less_mu, step_v_ = map(code.spread, (mu_, builder.fneg(mu_), builder.fneg(step_v_)))
        product = code.zero
        to_d, to_w = code.place(d, d_, at_d_), code.place(W, W_, at_w_)
        steps, offsets, sums = (code.place(totals, x, ir.Constant(_I64, 0)) for x in strips)
        for n in range(STRIP // LINE):
            step, offset = code.load(steps, n), code.load(offsets, n)
            for place in (to_w, to_d):
                new = fuse(builder, step_v_, offset, fuse(builder, less_mu, step, code.load(place, n)))
                code.store(new, place, n)
            code.store(fuse(builder, mu_, new, code.load(sums, n)), sums, n)
            product = fuse(builder, new, offset, product)
        return code.total(product)

    i, real = _INDEX, d.dtype
    return real(d, i, W, i, real, real, step_h, offset_h, totals), generate


@intrinsic
def prefetch_strip(typing, array, at):
    """Ask for a strip that will be written."""

    def generate(context, builder, signature, args):
        code = Vectors(context, builder, array.dtype)
        prefetch(builder, code.place(array, *args), STRIP, write=True)
        return context.get_dummy_value()

    return types.void(array, _INDEX), generate
