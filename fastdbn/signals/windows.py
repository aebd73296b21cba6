"""Windows of time series: row i holds the samples start_i to start_i + length, of all channels."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastdbn.support import checks


class Windows(TransformerMixin, BaseEstimator):
    """Cut time series into windows, one row each, and put windows together again.

    Parameters
    ----------
    length : int
        Samples of a window.
    step : int, default 1
        Samples from the start of a window to that of the next.
    horizon : int, default 0
        Samples after a window that must be there too, for `ahead` to give them as targets.

    Attributes
    ----------
    lengths_ : (n_series,) int array
        Samples of each series of the fit.
    n_channels_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import Windows
    >>> windows = Windows(3, step=2, horizon=1)
    >>> windows.fit_transform(np.arange(7.0)).tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    >>> windows.ahead(np.arange(7.0)).tolist()
    [3.0, 5.0]
    """

    lengths_: NDArray[Any]
    n_channels_: int

    def __init__(self, length: int, *, step: int = 1, horizon: int = 0) -> None:
        self.length, self.step, self.horizon = length, step, horizon

    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: Any = None) -> Self:
        """Note the lengths and the channels of time series.

        Parameters
        ----------
        X : (n,) or (n, n_channels) array, or a list of such arrays, of any lengths
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad parameters, and for series that are too short or differ in channels.
        """
        checks.integer(self.length, "length")
        checks.integer(self.step, "step")
        checks.integer(self.horizon, "horizon", 0)
        if hasattr(self, "n_channels_"):
            del self.n_channels_
        series = self._series(X)
        self.lengths_ = np.array([len(x) for x in series])
        self.n_channels_ = series[0].shape[1]
        return self

    def _series(self, X: Any) -> list[NDArray[Any]]:
        """The series of X as (n, n_channels) arrays."""
        several = isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) > 0
        series = [np.asarray(checks.unmasked(x, "X")) for x in (X if several else [X])]
        need = self.length + self.horizon
        for i, x in enumerate(series):
            named = f"series {i} of X" if several else "X"
            if x.dtype.kind not in "biuf" or x.ndim not in (1, 2):
                raise ValueError(f"{named} has {x.ndim} dimensions and the type {x.dtype}: give numbers, (n,) or (n, n_channels)")
            if len(x) < need:
                raise ValueError(
                    f"{named} has {len(x)} samples, and length={self.length} with horizon={self.horizon} needs {need}: leave it "
                    "out, or take shorter windows"
                )
        series = [x[:, None] if x.ndim == 1 else x for x in series]
        channels = {x.shape[1] for x in series}
        if len(channels | {getattr(self, "n_channels_", series[0].shape[1])}) > 1:
            raise ValueError(f"X has series of {sorted(channels)} channels: give all as many as in the fit")
        return series

    def _starts(self, n: int) -> NDArray[Any]:
        return np.arange(0, n - self.length - self.horizon + 1, self.step)

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> NDArray[Any]:
        """The windows of all series, (n_windows, length * n_channels); the channels of a sample stand together.

        Windows of a single series of one channel are a view of it, not a copy.
        """
        check_is_fitted(self, "lengths_")
        parts = []
        for x in self._series(X):
            stop = len(x) - self.length - self.horizon + 1
            views = np.lib.stride_tricks.sliding_window_view(x, self.length, axis=0)[: stop : self.step]
            parts.append(views[:, 0] if x.shape[1] == 1 else views.transpose(0, 2, 1).reshape(len(views), -1))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def groups(self, X: ArrayLike | Sequence[ArrayLike]) -> NDArray[np.intp]:
        """The number of the series that each window is from, (n_windows,).

        Use it to split by series, as GroupKFold does, and to give windows the labels of their series (``y[groups]``).
        """
        counts = [len(self._starts(len(x))) for x in self._series(X)]
        return np.repeat(np.arange(len(counts)), counts)

    def ahead(self, X: ArrayLike | Sequence[ArrayLike]) -> NDArray[Any]:
        """The samples `horizon` steps after the end of each window: (n_windows,) of one channel, else (n_windows, n_channels)."""
        if self.horizon < 1:
            raise ValueError(f"horizon={self.horizon!r}: give the number of steps to look ahead, at least 1")
        parts = [x[self._starts(len(x)) + self.length + self.horizon - 1] for x in self._series(X)]
        found = np.concatenate(parts)
        return found[:, 0] if found.shape[1] == 1 else found

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Time series of the fit's lengths from windows, such as denoised ones: where windows overlap, their mean.

        Parameters
        ----------
        X : (n_windows, length * n_channels) array, in the order of `transform`

        Returns
        -------
        (n,) or (n, n_channels) float64 array, or a list of them
            NaN where no window lies.
        """
        check_is_fitted(self, "lengths_")
        X, starts = np.asarray(X, np.float64), [self._starts(n) for n in self.lengths_]
        shape = sum(map(len, starts)), self.length * self.n_channels_
        if X.shape != shape:
            raise ValueError(f"X has shape {X.shape}: give {shape}, the windows of the series of the fit")
        out, done = [], 0
        for n, first in zip(self.lengths_, starts, strict=True):
            own = X[done : done + len(first)].reshape(len(first), self.length, self.n_channels_)
            total, count = np.zeros((n, self.n_channels_)), np.zeros((n, 1))
            for offset in range(self.length):  # the windows' samples of one offset lie in different places
                total[first + offset] += own[:, offset]
                count[first + offset] += 1
            done += len(first)
            mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
            out.append(mean[:, 0] if self.n_channels_ == 1 else mean)
        return out[0] if len(out) == 1 else out
