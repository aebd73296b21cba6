"""Outliers by a Deep Belief Network: rows to which the model gives little probability."""

import numbers

import numpy as np
from sklearn.base import OutlierMixin

from fastdbn.estimators import loaded
from fastdbn.estimators.dbn import DBN, DRAWS
from fastdbn.estimators.inference import checked, clipped, later_rows
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.files.entries import NUMBER
from fastdbn.files.state import Record, fields
from fastdbn.inputs.extent import Extent, extent
from fastdbn.support import checks
from fastdbn.units import get_unit


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
    extent_ : Extent
        The range of every column of the rows fitted, ``low``, ``high`` and ``width``, (n_features,) float64 each.
    top_ : float
        The highest score of the rows fitted.
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

    _saved = fields(offset_=NUMBER, top_=NUMBER, extent_=Record(Extent, low=loaded.EACH, high=loaded.EACH, width=loaded.SCALE))
    _check_loaded = loaded.check_threshold

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

    @classmethod
    def stack(cls, layers, X=None, contamination="auto"):
        """A fitted detector of RBMs that were trained one on top of the other, with the threshold that training rows give it.

        Parameters
        ----------
        layers : sequence of fitted RBM
            As for `DBN.stack`.
        X : (n, n_features) array or CSR matrix
            The rows that the layers were trained on, or others like them.
        contamination : "auto" or float in (0, 0.5], default "auto"

        Returns
        -------
        DBNOutlierDetector

        Raises
        ------
        ValueError
            without X, or if neighbours differ in size or unit type.
        """
        if X is None:
            raise ValueError("X=None: give training rows, because a detector's threshold comes from their scores")
        network = super().stack(layers).set_params(contamination=contamination)
        network._trained_on(later_rows(network, X))
        return network

    def __sklearn_is_fitted__(self):
        return super().__sklearn_is_fitted__() and hasattr(self, "offset_")

    def _new_layers(self):
        self._share()
        return super()._new_layers()

    def _up_down(self, X, *arguments, **options):
        """Up-down moves all scores: the threshold follows, also where it is interrupted."""
        self._share()
        try:
            return super()._up_down(X, *arguments, **options)
        finally:
            self._trained_on(X)

    def _fit_layers(self, layers, X, weights, again, epochs):
        for name in ("offset_",) if again else ("offset_", "extent_"):  # they belong to the scores, and the rows, before
            vars(self).pop(name, None)
        super()._fit_layers(layers, X, weights, again, epochs)

    def _trained_on(self, X):
        """Set the threshold by the scores of the rows that were trained on."""
        share, X, first = self._share(), clipped(self, X), self.layers_[0]
        found = extent(get_unit(first.visible_), first.scaling_, X, first._threshold() is not None)
        self.extent_ = self.extent_.joined(found) if hasattr(self, "extent_") else found
        scores = self._bounds(X, DRAWS)
        low, high = np.quantile(scores, (0.25, 0.75))
        self.top_ = float(scores.max())
        self.offset_ = float(low - 1.5 * (high - low) if share is None else np.quantile(scores, share))

    def _share(self):
        """The share of outliers, checked; None where Tukey's fence decides."""
        share = self.contamination
        if isinstance(share, str) and share == "auto":
            return None
        if isinstance(share, numbers.Real) and not isinstance(share, bool) and 0 < share <= 0.5:
            return share
        raise ValueError(f'contamination={share!r}: give "auto" or a number above 0 and at most 0.5')

    def score_samples(self, X, n_samples=10):
        """`DBN.score_samples`; of rows beyond the range of those fitted, that of the nearest row inside, less a penalty.

        The penalty grows with the distance, and a row that is beyond a column's range by its width is always an outlier. So the
        score does not rise beyond the fitted range, and it is finite. An excess that rounding explains costs nothing.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_samples : int, default 10

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        checks.integer(n_samples, "n_samples")
        inside, cost = self.extent_.split(checked(self, X, reset=False))
        scores = self._bounds(clipped(self, inside), n_samples)
        penalty = max(2.0 * (self.top_ - self.offset_), 1.0)
        return np.where(cost > 0, np.minimum(scores, self.top_) - penalty * cost, scores)

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
