"""An estimator for tables: a preparation and a model that are fitted, used and saved as one."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from fastdbn.callbacks import Callback
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.load import load
from fastdbn.estimators.network import DeepNetwork
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.rows import named, rows_of
from fastdbn.preparation.kinds import can_be_kept
from fastdbn.preparation.preparation import KEEP, Preparation
from fastdbn.preparation.words import table_of
from fastdbn.support.checks import shown
from fastdbn.support.report import DataWarning, progress, warn
from fastdbn.support.types import Array, Device, FilePath, Labels
from fastdbn.tables.frames import as_frame, as_table, frame_kind


def _has(name):
    """Whether the model of a TableModel has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


def _method(name: str, told: str, back: Callable[..., Any] | None = None) -> Any:
    """A method of the estimator, given a table; `back` makes its result one of the TableModel's, `told` says what that is."""

    def method(self, X: Any, *args: Any, **options: Any) -> Any:
        rows = self._prepared(X)
        found = getattr(self.estimator_, name)(rows, *args, **options)
        return found if back is None else back(self, found, X)

    method.__name__, method.__qualname__ = name, f"TableModel.{name}"
    method.__doc__ = f"The estimator's `{name}` for a table: {told}. Further arguments are those of the estimator's method."
    return available_if(_has(name))(method)


class Prepared(Callback):
    """Gives an estimator the preparation of its table when a fit begins, so that checkpoints hold it."""

    def __init__(self, preparation):
        self.preparation = preparation

    def on_fit_begin(self, estimator, resumed):
        estimator.preparation_ = self.preparation


