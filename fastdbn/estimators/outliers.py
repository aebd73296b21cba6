"""Outliers by a Deep Belief Network: rows to which the model gives little probability."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.metrics import roc_auc_score

from fastdbn.estimators import loaded
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.fitted_dbn import DRAWS
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import completed
from fastdbn.estimators.rows import checked, clipped, threshold_of
from fastdbn.files.entries import NUMBER
from fastdbn.files.state import Later, Maybe, Record, fields
from fastdbn.inputs.extent import Extent, extent
from fastdbn.support import checks
from fastdbn.support.results import array_for
from fastdbn.support.types import Doubles, Rows
from fastdbn.training.options import missing_values
from fastdbn.units import get_unit


def quantiles(x, shares, weights=None):
    """Quantiles of numbers, linear between neighbours; by weights each number stands at the middle of its own part."""
    if weights is None or np.ptp(weights) == 0:
        return np.quantile(x, shares)
    order = np.argsort(x)
    middle = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(middle[0] + np.asarray(shares) * (middle[-1] - middle[0]), middle, x[order])


@dataclass(eq=False, repr=False, kw_only=True)
class DBNOutlierDetector(OutlierMixin, DBN):
    """Outlier detector: a `DBN` that compares the variational bound on log p(x) of a row with a threshold.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (256, 256)
        Number of hidden units of each layer, lowest layer first.
    rbm : RBM, list of RBM or None, default None
        How the layers are trained: one RBM for all layers, or a list with one for each. None means ``RBM()``. RBMs are copied,
        never fitted. ``visible``, ``scale``, ``binarize`` and ``missing`` of the first RBM describe the data. The network decides
        ``n_components``, ``n_jobs``, ``device``, ``dtype``, ``random_state``, ``verbose``, ``callbacks``, ``warm_start`` and
        ``memory_limit``; an RBM that sets one of these is an error. To search over ``rbm__k``, give ``rbm=RBM()``. In a list the
        name is ``rbm__0__k``.
    propagate : {"sample", "mean"}, default "sample"
        What the next layer learns from: hidden states drawn from the hidden means (drawn anew in each epoch for Bernoulli
        units), or the means, taken as probabilities. The means of all rows are kept while the next layer trains, in memory, or
        in a file if X comes from one or `memory_limit` is set: 4 bytes for each row and hidden unit, or 8 in float64.
    contamination : "auto" or float in (0, 0.5], default "auto"
        Fraction of the fit rows, by their weights, that are outliers. "auto" puts the threshold at Tukey's lower fence of their
        scores: the first quartile less 1.5 times the distance between the first and the third.
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
        Go on from the last fit: complete one that was interrupted, or train further after a complete one.
    memory_limit : int, str or None, default None
        Bytes of rows in memory at a time, an integer or a text such as "500MB"; weights and the program come on top. Rows are
        then shuffled in two levels, and means of hidden layers lie in a file: docs/large-data.md says more.

    Attributes
    ----------
    offset_ : float
        The threshold. Rows with a lower `score_samples` are outliers.
    extent_ : Extent
        Range of each column of the fit rows: ``low``, ``high`` and ``width``, (n_features,) float64 each.
    top_ : float
        Highest score of the fit rows.
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

    _saved = fields(
        offset_=Later(NUMBER),
        top_=Later(NUMBER),
        extent_=Maybe(Record(Extent, low=loaded.EACH, high=loaded.EACH, width=loaded.SCALE)),
    )
    _check_loaded = loaded.check_threshold

    contamination: Literal["auto"] | float = "auto"

    @classmethod
    def stack(cls, layers: Sequence[Any], X: Rows | None = None, contamination: Literal["auto"] | float = "auto") -> Self:
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
        network._trained_on(checked(network, X, reset=False))
        return network

    def __sklearn_is_fitted__(self):
        return super().__sklearn_is_fitted__() and hasattr(self, "offset_")

    def _new_layers(self):
        self._share()
        return super()._new_layers()

    def _up_down(self, X, labels, weights, schedule, **more):
        """Up-down moves all scores: the threshold follows, also where it is interrupted."""
        self._share()
        try:
            return super()._up_down(X, labels, weights, schedule, **more)
        finally:
            self._trained_on(X, weights)

    def _fit_layers(self, layers, X, weights, goes_on, part, validation=None):
        if layers[0].missing == "drop" and missing_values.split(X)[1] is not None:
            raise ValueError(
                "missing='drop' gives each row a machine of its own, and their scores cannot be compared: use missing='sample', "
                "or fill in what is missing"
            )
        of_scores, of_rows = ["offset_", "top_"], ["extent_"]  # of those before
        for name in of_scores if goes_on else of_scores + of_rows:
            vars(self).pop(name, None)
        super()._fit_layers(layers, X, weights, goes_on, part, validation)

    def _trained_on(self, X, weights=None):
        """Set the threshold by the scores of the rows that were trained on, and their weights."""
        if weights is not None and not weights.all():
            X, weights = X[weights > 0], weights[weights > 0]
        share, X, first = self._share(), completed(self.layers_[0], clipped(self, X)), self.layers_[0]
        found = extent(get_unit(first.visible_), first.scaling_, X, threshold_of(first) is not None)
        self.extent_ = self.extent_.joined(found) if hasattr(self, "extent_") else found
        scores = self._bounds(X, DRAWS)
        low, high, own = quantiles(scores, (0.25, 0.75, share or 0.0), weights)
        self.top_ = float(scores.max())
        self.offset_ = float(low - 1.5 * (high - low) if share is None else own)

    def _share(self):
        """The share of outliers, checked; None where Tukey's fence decides."""
        share = self.contamination
        if checks.is_auto(share):
            return None
        if isinstance(share, numbers.Real) and not isinstance(share, bool) and 0 < share <= 0.5:
            return share
        raise ValueError(f'contamination={share!r}: give "auto" or a number above 0 and at most 0.5')

    def score_samples(self, X: Rows, n_samples: int = 10) -> Doubles:
        """`DBN.score_samples`. Rows beyond the range of the fit rows get the score of the nearest row inside, less a penalty.

        The penalty grows with the distance. A row that is beyond a column's range by the width of that range is always an
        outlier. So the score is finite and does not rise beyond the fitted range. An excess that rounding explains costs
        nothing.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
            With ``RBM(missing="sample")`` NaN is a missing value, and counts as its mean given the others.
        n_samples : int, default 10

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        checks.integer(n_samples, "n_samples")
        X = checked(self, X, reset=False, may_lack=self.layers_[0].missing == "sample")
        inside, cost = self.extent_.split(completed(self.layers_[0], X))
        scores = self._bounds(clipped(self, inside), n_samples)
        penalty = max(2.0 * (self.top_ - self.offset_), 1.0)
        return np.where(cost > 0, np.minimum(scores, self.top_) - penalty * cost, scores)

    def decision_function(self, X: Rows) -> Doubles:
        """Score of each row less the threshold. Outliers have negative numbers.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n,) float64 array
        """
        scores = self.score_samples(X)
        return scores - self.offset_

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # type: ignore[override]
        """The area under the ROC curve of `decision_function`: 1 separates outliers from the others, 0.5 is chance.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : (n,) array
            1 for rows like those fitted, -1 for outliers, as `predict` gives them; both occur.
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float
        """
        y = checks.unmasked(y, "y")
        if y is None or set(np.unique(y)) != {-1, 1}:
            raise ValueError(f"y={checks.shown(y)}: give 1 for rows like those fitted and -1 for outliers, and some of each")
        return float(roc_auc_score(y, self.decision_function(X), sample_weight=checks.sample_weights(sample_weight, len(y))))

    def predict(self, X: Rows, out: NDArray[Any] | None = None) -> NDArray[np.int64]:
        """1 for normal rows and -1 for outliers, (n,) integers; in `out`, an int64 array, if that is given."""
        scores = self.decision_function(X)
        out = array_for(out, scores.shape, np.int64)
        out[...] = np.where(scores < 0, -1, 1)
        return out
