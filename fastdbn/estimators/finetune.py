"""Deep Belief Networks for labels and for numbers: the classifier and the regressor."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight

from fastdbn.estimators import loaded
from fastdbn.estimators.base import Scored
from fastdbn.estimators.inference import later_rows
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.shared_docs import PARAMETERS
from fastdbn.estimators.supervised import Supervised
from fastdbn.files.entries import FLAG, LABELS
from fastdbn.files.state import POSITIVE, SMALL, Tensor, fields
from fastdbn.inputs.choice import warn_of_first_batch
from fastdbn.support import checks


class DBNClassifier(Scored, ClassifierMixin, Supervised):
    __doc__ = (
        """Deep Belief Network classifier: pretraining, then softmax cross-entropy by back-propagation.

"""
        + PARAMETERS.format(
            sizes="(256, 256)",
            epochs=60,
            alpha="1e-4",
            dropout="0.2",
            more="""    class_weight : None, "balanced" or dict, default None
        Weights of the classes, as in scikit-learn.
""",
            attributes="""    classes_ : array
        The class labels as they were given, sorted.
""",
        )
        + """
    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import DBNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = DBNClassifier((64,), pretrain_iter=5, max_iter=10, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> bool(model.score(X[1500:] / 16, y[1500:]) > 0.85)
    True
    """
    )

    _loss = "softmax"
    _saved = fields(classes_=LABELS)

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        *,
        visible="auto",
        hidden="bernoulli",
        scale="auto",
        k=1,
        persistent=False,
        n_chains=None,
        learning_rate=None,
        momentum=None,
        weight_decay=2e-4,
        batch_size=32,
        binarize=None,
        propagate="mean",
        rbm_params=None,
        pretrain=True,
        pretrain_iter=20,
        max_iter=60,
        solver="adam",
        learning_rate_init=None,
        alpha=1e-4,
        dropout=0.2,
        max_norm=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        class_weight=None,
        n_jobs=None,
        device="cpu",
        dtype="float32",
        random_state=None,
        verbose=0,
        callback=None,
        warm_start=False,
    ):
        self._set(locals())

    def fit(self, X, y, sample_weight=None):
        """Pretrain on X, then train on X and y.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) labels of any type
        sample_weight : (n,) array or None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters, or a single class.
        DivergenceError
            if training leaves the finite numbers; the weights of the last good epoch are kept.
        """
        return self._fit(X, y, sample_weight, self._continues(), None)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass of back-propagation over X and y, on the network of an earlier fit or, without one, on random weights.

        Parameters
        ----------
        classes : array or None
            All labels that will occur; needed in the first call where there was no fit.
        """
        again = hasattr(self, "coefs_")
        if not again:
            if classes is None:
                raise ValueError("classes=None: the first call of partial_fit needs classes, all labels that will occur")
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            shown = checks.shown(self.classes_)
            raise ValueError(f"classes={checks.shown(classes)} differ from those of the first call, {shown}: leave them out")
        return self._fit(X, y, sample_weight, again, 1, None if again else np.unique(classes))

    def _targets(self, y, n, again, known=None):
        target, self.classes_ = checks.classes(y, n, self.classes_ if again else known)
        return target, len(self.classes_)

    def _class_factors(self, target):
        if self.class_weight is None:
            return 1.0
        # "balanced" is about the classes that are there; a dict may name those that this part of the data lacks
        named = np.arange(len(self.classes_)) if isinstance(self.class_weight, dict) else np.unique(target)
        weights = np.ones(len(self.classes_))
        try:
            weights[named] = compute_class_weight(self.class_weight, classes=self.classes_[named], y=self.classes_[target])
        except ValueError as error:
            raise ValueError(f"class_weight={checks.shown(self.class_weight)}: {error}") from None
        if not weights[target].any():
            raise ValueError(
                f"class_weight={checks.shown(self.class_weight)} gives no class of y any weight: give one more than 0"
            )
        return weights[target]

    def _check_own(self):
        if isinstance(self.class_weight, dict):
            for label, weight in self.class_weight.items():
                checks.real(weight, f"class_weight[{checks.shown(label)}]")
        elif not (self.class_weight is None or (isinstance(self.class_weight, str) and self.class_weight == "balanced")):
            raise ValueError(
                f'class_weight={checks.shown(self.class_weight)}: give None, "balanced" or a dict of numbers by class label'
            )

    def _score(self, X, target):
        return accuracy_score(target, self._forward(X).argmax(axis=1))

    def predict(self, X):
        """The most probable class of each row, (n,), as the labels were given."""
        check_is_fitted(self)
        return self.classes_[self._forward(later_rows(self, X)).argmax(axis=1)]

    def _outputs(self, X):
        """The linear outputs in float64, less the greatest of their row, so that nothing overflows."""
        z = self._forward(later_rows(self, X)).astype(np.float64)
        return z - z.max(axis=1, keepdims=True)

    def predict_log_proba(self, X):
        """Log probabilities of the classes, (n, n_classes) float64, in the order of `classes_`."""
        check_is_fitted(self)
        z = self._outputs(X)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    def predict_proba(self, X):
        """Probabilities of the classes, (n, n_classes) float64, in the order of `classes_`."""
        check_is_fitted(self)
        p = np.exp(self._outputs(X))
        return p / p.sum(axis=1, keepdims=True)


