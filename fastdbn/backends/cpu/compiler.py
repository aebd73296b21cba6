"""Numba's compiler, as kernels and the functions inside of them need it.

- Loops take the widest vectors that the processor has. LLVM prefers vectors of 256 bits on Intel's processors with 512, which
  costs 4 to 11 % of the time of training there. An attribute of each function says otherwise. The functions that kernels inline
  need it too, because they are optimised apart.
- Functions inside of kernels get no machine code of their own. A kernel holds a copy of all that it calls, so that code would
  never run, and making it takes a fifth of the time to compile.
"""

import contextlib

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

WIDEST = '"prefer-vector-width"="512"'


class WideLower(Lower):
    """Numba's lowering, with the attribute."""

    def lower_function_body(self):
        set.add(self.function.attributes, WIDEST)  # past llvmlite's list of attributes, which has none with values
        return super().lower_function_body()


class _Library(JITCodeLibrary):
    """The code of a function, to be linked into others. It has no address, and no environment that an address would need."""

    def _finalize_final_module(self):
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, env):
        pass


@contextlib.contextmanager
def _inside(codegen):
    """Make libraries without machine code in this block. Numba's lock holds other threads off while it compiles."""
    codegen._library_class = _Library
    try:
        yield
    finally:
        del codegen._library_class


def compiler(name, lower, inner):
    """A compiler for `pipeline_class` that lowers functions by a subclass of Numba's `Lower`; inner functions get no address."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class Lowering(NativeLowering):
        _name = f"{name}_lowering"
        lowering_class = lower

        def run_pass(self, state):
            codegen = state.targetctx.codegen()
            if not inner:
                state.library = codegen.create_library(state.func_id.func_qualname)
                state.library.enable_object_caching()
            with _inside(codegen):  # what Numba compiles for this function alone
                return super().run_pass(state)

    class Compiler(CompilerBase):
        def define_pipelines(self):
            passes = PassManager(name)
            for step, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
                passes.add_pass(Lowering if step is NativeLowering else step, text)
            passes.finalize()
            return [passes]

    return Compiler


Inner = compiler("inner", WideLower, inner=True)
"""For functions that only kernels call."""
