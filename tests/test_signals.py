"""Windows of time series and log-mel spectra."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fastdbn import RBM, LogMel, Windows

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(("length", "step", "horizon"), [(3, 1, 0), (4, 2, 1), (5, 3, 2), (5, 7, 0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_windows(length, step, horizon, channels):
    """Rows are the windows one by one, with their series and what comes after them."""
    series = [DRAW.normal(size=(n, channels)) for n in (12, 9, 20)]
    windows = Windows(length, step=step, horizon=horizon).fit(series)
    rows, groups, later = [], [], []
    for i, x in enumerate(series):
        for start in range(0, len(x) - length - horizon + 1, step):
            rows.append(x[start : start + length].ravel())
            groups.append(i)
            later.append(x[start + length + horizon - 1])
    assert np.array_equal(windows.transform(series), rows)
    assert windows.groups(series).tolist() == groups
    if horizon:
        assert np.array_equal(windows.ahead(series), np.array(later)[:, 0] if channels == 1 else later)
    for x, back in zip(series, windows.inverse_transform(windows.transform(series)), strict=True):
        covered = ~np.isnan(back.reshape(len(x), -1)[:, 0])
        assert np.allclose(back.reshape(len(x), -1)[covered], x[covered])
        assert covered[:length].all()


def test_windows_of_one_series():
    """They are a view, and come back as one series."""
    x = np.arange(1000.0)
    windows = Windows(10)
    rows = windows.fit_transform(x)
    assert np.shares_memory(rows, x)
    assert rows.shape == (991, 10)
    assert np.allclose(windows.inverse_transform(rows), x)
    assert make_pipeline(Windows(10), RBM(3, n_iter=1, random_state=0)).fit(x).transform(x).shape == (991, 3)


def test_fitted_again():
    """A later fit, and later parameters, leave nothing of earlier ones."""
    windows = Windows(5).fit(np.arange(9.0))
    assert windows.fit(np.zeros((9, 2))).transform(np.zeros((9, 2))).shape == (5, 10)
    mel = LogMel(8000, n_mels=20, frames=3)
    assert mel.transform([np.ones(900)]).shape == (1, 60)
    assert mel.set_params(n_mels=10).transform([np.ones(900)]).shape == (1, 30)


def test_bad_windows():
    for X, options, says in (
        (np.arange(3), {}, "X has 3 samples, and length=5 with horizon=0 needs 5"),
        ([np.arange(9), np.arange(6)], {"horizon": 2}, "series 1 of X has 6 samples"),
        ([np.zeros((9, 2)), np.zeros(9)], {}, r"series of \[1, 2\] channels"),
        (np.array(["a"] * 9), {}, "give numbers"),
        (np.arange(9), {"step": 0}, "step=0"),
    ):
        with pytest.raises(ValueError, match=says):
            Windows(5, **options).fit(X)
    windows = Windows(5).fit(np.arange(9))
    with pytest.raises(ValueError, match="horizon=0"):
        windows.ahead(np.arange(9))
    with pytest.raises(ValueError, match=r"give \(5, 5\)"):
        windows.inverse_transform(np.zeros((4, 5)))


def test_log_mel_finds_pitch():
    """A tone is loudest in the band of its frequency, at any loudness, length and type."""
    rate, time = 8000, np.arange(8000) / 8000
    mel = LogMel(rate, n_mels=30, frames=5)
    bands = []
    for hertz in (300, 800, 2000, 3500):
        wave = np.sin(2 * np.pi * hertz * time)
        spectra = mel.transform([wave, 0.01 * wave[:3000], (wave * 20000).astype(np.int16)]).reshape(3, 5, 30)
        found = set(spectra.argmax(axis=2).ravel().tolist())
        assert len(found) == 1
        bands += found
    assert bands == sorted(set(bands))
    middle = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + np.array([20, 4000]) / 700)), 32)[1:-1] / 2595) - 1)
    assert np.abs(middle[bands] / [300, 800, 2000, 3500] - 1).max() < 0.12


def test_log_mel_shapes():
    """Any length becomes as many frames, whose means are kept; without `frames` each has its own."""
    waves = [DRAW.normal(size=n) for n in (150, 2000, 9000)]
    whole = clone(LogMel(8000, frames=None)).fit_transform(waves)
    assert [len(x) for x in whole] == [1, 23, 111]
    few = LogMel(8000, frames=7).fit_transform(waves)
    assert few.shape == (3, 280)
    for spectrum, row in zip(whole, few, strict=True):
        assert np.allclose(spectrum.mean(axis=0), row.reshape(7, 40).mean(axis=0), atol=1e-5)
    silent = LogMel(8000, frames=3).transform([np.zeros(4000)])
    assert np.isfinite(silent).all()
    assert Windows(5).fit_transform(whole[1:]).shape == (19 + 107, 200)


def test_bad_recordings():
    for X, options, says in (
        ([[1.0, np.nan]], {}, "recording 0 is not finite at sample 1"),
        ([np.zeros((3, 2))], {}, r"recording 0 has shape \(3, 2\)"),
        ([np.zeros(9)], {"high": 9000}, "high=9000"),
        ([np.zeros(9)], {"step": 1e-9}, "less than one sample"),
        ([np.zeros(9)], {"n_mels": 0}, "n_mels=0"),
    ):
        with pytest.raises(ValueError, match=says):
            LogMel(8000, **options).fit_transform(X)
