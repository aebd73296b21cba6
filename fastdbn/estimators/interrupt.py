"""What an interrupt leaves of a fit, and how a later fit completes it.

A fit is a run of stages, named as callbacks are told: the layers of a stack by their numbers, "up-down", "fine-tuning". Its
estimator notes in `_run` where each stage began, until the run is complete. So after Ctrl-C, a divergence or an error in a
callback, a fit with `warm_start` trains only the missing epochs and stages. A call that ends before its first epoch is
complete leaves the estimator as it was.
"""

import functools
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import validation

from fastdbn.callbacks.callback import notify
from fastdbn.callbacks.checkpoint import Checkpoint
from fastdbn.estimators import resume
from fastdbn.files import fingerprint
from fastdbn.files.entries import Entry
from fastdbn.files.parameters import entry, whole
from fastdbn.files.state import declared
from fastdbn.support import checks

Method = TypeVar("Method", bound=Callable[..., Any])
UP_DOWN, FINE_TUNING = "up-down", "fine-tuning"
"""The names of the stages that are not layers."""


class Run(NamedTuple):
    """A fit that is under way or was interrupted.

    epochs are those that the estimator had before the present call; begun has for each stage the epoch at which it began and how
    many it was to train; done names the stages that are complete. data are fingerprints of the data, by name, if checkpoints need
    them. resumes names the checkpoint that this call goes on from, or is "".
    """

    epochs: int
    begun: dict
    done: tuple = ()
    data: dict | None = None
    resumes: str = ""


def _stage(value):
    """The name of a stage, or the number of a layer, as a file has it."""
    if isinstance(value, str) and value not in (UP_DOWN, FINE_TUNING):
        raise ValueError(f"run: {reprlib.repr(value)} is not a stage of a fit")
    return value if isinstance(value, str) else whole(value, "run")


def _read_run(record, name, place):
    begun = entry(record, "begun", list)
    begun = {_stage(stage): (whole(start, name), whole(n_iter, name)) for stage, start, n_iter in begun}
    done = tuple(_stage(stage) for stage in entry(record, "done", list))
    return Run(0, begun, done, fingerprint.decode(record["data"], "data") if "data" in record else None)


def _write_run(run):
    record = {"begun": [[stage, *epochs] for stage, epochs in run.begun.items()], "done": list(run.done)}
    return record if run.data is None else record | {"data": fingerprint.encode(run.data)}


RUN = Entry(_write_run, _read_run)
"""The field of a run."""


class Interruptible:
    """An estimator whose fit can be interrupted and completed.

    One whose fit goes on from an earlier one has `_has_begun()`: whether that left parameters that another fit can train.
    """

    def _interrupted(self):
        """Whether a fit was interrupted, which this one is to complete."""
        run = vars(self).get("_run")
        return bool(run and (run.resumes or getattr(self, "warm_start", False)))

    def _goes_on(self, part=None, checkpoint=None):
        """Whether a fit, or a pass over a `part`, goes on from an earlier one, or from a checkpoint, which is read here."""
        if part is not None:
            return self._has_begun()
        run, warm = vars(self).get("_run"), checks.flag(self.warm_start, "warm_start")
        if run and run.resumes:
            self._run = run._replace(resumes="")
        saved, named = (None, "") if checkpoint is None else resume.found(self, checkpoint)
        if saved is not None:
            self._forget()
            all_at_once((self, {name: value for name, value in vars(saved).items() if name in declared(type(self))}))
            self._run = saved._run._replace(epochs=_epochs(self), resumes=named)
        elif checkpoint is not None:
            return False
        return (warm or saved is not None) and self._has_begun()

    def _called(self, name):
        """What errors call a parameter of `fit`: with the checkpoint that this call goes on from, if there is one."""
        run = vars(self).get("_run")
        return f"{run.resumes}: {name}" if run and run.resumes else name

    def _note_data(self, part, **arrays):
        """Note of the run what tells its data from others, if checkpoints need it; refuse data that are not those noted before.

        A pass over a `part` is not a run.
        """
        if part is not None:
            return
        known = self._run.data
        if known is None and not any(isinstance(callback, Checkpoint) for callback in self.callbacks or ()):
            return
        data = {name: fingerprint.fingerprint(x) for name, x in arrays.items() if x is not None}
        differ = [] if known is None else [*fingerprint.differences(data, known)]
        if differ:
            what = self._run.resumes or "warm_start=True: the run that was interrupted"
            raise ValueError(f"{what} is of a fit to other data: {'; '.join(differ)}. Give those of the fit, or begin anew")
        self._run = self._run._replace(data=data)

    def _begin_run(self, goes_on, part=None):
        """Begin a run, from fitted parameters or from nothing, or go on with the one that was interrupted.

        A pass over a `part` is not a run: it is done completely, or not at all.
        """
        if not goes_on:
            self._forget()
        if part is not None:
            return
        run = self._run if goes_on and self._interrupted() else Run(0, {})
        self._run = run._replace(epochs=_epochs(self))
        notify(self, "on_fit_begin", resumed=bool(goes_on))

    def _recount(self):
        """From here on count epochs as those of this run."""
        if vars(self).get("_run"):
            self._run = self._run._replace(epochs=_epochs(self))

    def _forget(self):
        """Drop all that an earlier fit has left. Other attributes that begin with an underscore are scikit-learn's."""
        for name in [*vars(self)]:
            if name.endswith("_") or name in declared(type(self)):
                delattr(self, name)

    def _plan(self, stage, epoch, n_iter):
        """The epoch at which a stage of the run began. It now stands at `epoch`.

        If the number of epochs has changed, the stage begins anew.
        """
        start, planned = self._run.begun.get(stage, (epoch, n_iter))
        start = start if planned == n_iter else epoch
        self._run = self._run._replace(begun=self._run.begun | {stage: (start, n_iter)})
        return start

    def _enter(self, stage, epoch, n_iter, n_rows):
        """(the epoch at which a stage of the run began, the epochs of n_rows rows that it still lacks)."""
        start = self._plan(stage, epoch, n_iter)
        lacking = 0 if stage in self._run.done else max(0, start + n_iter - epoch)
        notify(self, "on_stage_begin", stage=stage, epoch=epoch - start, n_epochs=n_iter, n_rows=n_rows)
        return start, lacking

    def _leave(self, stage):
        """A stage of the run is complete."""
        self._run = self._run._replace(done=(*(name for name in self._run.done if name != stage), stage))
        notify(self, "on_stage_end", stage=stage)

    def _teller(self, stage, estimator=None):
        """What a run calls to tell the callbacks of an estimator, by default this, of its epochs."""
        return functools.partial(notify, estimator or self, stage=stage)

    def _end_run(self):
        """The run is complete."""
        notify(self, "on_fit_end", complete=True)
        del self._run


