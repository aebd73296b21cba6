"""Who does what in a minibatch: the kernels' own text, run in Python for each thread of a team, its operations counted, not done.

`captured` runs a fit on one thread and keeps the arguments of its kernel. `divide` makes that kernel anew from its source, with
the operations at its leaves replaced by functions that count, and runs it for one thread after the other. So the division of
work, the choice of methods and the gates are those of the library.
"""

import contextlib
import ctypes
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from benchmarks.tally import Tally
from fastdbn.backends.cpu import (
    backprop_buffers,
    backprop_losses,
    backprop_steps,
    binary,
    half_step,
    lookup,
    pool,
    steps,
    tempering,
    tiles,
    update,
)
from fastdbn.backends.cpu.simd import ROW, STRIP, WORD

METHODS = {binary.BLAS: "multiply", binary.TILES: "multiply", binary.GATHER: "gather", binary.DIRECT: "direct"}
METHODS |= {binary.TABLES: "tables", binary.CODES: "codes"}
"""Names of what takes time in a product, by its method."""


class Call(NamedTuple):
    """A kernel on a team: threads that the library would use, the module and arguments that it was made by, and what it got.

    held keeps alive what kernels find by its address.
    """

    threads: int
    kernel: Any
    module: Any
    made_by: tuple
    arguments: tuple
    held: list


def captured(run):
    """The longest `Call` of a function that trains; its kernels run on one thread, with buffers for all."""
    made, calls, held, make_buffers = {}, [], [], backprop_buffers.make_buffers
    texts = {steps: "cd_steps", backprop_steps: "backprop_steps"}

    def note(module, make):
        def maker(*made_by):
            kernel = make(*made_by)
            made[kernel] = module, made_by
            return kernel

        return maker

    def team(n_threads, kernel, *arguments):
        if kernel in made:
            calls.append(Call(n_threads, kernel, *made[kernel], arguments, held))
        kernel(0, 1, np.zeros(1, np.int64), *arguments)

    def hold(network, *rest):
        held.append(network)
        return make_buffers(network, *rest)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(pool, "team", team))
        stack.enter_context(mock.patch.object(backprop_buffers, "make_buffers", hold))
        for module, name in texts.items():
            stack.enter_context(mock.patch.object(module, name, note(module, getattr(module, name))))
        run()
    return max(calls, key=count_minibatches)