class TableModel(TransformerMixin, BaseEstimator):
    """A model of a table with text, dates and missing values: data frames in, data frames out.

    Parameters
    ----------
    estimator : RBM, or any network of this library
        What learns from the prepared table. It is copied. Where its visible units are "auto", the preparation decides them.
    preparation : Preparation or None, default None
        How columns are prepared; None is ``Preparation()``. If the estimator's `missing` is set, missing values are left to it.

    Attributes
    ----------
    estimator_ : the fitted estimator
    preparation_ : the fitted Preparation
    classes_ : (n_classes,) array, of a classifier
    feature_names_in_ : names of the columns that are used

    Examples
    --------
    >>> import pandas as pd
    >>> from fastdbn import DBN, RBM, TableModel
    >>> people = pd.DataFrame({"age": [31, None, 52, 40] * 10, "job": ["cook", "nurse", None, "cook"] * 10})
    >>> model = TableModel(DBN((8,), rbm=RBM(n_iter=2), random_state=0)).fit(people)
    >>> sorted(model.sample(3))
    ['age', 'job']
    """

    def __init__(self, estimator: Estimator, *, preparation: Preparation | None = None) -> None:
        self.estimator, self.preparation = estimator, preparation

    # ---- training and files

    def fit(self, X: Any, y: ArrayLike | None = None, **options: Any) -> Self:
        """Learn the preparation, then fit the model.

        Parameters
        ----------
        X : data frame of pandas, polars or Arrow, or (n, width) array or list
        y : (n,) array or None
            The target. Columns that determine it are left out.
        **options
            Further arguments of the estimator's `fit`, such as `sample_weight`; rows of `validation_data` are a table too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for columns that cannot be used, with names, rows and remedies; and as the estimator's `fit`.

        Warns
        -----
        DataWarning
            names the columns that are left out, and why.
        """
        goes_on = getattr(self.estimator, "warm_start", False) and hasattr(self, "estimator_")
        return self._trained(self._again() if goes_on else None, "fit", X, y, options)

    @available_if(_has("partial_fit"))
    def partial_fit(self, X: Any, y: ArrayLike | None = None, **options: Any) -> Self:
        """Make one pass over a part of a table. The first call without a fit learns the preparation from its rows.

        Parameters are those of `fit`.

        Returns
        -------
        self

        Warns
        -----
        DataWarning
            for values that the first part did not have. They count as missing.
        """
        return self._trained(getattr(self, "estimator_", None), "partial_fit", X, y, options)

    def _begun(self, table, y, kind):
        """A new model, and the preparation that suits it and a table of a kind of frame."""
        model = self._new_model()
        preparation = Preparation() if self.preparation is None else clone(self.preparation)
        if _first(model).missing is not None:
            preparation.missing = KEEP
        preparation.fit_table(table, None if y is None else np.asarray(y))
        preparation.frames_ = kind
        _tell(preparation, table, getattr(model, "verbose", 0))
        _set_visible(model, preparation.visible_)
        return model, preparation

    def _again(self):
        """The fitted model with the present parameters of the estimator."""
        model = self.estimator_.set_params(**self._new_model().get_params(deep=False))
        _set_visible(model, self.preparation_.visible_)
        return model

    def _trained(self, model, method, X, y, options):
        """Train a fitted model, or a new one, by one of its methods. It is kept if it was interrupted, too."""
        table = as_table(X)
        model, preparation = self._begun(table, y, frame_kind(X)) if model is None else (model, self.preparation_)
        rows, watched = preparation.transform_table(table), options.get("validation_data")
        if watched is not None:
            options["validation_data"] = _watched(preparation, watched)
        callbacks = model.callbacks
        if isinstance(callbacks, (list, tuple)):
            model.callbacks = [Prepared(preparation), *callbacks]
        try:
            getattr(model, method)(rows, *(() if y is None else (y,)), **options)
        finally:
            model.callbacks = callbacks
            if hasattr(model, "n_features_in_"):
                model.preparation_ = preparation
                self.estimator_ = model
        return self

    def _new_model(self):
        model = self.estimator
        if not isinstance(model, (RBM, DeepNetwork)):
            raise ValueError(f"estimator={model!r}: give an RBM or a network of this library")
        return clone(model)

    @classmethod
    def load(cls, path: FilePath) -> Self:
        """Read a model of a table: one that `save`, or ``fastdbn train`` on a table, wrote.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        TableModel

        Raises
        ------
        ValueError
            if the file holds a model without a preparation, or as `fastdbn.load`.
        """
        return cls.of(load(path))

    @classmethod
    def of(cls, model: Estimator) -> Self:
        """The TableModel of a fitted model that has a `preparation_`, as `fastdbn.load` gives it."""
        if not hasattr(model, "preparation_"):
            raise ValueError(f"this {type(model).__name__} was not trained on a table: it takes arrays, as it is")
        fitted = cls(clone(model))
        fitted.estimator_ = model
        return fitted

    def save(self, path: FilePath) -> None:
        """Write the model with its preparation to a safetensors file, read back by `TableModel.load`.

        Parameters
        ----------
        path : str or path
            An existing file is replaced in one step, and keeps its mode.
        """
        check_is_fitted(self)
        self.estimator_.save(path)

    def to_device(self, device: Device = "cuda") -> Self:
        """From now on the estimator computes on `device`, as `RBM.to_device` says. Returns self."""
        check_is_fitted(self)
        self.estimator_.to_device(device)
        return self

    def to_host(self) -> Self:
        """From now on the estimator computes on the CPU. Returns self."""
        return self.to_device("cpu")

    # ---- use

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self):
        tags = get_tags(self.estimator)
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        return tags

    @property
    def preparation_(self) -> Preparation:
        return self.estimator_.preparation_

    @property
    def classes_(self) -> Labels:
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        return self.preparation_.width_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        return self.preparation_.feature_names_in_

    def __getattr__(self, name):
        """What the estimator has and a table has not, such as weights, is named in an error."""
        model = vars(self).get("estimator_", vars(self).get("estimator"))
        if name.startswith("_") or not hasattr(model, name):
            raise AttributeError(f"a TableModel of a {type(model).__name__} has no attribute {name!r}")
        raise AttributeError(f"a TableModel has no attribute {name!r}: take that of its estimator, estimator_.{name}")

    def _prepared(self, X, missing=None):
        check_is_fitted(self)
        return self.preparation_.transform_table(as_table(X), missing)

    def _as_table(self, numbers, X):
        """The table that numbers stand for, as a frame of the kind of X."""
        return as_frame(self.preparation_.inverse_table(numbers), frame_kind(X))

    predict = _method("predict", "labels, or numbers")
    predict_proba = _method("predict_proba", "probabilities of the classes, in the order of `classes_`")
    predict_log_proba = _method("predict_log_proba", "their logarithms")
    decision_function = _method("decision_function", "scores less the threshold, negative for outliers")
    score_samples = _method("score_samples", "how normal each row is; higher is more normal")
    free_energy = _method("free_energy", "the free energy of each row")
    energy = _method("energy", "the energy of each row with hidden states H")
    sample_hidden = _method("sample_hidden", "drawn states of the hidden units")
    reconstruct = _method("reconstruct", "the table that rows become on their way up and down", _as_table)
    denoise = _method("denoise", "a table of clean rows", _as_table)
    gibbs = _method("gibbs", "the table that rows become by Gibbs steps", _as_table)
    up_down = _method("up_down", "trains on by up-down, and returns the TableModel", lambda self, *_: self)

    def transform(self, X: Any, **options: Any) -> Array:
        """The estimator's `transform` for a table: hidden features."""
        rows = self._prepared(X)
        return self.estimator_.transform(rows, **options)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the features that `transform` gives."""
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out()

    @available_if(_has("fit_predict"))
    def fit_predict(self, X: Any, y: ArrayLike | None = None, **options: Any) -> NDArray[np.int64]:
        """Fit to a table, and say of each row whether it is an outlier, -1, or not, 1."""
        return self.fit(X, y, **options).predict(X)

    @available_if(_has("inverse_transform"))
    def inverse_transform(self, X: ArrayLike, **options: Any) -> Any:
        """The table that hidden states or codes stand for."""
        check_is_fitted(self)
        return self.preparation_.inverse_transform(self.estimator_.inverse_transform(X, **options))

    def score(self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """The estimator's `score` for a table."""
        rows = self._prepared(X)
        return self.estimator_.score(rows, y, sample_weight=sample_weight)

    @available_if(_has("sample"))
    def sample(self, n_samples: int | None = None, **options: Any) -> Any:
        """New rows as a table.

        Parameters
        ----------
        n_samples : int or None, default None
            None is one, or with `start` one for each of its rows.
        **options
            Further arguments of the estimator's `sample`; `start` is a table.

        Returns
        -------
        data frame of the kind of the fit, of pandas if that was none; a Table where pandas is not installed
        """
        check_is_fitted(self)
        if options.get("start") is not None:
            options["start"] = self._prepared(options["start"])
        return self.preparation_.inverse_transform(self.estimator_.sample(n_samples, **options))

    def impute(self, X: Any, **options: Any) -> Any:
        """Fill in the missing values of a table.

        Parameters
        ----------
        X : as for `fit`
        **options
            Further arguments of the estimator's `impute`, such as `method` and `random_state`. A classifier's or regressor's
            pretrained network fills in.

        Returns
        -------
        data frame of the kind of X, of pandas if it is none; a Table where pandas is not installed
            The columns that are used, in the order of the fit. What is known is as it was.

        Raises
        ------
        ValueError
            if there is no pretrained network, and as the estimator's `impute`.
        """
        numbers = self._prepared(X, KEEP)
        network = self.estimator_ if hasattr(self.estimator_, "impute") else self.estimator_.dbn_
        if network is None:
            raise ValueError(f"pretrain={self.estimator_.pretrain!r}: without a pretrained network nothing can be filled in")
        filled = network.impute(numbers, **options)
        table = self.preparation_.inverse_table(np.where(np.isnan(numbers), filled, numbers), missing=False)
        return as_frame(table, frame_kind(X))


