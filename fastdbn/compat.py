"""The classes of albertbup's deep-belief-network, by their names and parameters, on fastdbn's networks.

``from dbn import ...`` becomes ``from fastdbn.compat import ...``. The networks are trained as fastdbn trains them, so numbers
differ; docs/migration.md says where. (https://github.com/albertbup/deep-belief-network)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier
from fastdbn.estimators.load import load
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.regressor import DBNRegressor
from fastdbn.support import checks
from fastdbn.support.types import Seed

UNITS = {"sigmoid": "bernoulli", "relu": "noisy-relu"}
"""The hidden unit type of each activation function."""


def _rows(X: Any) -> Any:
    """One row as a table of one row, as that package takes it."""
    return X[None] if getattr(X, "ndim", 2) == 1 else X


def _dbn(params: dict[str, Any]) -> DBN:
    """The `DBN` that the parameters of a class here describe."""
    checks.choice(params["optimization_algorithm"], "optimization_algorithm", ("sgd",))
    hidden = UNITS[checks.choice(params["activation_function"], "activation_function", UNITS)]
    checks.real(params["learning_rate_rbm"], "learning_rate_rbm")
    rbm = RBM(
        hidden=hidden,
        k=checks.integer(params["contrastive_divergence_iter"], "contrastive_divergence_iter"),
        learning_rate=params["learning_rate_rbm"],
        n_iter=checks.integer(params["n_epochs_rbm"], "n_epochs_rbm", 0),
        batch_size=checks.integer(params["batch_size"], "batch_size"),
        momentum=0.0,
        weight_decay=0.0,
        centering=None,
    )
    sizes = checks.layer_sizes(params["hidden_layers_structure"], "hidden_layers_structure")
    shared = {"random_state": params["random_state"], "verbose": int(bool(params["verbose"]))}
    return DBN(sizes, rbm=rbm, propagate="mean", **shared)


@dataclass(eq=False, repr=False)
class UnsupervisedDBN(TransformerMixin, BaseEstimator):
    """A stack of RBMs, as `fastdbn.DBN` trains it.

    Parameters
    ----------
    hidden_layers_structure : sequence of int, default (100, 100)
        Number of hidden units of each layer.
    activation_function : {"sigmoid", "relu"}, default "sigmoid"
        Bernoulli or noisy rectified hidden units.
    optimization_algorithm : {"sgd"}, default "sgd"
    learning_rate_rbm : float, default 1e-3
    n_epochs_rbm : int, default 10
    contrastive_divergence_iter : int, default 1
    batch_size : int, default 32
    verbose : bool, default True
    random_state : None, int, RandomState or Generator, default None
        That package has no such parameter, and `np.random.seed` does not seed this one.

    Attributes
    ----------
    dbn_ : DBN
        The fitted network, with samples, scores and `save`.
    """

    hidden_layers_structure: Sequence[int] = (100, 100)
    activation_function: str = "sigmoid"
    optimization_algorithm: str = "sgd"
    learning_rate_rbm: float = 1e-3
    n_epochs_rbm: int = 10
    contrastive_divergence_iter: int = 1
    batch_size: int = 32
    verbose: bool = True
    random_state: Seed = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the layers on X, (n, n_features), one on top of the other; y is ignored. Returns self."""
        self.dbn_ = _dbn(self.get_params()).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Means of the last hidden layer, (n, units)."""
        check_is_fitted(self)
        return self.dbn_.transform(_rows(X))


@dataclass(eq=False, repr=False)
class _Supervised(BaseEstimator):
    """What both supervised classes share."""

    _network: ClassVar[type]

    hidden_layers_structure: Sequence[int] = (100, 100)
    activation_function: str = "sigmoid"
    optimization_algorithm: str = "sgd"
    learning_rate: float = 1e-3
    learning_rate_rbm: float = 1e-3
    n_iter_backprop: int = 100
    l2_regularization: float = 1.0
    n_epochs_rbm: int = 10
    contrastive_divergence_iter: int = 1
    batch_size: int = 32
    dropout_p: float = 0.0
    verbose: bool = True
    random_state: Seed = None

    def pre_train(self, X: Any) -> Self:
        """Train the layers on X alone, which may have rows without a label. Returns self."""
        names = UnsupervisedDBN().get_params()
        self.unsupervised_dbn = UnsupervisedDBN(**{name: getattr(self, name) for name in names}).fit(X)
        return self

    def fit(self, X: Any, y: ArrayLike, pre_train: bool = True) -> Self:
        """Pretrain on X, then train on X and y by back-propagation.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : (n,) labels, or (n,) or (n, n_outputs) numbers
        pre_train : bool, default True
            False goes on from what `pre_train` has learned.

        Returns
        -------
        self
        """
        if pre_train:
            self.pre_train(X)
        elif not hasattr(self, "unsupervised_dbn"):
            raise ValueError("pre_train=False: call pre_train(X) first")
        dropout = checks.real(self.dropout_p, "dropout_p", below=1.0)
        decay = checks.real(self.l2_regularization, "l2_regularization")
        size, n = checks.integer(self.batch_size, "batch_size"), X.shape[0] if hasattr(X, "shape") else len(X)
        layers = checks.layer_sizes(self.hidden_layers_structure, "hidden_layers_structure")
        self.estimator_ = self._network(
            layers,
            pretrain=self.unsupervised_dbn.dbn_,
            max_iter=checks.integer(self.n_iter_backprop, "n_iter_backprop", 0),
            solver="sgd",
            momentum=0.0,
            learning_rate_init=checks.real(self.learning_rate, "learning_rate"),
            alpha=decay * min(size, n) / n,  # which the network divides by the rows of a minibatch
            batch_size=size,
            dropout=(dropout,) * (len(layers) + 1),  # of the inputs too
            random_state=self.random_state,
            verbose=int(bool(self.verbose)),
        ).fit(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels or numbers of the rows of X."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(_rows(X))

    def transform(self, X: Any) -> np.ndarray:
        """Means of the last hidden layer, (n, units)."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.transform(_rows(X))

    def save(self, save_path: str | PathLike[str]) -> None:
        """Write the fitted network to a model file; parameters and errors are those of `DBNClassifier.save`."""
        check_is_fitted(self, "estimator_")
        self.estimator_.save(save_path)

    @classmethod
    def load(cls, load_path: str | PathLike[str]) -> Any:
        """The network of a model file, a `DBNClassifier` or `DBNRegressor`. That package's pickles are refused."""
        return load(load_path)


