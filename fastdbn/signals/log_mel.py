"""Log-mel spectra of sound: the power of short frames in bands that are even in pitch, as a logarithm.

mel(f) = 2595 log10(1 + f / 700)    (O'Shaughnessy 1987; triangular bands as in Davis and Mermelstein 1980)
"""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.signal import get_window
from sklearn.base import BaseEstimator, TransformerMixin

from fastdbn.support import checks
from fastdbn.support.types import Doubles


class LogMel(TransformerMixin, BaseEstimator):
    """Log-mel spectra of recordings.

    Parameters
    ----------
    sample_rate : float
        Samples of a recording in a second.
    n_mels : int, default 40
        Bands.
    frames : int or None, default 32
        Each recording becomes so many frames in time, the means over equal parts of it, whatever its length: one row of
        ``frames * n_mels`` numbers. None keeps the frames of each recording: a list of (n_frames, n_mels) arrays, for `Windows`.
    width, step : float, default 0.025 and 0.01
        Seconds of a frame, and from one frame to the next.
    low, high : float, default 20.0 and None
        Hertz of the lowest and the highest band; None is half the sample rate.
    range_db : float, default 80.0
        Powers further below the loudest of their recording are raised to this distance, so silence is not minus infinity.
    center : bool, default True
        Subtract each recording's mean, so that loudness does not count.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import LogMel
    >>> waves = [np.sin(np.arange(n) * 0.3) for n in (4000, 6000)]
    >>> LogMel(8000, n_mels=20, frames=10).fit_transform(waves).shape
    (2, 200)
    """

    def __init__(
        self,
        sample_rate: float,
        *,
        n_mels: int = 40,
        frames: int | None = 32,
        width: float = 0.025,
        step: float = 0.01,
        low: float = 20.0,
        high: float | None = None,
        range_db: float = 80.0,
        center: bool = True,
    ) -> None:
        self.sample_rate, self.n_mels, self.frames, self.width, self.step = sample_rate, n_mels, frames, width, step
        self.low, self.high, self.range_db, self.center = low, high, range_db, center

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters; nothing is learned. X and y are ignored."""
        self._made()
        return self

    def _made(self) -> tuple[int, Doubles, Doubles]:
        """(samples from one frame to the next, the window of a frame, the bands)."""
        rate = checks.real(self.sample_rate, "sample_rate", 1.0)
        checks.integer(self.n_mels, "n_mels")
        if self.frames is not None:
            checks.integer(self.frames, "frames")
        checks.real(self.range_db, "range_db")
        checks.flag(self.center, "center")
        size = round(checks.real(self.width, "width") * rate)
        hop = round(checks.real(self.step, "step") * rate)
        if min(size, hop) < 1:
            raise ValueError(
                f"width={self.width!r} and step={self.step!r} at sample_rate={rate:g} are less than one sample: give more"
            )
        high = rate / 2 if self.high is None else checks.real(self.high, "high", most=rate / 2)
        low = checks.real(self.low, "low", below=high)
        return hop, get_window("hann", size), _bands(rate, size, self.n_mels, low, high)

    def transform(self, X: Iterable[ArrayLike]) -> Any:
        """Spectra of recordings.

        Parameters
        ----------
        X : list of (n,) arrays, or (n_recordings, n) array
            Integers and floats of any scale.

        Returns
        -------
        (n_recordings, frames * n_mels) float32 array, frame by frame; a list of (n_frames, n_mels) arrays if `frames` is None

        Raises
        ------
        ValueError
            for what is no recording, or not finite.
        """
        made = self._made()
        spectra = [self._spectrum(x, i, *made) for i, x in enumerate(X)]
        if self.frames is None:
            return spectra
        return np.array([_resized(spectrum, self.frames).ravel() for spectrum in spectra], np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _spectrum(self, x: ArrayLike, number: int, hop: int, window: Doubles, bands: Doubles) -> NDArray[np.float32]:
        x = np.asarray(x)
        if x.ndim != 1 or x.dtype.kind not in "iuf" or not len(x):
            raise ValueError(f"recording {number} has shape {x.shape} and type {x.dtype}: give numbers of one channel, (n,)")
        x = x.astype(np.float64)
        if not np.isfinite(x).all():
            raise ValueError(f"recording {number} is not finite at sample {int(np.argmin(np.isfinite(x)))}: leave it out")
        x = x / (np.abs(x).max() or 1.0)
        x = np.pad(x, (0, max(0, len(window) - len(x))))
        frames = np.lib.stride_tricks.sliding_window_view(x, len(window))[::hop]
        power = np.abs(fft.rfft(frames * window)) ** 2 @ bands
        floor = max(power.max(), 1e-30) * 10 ** (-self.range_db / 10)
        spectrum = np.log(np.maximum(power, floor))
        return (spectrum - spectrum.mean() if self.center else spectrum).astype(np.float32)


def _bands(rate: float, size: int, n: int, low: float, high: float) -> Doubles:
    """(frequencies, n) triangles, even in mel from low to high; a band between two frequencies has the nearest one."""

    def mel(hertz: Any) -> Any:
        return 2595 * np.log10(1 + hertz / 700)

    corners = np.linspace(mel(low), mel(high), n + 2)
    at = mel(fft.rfftfreq(size, 1 / rate))[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    bands = np.maximum(0.0, np.minimum((at - left) / (middle - left), (right - at) / (right - middle)))
    empty = np.flatnonzero(~bands.any(axis=0))
    bands[np.abs(at - middle[empty]).argmin(axis=0), empty] = 1.0
    return bands


def _resized(spectrum: NDArray[Any], frames: int) -> NDArray[Any]:
    """Means over equal parts of time, (frames, n_mels)."""
    sums = np.concatenate([np.zeros((1, spectrum.shape[1])), np.cumsum(spectrum, axis=0, dtype=np.float64)])
    edges = np.linspace(0, len(spectrum), frames + 1)
    at = np.minimum(edges.astype(int), len(spectrum) - 1)
    inside = sums[at] + (edges - at)[:, None] * spectrum[at]
    return np.diff(inside, axis=0) * (frames / len(spectrum))