def _watched(preparation, validation_data):
    """``validation_data``, whose table becomes numbers. A list of a table and y is a pair, as estimators take it."""
    is_pair = isinstance(validation_data, list) and len(validation_data) == 2 and np.ndim(validation_data[0]) == 2
    given = tuple(validation_data) if is_pair else validation_data
    try:
        table = as_table(rows_of(given))
    except ValueError as error:
        raise ValueError(f"validation_data={shown(validation_data)}: {error}; give a table, or a tuple (table, y)") from None
    with named():
        numbers = preparation.transform_table(table)
    return (numbers, *given[1:]) if isinstance(given, tuple) else numbers


def _first(model) -> Any:
    """The RBM that describes the data."""
    return model if isinstance(model, RBM) else model._first()


def _set_visible(model: Estimator, visible):
    """Let a model have these visible units, unless it says which."""
    given = _first(model).visible
    if not (isinstance(given, str) and given == "auto"):
        return
    if isinstance(model, RBM):
        model.set_params(visible=visible)
    elif model.rbm is None:
        model.set_params(rbm=RBM(visible=visible))
    else:
        model.set_params(**{"rbm__visible" if isinstance(model.rbm, RBM) else "rbm__0__visible": visible})


def _tell(preparation, table, verbose):
    """Say what was decided: the columns that are left out, and with `verbose` all of them."""
    for line in table_of(preparation, lambda place: table.names[place] if table.names else str(place)) if verbose else ():
        progress(line)
    left_out = {j: why for j, why in preparation.left_out_.items() if why != "as told"}
    if left_out:
        said = "; ".join(f"{table.name(j)} {why}" for j, why in left_out.items())
        kept = [j if table.names is None else table.names[j] for j in left_out if can_be_kept(table, j)]
        keep = f", or keep one with preparation=Preparation(keep=[{kept[0]!r}])" if kept else ""
        warn(f"left out: {said}. Take such columns out of the table{keep}", DataWarning)
