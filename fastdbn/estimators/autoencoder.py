"""The deep autoencoder: a Deep Belief Network unrolled and fine-tuned by back-propagation (Hinton and Salakhutdinov 2006).

    code = encoder(x) by W1, ..., WL;   x' = decoder(code) by G_L, ..., G1,   at first G_l = W_l'

Both halves then train apart, on -log p(x | x') of the visible units: cross-entropy for Bernoulli ones, half the squared error for
Gaussian ones. A denoising autoencoder sees noisy inputs, and its loss is that of the clean ones (Vincent et al. 2008).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from fastdbn.estimators.forward import loss_of_units, means
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.machines import downward
from fastdbn.estimators.parameters import EpochPart, refuse_counts_in
from fastdbn.estimators.rows import checked, later_rows, rows_of, threshold_of
from fastdbn.estimators.scoring import score_reconstruction
from fastdbn.estimators.supervised import Supervised
from fastdbn.inputs import data, ranges
from fastdbn.inputs.blocks import READ
from fastdbn.inputs.data import Scaling
from fastdbn.maths.optim import LARGEST
from fastdbn.support import checks
from fastdbn.support.checks import shown
from fastdbn.support.types import Array, FilePath, Rows, Validation
from fastdbn.training.noise import KINDS, Drawn, Given, by_function
from fastdbn.training.options.missing_values import WAYS
from fastdbn.units import get_unit


@dataclass(eq=False, repr=False)
class DBNAutoencoder(Supervised):
    """Deep autoencoder: pretraining layer by layer, then back-propagation through encoder and decoder.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 32)
        Number of hidden units of each layer, lowest layer first. The last layer is the code. For a code of real numbers take
        Gaussian units and a small rate: ``rbm=[RBM(), RBM(hidden="gaussian", learning_rate=0.001)]`` (Hinton and Salakhutdinov
        2006).
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
    noise : {"masking", "salt-and-pepper", "gaussian"}, callable or None, default None
        Noise that is drawn anew for the inputs of each minibatch of fine-tuning. The loss is that of the clean rows, so `denoise`
        learns to remove it. "masking" sets values to 0. "salt-and-pepper" sets them to the lowest or the highest value of the
        units, or of the column where units have no such. "gaussian" adds normal noise. They act on scaled data. A callable of
        (rows on the scale of X, NumPy generator) returns noisy rows. Values that leave the range of the units are clipped.
    noise_level : float, default 0.25
        Fraction of the values that "masking" and "salt-and-pepper" change; standard deviation of "gaussian", on the scale of the
        scaled data. Callables do not use it.
    alpha : float, default 0.0
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

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import RBM, DBNAutoencoder
    >>> X = load_digits().data / 16
    >>> model = DBNAutoencoder((64, 8), rbm=RBM(n_iter=5), max_iter=10, random_state=0).fit(X)
    >>> model.transform(X).shape, model.inverse_transform(model.transform(X)).shape
    ((1797, 8), (1797, 64))
    """

    hidden_layer_sizes: int | Sequence[int] = (256, 32)
    _: KW_ONLY
    noise: Literal["masking", "salt-and-pepper", "gaussian"] | Callable[[Any, Generator], Any] | None = None
    noise_level: float = 0.25
    alpha: float = 0.0

    _loss = "unit"

    @property
    def _n_features_out(self):
        return len(self.intercepts_[self._n_encoding() - 1])

    # ---- training

    def fit(
        self,
        X: Rows,
        y: Rows | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: Validation | None = None,
        resume: FilePath | None = None,
    ) -> Self:
        """Pretrain on X, then train encoder and decoder on X; or learn to make clean rows of noisy ones.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
            Clean rows; with y the noisy ones, as `denoise` will get them.
        y : (n, n_features) array or CSR matrix of clean rows, or None, default None
            A row for each of X. Units and scaling are chosen by them, pretraining learns from them, and the loss is theirs.
            Labels, which have one dimension, are ignored.
        sample_weight : (n,) array or None
        validation_data : (m, n_features) array or CSR matrix, tuple (X, y) or None, default None
            Rows to watch in place of a `validation_fraction`, in pretraining too; y are clean rows, or ignored, as above.
        resume : "last", path or None, default None
            Go on from a checkpoint to the bits of an uninterrupted fit: from the file of a path, or from the last one that the
            `Checkpoint` of `callbacks` has written. "last" begins anew if there is none. Parameters and data must be those of
            the checkpoint.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters.
        DivergenceError
            if weights become infinite or NaN. The weights of the last good epoch are kept.
        """
        return self._fit(X, y, sample_weight, checkpoint=resume, validation=validation_data)

    def partial_fit(
        self,
        X: Rows,
        y: Rows | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        epoch: int | None = None,
        first_row: int = 0,
    ) -> Self:
        """Make one pass of back-propagation over X. It never pretrains.

        Without an earlier fit it begins with the network given as `pretrain`. With ``pretrain=True`` it begins with random
        weights, and warns.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n, n_features) array or CSR matrix, or None, default None
            Clean rows, if those of X are noisy.
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
        return self._fit(X, y, sample_weight, EpochPart(epoch, first_row))

    def _check_own(self):
        known = callable(self.noise) or (isinstance(self.noise, str) and self.noise in KINDS)
        if not (self.noise is None or known):
            raise ValueError(f"noise={shown(self.noise)}: give one of {', '.join(map(repr, KINDS))}, a callable, or None")
        is_share = self.noise in ("masking", "salt-and-pepper")
        checks.real(self.noise_level, "noise_level", most=1.0 if is_share else LARGEST)

    def _pair(self, X, y):
        clean = _clean_rows(X, y)
        if clean is None:
            return X, None
        if self.noise is not None:
            raise ValueError(f"noise={shown(self.noise)} beside clean rows as y: give noisy and clean rows, or noise")
        return clean, X

    def _noise(self, backend, unit, X, noisy):
        common = backend, unit, X.shape[1], self.seed_
        if noisy is not None:
            return Given(*common, backend.load(self._source(self._brought_inside(noisy))))
        return None if self.noise is None else Drawn(*common, *self._corruption(X))

    def _corruption(self, X):
        """(noise as a function of visible states and a NumPy generator, the bounds of these states); noise is not None."""
        unit, n = get_unit(self.visible_), X.shape[1]
        bounds = ends = np.array([np.broadcast_to(end, n) for end in ranges.bounds(unit, Scaling(), n)])
        if callable(self.noise):
            return functools.partial(by_function, function=self.noise, scaling=self.scaling_), bounds
        if self.noise == "salt-and-pepper" and not np.isfinite(bounds).all():
            of_columns, (shift, scale, _) = np.array(data.column_range(X)), self.scaling_
            ends = np.where(np.isfinite(bounds), bounds, of_columns if scale is None else (of_columns - shift) * scale)
        low, high = ends.astype(self.dtype)
        return functools.partial(KINDS[self.noise], level=self.noise_level, low=low, high=high), bounds

    def _brought_inside(self, X):
        """Checked noisy rows in the range of the visible units; a threshold takes any number."""
        return X if threshold_of(self) is not None else ranges.brought_inside(get_unit(self.visible_), self.scaling_, X)

    def _n_encoding(self):
        return len(checks.layer_sizes(self.hidden_layer_sizes))

    def _sizes(self):
        encoder = checks.layer_sizes(self.hidden_layer_sizes)
        return (*encoder, *encoder[-2::-1])

    def _units(self, n_layers):
        """Units of the first hidden layers, the decoder's in the opposite order of the encoder's."""
        encoder = super()._units(self._n_encoding())
        return [*encoder, *encoder[-2::-1]][:n_layers]

    def _output_unit(self):
        return get_unit(self.visible_)

    def _initial_outputs(self, sizes, n_outputs):
        """The decoder: the pretrained weights on their way down, or random ones."""
        if self.dbn_ is not None:
            return [(downward(rbm).copy(), rbm.intercept_visible_.copy()) for rbm in reversed(self.dbn_.layers_)]
        sizes_down = *sizes[::-1], n_outputs
        return self._random_layers(sizes_down, [size != n_outputs for size in sizes_down[1:]], len(sizes))

    def _targets(self, y, n, resume, weights, known=None):
        refuse_counts_in(self._first().visible, self.n_features_in_)
        return None, self.n_features_in_

    def _pair_of(self, validation_data):
        pair = isinstance(validation_data, tuple) and len(validation_data) == 2
        return validation_data if pair else (rows_of(validation_data), None)

    def _loss_and_score(self, watched, X, scaled):
        clean, outputs = watched.X, means(self, X, scaled=scaled)
        loss = loss_of_units(self, means(self, X, scaled=scaled, linear=True), clean)
        clean = clean.toarray() if hasattr(clean, "toarray") else clean
        return loss, -float(np.mean(np.sum(np.square(self.scaling_.invert(outputs) - clean, dtype=np.float64), axis=1)))

    # ---- use

    def transform(self, X: Rows, out: NDArray[Any] | None = None) -> Array:  # type: ignore[override]  # of one layer
        """Encode rows: the means of the encoder's last layer.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        out : (n, units of the code) array, memory map or None, default None
            Results are written here, without a copy. It has the model's precision and is C-contiguous.

        Returns
        -------
        (n, units of the code) array
        """
        return means(self, self._later_rows(X), self._n_encoding(), out=out)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Decode codes to rows.

        Parameters
        ----------
        X : (n, units of the code) array

        Returns
        -------
        (n, n_features) array
            On the scale of the fit data.
        """
        check_is_fitted(self)
        X = check_array(checks.unmasked(X, "X"), dtype=[np.float32, np.float64], input_name="X")
        if X.shape[1] != self._n_features_out:
            raise ValueError(f"X has {X.shape[1]} columns: give codes of {self._n_features_out} units, as transform makes them")
        return self.scaling_.invert(means(self, X, None, self._n_encoding()))

    def reconstruct(self, X: Rows) -> Array:
        """Encode and decode rows, (n, n_features), on the scale of X."""
        outputs = means(self, self._later_rows(X))
        return self.scaling_.invert(outputs)

    def denoise(self, X: Rows) -> Array:
        """Clean rows for noisy ones: their reconstructions by a network that has learned to remove noise.

        Fit with `noise`, or on pairs of noisy and clean rows. Unlike `reconstruct` it clips values outside the range of the
        visible units without a warning, and takes groups of units that noise has broken.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n, n_features) array
            On the scale of the clean data.
        """
        check_is_fitted(self)
        return self._denoised(checked(self, X, reset=False, may_lack=self._may_lack()))

    def _denoised(self, X):
        """`denoise` of checked rows."""
        return self.scaling_.invert(means(self, self._completed(self._brought_inside(X))))

    def score(self, X: Rows, y: Rows | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Two-valued visible units: the mean log-likelihood of a row given its reconstruction. Others: minus the relative error.

        The first is in nats. The second is the squared error of `reconstruct` over the variance of each column of X, a mean over
        columns. Higher is better, and a grid search can compare settings by it.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : (n, n_features) array or CSR matrix of clean rows, or None, default None
            What `denoise` of X is compared with. None, or labels: `reconstruct` of X is compared with X.
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float
        """
        check_is_fitted(self)
        clean = None if y is None else _clean_rows(X := checked(self, X, reset=False, may_lack=self._may_lack()), y)
        if clean is None:
            X = later_rows(self, X, WAYS)
            return score_reconstruction(self, X, self.scaling_.invert(means(self, self._completed(X))), sample_weight)
        return score_reconstruction(self, clean, self._denoised(X), sample_weight)


def _clean_rows(X, y):
    """y as checked clean rows for the noisy ones X, which are checked; None for labels, and where there is no y."""
    if y is None or (y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim) < 2:
        return None
    checks.matrix(y)
    y = check_array(checks.unmasked(y, "y"), accept_sparse="csr", dtype=list(READ), input_name="y")
    if y.shape != X.shape:
        raise ValueError(f"y has shape {y.shape} for X of shape {X.shape}: give a clean row for each of X, or no y")
    return y
