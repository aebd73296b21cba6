"""A gate at which the threads of a kernel wait for each other: a counter in shared memory, watched without the interpreter.

A region of work between two gates costs a microsecond, where handing it to Python threads costs 20 to 30.
"""

import platform
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from fastdbn.backends.cpu.jit import inlinable

_PATIENCE = 5000
"""Looks at the counter before a thread sleeps: some 100 us."""
_MACHINE = platform.machine()
_I64 = ir.IntType(64)


class Team(NamedTuple):
    """A thread's number, how many there are, and their gate."""

    thread: int
    size: int
    gate: Any


@inlinable
def share(team, n):
    """The thread's part of n things."""
    return n * team.thread // team.size, n * (team.thread + 1) // team.size


@inlinable
def share_grid(team, across, down, extra):
    """The thread's part of a grid of cells: its columns c0 to c1 and its rows r0 to r1, none for threads that are too many.

    All parts are rectangles. The grid is cut so that the largest is as small as it can be, where each of its columns counts
    `extra` cells more.
    """
    if team.size == 1:
        return 0, across, 0, down
    fewest, height, least = min(max(1, team.size // across), down), 1, 0
    for rows in range(fewest, min(2 * fewest + 2, team.size, down) + 1):
        columns = min(team.size // rows, across)
        most = (across + columns - 1) // columns * ((down + rows - 1) // rows + extra)
        if least == 0 or most < least:
            height, least = rows, most
    columns, c, r = min(team.size // height, across), team.thread // height, team.thread % height
    if c >= columns:
        return 0, 0, 0, 0
    return across * c // columns, across * (c + 1) // columns, down * r // height, down * (r + 1) // height


def _counter(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


def _pause(builder):
    """Let the core's other hardware thread run for a moment, if the processor has an instruction for that."""
    if _MACHINE in ("x86_64", "AMD64"):
        name, arguments = "llvm.x86.sse2.pause", []
    elif _MACHINE in ("aarch64", "arm64"):
        name, arguments = "llvm.aarch64.hint", [ir.Constant(ir.IntType(32), 1)]
    else:
        return
    kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic
def _arrive(typing, gate):
    """Count one thread more."""

    def generate(context, builder, signature, args):
        builder.atomic_rmw("add", _counter(context, builder, gate, args[0]), ir.Constant(_I64, 1), "seq_cst")
        return context.get_dummy_value()

    return types.void(gate), generate


@intrinsic
def _arrived(typing, gate):
    """How many threads have arrived; pauses the core for a moment first."""

    def generate(context, builder, signature, args):
        _pause(builder)
        return builder.load_atomic(_counter(context, builder, gate, args[0]), "seq_cst", align=8)

    return types.int64(gate), generate


@intrinsic
def _sleep(typing):
    """Sleep for a moment, some 50 us. Where other programs keep the processors busy, a thread that has slept runs before them."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
        function = cgutils.get_or_insert_function(builder.module, kind, "usleep")
        builder.call(function, [ir.Constant(ir.IntType(32), 1)])
        return context.get_dummy_value()

    return types.void(), generate


def _without_owner(context, builder, kind, value):
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo, array.parent = (cgutils.get_null_value(part.type) for part in (array.meminfo, array.parent))
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind):
            inside = _without_owner(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, inside, i)
    return value


@intrinsic
def uncounted(typing, x):
    """An array, or a tuple of arrays, whose references nobody counts; the caller of the kernel holds them.

    Else each view of an array counts one up and down, in memory that threads share.
    """
    return x(x), lambda context, builder, signature, args: _without_owner(context, builder, x, args[0])


@inlinable
def wait(gate, n_threads, turn):
    """Wait until all threads have come here for the turn-th time, counted from 0; returns the next turn.

    gate is an int64 array of one zero that all threads share, made anew for each call of a kernel.
    """
    if n_threads > 1:
        _arrive(gate)
        looks = 0
        while _arrived(gate) < n_threads * (turn + 1):
            looks += 1
            if looks > _PATIENCE:
                _sleep()
    return turn + 1
