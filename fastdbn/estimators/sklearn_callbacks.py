"""scikit-learn's own callbacks (version 1.9), which `set_callbacks` gives an estimator: its protocol on top of ours.

The task of a fit has a task for each stage, which has one for each epoch. Older versions have no `set_callbacks`.
"""

import functools
import inspect
from typing import Any

from fastdbn.callbacks.callback import Callback
from fastdbn.callbacks.progress_bar import title_of

try:
    from sklearn import callback as protocol
except ImportError:
    protocol = None

Mixin: Any = protocol.CallbackSupportMixin if protocol else type("Mixin", (), {})
"""What gives an estimator `set_callbacks`."""


class Tasks(Callback):
    """Tells scikit-learn's callbacks of a fit what ours are told; `task` is that of the whole fit, and data are its arguments."""

    def __init__(self, task, data):
        self.task, self.data, self.stage, self.epoch = task, data, None, None

    def on_fit_begin(self, estimator, resumed):
        self._begin(estimator, self.task)

    def on_stage_begin(self, estimator, stage, epoch, n_epochs, n_rows):
        self.stage = self.task.subcontext(title_of(stage), max_subtasks=n_epochs - epoch)
        self._begin(estimator, self.stage)

    def on_epoch_begin(self, estimator, stage, epoch):
        self.epoch = self.stage.subcontext(f"epoch {epoch}")
        self._begin(estimator, self.epoch)

    def on_epoch_end(self, estimator, stage, epoch, metrics):
        if self._end(estimator, self.epoch):
            raise StopIteration

    def on_stage_end(self, estimator, stage):
        self._end(estimator, self.stage)
        self.stage = None

    def on_fit_end(self, estimator, complete):
        if complete:
            self._end(estimator, self.task)

    def _begin(self, estimator, task):
        task.call_on_fit_task_begin(estimator=estimator, **self.data)

    def _end(self, estimator, task):
        """Whether a callback asks to stop. It gets a copy of the estimator, if that can be used yet."""
        fitted = getattr(estimator, "__sklearn_is_fitted__", lambda: True)()
        return task.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={} if fitted else None, **self.data)


def told(fit):
    """A method `fit` that tells scikit-learn's callbacks."""
    if protocol is None:
        return fit
    signature = inspect.signature(fit)

    @protocol.with_callbacks
    def run(self, arguments, options):
        given = signature.bind(self, *arguments, **options).arguments
        weight = given.get("sample_weight")
        metadata = {} if weight is None else {"sample_weight": weight}
        task = self._init_callback_context(max_subtasks=None)
        self._tasks = [Tasks(task, {"X": given["X"], "y": given.get("y"), "metadata": metadata})]
        try:
            return fit(self, *arguments, **options)
        finally:
            vars(self).pop("_tasks", None)

    @functools.wraps(fit)
    def method(self, *arguments, **options):
        if vars(self).keys() & {"_skl_callbacks", "_parent_callback_ctx"}:
            return run(self, arguments, options)
        return fit(self, *arguments, **options)

    return method
