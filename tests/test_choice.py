"""visible="auto": one rule looks at range, spread and shape of the columns."""

import warnings

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.preprocessing import minmax_scale

from fastdbn import DataWarning
from fastdbn.inputs.choice import choose
from fastdbn.inputs.data import columns

Z = np.random.default_rng(0).normal(size=(400, 20))
U = stats.norm.cdf(Z)
IMAGES = np.clip(0.5 + 0.1 * Z @ np.random.default_rng(1).normal(size=(20, 80)) / 2, 0, 1)
"""Grey pictures of 80 pixels, most of which vary between 0.3 and 0.7."""

BERNOULLI = {
    "binary": Z > 0,
    "one-hot": np.eye(20)[np.arange(400) % 20],
    "probabilities": U,
    "confident probabilities": stats.norm.cdf(30 * Z),
    "images": IMAGES,
    "CSR of frequencies": sparse.csr_matrix(np.where(U > 0.9, U - 0.8, 0)),
    "nearly in [0, 1]": np.where(U > 0.99, 1 + 2e-16, U),
    "few rows": U[:3] / 100,
}
PIXELS = {
    "pixels": (np.round(255 * IMAGES), 255),
    "uint8": (np.round(255 * U).astype(np.uint8), 255),
    "dark pixels": (np.round(IMAGES * 240), 255),
    "black and white": (255.0 * (Z > 0), 255),
    "16 grades": (np.minimum(np.round(20 * IMAGES), 16), 16),
    "CSR of pixels": (sparse.csr_matrix(np.where(U > 0.8, np.round(255 * U), 0)), 255),
}
GAUSSIAN = {
    "lognormal": np.exp(Z[:, :8]) * 1e-3,
    "heavy tails in [0, 1]": minmax_scale(stats.t.ppf(U, 2)),
    "tables in [0, 1]": minmax_scale(Z),
    "probabilities of rare events": stats.beta.ppf(U, 1, 50),
    "counts": stats.poisson.ppf(U, 3),
    "large counts": stats.poisson.ppf(U, 150),
    "counts with a long tail": stats.nbinom.ppf(U, 1, 0.05),
    "few whole numbers": np.round(255 * U[:, :8]),
    "negative": Z,
}


@pytest.mark.parametrize("name", [*BERNOULLI, *PIXELS, *GAUSSIAN])
def test_choice(name):
    """What is taken for intensities, and what for columns on scales of their own; none of these is in doubt."""
    X = BERNOULLI[name] if name in BERNOULLI else PIXELS[name][0] if name in PIXELS else GAUSSIAN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unit, scaling = choose(X, "auto", "auto")
    if name in GAUSSIAN:
        assert unit.name == "gaussian"
        assert np.allclose(1 / scaling.scale, X.std(axis=0))
        return
    assert unit.name == "bernoulli"
    if name in BERNOULLI:
        assert scaling.scale is None
    else:
        top = PIXELS[name][1]
        assert scaling.words == f"divided by {top}"
        assert np.array_equal(scaling.scale, np.full(X.shape[1], 1 / top))
        assert not scaling.shift.any()


def test_doubt():
    """Columns that vary on the scale of [0, 1] beside others that do not: a warning says what was taken and how to decide."""
    X = np.c_[U[:, :4], np.exp(Z[:, :4]) * 1e-3]
    with pytest.warns(DataWarning, match=r"in doubt: X lies in \[0, 1\].*takes 'gaussian' on standardised columns; give"):
        assert choose(X, "auto", "auto")[0].name == "gaussian"
    for visible, scale in (
        ("bernoulli", "auto"),
        ("gaussian", "standard"),
        ("auto", "minmax"),
        ("auto", "none"),
        ("auto", "standard"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            choose(X, visible, scale)


def test_missing_values():
    """NaN are no values between 0 and 1."""
    X = np.where(Z > 1, np.nan, U)
    assert choose(X, "auto", "auto", known=columns(X, missing=True))[0].name == "bernoulli"
