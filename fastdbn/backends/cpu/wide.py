"""Loops take the widest vectors that the processor has.

LLVM prefers vectors of 256 bits on Intel's processors with 512, which costs 4 to 11 % of the time of training there. An
attribute of each function says otherwise. The functions that kernels inline need it too, because they are optimised apart.
"""

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


def compiler(name, lower):
    """A compiler for `pipeline_class` that lowers functions by a subclass of Numba's `Lower`."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class Lowering(NativeLowering):
        _name = f"{name}_lowering"
        lowering_class = lower

    class Compiler(CompilerBase):
        def define_pipelines(self):
            passes = PassManager(name)
            for step, text in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
                passes.add_pass(Lowering if step is NativeLowering else step, text)
            passes.finalize()
            return [passes]

    return Compiler


Inner = compiler("wide", WideLower)
"""For functions that kernels call."""
