"""Checks of estimator parameters, each with a message that names the argument, its value and the remedy."""

import contextlib
import numbers
import os
import re
from collections.abc import Iterable

import numpy as np
from scipy import sparse
from sklearn.utils.validation import assert_all_finite

from fastdbn.maths.optim import LARGEST, MOST_STEPS, at_epoch, is_number, is_sequence, steps_at_epoch

MOST = 2**31 - 1
"""The largest count of anything: rows, units, steps and epochs are numbered by words of 32 bits."""
MOST_LAYERS = 31
"""The most layers of a network. Each has noise of its own (`rng.draw_stream`)."""
MOST_TEMPERATURES = 10_000
FINITE = float(np.finfo(np.float64).max)
"""The largest float64 number."""


LONG = 200
"""The most characters of a value that a message shows, and the most elements of an array that it looks into."""


def refuse(condition, message):
    """A ValueError if the condition holds."""
    if condition:
        raise ValueError(message)


def shown(value):
    """How a message shows a value: NumPy's numbers and texts as Python's, long values cut."""
    with np.printoptions(legacy="1.25"):
        text = repr(value.tolist() if isinstance(value, np.ndarray) and value.size <= LONG else value)
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def integer(value, name, least=1, most=MOST):
    """An integer in [least, most], or a ValueError."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    raise ValueError(f"{name}={shown(value)}: give an integer from {least} to {most}")


def real(value, name, least=0.0, most=LARGEST, below=None):
    """A number in [least, most], or in [least, below), or a ValueError."""
    number = _as_float(value) if is_number(value) else np.nan
    if least <= number <= most and (below is None or number < below):
        return number
    bottom = "" if least <= -LARGEST else f" of at least {least:g}"
    top = f" and below {below:g}" if below is not None else "" if most >= LARGEST else f" and at most {most:g}"
    raise ValueError(f"{name}={shown(value)}: give a finite number{bottom}{top}")


def _as_float(number):
    """A real number as a Python float, infinite where it is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return np.inf


def memory():
    """Bytes of this machine's memory; infinite where the system does not say."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else np.inf


def room(count, name, value):
    """Refuse the parameter `name` if it asks for more numbers of 4 bytes than the machine's memory holds."""
    if 4 * count > memory():
        raise ValueError(
            f"{name}={shown(value)} asks for {4 * count / 1e9:.3g} GB, and this machine has {memory() / 1e9:.3g} GB: give less"
        )


UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
"""Multiples of a byte."""


def bytes_of(value, name):
    """Bytes, from an integer or a text such as "500MB" or "2 GiB"; or a ValueError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?i?)b?\s*", value.lower()) if isinstance(value, str) else None
    if found and found[2] in UNITS:
        value = int(float(found[1]) * UNITS[found[2]])
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0:
        return int(value)
    raise ValueError(f'{name}={shown(value)}: give a positive number of bytes, a text such as "500MB" or "2GB", or None')


def flag(value, name):
    """True or False, or a ValueError."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ValueError(f"{name}={shown(value)}: give True or False")


def callbacks(value, name):
    """A list or tuple of callables and callback objects, or None; or a ValueError."""
    for callback in value if isinstance(value, (list, tuple)) else ():
        if isinstance(callback, type):
            raise ValueError(f"{name}={shown(value)}: {callback.__name__} is a class, give an object: {callback.__name__}(...)")
    known = isinstance(value, (list, tuple)) and all(callable(x) or hasattr(x, "on_epoch_end") for x in value)
    if not (known or value is None):
        raise ValueError(f"{name}={shown(value)}: give a list of callables and objects of fastdbn.callbacks, or None")


def schedule(value, name, most=LARGEST):
    """A number, callable or list that `at_epoch` accepts: a list in all of its values, a callable at epoch 0."""
    return _schedule(at_epoch, value, name, most)


def steps(value, name):
    """The same for a schedule of whole numbers, which `steps_at_epoch` accepts."""
    return integer(value, name, most=MOST_STEPS) if np.isscalar(value) else _schedule(steps_at_epoch, value, name, MOST_STEPS)


def _schedule(read, value, name, most):
    for epoch in range(len(value) if is_sequence(value) else 1):
        number = read(value, epoch, name)
        if number > most:
            raise ValueError(f"{name} is {number:g} at epoch {epoch}: it must be at most {most:g}")
    return value


