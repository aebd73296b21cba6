"""L1 penalty on the weights: a soft threshold after each step, at which weights that do not pay become zero."""

from fastdbn.maths.optim import at_epoch, is_number
from fastdbn.support import checks
from fastdbn.training.options.option import Option


class L1(Option):
    fused = True

    def __init__(self, schedule):
        self.schedule, self.amount = schedule, None

    @classmethod
    def of(cls, rbm, visible, hidden):
        schedule = checks.schedule(rbm.l1, "l1")
        return None if is_number(schedule) and schedule == 0 else cls(schedule)

    def begin_epoch(self, epoch):
        run, self.amount = self.training, at_epoch(self.schedule, epoch, "l1")
        run.problem = run.problem._replace(l1=self.amount)

    def after_step(self, batch):
        run = self.training
        if self.amount:
            run.backend.shrink(run.problem.params.W, run.hyper.learning_rate * self.amount)
