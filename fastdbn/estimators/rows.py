"""Checks of the rows that users give: their type and layout, whether they suit the fitted model, and those that a fit watches."""

import contextlib

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from fastdbn.estimators.forward import forward_of
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.inputs import ranges
from fastdbn.inputs.blocks import READ, stored_rows
from fastdbn.support import checks
from fastdbn.support.checks import shown
from fastdbn.support.report import DataWarning, warn
from fastdbn.support.stored import Stored
from fastdbn.tables.blocks import opened
from fastdbn.training.monitors import check_monitor, knows_likelihood
from fastdbn.units import get_unit
from fastdbn.units.unit import Unit


def types_for(X):
    """Types to read X in, the one to convert any other to first: float32 for one that it holds exactly, else float64.

    So the same numbers give the same model in any container: columns far from zero keep their digits until they are scaled.
    """
    kind = getattr(X, "dtype", None)
    exact = isinstance(kind, np.dtype) and kind.kind in "iuf" and np.can_cast(kind, np.float32)
    return [np.float32, *READ] if exact else list(READ)


def _has_form(estimator, X):
    """Whether `validate_data` would give X back as it is, if it is finite."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in READ or hasattr(estimator, "feature_names_in_"):
        return False
    return 0 < len(X) <= checks.MOST and X.shape[1] == getattr(estimator, "n_features_in_", None)


def _is_finite(X):
    """Whether X is surely finite: BLAS's sum of squares is quick and warns of nothing. It may overflow where X is finite."""
    return X.dtype.kind != "f" or bool(np.isfinite(np.vdot(X, X)))


def checked(estimator, X, reset, may_lack=False, finite=True):
    """X as a finite numeric array, CSR matrix or `Stored` of a type that the backend reads; n_features_in_ set or compared.

    may_lack lets values be missing: NaN in dense arrays, and what the mask of a masked array covers. finite=False leaves the
    check to the caller.
    """
    if not reset and _has_form(estimator, X) and _is_finite(X):  # `validate_data` takes as long as a small network for one row
        return X
    if hasattr(X, "checked_for"):  # rows elsewhere, which are checked there (fastdbn/dask)
        return X.checked_for(estimator, reset)
    X = stored_rows(opened(X), getattr(estimator, "memory_limit", None))
    if isinstance(X, Stored):
        return _checked_stored(estimator, X, reset, may_lack, finite)
    checks.matrix(X)
    X = given = checks.unmasked(X, "X", may_lack)
    with checks.of_numbers(X):
        X = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=types_for(X), ensure_all_finite=False)
    if finite:
        checks.finite(X, estimator, may_lack)
    if reset:
        is_long = getattr(given, "dtype", None) == np.uint64
        _warn_of_long_integers(X if not is_long else given.tocsr() if sparse.issparse(given) else given)
    return X


def _checked_stored(estimator, X, reset, may_lack, finite):
    """The same of rows in a file."""
    if may_lack and X.dtype.kind == "f":
        raise ValueError(
            "missing is set, which holds all rows in memory, and these lie in a file or come in blocks: fill in what is missing "
            "first and set missing=None, or give an array and memory_limit=None"
        )
    header, X.header = X.header, None
    validate_data(estimator, X if header is None else header, reset=reset, skip_check_array=True)
    checks.refuse(len(X) > checks.MOST, f"X has {len(X)} rows: give at most {checks.MOST:,}, or train on parts by partial_fit")
    if finite and X.dtype.kind == "f" and not all(np.isfinite(part).all() for part in X.blocks()):
        checks.finite(X, estimator)
    if reset and X.dtype.kind == "i":
        for part in X.blocks():
            _warn_of_long_integers(part)
    return X


def _warn_of_long_integers(X):
    """Say that whole numbers are rounded where float64 does not hold all of them."""
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        most = max(int(values.max()), -int(values.min()))
        if most > 2**53:
            warn(
                f"X has whole numbers as large as {most}; above 2^53 they are rounded to float64, and neighbours become equal: "
                "subtract a constant first",
                DataWarning,
            )


def later_rows(estimator, X, lacking=()):
    """X, as `checked` gives it, for use by a model, which must be fitted: rows are clipped to what its visible units take.

    Values may be missing if the model's `missing` is one of `lacking`. One pass over X sees whether it is finite and in range.
    """
    check_is_fitted(estimator)
    first = _first_of(estimator)
    if first is None:
        return checked(estimator, X, reset=False)
    unit, (threshold, missing) = get_unit(first.visible_), _taken(first)
    if _has_form(estimator, X) and threshold is None and isinstance(unit, Unit):  # X is returned if it is finite and in range
        if ranges.takes_all(unit) and ranges.is_near(first.scaling_, X):
            return X
        alike = first.scaling_.scale is None and unit.group == 1 and np.isfinite(unit.high)
        if alike and ranges.all_inside(X, unit.low, unit.high):
            return X
    X = checked(estimator, X, reset=False, may_lack=missing in lacking)
    return X if threshold is not None else ranges.clipped(unit, first.scaling_, X)


def clipped(estimator, X):
    """`ranges.clipped` of rows for a fitted model; a threshold takes any number."""
    first = _first_of(estimator)
    unit = None if first is None else get_unit(first.visible_)
    if unit is None or threshold_of(first) is not None:
        return X
    return ranges.clipped(unit, first.scaling_, X)


def _first_of(estimator):
    """What has the visible units and the scaling: the lowest layer of a stack, or the estimator itself; None for `BernoulliRBM`,
    which takes any number, as scikit-learn's does."""
    first = estimator.layers_[0] if hasattr(estimator, "layers_") else estimator
    return first if hasattr(first, "scaling_") else None


def binarize_of(rbm):
    """How an RBM's data are binarised where they are not the data of contrastive divergence."""
    return None if rbm.binarize == "mean" else rbm.binarize


def in_training(binarize, unit):
    """How the data of contrastive divergence are binarised for visible units.

    The chains' states of Bernoulli units are zeros and ones. Data between have less variance, and the weights of a layer that
    barely tells rows apart would shrink to zero. So they are drawn too.
    """
    if binarize is None and unit.name == "bernoulli":
        return "sample"
    return None if binarize == "mean" else binarize


def threshold_of(estimator):
    """How data are binarised outside of training: as in training, but draws are left out, which keeps the probabilities."""
    return _taken(estimator)[0]


def _taken(estimator):
    """(threshold or None, `missing`): how an RBM or a fine-tuned network takes data outside of training."""
    if hasattr(estimator, "coefs_"):
        forward = forward_of(estimator)
        return forward.threshold, forward.missing
    return None if estimator.binarize in ("sample", "mean") else estimator.binarize, estimator.missing


def check_values(rbm, X):
    """Refuse values of later data that the visible units of a fitted RBM do not take."""
    if threshold_of(rbm) is None:
        ranges.check_values(get_unit(rbm.visible_), rbm.scaling_, X, rbm.missing is not None)


# ---- rows to watch, fit(..., validation_data=...)


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
            f"validation_fraction={rbm.validation_fraction!r} holds out rows, and validation_data are given: give only one "
            "of them"
        )
    if rbm.early_stopping:
        check_monitor(rbm.monitor, None, validation is not None or rbm.validation_fraction > 0, knows_likelihood(rbm))
