"""The deep autoencoder: a Deep Belief Network unrolled and fine-tuned by back-propagation (Hinton and Salakhutdinov 2006).

    code = encoder(x) by W1, ..., WL;   x' = decoder(code) by G_L, ..., G1,   at first G_l = W_l'

Both halves then train apart, on -log p(x | x') of the visible units: cross-entropy for Bernoulli ones, half the squared error for
Gaussian ones. With dropout of the visible units it is a denoising autoencoder: the loss is that of the whole input.
"""

import numpy as np
from sklearn.utils import check_array

from fastdbn.estimators.inference import later_rows
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.shared_docs import PARAMETERS
from fastdbn.estimators.supervised import Supervised
from fastdbn.support import checks
from fastdbn.training.backprop import glorot
from fastdbn.units import get_unit, visible_unit


class DBNAutoencoder(Supervised):
    __doc__ = (
        """Deep autoencoder: pretraining layer by layer, then back-propagation through encoder and decoder.

    The last of `hidden_layer_sizes` is the code. It is real-valued where its unit is, as ``hidden=("bernoulli", "gaussian")``
    says for two layers; such a layer wants a small ``learning_rate``, 0.001 (Hinton and Salakhutdinov 2006).

"""
        + PARAMETERS.format(
            sizes="(256, 32)",
            epochs=60,
            alpha="0.0",
            dropout="0.0",
            more="",
            attributes="",
        )
        + """
    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import DBNAutoencoder
    >>> X = load_digits().data / 16
    >>> model = DBNAutoencoder((64, 8), pretrain_iter=5, max_iter=10, random_state=0).fit(X)
    >>> model.transform(X).shape, model.inverse_transform(model.transform(X)).shape
    ((1797, 8), (1797, 64))
    """
    )

    _loss = "unit"

    def __init__(
        self,
        hidden_layer_sizes=(256, 32),
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
        alpha=0.0,
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

    @property
    def _n_features_out(self):
        return len(self.intercepts_[self._n_encoding() - 1])

    # ---- training

    def fit(self, X, y=None, sample_weight=None):
        """Pretrain on X, then train encoder and decoder on X.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : ignored
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
        return self._fit(X, None, sample_weight, self._continues(), None)

    def partial_fit(self, X, y=None, sample_weight=None):
        """One pass of back-propagation over X, on the network of an earlier fit or, without one, on random weights."""
        return self._fit(X, None, sample_weight, hasattr(self, "coefs_"), 1)

    def _n_encoding(self):
        return len(checks.layer_sizes(self.hidden_layer_sizes))

    def _sizes(self):
        encoder = checks.layer_sizes(self.hidden_layer_sizes)
        return (*encoder, *encoder[-2::-1])

    def _units(self, n_layers):
        """Units of the first hidden layers, the decoder's in the opposite order of the encoder's."""
        encoder = [get_unit(unit, "hidden") for unit in checks.per_layer(self.hidden, "hidden", self._n_encoding())]
        return [*encoder, *encoder[-2::-1]][:n_layers]

    def _output_unit(self):
        return get_unit(self.visible_)

    def _initial_outputs(self, sizes, n_outputs):
        """The decoder: the pretrained weights on their way down, or random ones."""
        if self.dbn_ is not None:
            for rbm in reversed(self.dbn_.layers_):
                yield rbm._downward().copy(), rbm.intercept_visible_.copy()
            return
        n_in = sizes[-1]
        for i, size in enumerate((*sizes[-2::-1], n_outputs), len(sizes)):
            yield glorot(self.seed_, i, n_in, size, size != n_outputs).astype(self.dtype), np.zeros(size, self.dtype)
            n_in = size

    def _targets(self, y, n, again, known=None):
        if not (isinstance(self.visible, str) and self.visible == "auto"):
            unit = visible_unit(self.visible, self.n_features_in_)
            if unit.keeps_total:
                raise ValueError(f"visible={unit.name!r}: codes do not hold the totals of units that count: take another unit")
        return None, self.n_features_in_

    def _class_factors(self, target):
        return 1.0

    def _score(self, X, target):
        X = X.toarray() if hasattr(X, "toarray") else X
        return -float(np.mean(np.sum(np.square(self.scaling_.invert(self._forward(X)) - X, dtype=np.float64), axis=1)))

    # ---- use

    def transform(self, X):
        """The codes of rows: means of the last layer of the encoder.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n, units of the code) array
        """
        check_is_fitted(self)
        return self._forward(later_rows(self, X), self._n_encoding())

    def inverse_transform(self, X):
        """The rows that the decoder makes of codes.

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
        return self.scaling_.invert(self._forward(X, None, self._n_encoding()))

    def reconstruct(self, X):
        """Rows coded and decoded, (n, n_features), on the scale of X."""
        check_is_fitted(self)
        return self.scaling_.invert(self._forward(later_rows(self, X)))

    def score(self, X, y=None):
        """Minus the mean over rows of the squared error of `reconstruct`, summed over features; higher is better."""
        check_is_fitted(self)
        return self._score(later_rows(self, X), None)