def choice(value, name, allowed):
    """One of some strings, or a ValueError that lists them."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name}={shown(value)}: give one of {', '.join(map(repr, allowed))}")


def layer(value, n):
    """The number from 0 of one of n layers, negative from the last; or a ValueError."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and -n <= value < n:
        return int(value) % n
    raise ValueError(f"layer={value!r}: give an integer from {-n} to {n - 1}, because the network has {n} hidden layers")


def is_auto(value):
    """Whether a parameter that may also be an array, a list or a unit is "auto"."""
    return isinstance(value, str) and value == "auto"


def per_layer(value, name, n_layers):
    """A list or tuple with one value for each layer, or a ValueError."""
    if len(value) != n_layers:
        raise ValueError(f"{name}={shown(value)} has {len(value)} values for {n_layers} layers: give one, or one for each")
    return value


def is_missing(value):
    """Whether a single value is None, NaN, or pandas' NA or NaT."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # NA has no truth
        return True
    except ValueError:  # an array has several
        return False


def finite(X, estimator, allow_nan=False):
    """Refuse numbers of X, an array or a CSR matrix, that are not finite; NaN passes in arrays with `allow_nan`.

    Raises
    ------
    ValueError
        names row and column, the column by its name if the estimator knows that.
    """
    allow_nan, names = allow_nan and not sparse.issparse(X), getattr(estimator, "feature_names_in_", None)
    try:
        with np.errstate(invalid="ignore"):  # its sum of infinite numbers
            assert_all_finite(X, allow_nan=allow_nan)
    except ValueError:
        row, column, value = _first(np.isinf if allow_nan else lambda x: ~np.isfinite(x), X)
    else:
        return
    column = column if names is None else repr(str(names[column]))
    remedy = "scale it, or leave the row out"
    if np.isnan(value):
        remedy = (
            "fill it in, as scikit-learn's SimpleImputer does, or leave the row out; RBM(missing='sample') takes it, and so do "
            "networks with rbm=RBM(missing='sample')"
        )
    raise ValueError(f"Input X contains {'NaN' if np.isnan(value) else 'infinity'} in row {row}, column {column}: {remedy}")


def moderate(X, largest, remedy):
    """Refuse numbers of X, a finite array or CSR matrix, that are beyond -largest and largest.

    Raises
    ------
    ValueError
        names row and column.
    """
    values = X.data if sparse.issparse(X) else X
    if values.size and max(values.max(), -values.min()) > largest:
        row, column, value = _first(lambda x: np.abs(x) > largest, X)
        raise ValueError(f"Input X has {value:.3g} in row {row}, column {column}, where {largest:.1e} is the most: {remedy}")


def _first(is_bad, X):
    """(row, column, value) of the first bad number."""
    if sparse.issparse(X):
        at = int(np.argmax(is_bad(X.data)))
        return int(np.searchsorted(X.indptr, at, side="right")) - 1, int(X.indices[at]), X.data[at]
    row = next(i for i, x in enumerate(X) if is_bad(x).any())
    column = int(np.argmax(is_bad(X[row])))
    return row, column, X[row, column]


def unmasked(values, name, may_lack=False):
    """The values. A masked array becomes a plain one, with NaN for masked values if `may_lack` allows missing values.

    Raises
    ------
    ValueError
        if values are masked and must not be missing.
    """
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if not np.ma.is_masked(values):
        return values.data
    if may_lack:
        return values.astype(np.result_type(values.dtype, np.float32)).filled(np.nan)
    raise ValueError(
        f"{name} is a masked array with {np.ma.count_masked(values)} masked values, which cannot be missing here: fill them in "
        "with .filled(), or leave the rows out. An RBM takes missing values of X with missing='drop' or 'sample', and impute does"
    )


@contextlib.contextmanager
def of_numbers(X):
    """A context in which scikit-learn reads X, an array or a data frame: what is no number is told with the remedy.

    Raises
    ------
    ValueError
        for dates, text, and two columns of one name.
    """
    names = [*map(str, getattr(X, "columns", ()))]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"X has two columns named {twice!r}: give each a name of its own, or an array by X.to_numpy()")
    no_dates(X, "X")
    try:
        yield
    except ValueError as error:
        if "could not convert string" not in str(error):
            raise
        raise ValueError(
            f"X has text ({error}): encode it as numbers, or give a data frame to fastdbn.TableModel(estimator), which takes "
            "text, dates and missing values"
        ) from None


def no_dates(values, name):
    """Refuse dates and times, which would be counted in units that nobody chose.

    Raises
    ------
    ValueError
    """
    types = getattr(values, "dtypes", None)
    types = [getattr(values, "dtype", None)] if types is None or not isinstance(types, Iterable) else [*types]
    if any(getattr(kind, "kind", None) in ("m", "M") or str(kind).startswith(("Date", "Duration")) for kind in types):
        table = "" if name == "y" else ", or give a data frame to fastdbn.TableModel(estimator)"
        raise ValueError(f"{name} has dates or times: make numbers of them, such as days since a date{table}")


def matrix(X):
    """Refuse data that compiled code cannot index: a sparse matrix whose indices or indptr point outside of it, which SciPy
    builds without complaint, and data with too many rows or columns.

    Raises
    ------
    ValueError
        names X, the row and the remedy.
    """
    shape = getattr(X, "shape", ())
    if len(shape) == 2 and max(shape) > MOST:
        raise ValueError(f"X has shape {shape}: give at most {MOST:,} rows and columns, or train on parts by partial_fit")
    if not hasattr(X, "check_format"):
        return
    try:
        X.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(
            f"X is not a valid sparse matrix{_fault(X)} ({error}): correct X.indices and X.indptr, or build X anew from "
            "(values, (rows, columns)), which SciPy checks"
        ) from error


def _fault(X):
    """Where the indices or indptr of a CSR or CSC matrix go wrong, in words."""
    row, column = ("column", "row") if X.format == "csc" else ("row", "column")
    size, falls = X.shape[0 if X.format == "csc" else 1], np.flatnonzero(np.diff(X.indptr) < 0)
    outside = np.flatnonzero((X.indices < 0) | (X.indices >= size))
    if len(falls):
        return f": {row} {falls[0]} ends before it begins"
    if len(outside) and X.format != "bsr":
        place = np.searchsorted(X.indptr, outside[0], side="right") - 1
        return f": {row} {place} has an entry in {column} {X.indices[outside[0]]} of {size}"
    return ""


def inverse_temperatures(value, name):
    """A tuple of at least two inverse temperatures that fall from 1. An integer means so many, evenly from 1 to 0."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return tuple(np.linspace(1.0, 0.0, integer(value, name, 2, MOST_TEMPERATURES)).tolist())
    betas = np.asarray(value, np.float64) if is_sequence(value) and all(map(is_number, value)) else np.empty(0)
    if len(betas) < 2 or betas[0] != 1 or not (np.diff(betas) < 0).all() or betas[-1] < 0:
        raise ValueError(
            f"{name}={shown(value)}: give an integer from 2 to {MOST_TEMPERATURES}, or inverse temperatures that fall from 1 to "
            "no less than 0"
        )
    return tuple(betas.tolist())


def layer_sizes(value, name="hidden_layer_sizes"):
    """A tuple of positive integers from an int or a non-empty sequence."""
    sizes = (value,) if isinstance(value, numbers.Integral) else tuple(value) if is_sequence(value) else ()
    if not 0 < len(sizes) <= MOST_LAYERS:
        raise ValueError(f"{name}={shown(value)}: give a positive integer or a tuple of up to {MOST_LAYERS} of them")
    return tuple(integer(size, name) for size in sizes)


def sample_weights(sample_weight, n):
    """None, or the weights as float64 divided by their mean, so that a step's size does not depend on their scale."""
    if sample_weight is None:
        return None
    weights = unmasked(sample_weight, "sample_weight")
    try:
        weights = np.asarray(weights, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"sample_weight={shown(sample_weight)}: give one number for each row of X, or None") from None
    weights = np.full(n, float(weights)) if weights.ndim == 0 else weights
    if weights.shape != (n,):
        raise ValueError(f"sample_weight has shape {weights.shape}: give one weight for each of the {n} rows of X")
    if not np.isfinite(weights).all() or (weights < 0).any() or not 0 < weights.sum() < np.inf:
        raise ValueError("sample_weight: give finite numbers of at least 0 that are not all zero")
    return weights / weights.mean()