def check_is_fitted(estimator):
    """Refuse an estimator that cannot be used yet, by scikit-learn's NotFittedError."""
    if hasattr(estimator, "__sklearn_is_fitted__") and estimator.__sklearn_is_fitted__():
        return  # scikit-learn would ask for the tags of all classes first, which takes as long as a small network
    try:
        validation.check_is_fitted(estimator)
    except NotFittedError:
        if not vars(estimator).get("_run"):
            raise
        raise NotFittedError(
            f"the fit of this {type(estimator).__name__} was interrupted before it could be used: complete it by fit with "
            "warm_start=True"
        ) from None


def all_at_once(*changes):
    """Give estimators attributes, (estimator, dict) each; arrays become read-only, because machines are built from them.

    Ctrl-C arrives between two instructions of Python, and a single instruction changes the attributes.
    """
    for _, values in changes:
        for value in values.values():
            for x in value if isinstance(value, list) else (value,):
                if isinstance(x, np.ndarray):
                    x.flags.writeable = False
    list(map(dict.update, *zip(*((vars(estimator), values) for estimator, values in changes), strict=True)))


def all_or_nothing(method: Method) -> Method:
    """Decorate a method that trains: if memory runs out, it leaves the estimator, and all that it holds, as it was.

    Any other error before the end of the first epoch has the same effect. After that a run keeps what it has learned. Python's
    own MemoryError has no message, so it gets one.
    """

    @functools.wraps(method)
    def run(self, *arguments, **options):
        before = [(part, _snapshot(vars(part))) for part in _parts(self)]
        run = vars(self).get("_run")
        try:
            return method(self, *arguments, **options)
        except BaseException as error:
            now = vars(self).get("_run")
            if isinstance(error, MemoryError) or now is run or _epochs(self) <= now.epochs:
                for part, attributes in before:
                    vars(part).clear()
                    vars(part).update(attributes)
            if now is not None and now is not run:
                notify(self, "on_fit_end", complete=False)
            if not isinstance(error, MemoryError) or str(error):
                raise
            raise MemoryError(
                f"{type(self).__name__}.{method.__name__.lstrip('_')} ran out of memory; the estimator is as it was. Use fewer "
                "rows or units, a memory map, or a CSR matrix"
            ) from error

    return run  # type: ignore[return-value]  # of the same signature


def _epochs(estimator):
    """The epochs that an estimator, and all that it holds, was trained for."""
    return sum(vars(part).get(name, 0) for part in _parts(estimator) for name in ("n_iter_", "up_down_iter_"))


def _parts(estimator):
    """An estimator and all that it holds: a network's layers, a classifier's network."""
    yield estimator
    for value in vars(estimator).values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, BaseEstimator):
                yield from _parts(part)


def _snapshot(value):
    """A copy that training does not change. It appends to lists and replaces arrays, so only lists and dicts are copied."""
    if isinstance(value, dict):
        return {key: _snapshot(x) for key, x in value.items()}
    return [_snapshot(x) for x in value] if isinstance(value, list) else value
