"""What a callback is: an object with hooks that a fit calls, or a plain callable that it calls after each epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastdbn.support.types import Stage


class Callback:
    """A callback whose hooks do nothing: override those that you need.

    A fit is a run of stages. A stage is the number of a layer (from 0), ``"up-down"`` or ``"fine-tuning"``. The estimator of all
    hooks is the one whose `fit` was called, also while a part of it trains.

    Hooks are called in the order in which they stand here. StopIteration in `on_epoch_end` ends the stage, once all callbacks
    were told of the epoch. In another hook it becomes a RuntimeError, because no epoch is complete there. Any other error ends
    the fit, which keeps what it has learned.
    """

    is_last = False
    """Whether this callback is told after all others, and not at all of an epoch after which another ends the stage."""

    def on_fit_begin(self, estimator: Any, resumed: bool) -> None:
        """A fit begins.

        Parameters
        ----------
        estimator : estimator
            Its parameters are checked, its data are not.
        resumed : bool
            Whether the fit goes on from an earlier one.
        """

    def on_stage_begin(self, estimator: Any, stage: Stage, epoch: int, n_epochs: int, n_rows: int) -> None:
        """A stage begins, or goes on.

        Parameters
        ----------
        estimator : estimator
        stage : int or str
        epoch : int
            Epochs that this stage has behind it.
        n_epochs : int
            Epochs at which it ends.
        n_rows : int
            Rows of an epoch.
        """

    def on_epoch_begin(self, estimator: Any, stage: Stage, epoch: int) -> None:
        """An epoch begins.

        Parameters
        ----------
        estimator : estimator
        stage : int or str
        epoch : int
            From 1.
        """

    def on_epoch_end(self, estimator: Any, stage: Stage, epoch: int, metrics: dict[str, float]) -> None:
        """An epoch is complete, and the fitted attributes are those after it.

        Parameters
        ----------
        estimator : estimator
        stage : int or str
        epoch : int
            From 1.
        metrics : dict
            Its measures by name; NaN if one was not measured.
        """

    def on_stage_end(self, estimator: Any, stage: Stage) -> None:
        """A stage is complete."""

    def on_fit_end(self, estimator: Any, complete: bool) -> None:
        """A fit ends.

        Parameters
        ----------
        estimator : estimator
        complete : bool
            False after Ctrl-C or an error.
        """


Callbacks = Sequence[Callback | Callable[..., Any]]
"""What estimators take as `callbacks`: callables are told of the ends of epochs alone."""


class Relay(Callback):
    """Tells the callbacks of a network what a part of it, which has this one callback, does."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def on_stage_begin(self, estimator: Any, *_: Any, **info: Any) -> None:
        notify(self.owner, "on_stage_begin", **info)

    def on_epoch_begin(self, estimator: Any, *_: Any, **info: Any) -> None:
        notify(self.owner, "on_epoch_begin", **info)

    def on_epoch_end(self, estimator: Any, *_: Any, **info: Any) -> None:
        notify(self.owner, "on_epoch_end", **info)

    def on_stage_end(self, estimator: Any, *_: Any, **info: Any) -> None:
        notify(self.owner, "on_stage_end", **info)


def listeners(estimator: Any) -> Iterator[Callback | Callable[..., Any]]:
    """The callbacks of an estimator, or of the network that it is a part of."""
    for callback in getattr(estimator, "callbacks", None) or ():
        if isinstance(callback, Relay):
            yield from listeners(callback.owner)
        else:
            yield callback


def _is_last(callback: object) -> bool:
    return getattr(callback, "is_last", False)


def _misplaced(callback: object, hook: str, error: StopIteration) -> RuntimeError:
    fault = RuntimeError(
        f"{type(callback).__name__}.{hook} raised StopIteration, which ends a stage only in on_epoch_end: raise it there, or "
        "another error to end the fit"
    )
    fault.__cause__ = error
    return fault


def notify(estimator: Any, hook: str, **info: Any) -> None:
    """Call a hook of all callbacks of an estimator. A plain callable is told of epochs alone, where it calls a stage `layer`.

    Raises
    ------
    StopIteration
        if one raised it in `on_epoch_end`, after all were told.
    RuntimeError
        if one raised it in another hook.
    BaseException
        that one raised; after it only those are told that are the last.
    """
    stops, fault = False, None
    callbacks = [*(getattr(estimator, "callbacks", None) or ()), *vars(estimator).get("_tasks", ())]
    for callback in sorted(callbacks, key=_is_last):
        if stops if _is_last(callback) else fault:
            continue
        try:
            if hasattr(callback, hook):
                getattr(callback, hook)(estimator, **info)
            elif hook == "on_epoch_end" and callable(callback):
                callback(estimator=estimator, layer=info["stage"], epoch=info["epoch"], metrics=info["metrics"])
        except StopIteration as error:
            stops = True
            if hook != "on_epoch_end":
                fault = fault or _misplaced(callback, hook, error)
        except BaseException as error:
            fault = fault or error
    if fault is not None:
        raise fault
    if stops:
        raise StopIteration