def count_minibatches(call):
    """Minibatches of a call."""
    run = next(x for x in call.arguments if isinstance(x, (steps.Run, backprop_steps.Run)))
    return -(-len(run.order) // run.batch_size)


def shorten(call, minibatches):
    """The arguments of a call that trains on its first minibatches alone."""

    def shorter(x):
        if isinstance(x, steps.Run):
            return x._replace(numbers=x.numbers[:minibatches])
        if isinstance(x, backprop_steps.Run):
            return x._replace(order=x.order[: minibatches * x.batch_size])
        return x

    return tuple(map(shorter, call.arguments))


def _nothing(*arguments):
    pass


def _same(x):
    return x


def _ones(words):
    return int(np.bitwise_count(words).sum())


def _prepared(method, x):
    """What a product reads of states in the place of floats, a quarter of which is in use; codes are turned."""
    if binary.reads_floats(method):
        return None
    return x.codes.T if method == binary.CODES else x.offsets if method == binary.TABLES else x.index


def _product_amounts(method, x, inputs, W, r0, r1, j0, j1):
    """What takes time in a product, in the picoseconds of binary.py's rule."""
    weights, rows = inputs * (j1 - j0), r1 - r0
    if method == binary.GATHER:
        picoseconds = binary.ADD * _ones(x.words[r0:r1]) * (j1 - j0) + binary.COPY * weights
    elif method == binary.DIRECT:
        picoseconds = binary.ADD_ROW * _ones(x.words[r0:r1]) * (j1 - j0)
    elif method == binary.TABLES:
        picoseconds = binary.LOOK_UP * rows * weights + binary.MAKE * weights
    elif method == binary.CODES:
        vectors = lookup.whole_vectors(r1) - r0 // lookup.LANES * lookup.LANES
        picoseconds = binary.FIND * vectors * weights + binary.SPREAD * weights * -(-vectors // lookup.AT_ONCE)
    else:
        picoseconds = binary.MULTIPLY * rows * weights + (binary.PACK if method == binary.BLAS else binary.PACK_TILES) * weights
    return {METHODS[method]: picoseconds, "multiplications": rows * weights}


def _common(tally):
    """Stand-ins for operations of both kernels, by the modules and names by which these call them."""

    def product(method, blas, x, inputs, W, transpose, out, r0, r1, j0, j1):
        inputs, j1 = min(inputs, W.shape[1 if transpose else 0]), min(j1, out.shape[1])
        tally.add("product", (r0, r1, j0, j1), **_product_amounts(method, x, inputs, W, r0, r1, j0, j1))
        tally.touch(W, *((j0, j1), (0, inputs)) if transpose else ((0, inputs), (j0, j1)))
        prepared = _prepared(method, x)
        if prepared is None:
            tally.touch(x.floats, (r0, r1), (0, inputs))
        else:
            tally.touch(prepared, (r0, r1), (0, prepared.shape[1] // 4))
        tally.touch(out, (r0, r1), (j0, j1), True)

    def prepare(method, x, n, r0, r1):
        words = (r1 - r0) * x.words.shape[1]
        ones = _ones(x.words[r0:r1]) if method in (binary.GATHER, binary.DIRECT) else 0
        tally.add("prepare", (r0, r1, 0, n), word=words, one=ones)
        tally.touch(x.words, (r0, r1), (0, None))
        prepared = _prepared(method, x)
        if prepared is not None:
            tally.touch(prepared, (r0, r1), (0, prepared.shape[1] // 4), True)

    def pack_row(row, words):
        bits = np.zeros(len(words) * WORD, np.bool_)
        bits[: len(row)] = row[: len(bits)] != 0
        words[:] = np.packbits(bits, bitorder="little").view(np.uint64)
        tally.add("pack", word=len(words))

    def count_packed(words):
        tally.add("count", word_counted=words.size)
        tally.touch(words, (0, None), (0, None))
        return _ones(words)

    def count_ones(x):
        row = next((r for r in range(len(x)) if not np.isin(x[r], (0, 1)).all()), None)
        tally.add("count", number=x.shape[1] * (len(x) if row is None else row + 1) / 8)
        return -1 if row is not None else int(x.sum())

    def only_binary(row):
        tally.add("count", number=len(row) / 8)
        return bool(np.isin(row, (0, 1)).all())

    def list_units(positive, n, negative, chains, lists, q0, q1):
        tally.add("list", (0, 1, q0, q1), word_listed=(n + chains) * (q1 - q0))
        tally.touch(positive, (0, n), (q0, q1))
        tally.touch(negative, (0, chains), (q0, q1))
        tally.touch(lists.index, (q0 * WORD, q1 * WORD), (0, lists.index.shape[1] // 4), True)

    def wait(gate, size, turn):
        tally.gate()
        return turn + 1

    def read_row(data, row, key, raw, out):
        tally.add("read", number=2 * len(out))

    named = {"product": product, "prepare": prepare, "pack_row": pack_row, "count_packed": count_packed}
    named |= {"count_ones": count_ones, "only_binary": only_binary, "unpack_row": _nothing}
    both = {"wait": wait, "read_row": read_row} | dict.fromkeys(("uncounted", "inlinable", "kernel"), _same)
    halves = {"wait": wait, "inlinable": _same}
    listing = {"list_units": list_units}
    places = {binary: named, update: listing, steps: both, half_step: halves, tempering: halves}
    return places | {backprop_steps: both | listing}


def _of_cd(tally):
    def activate(unit):
        def run(layer, mean, drawn, rows, key, r0, r1, j0, j1):
            units = (r1 - r0) * (j1 - j0)
            tally.add("draw" if drawn else "mean", (r0, r1, j0, j1), **{"draw" if drawn else "mean": units}, draws=units * drawn)
            tally.touch(mean, (r0, r1), (j0, j1), True)
            if drawn:
                tally.touch(layer.states.words, (r0, r1), (j0 // WORD, -(-j1 // WORD)), True)

        return run

    def read_words(data, row, words):
        tally.add("read", word=len(words))

    def visible_sums(phase, lists, negative, first_row, weight, out, i0, i1):
        tally.add("sums", number=(i1 - i0) if phase.listed else len(phase.v) * (i1 - i0))

    def multiply_rows(blas, params, out, positive, negative, nh, step, fast, i0, i1):
        rows = sum(len(phase.v) for phase in (positive, negative) if not phase.listed)
        done = rows * nh * (i1 - i0)
        tally.add("statistics", (i0, i1, 0, nh), multiply=binary.MULTIPLY * done, multiplications=done)
        tally.touch(out.W, (i0, i1), (0, nh), True)

    def move_columns(params, out, positive, negative, lists, packed, step, centre, fast, i0, i1, j0, j1, end):
        phases = positive, negative
        share = (i1 - i0) / len(lists.count)
        ones = share * sum(_ones(x) for x, phase in zip(tally.words, phases, strict=True) if phase.listed)
        rows = sum(len(phase.h) for phase in phases if phase.listed)
        wide = -(-(end - j0) * out.W.itemsize // STRIP) * STRIP // out.W.itemsize
        amounts = {"collected": ones * wide, "weight": (i1 - i0) * wide, "number": rows * wide}
        tally.add("step", (i0, i1, j0, j1), **amounts, multiplications=rows * (i1 - i0) * (j1 - j0))
        for x in (params.W, out.W):
            tally.touch(x, (i0, i1), (j0, j1), True)
        for phase in phases:
            tally.touch(phase.h, (0, None), (j0, j1))
        tally.touch(lists.index, (i0, i1), (0, lists.index.shape[1] // 4))

    def move_hidden(params, out, positive, negative, step, centre, fast, j0, j1):
        tally.add("step", number=(len(positive.h) + len(negative.h)) * (j1 - j0))
        for phase in (positive, negative):
            tally.touch(phase.h, (0, None), (j0, j1))

    def center_hidden(params, centre, j0, j1):
        tally.add("step", number=len(centre.columns) * (j1 - j0))
        tally.touch(centre.columns, (0, None), (j0, j1))

    def move_visible(params, out, step, centre, i0, i1):
        tally.add("step", number=i1 - i0)

    made = {"half_step": half_step.half_step.__wrapped__, "exchange": tempering.exchange.__wrapped__}
    made |= {"read_words": read_words, "_exchange": _nothing, "_copy_params": _nothing, "_visible_sums": visible_sums}
    made |= {"center_hidden": center_hidden}
    return {
        steps: made,
        half_step: {"draw_layer": activate},
        update: {
            "multiply_rows": multiply_rows,
            "move_hidden": move_hidden,
            "move_columns": move_columns,
            "move_visible": move_visible,
            "set_steps": _nothing,
        },
    }


def _of_backprop(tally):
    def activate(unit):
        def run(group, bias, out, states, rows, key, beta, shift, r0, r1, j0, j1):
            tally.add("mean", (r0, r1, j0, j1), mean=(r1 - r0) * (j1 - j0))
            tally.touch(out, (r0, r1), (j0, j1), True)

        return run

    def through(unit):
        def run(group, mean, below, r0, r1, i0, i1):
            tally.add("slope", (r0, r1, i0, i1), number=(r1 - r0) * (i1 - i0))
            tally.touch(below, (r0, r1), (i0, i1), True)

        return run

    def move_by(rule):
        def run(p, g, first, second, hyper):
            tally.add("step", weight=len(p))
            tally.touch_row(p)

        return run

    def forward(x, W, out, r0, r1, j0, j1):
        done = (r1 - r0) * W.shape[0] * (j1 - j0)
        tally.add("product", (r0, r1, j0, j1), tiles=done, multiplications=done)
        tally.touch(W, (0, None), (j0, j1))
        tally.touch(x, (r0, r1), (0, W.shape[0]))
        tally.touch(out, (r0, r1), (j0, j1), True)

    def forward_listed(x, index, starts, W, out, r0, r1, j0, j1):
        strip = tiles.strip_of(W, W.shape[1])
        some = np.count_nonzero(x[r0:r1, : W.shape[0]]) * -(-(j1 - j0) // strip) * strip
        tally.add("product", (r0, r1, j0, j1), factor=some, multiplications=(r1 - r0) * W.shape[0] * (j1 - j0))
        tally.touch(W, (0, None), (j0, j1))
        tally.touch(out, (r0, r1), (j0, j1), True)

    def back(W, turned, n, out, i0, i1, j0, j1):
        done = n * (i1 - i0) * (j1 - j0)
        tally.add("back", (i0, i1, j0, j1), tiles=done, multiplications=done)
        tally.touch(W, (i0, i1), (j0, j1))
        tally.touch(turned, (j0, j1), (0, n))

    def gradient(x, delta, n, out, i0, i1, j0, j1, W, first, second):
        done = n * (i1 - i0) * (j1 - j0)
        tally.add("gradient", (i0, i1, j0, j1), tiles=done, multiplications=done)
        tally.touch(x, (0, n), (i0, i1))
        tally.touch(delta, (0, n), (j0, j1))
        for weights in (W, first):
            tally.touch(weights, (i0, i1), (j0, j1), True)

    def turn(x, r0, r1, j0, j1, out, shift):
        tally.add("turn", number=(r1 - r0) * (j1 - j0))
        tally.touch(out, (j0, j1), (shift + r0, shift + r1), True)

    def add_whole_rows(x, at, stride, index, first, last, *rest):
        tally.add("gradient", collected=(last - first) * ROW // x.itemsize, multiplications=len(tally.rows) * ROW // x.itemsize)

    def add_factored(x, at, step, array, base, stride, index, first, last, out, o, begin, strip):
        tally.add("gradient", factor=(last - first) * strip, multiplications=len(tally.rows) * strip)

    def add_deltas(delta, n, j0, j1, total):
        tally.add("bias", (0, n, j0, j1), number=n * (j1 - j0))

    def softmax_row(z, target, weight, scale, delta):
        tally.add("loss", mean=len(z))
        return 0.0

    def carray(place, shape):
        size = int(np.prod(shape))
        if isinstance(place, int):
            kind = ctypes.c_float if tally.dtype == np.float32 else ctypes.c_double
            return np.ctypeslib.as_array((kind * size).from_address(place)).reshape(shape)
        return place[:size].reshape(shape)

    names = {"activate_block": activate, "through_slope": through, "move_by": move_by, "add_whole_rows": add_whole_rows}
    names |= {"_forward": backprop_steps._forward.__wrapped__, "_backward": backprop_steps._backward.__wrapped__}
    names |= {"not_inlined": _nothing, "_drop": _nothing, "_drop_deltas": _nothing, "carray": carray}
    names |= {"_add_deltas": add_deltas, "stack_like": lambda like, size: np.zeros(size, like.dtype)}
    leaves = {"forward": forward, "forward_listed": forward_listed, "back": back, "gradient": gradient, "turn": turn}
    leaves |= {"add_factored": add_factored, "list_inputs": lambda words, index, starts: tally.add("list", one=_ones(words))}
    places = {"pointer": lambda address, like: int(address), "_place": lambda flat, at: flat[at:], "carray": carray}
    return {backprop_steps: names, tiles: leaves, backprop_losses: {"softmax_row": softmax_row}, backprop_buffers: places}


def divide(call, size):
    """The `Tally` of one minibatch of a call on so many threads."""
    tally, arguments = Tally(), shorten(call, 1)
    of_cd = call.module is steps
    make = (steps.cd_steps if of_cd else backprop_steps.backprop_steps).__wrapped__
    if of_cd:
        space = next(x for x in arguments if hasattr(x, "means_h"))
        tally.words = space.v0.words, space.vk.words
    else:
        run, net = arguments[-1], arguments[-2]
        tally.rows, tally.dtype = run.order, net.means.dtype
    with contextlib.ExitStack() as stack:
        for group in (_common(tally), (_of_cd if of_cd else _of_backprop)(tally)):
            for module, names in group.items():
                for name, function in names.items():
                    stack.enter_context(mock.patch.object(module, name, function))
        text = make(*call.made_by)
        for _ in range(2):  # who wrote what is known from the second time on
            tally.stages, tally.cells = [], {}
            for thread in range(size):
                tally.begin(thread)
                text(thread, size, np.zeros(1, np.int64), *arguments)
    return tally
