"""Early stopping as a callback: what the parameter `early_stopping` does, for any stage and by any measure."""

from collections.abc import Collection
from typing import Any

from fastdbn.callbacks.callback import Callback, listeners
from fastdbn.support import checks
from fastdbn.training.monitors import MEASURES, Stopping


class EarlyStopping(Callback):
    """End a stage when a measure no longer gets better, and keep the parameters of its best epoch.

    It does what ``early_stopping=True`` does, and does not go together with that.

    Parameters
    ----------
    monitor : str or None, default None
        The entry of `history_` to watch. It is watched in each stage that measures it: "loss", "validation_loss" and
        "validation_score" in fine-tuning, the others in the layers. None watches all layers as ``RBM(early_stopping=True)`` does,
        and "validation_score" elsewhere. Measures of rows held out need `validation_data` or `validation_fraction`.
    n_iter_no_change : int, default 10
        Epochs without an improvement after which a stage ends.
    tol : float or None, default None
        Smallest improvement that counts. None depends on the measure: 1e-4 for errors, losses and scores, 1e-3 nats for
        pseudo-likelihoods.

    Raises
    ------
    ValueError
        for a measure that says nothing about quality, or a bad number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import RBM
    >>> from fastdbn.callbacks import EarlyStopping
    >>> X = load_digits().data / 16
    >>> stop = EarlyStopping("reconstruction_error", n_iter_no_change=2, tol=0.01)
    >>> RBM(16, n_iter=100, callbacks=[stop], random_state=0).fit(X).n_iter_ < 100
    True
    """

    def __init__(self, monitor: str | None = None, *, n_iter_no_change: int = 10, tol: float | None = None) -> None:
        if monitor is not None:
            checks.choice(monitor, "monitor", [name for name, how in MEASURES.items() if how.sense is not None])
        self.monitor, self.n_iter_no_change = monitor, checks.integer(n_iter_no_change, "n_iter_no_change")
        self.tol = None if tol is None else checks.real(tol, "tol")

    def stopping(self, measures: Collection[str], default: str) -> Stopping | None:
        """The `Stopping` of a stage that has some measures; None if it does not measure the monitor."""
        name = default if self.monitor is None else self.monitor
        return Stopping(name, self.n_iter_no_change, self.tol) if name in measures else None


def stopping_of(estimator: Any, measures: Collection[str], default: str, own: Stopping | None = None) -> Stopping | None:
    """The `Stopping` of a stage of an estimator's fit: that of its callbacks, or its own, or None.

    Parameters
    ----------
    estimator : estimator
    measures : collection of str
        What the stage measures.
    default : str
        The monitor of an EarlyStopping that names none.
    own : Stopping or None
        What the estimator's parameters ask for.

    Raises
    ------
    ValueError
        if there are two of them.
    """
    stops = (callback.stopping(measures, default) for callback in listeners(estimator) if isinstance(callback, EarlyStopping))
    found = [stop for stop in stops if stop is not None]
    if found and own is not None:
        raise ValueError(
            f"callbacks: an EarlyStopping by {found[0].name!r} beside early_stopping or tol, which watch {own.name!r}: give one "
            "of them"
        )
    if len(found) > 1:
        raise ValueError(
            f"callbacks: EarlyStopping by {found[0].name!r} and by {found[1].name!r} in one stage: give only one of them, or "
            "monitors of different stages"
        )
    return found[0] if found else own
