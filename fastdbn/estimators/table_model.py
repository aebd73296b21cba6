"""An estimator for tables: a preparation and a model that are fitted, used and saved as one."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from fastdbn.estimators.base import Estimator
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.load import load
from fastdbn.estimators.network import DeepNetwork
from fastdbn.estimators.rbm import RBM
from fastdbn.preparation.preparation import KEEP, Preparation
from fastdbn.preparation.words import table_of
from fastdbn.support.report import DataWarning, progress, warn
from fastdbn.tables.frames import as_frame, as_table


def _has(name):
    """Whether the model of a TableModel has a method."""
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class TableModel(BaseEstimator):
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

    def __init__(self, estimator, *, preparation=None):
        self.estimator, self.preparation = estimator, preparation

    # ---- training and files

    def fit(self, X, y=None, **options):
        """Learn the preparation, then fit the model.

        Parameters
        ----------
        X : data frame of pandas, polars or Arrow, or (n, width) array or list
        y : (n,) array or None
            The target. Columns that determine it are left out.
        **options
            Further arguments of the estimator's `fit`, such as `sample_weight`.

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
        model = self._new_model()
        preparation = Preparation() if self.preparation is None else clone(self.preparation)
        if _first(model).missing is not None:
            preparation.missing = KEEP
        table = as_table(X)
        preparation.fit_table(table, None if y is None else np.asarray(y))
        _tell(preparation, table, getattr(model, "verbose", 0))
        if isinstance(_first(model).visible, str) and _first(model).visible == "auto":
            _set_visible(model, preparation.visible_)
        model.fit(preparation.transform_table(table), *(() if y is None else (y,)), **options)
        model.preparation_ = preparation
        self.estimator_ = model
        return self

    def _new_model(self):
        model = self.estimator
        if not isinstance(model, (RBM, DeepNetwork)):
            raise ValueError(f"estimator={model!r}: give an RBM or a network of this library")
        return clone(model)

    @classmethod
    def load(cls, path):
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
    def of(cls, model):
        """The TableModel of a fitted model that has a `preparation_`, as `fastdbn.load` gives it."""
        if not hasattr(model, "preparation_"):
            raise ValueError(f"this {type(model).__name__} was not trained on a table: it takes arrays, as it is")
        fitted = cls(clone(model))
        fitted.estimator_ = model
        return fitted

    def save(self, path):
        """Write the model with its preparation to a file; parameters and errors are those of `RBM.save`."""
        check_is_fitted(self)
        self.estimator_.save(path)

    # ---- use

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self):
        tags = get_tags(self.estimator)
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        return tags

    @property
    def preparation_(self):
        return self.estimator_.preparation_

    @property
    def classes_(self):
        return self.estimator_.classes_

    @property
    def n_features_in_(self):
        return self.preparation_.width_

    @property
    def feature_names_in_(self):
        return self.preparation_.feature_names_in_

    def _prepared(self, X, missing=None):
        check_is_fitted(self)
        return self.preparation_.transform_table(as_table(X), missing)

    @available_if(_has("predict"))
    def predict(self, X):
        """The estimator's `predict` for a table."""
        return self.estimator_.predict(self._prepared(X))

    @available_if(_has("predict_proba"))
    def predict_proba(self, X):
        """The estimator's `predict_proba` for a table."""
        return self.estimator_.predict_proba(self._prepared(X))

    @available_if(_has("decision_function"))
    def decision_function(self, X):
        """The estimator's `decision_function` for a table."""
        return self.estimator_.decision_function(self._prepared(X))

    @available_if(_has("score_samples"))
    def score_samples(self, X):
        """The estimator's `score_samples` for a table."""
        return self.estimator_.score_samples(self._prepared(X))

    @available_if(_has("transform"))
    def transform(self, X):
        """The estimator's `transform` for a table: hidden features."""
        return self.estimator_.transform(self._prepared(X))

    def score(self, X, y=None, sample_weight=None):
        """The estimator's `score` for a table."""
        return self.estimator_.score(self._prepared(X), y, sample_weight=sample_weight)

    @available_if(_has("sample"))
    def sample(self, n_samples=1, **options):
        """New rows as a table.

        Parameters
        ----------
        n_samples : int, default 1
        **options
            Further arguments of the estimator's `sample`.

        Returns
        -------
        pandas DataFrame, or a Table where pandas is not installed
        """
        check_is_fitted(self)
        return self.preparation_.inverse_transform(self.estimator_.sample(n_samples, **options))

    @available_if(_has("reconstruct"))
    def reconstruct(self, X):
        """The estimator's reconstruction of rows, as a table."""
        return self.preparation_.inverse_transform(self.estimator_.reconstruct(self._prepared(X)))

    def impute(self, X, **options):
        """Fill in the missing values of a table.

        Parameters
        ----------
        X : as for `fit`
        **options
            Further arguments of the estimator's `impute`, such as `method` and `random_state`. A classifier's or regressor's
            pretrained network fills in.

        Returns
        -------
        pandas DataFrame, or a Table where pandas is not installed
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
        return as_frame(self.preparation_.inverse_table(np.where(np.isnan(numbers), filled, numbers), missing=False))


def _first(model) -> Any:
    """The RBM that describes the data."""
    return model if isinstance(model, RBM) else model._first()


def _set_visible(model: Estimator, visible):
    """Let a model have these visible units."""
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
        kept = next(iter(left_out)) if table.names is None else table.names[next(iter(left_out))]
        warn(
            f"left out: {said}. Take such columns out of the table, or keep one with preparation=Preparation(keep=[{kept!r}])",
            DataWarning,
        )
