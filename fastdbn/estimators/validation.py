"""``fit(..., validation_data=...)``: rows of the user's own that a fit watches, in place of rows that it holds out."""

import contextlib

from fastdbn.estimators.rows import checked, clipped
from fastdbn.support.checks import shown
from fastdbn.training.monitors import check_monitor, knows_likelihood


def rows_of(validation_data):
    """X of ``validation_data``, which may be a tuple that has y too; None if there are none."""
    return validation_data[0] if isinstance(validation_data, tuple) and validation_data else validation_data


def pair_of(validation_data):
    """(X, y) of ``validation_data``; (None, None) if there are none.

    Raises
    ------
    ValueError
        if it is no pair.
    """
    if validation_data is None:
        return None, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise ValueError(f"validation_data={shown(validation_data)}: give a tuple (X, y), or None")
    return tuple(validation_data)


@contextlib.contextmanager
def named():
    """Errors of data as those of validation_data."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"validation_data: {error}") from None


def watched(estimator, X, may_lack=False):
    """Rows to watch, as a fitted model takes them, checked; None if there are none."""
    if X is None:
        return None
    with named():
        return clipped(estimator, checked(estimator, X, reset=False, may_lack=may_lack))


def check_held_out(rbm, validation):
    """Refuse early stopping by rows that are not there, and rows that are held out beside those of the user."""
    if validation is not None and rbm.validation_fraction:
        raise ValueError(
            f"validation_fraction={rbm.validation_fraction!r} holds out rows, and validation_data are given: give one of them"
        )
    if rbm.early_stopping:
        check_monitor(rbm.monitor, None, validation is not None or rbm.validation_fraction > 0, knows_likelihood(rbm))
