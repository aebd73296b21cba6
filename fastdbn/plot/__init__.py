"""Pictures of models and of what they learned, by matplotlib (``pip install "fastdbn[plot]"``).

Each function draws on the axes that it is given as `ax`, or on a new figure, and returns the axes. Functions with several panels
take and return `axes`.
"""

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError('fastdbn.plot needs matplotlib: pip install "fastdbn[plot]"') from error

from fastdbn.plot.columns import columns
from fastdbn.plot.curves import learning_curves
from fastdbn.plot.embedding import embedding
from fastdbn.plot.filters import filters
from fastdbn.plot.histograms import activity, weights
from fastdbn.plot.outliers import outlier_scores
from fastdbn.plot.predictions import confusion_matrix, predictions, roc
from fastdbn.plot.rows import reconstructions, samples

__all__ = [
    "activity",
    "columns",
    "confusion_matrix",
    "embedding",
    "filters",
    "learning_curves",
    "outlier_scores",
    "predictions",
    "reconstructions",
    "roc",
    "samples",
    "weights",
]
