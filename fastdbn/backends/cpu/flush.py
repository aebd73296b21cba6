"""Kernels take subnormal numbers for zeros: a compiler that sets the thread's mode on entry and puts it back on every way out.

A number below 1.2e-38 (float32) costs many a processor up to 150 times as much as another, and training makes many: weights of
inputs that are never on, velocities and moments decay towards zero for ever. The mode belongs to a thread and covers what the
kernel calls, BLAS included. It is set where a kernel begins, and restored before each return of its machine code, those by
which exceptions leave among them. Functions that kernels inline or call are compiled as ever.
"""

import platform

from llvmlite import ir
from numba.core import cgutils

from fastdbn.backends.cpu.compiler import WideLower, compiler

_I32, _I64, _POINTER = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
_MXCSR = 1 << 15 | 1 << 6
"""Bits of x86's control word: flush to zero (results), denormals are zero (operands)."""
_FPCR = 1 << 24
"""The bit of ARM's control word that is both."""


def _begin_x86(builder):
    """Set the mode; returns what puts the old one back, wherever the builder stands."""
    kind = ir.FunctionType(ir.VoidType(), [_POINTER])
    old, new = (builder.bitcast(cgutils.alloca_once(builder, _I32), _POINTER) for _ in range(2))

    def call(instruction, place):
        builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{instruction}"), [place])

    call("stmxcsr", old)
    word = builder.load(builder.bitcast(old, _I32.as_pointer()))
    builder.store(builder.or_(word, ir.Constant(_I32, _MXCSR)), builder.bitcast(new, _I32.as_pointer()))
    call("ldmxcsr", new)
    return lambda: call("ldmxcsr", old)


def _begin_arm(builder):
    """As `_begin_x86`. It has not run: no such machine was at hand."""
    get = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I64, []), "llvm.aarch64.get.fpcr")
    put = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [_I64]), "llvm.aarch64.set.fpcr")
    old = builder.call(get, [])
    builder.call(put, [builder.or_(old, ir.Constant(_I64, _FPCR))])
    return lambda: builder.call(put, [old])


BEGIN = {"x86_64": _begin_x86, "AMD64": _begin_x86, "aarch64": _begin_arm, "arm64": _begin_arm}
"""What sets the mode, by processor; on others subnormals stay what they are."""


class _Lower(WideLower):
    def lower_function_body(self):
        begin = BEGIN.get(platform.machine())
        if begin is None:
            return super().lower_function_body()
        restore = begin(self.builder)
        tail = super().lower_function_body()
        for block in self.function.blocks:
            if isinstance(block.terminator, ir.Ret):
                self.builder.position_before(block.terminator)
                restore()
        return tail


Compiler = compiler("flushing", _Lower, inner=False)
"""Numba's compiler, whose functions flush subnormals; for `pipeline_class` of functions that Python calls."""
