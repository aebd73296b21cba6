"""Numba's compiler, as kernels and the functions inside of them need it.

- Loops take the widest vectors that the processor has. LLVM prefers vectors of 256 bits on Intel's processors with 512, which
  costs 4 to 11 % of the time of training there. An attribute of each function says otherwise. The functions that kernels inline
  need it too: LLVM works on each before it inlines them.
- Functions inside of kernels get no machine code of their own, and LLVM's passes over modules run for kernels alone, because a
  kernel holds a copy of all that it calls. Otherwise a function would be optimised again in each function around it, and code
  would be made that never runs. Both take half of the time to compile.
- LLVM is told that only a kernel calls the functions inside of it. So it inlines those that one place calls, however long they
  are, and passes to others only the arguments that they use.
- Python's garbage collector waits while a kernel is compiled. It would look again and again at a growing heap that stays in use.
"""

import contextlib
import gc

from llvmlite.binding import FunctionPassManager, Linkage, create_new_function_pass_manager
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

SHORTER = (
    FunctionPassManager.add_sroa_pass,
    FunctionPassManager.add_simplify_cfg_pass,
    FunctionPassManager.add_instruction_combine_pass,
    FunctionPassManager.add_refprune_pass,
)
"""LLVM's passes over each function: variables into registers, fewer blocks, fewer instructions, fewer counts of references."""
WIDEST = '"prefer-vector-width"="512"'


class WideLower(Lower):
    """Numba's lowering, with the attribute."""

    def lower_function_body(self):
        set.add(self.function.attributes, WIDEST)  # past llvmlite's list of attributes, which has none with values
        return super().lower_function_body()


class _Cleaned(JITCodeLibrary):
    """Code whose functions are only made shorter before they are linked into a kernel, because the kernel is optimised anyway."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout
        for function in ll_module.functions:
            if function.is_declaration:
                continue
            passes = create_new_function_pass_manager()
            for add in SHORTER:
                add(passes)
            passes.run(function, self._codegen._pass_builder())


class _Library(_Cleaned):
    """The code of a function, to be linked into others and optimised there. It has no address, and no environment that an address
    would need."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True

    def get_pointer_to_function(self, name):
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, env):
        pass


class _Kernel(_Cleaned):
    """The code of a kernel and of the functions inside of it, which nothing else calls."""

    def _optimize_final_module(self):
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = "internal"
        super()._optimize_final_module()


@contextlib.contextmanager
def _made_of(codegen, library):
    """Make libraries of a class in this block. Numba's lock holds other threads off while it compiles."""
    codegen._library_class = library
    try:
        yield
    finally:
        del codegen._library_class


@contextlib.contextmanager
def _uncollected():
    """Let the garbage collector wait in this block."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def compiler(name, lower, inner):
    """A compiler for `pipeline_class` that lowers functions by a subclass of Numba's `Lower`; inner functions get no address."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class Lowering(NativeLowering):
        _name = f"{name}_lowering"
        lowering_class = lower

        def run_pass(self, state):
            codegen = state.targetctx.codegen()
            if not inner:
                with _made_of(codegen, _Kernel):
                    state.library = codegen.create_library(state.func_id.func_qualname)
                state.library.enable_object_caching()
            with _made_of(codegen, _Library):  # what Numba compiles for this function alone
                return super().run_pass(state)

    class Compiler(CompilerBase):
        def compile_extra(self, function):
            with _uncollected():
                return super().compile_extra(function)

        def define_pipelines(self):
            passes = PassManager(name)
            for step, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
                passes.add_pass(Lowering if step is NativeLowering else step, text)
            passes.finalize()
            return [passes]

    return Compiler


Inner = compiler("inner", WideLower, inner=True)
"""For functions that only kernels call."""