class DBNRegressor(Scored, RegressorMixin, Supervised):
    __doc__ = (
        """Deep Belief Network regressor: pretraining, then squared error by back-propagation, for one or more outputs.

    Targets are standardised inside; predictions are on their own scale.

"""
        + PARAMETERS.format(
            sizes="(256, 256)",
            epochs=100,
            alpha="1e-4",
            dropout="0.0",
            more="",
            attributes="""    target_mean_, target_scale_ : (n_outputs,) arrays
""",
        )
        + """
    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import DBNRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> DBNRegressor((32,), max_iter=20, random_state=0).fit(X, X[:, 0] * 3 + 10).predict(X[:2]).shape
    (2,)
    """
    )

    _loss = "squared"
    _saved = fields(
        target_mean_=Tensor("n_outputs", dtype="float64", holds=SMALL),
        target_scale_=Tensor("n_outputs", dtype="float64", holds=POSITIVE),
        _flat=FLAG,
    )
    _check_loaded = loaded.check_targets

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        *,
        visible="auto",
        hidden="bernoulli",
        scale="auto",
        k=1,
        persistent=False,
        n_chains=None,
        learning_rate=None,
        momentum=None,
        weight_decay=2e-4,
        batch_size=32,
        binarize=None,
        propagate="mean",
        rbm_params=None,
        pretrain=True,
        pretrain_iter=20,
        max_iter=100,
        solver="adam",
        learning_rate_init=None,
        alpha=1e-4,
        dropout=0.0,
        max_norm=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        n_jobs=None,
        device="cpu",
        dtype="float32",
        random_state=None,
        verbose=0,
        callback=None,
        warm_start=False,
    ):
        self._set(locals())

    def fit(self, X, y, sample_weight=None):
        """Pretrain on X, then train on X and y.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) or (n, n_outputs) array
        sample_weight : (n,) array or None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters.
        DivergenceError
            if training leaves the finite numbers; the weights of the last good epoch are kept.
        """
        return self._fit(X, y, sample_weight, self._continues(), None)

    def partial_fit(self, X, y, sample_weight=None):
        """One pass of back-propagation over X and y, on the network of an earlier fit or, without one, on random weights.

        The first call without a fit fixes the scale of X and of the targets: see `RBM.partial_fit`.
        """
        first = not hasattr(self, "coefs_")
        self._fit(X, y, sample_weight, not first, 1)
        if first and (np.ptp(np.asarray(y, np.float64), axis=0) == 0).any():
            warn_of_first_batch("y")
        return self

    def _targets(self, y, n, again, known=None):
        if y is None:
            raise ValueError("y=None: DBNRegressor requires y to be passed, but the target y is None")
        y = check_array(checks.unmasked(y, "y"), ensure_2d=False, dtype=np.float64, input_name="y")
        if len(y) != n:
            raise ValueError(f"y has {len(y)} rows for {n} rows of X: give one for each")
        if y.ndim > 2:
            raise ValueError(f"y has {y.ndim} dimensions: give (n,) or (n, n_outputs)")
        columns = y.reshape(n, -1)
        if not again:
            self._flat = y.ndim == 1
            deviation = columns.std(axis=0)
            self.target_mean_ = columns.mean(axis=0)
            self.target_scale_ = np.where(deviation > 0, deviation, 1.0)
        return ((columns - self.target_mean_) / self.target_scale_).astype(self.dtype), columns.shape[1]

    def _class_factors(self, target):
        return 1.0

    def _score(self, X, target):
        return r2_score(target, self._forward(X)) if len(target) > 1 else -float(np.mean((target - self._forward(X)) ** 2))

    def predict(self, X):
        """Predicted targets, (n,) or (n, n_outputs) as they were fitted, float64."""
        check_is_fitted(self)
        z = self._forward(later_rows(self, X)).astype(np.float64)
        z = z * self.target_scale_ + self.target_mean_
        return z.ravel() if self._flat else z
