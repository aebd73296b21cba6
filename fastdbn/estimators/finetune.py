"""The Deep Belief Network that predicts labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.metrics import accuracy_score

from fastdbn.estimators.classes import Classifier, class_factors, classes, known_classes
from fastdbn.estimators.forward import means
from fastdbn.estimators.parameters import EpochPart
from fastdbn.estimators.supervised import Supervised
from fastdbn.files.entries import LABELS
from fastdbn.files.state import fields
from fastdbn.support.checks import shown
from fastdbn.support.results import array_for
from fastdbn.support.types import Doubles, Labels, Rows


@dataclass(eq=False, repr=False, kw_only=True)
class DBNClassifier(Classifier, Supervised):
    """Deep Belief Network classifier: pretraining, then softmax cross-entropy by back-propagation.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 256)
        Number of hidden units of each layer, lowest layer first.
    rbm : RBM, list of RBM or None, default None
        How the layers are pretrained: one RBM for all layers, or a list with one for each. None means ``RBM()``, or the layers of
        `pretrain` if that is a DBN. RBMs are copied, never fitted. ``visible``, ``scale``, ``binarize`` and ``missing`` of the
        first RBM describe the data, also with ``pretrain=False``. The network decides ``n_components``, ``n_jobs``, ``device``,
        ``dtype``, ``random_state``, ``verbose``, ``callbacks``, ``warm_start`` and ``memory_limit``; an RBM that sets one of
        these is an error. To search over ``rbm__k``, give ``rbm=RBM()``. In a list the name is ``rbm__0__k``.
    propagate : {"sample", "mean"}, default "sample"
        What the next layer learns from in pretraining: hidden states drawn from the hidden means, or these as probabilities.
    pretrain : bool or DBN, default True
        True pretrains the layers as `rbm` says. False begins with random weights. A fitted `DBN` with these hidden layers is
        copied. Use one to pretrain on rows without labels, or once for several networks. Wrap it in scikit-learn's
        `FrozenEstimator` if this estimator will be cloned, as in a grid search.
    max_iter : int, default 60
        Epochs of fine-tuning, which is back-propagation through the whole network.
    solver : {"adam", "sgd"}, default "adam"
        Update rule of fine-tuning.
    batch_size : int, default 32
        Rows of a minibatch in fine-tuning. Pretraining uses that of `rbm`.
    shuffle : bool, default True
        Whether each epoch of fine-tuning has the rows in an order of its own. False takes them as they come.
    momentum : float, callable of the epoch, list or None, default None
        Momentum of "sgd" in fine-tuning. None is 0.5 for five epochs, then 0.9.
    learning_rate_init : float, callable of the epoch, list or None, default None
        Learning rate of fine-tuning. A callable or a list is a schedule. None falls linearly to 0 over `max_iter` epochs, from
        0.005 for "adam" or 0.2 for "sgd"; `partial_fit` stays at the first value.
    alpha : float, default 3.2e-3
        L2 penalty on the weights in fine-tuning. As in scikit-learn it is divided by the rows of a minibatch.
    dropout : float or sequence of float, default 0.2
        Fraction of units that fine-tuning drops. A number is the rate of all hidden layers. A sequence has the rate of the
        visible units first, then one for each hidden layer.
    max_norm : float or None, default None
        Largest norm of a unit's incoming weights in fine-tuning. Pretrained weights often have norms of 5 to 10, so the usual
        bounds of 3 or 4 destroy what pretraining has learned.
    early_stopping : bool, default False
        Hold out `validation_fraction` of the rows. Stop when their score has not risen by more than `tol` for `n_iter_no_change`
        epochs, and keep the weights of the best epoch.
    validation_fraction : float, default 0.1
        Fraction of rows that early stopping holds out.
    n_iter_no_change : int, default 10
        Epochs without an improvement after which a fit ends.
    tol : float or None, default None
        Least improvement that counts: of the score with `early_stopping`, where None means 1e-4, else of the training loss, as in
        scikit-learn, where None means that all epochs are run.
    class_weight : dict, "balanced" or None, default None
        Weights of the classes in fine-tuning, as in scikit-learn.
    unlabelled : label or None, default None
        The value of y that marks rows without a label, such as -1. NaN stands for all missing values: None, NaN, pandas' NA.
        Pretraining learns from all rows. Fine-tuning, early stopping, "balanced" and `score` use those with a label. None means
        that every row has one.
    n_jobs : int or None, default None
        Number of threads. None and -1 use all processors, -2 all but one, and so on. The result does not depend on it.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        "cuda" computes on an NVIDIA GPU and needs ``pip install "fastdbn[cuda]"``. "auto" uses a GPU if there is one.
    dtype : {"float32", "float64"}, default "float32"
        Precision of parameters and results.
    random_state : None, int, RandomState or Generator, default None
        Source of the 64-bit seed. An int gives the same bits in every fit; None draws a new seed.
    verbose : int, default 0
        1 prints a line for each epoch to stderr.
    callbacks : list of callbacks or None, default None
        Objects of `fastdbn.callbacks` or your own, or callables, which are called after each epoch with the keywords estimator,
        layer (the stage), epoch (from 1) and metrics (a dict). One that raises StopIteration ends the stage. docs/callbacks.md
        says more.
    warm_start : bool, default False
        Go on from the last fit: complete one that was interrupted, or fine-tune for `max_iter` more epochs.
    memory_limit : int, str or None, default None
        Bytes of rows in memory at a time, an integer or a text such as "500MB"; weights and the program come on top. Rows are
        then shuffled in two levels, and means of hidden layers lie in a file: docs/large-data.md says more.

    Attributes
    ----------
    classes_ : (n_classes,) array
        The class labels as they were given, sorted.
    coefs_, intercepts_ : lists of arrays
        Weights (n_in, n_out) and biases of every layer, the output layer last.
    dbn_ : DBN or None
        The pretrained network, as it was before fine-tuning. It can still draw samples.
    n_iter_ : int
        Epochs of fine-tuning.
    history_ : dict of arrays
        One number for each epoch: ``loss``, and where rows are held out ``validation_loss`` and ``validation_score``.
    visible_ : str or Unit
        Type of the visible units.
    scaling_ : Scaling
        Shift and scale that are applied to X first.
    seed_ : int
        The 64-bit seed.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import RBM, DBNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = DBNClassifier((64,), rbm=RBM(n_iter=5), max_iter=10, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> bool(model.score(X[1500:] / 16, y[1500:]) > 0.85)
    True
    """

    dropout: float | Sequence[float] = 0.2

    _loss = "softmax"
    _saved = fields(classes_=LABELS)

    def partial_fit(
        self,
        X: Rows,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        epoch: int | None = None,
        first_row: int = 0,
    ) -> Self:
        """Make one pass of back-propagation over X and y. It never pretrains.

        Without an earlier fit it begins with the network given as `pretrain`. With ``pretrain=True`` it begins with random
        weights, and warns.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) labels of any type, or `unlabelled`
        classes : array or None, default None
            All labels that will occur. The first call needs them if there was no fit.
        sample_weight : (n,) array or None, default None
            Weights of the rows.
        epoch : int or None, default None
            The epoch, from 0, that X is a part of: the last one, to go on with it, or the next. None makes each call an epoch of
            its own.
        first_row : int, default 0
            The number of the first row of X among the rows of that epoch. docs/large-data.md has the loop.

        Returns
        -------
        self
        """
        resume = hasattr(self, "coefs_")
        known = known_classes(classes, self.classes_ if resume else None, self.unlabelled)
        return self._fit(X, y, sample_weight, EpochPart(epoch, first_row), known)

    def _targets(self, y, n, resume, weights, known=None):
        known = self.classes_ if resume else known
        target, self.classes_ = classes(y, n, known, self._called("y"), self.unlabelled)
        return target, len(self.classes_)

    def _rows_of(self, target, n):
        rows = np.flatnonzero(target >= 0).astype(np.uint32)
        if not len(rows):
            raise ValueError(
                f"y has no label but unlabelled={shown(self.unlabelled)}: back-propagation learns only from rows with labels, "
                "so leave this part of the data out"
            )
        return rows

    def _class_factors(self, target):
        return 1.0 if self.class_weight is None else class_factors(self.class_weight, self.classes_, target)

    def _check_own(self):
        self._check_labels()

    def _loss_and_score(self, watched, X, scaled):
        z, target = means(self, X, scaled=scaled), watched.target
        losses = logsumexp(z.astype(np.float64), axis=1) - z[np.arange(len(z)), target]
        return losses.mean(), accuracy_score(target, z.argmax(axis=1))

    def predict(self, X: Rows, out: NDArray[Any] | None = None) -> Labels:
        """The most probable class of each row.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        out : (n,) array, memory map or None, default None
            Results are written here, without a copy. It has the type of `classes_` and is C-contiguous.

        Returns
        -------
        (n,) array
            Labels as they were given to `fit`.
        """
        X = self._later_rows(X)
        if out is not None:
            out = array_for(out, (X.shape[0],), self.classes_.dtype, X)
        return self.classes_.take(means(self, X).argmax(axis=1), out=out)

    def predict_log_proba(self, X: Rows) -> Doubles:
        """Log probabilities of the classes, (n, n_classes) float64, in the order of `classes_`."""
        return log_softmax(means(self, self._later_rows(X)).astype(np.float64), axis=1)

    def predict_proba(self, X: Rows) -> Doubles:
        """Probabilities of the classes, (n, n_classes) float64, in the order of `classes_`."""
        return softmax(means(self, self._later_rows(X)).astype(np.float64), axis=1)
