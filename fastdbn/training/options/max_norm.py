"""Max-norm: a bound on the norm of the weights into each hidden unit, after each step."""

from fastdbn.support import checks
from fastdbn.training.options.option import Option


def check_max_norm(value):
    """The bound, or None."""
    if value is not None and checks.real(value, "max_norm") == 0:
        raise ValueError(f"max_norm={value!r}: give a positive number or None")
    return None if value is None else float(value)


class MaxNorm(Option):
    fused = True

    def __init__(self, bound):
        self.bound = bound

    @classmethod
    def of(cls, rbm, visible, hidden):
        bound = check_max_norm(rbm.max_norm)
        return None if bound is None else cls(bound)

    def begin(self, state):
        run = self.training
        self.norms = run.backend.zeros(len(state.params.c))
        run.problem = run.problem._replace(max_norm=self.bound)

    def after_step(self, batch):
        self.training.backend.limit_columns(self.training.problem.params.W, self.bound, self.norms)
