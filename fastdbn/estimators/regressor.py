"""The Deep Belief Network that predicts numbers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from fastdbn.estimators import loaded
from fastdbn.estimators.forward import means
from fastdbn.estimators.parameters import EpochPart
from fastdbn.estimators.supervised import Supervised
from fastdbn.files.entries import FLAG
from fastdbn.files.state import POSITIVE, SMALL, Tensor, fields
from fastdbn.inputs.choice import warn_of_first_batch
from fastdbn.inputs.ranges import LARGEST
from fastdbn.support import checks
from fastdbn.support.results import array_for
from fastdbn.support.types import Doubles, Rows


@dataclass(eq=False, repr=False, kw_only=True)
class DBNRegressor(RegressorMixin, Supervised):
    """Deep Belief Network regressor: pretraining, then squared error by back-propagation, for one or more outputs.

    Targets are standardised inside; predictions are on their own scale.

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
    max_iter : int, default 100
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
    dropout : float or sequence of float, default 0.0
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
    target_mean_, target_scale_ : (n_outputs,) arrays
        Means and standard deviations of the targets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import DBNRegressor
    >>> X = np.random.default_rng(0).normal(size=(300, 4))
    >>> DBNRegressor((32,), max_iter=20, random_state=0).fit(X, X[:, 0] * 3 + 10).predict(X[:2]).shape
    (2,)
    """

    max_iter: int = 100

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

    def partial_fit(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None, *, epoch: int | None = None, first_row: int = 0
    ) -> Self:
        """Make one pass of back-propagation over X and y. It never pretrains.

        Without an earlier fit it begins with the network given as `pretrain`. With ``pretrain=True`` it begins with random
        weights, and warns.

        The first call without a fit fixes the scale of X and of the targets. So its rows must show how they vary: give it some
        hundred rows, or begin by `fit` with ``max_iter=0`` on all rows.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) or (n, n_outputs) array
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
        first = not hasattr(self, "coefs_")
        self._fit(X, y, sample_weight, EpochPart(epoch, first_row))
        if first and (np.ptp(np.asarray(y, np.float64), axis=0) == 0).any():
            warn_of_first_batch("y")
        return self

    def _targets(self, y, n, resume, weights, known=None):
        if y is None:
            raise ValueError("y=None: DBNRegressor requires y to be passed, but the target y is None")
        y = checks.unmasked(y, "y")
        checks.no_dates(y, "y")
        try:
            y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        except ValueError as error:
            raise error if "y" in str(error).split() else ValueError(f"y={checks.shown(y)}: give numbers ({error})") from None
        if len(y) != n:
            raise ValueError(f"y has {len(y)} rows for {n} rows of X: give one for each")
        if y.ndim > 2:
            raise ValueError(f"y has {y.ndim} dimensions: give (n,) or (n, n_outputs)")
        if np.abs(y).max(initial=0) > LARGEST:
            worst = y.flat[np.abs(y).argmax()]
            raise ValueError(f"y has {worst:g}: give numbers up to {LARGEST:g} in size, and divide larger ones")
        columns = y.reshape(n, -1)
        if not resume:
            self._flat = y.ndim == 1
            self.target_mean_ = np.average(columns, axis=0, weights=weights)
            deviation = np.sqrt(np.average((columns - self.target_mean_) ** 2, axis=0, weights=weights))
            self.target_scale_ = np.where(deviation > 0, deviation, 1.0)
        elif columns.shape[1] != len(self.target_mean_):
            raise ValueError(f"y has {columns.shape[1]} outputs, and the fit had {len(self.target_mean_)}: give as many")
        return ((columns - self.target_mean_) / self.target_scale_).astype(self.dtype), columns.shape[1]

    def _loss_and_score(self, watched, X, scaled):
        z, target = means(self, X, scaled=scaled), watched.target
        loss = 0.5 * np.square(z.astype(np.float64) - target).sum(axis=1).mean()
        return loss, r2_score(target, z) if len(target) > 1 else -float(np.mean((target - z) ** 2))

    def predict(self, X: Rows, out: NDArray[Any] | None = None) -> Doubles:
        """Predicted targets, on their own scale.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        out : (n,) or (n, n_outputs) float64 array, memory map or None, default None
            Results are written here, without a copy.

        Returns
        -------
        (n,) or (n, n_outputs) float64 array
            In the form of the y of the fit.
        """
        X = self._later_rows(X)
        out = array_for(out, (X.shape[0],) if self._flat else (X.shape[0], len(self.target_mean_)), np.float64, X)
        out[...] = (means(self, X).astype(np.float64) * self.target_scale_ + self.target_mean_).reshape(out.shape)
        return out

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """scikit-learn's R2 of `predict`. Masked targets or weights are errors."""
        y = checks.unmasked(y, "y")
        return super().score(X, y, None if sample_weight is None else checks.sample_weights(sample_weight, len(y)))
