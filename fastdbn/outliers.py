"""Outliers by a Deep Belief Network: rows to which the model gives little probability."""

import numbers

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from fastdbn.dbn import DBN
from fastdbn.placement import all_or_nothing


class DBNOutlierDetector(OutlierMixin, DBN):
    """Outlier detector: a `DBN` whose scores, the variational bound on log p(x), are compared with a threshold.

    Parameters
    ----------
    hidden_layer_sizes, visible, hidden, scale, k, persistent, n_chains, learning_rate, momentum, weight_decay, batch_size, \
n_iter, binarize, propagate, rbm_params, n_jobs, dtype, device, random_state, verbose, callback, warm_start
        As for `DBN`.
    contamination : "auto" or float in (0, 0.5], default "auto"
        The share of the rows fitted that are outliers. "auto" puts the threshold at Tukey's lower fence of their scores, the
        first quartile less 1.5 times the distance of the quartiles.

    Attributes
    ----------
    offset_ : float
        The threshold: rows whose `score_samples` is below it are outliers.
    layers_, n_iter_
        As for `DBN`.

    References
    ----------
    Tukey 1977, "Exploratory data analysis"; Fiore, Palmieri, Castiglione, De Santis 2013, "Network anomaly detection with the
    restricted Boltzmann machine".

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import DBNOutlierDetector
    >>> X = np.random.default_rng(0).normal(size=(300, 5))
    >>> X[0] = 9.0
    >>> int(DBNOutlierDetector((16,), contamination=0.01, random_state=0).fit_predict(X)[0])
    -1
    """

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
        n_iter=20,
        binarize=None,
        propagate="mean",
        rbm_params=None,
        contamination="auto",
        n_jobs=None,
        device="cpu",
        dtype="float32",
        random_state=None,
        verbose=0,
        callback=None,
        warm_start=False,
    ):
        self._set(locals())

    @all_or_nothing
    def _fit(self, X, sample_weight, again, epochs):
        """Train as a DBN does, then set the threshold by the scores of the same rows."""
        share, automatic = self.contamination, isinstance(self.contamination, str) and self.contamination == "auto"
        if not (automatic or (isinstance(share, numbers.Real) and 0 < share <= 0.5)):
            raise ValueError(f'contamination={share!r}: give "auto" or a number above 0 and at most 0.5')
        super()._fit(X, sample_weight, again, epochs)
        scores = self.score_samples(X)
        low, high = np.quantile(scores, (0.25, 0.75))
        self.offset_ = float(low - 1.5 * (high - low) if automatic else np.quantile(scores, share))
        return self

    def decision_function(self, X):
        """Scores less the threshold: negative for outliers.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """1 for rows like those fitted, -1 for outliers, (n,) integers."""
        return np.where(self.decision_function(X) < 0, -1, 1)