_PARAMETERS = """

    Parameters
    ----------
    hidden_layers_structure, activation_function, optimization_algorithm, learning_rate_rbm, n_epochs_rbm,
    contrastive_divergence_iter, batch_size, verbose, random_state
        As for `UnsupervisedDBN`.
    learning_rate : float, default 1e-3
        Of back-propagation, which is plain SGD without momentum.
    n_iter_backprop : int, default 100
        Epochs of back-propagation.
    l2_regularization : float, default 1.0
        A step multiplies weights by 1 - learning_rate l2_regularization / n, for n rows.
    dropout_p : float, default 0
        Fraction of the inputs and of each hidden layer that back-propagation drops.

    Attributes
    ----------
    estimator_ : DBNClassifier or DBNRegressor
        The fitted network.
    unsupervised_dbn : UnsupervisedDBN
        The pretrained layers.
    """


class SupervisedDBNClassification(ClassifierMixin, _Supervised):
    __doc__ = "A classifier, as `fastdbn.DBNClassifier` trains it: RBMs, then back-propagation to a softmax." + _PARAMETERS
    _network = DBNClassifier

    @property
    def classes_(self) -> np.ndarray:
        return self.estimator_.classes_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, (n, n_classes), in the order of `classes_`."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(_rows(X))

    def predict_proba_dict(self, X: Any) -> list[dict[Any, float]]:
        """Probabilities of the classes of each row, by label."""
        return [dict(zip(self.classes_.tolist(), row, strict=True)) for row in self.predict_proba(X).tolist()]


class SupervisedDBNRegression(RegressorMixin, _Supervised):
    __doc__ = "A regressor, as `fastdbn.DBNRegressor` trains it: RBMs, then back-propagation of the squared error." + _PARAMETERS
    _network = DBNRegressor
