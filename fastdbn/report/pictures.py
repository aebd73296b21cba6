"""Which figures a report has, for each kind of model, and what their captions say."""

import numpy as np

from fastdbn import plot
from fastdbn.estimators.outliers import DBNOutlierDetector
from fastdbn.estimators.supervised import Supervised
from fastdbn.evaluate.models import layer_weights, layers, some, take
from fastdbn.plot.images import shape_of
from fastdbn.report.figures import figure

ROWS = 2000
"""The most rows whose scores, features or activities are drawn."""
TUNING = "docs/tuning.md says what to do."


def of_predictions(model, X, y):
    """Figures of what the model says of some rows."""
    if hasattr(model, "classes_") and y is not None:
        said = "Rows by their class and by the class that the model predicts."
        yield _of("confusion", said, plot.confusion_matrix, model, X, y)
        if len(np.unique(y)) > 1:
            said = "The nearer a curve is to the upper left corner, the better its class is told from the others."
            yield _of("roc", said, plot.roc, model, X, y)
    elif hasattr(model, "target_mean_") and y is not None and np.ndim(y) == 1:
        yield _of("predictions", "Points on the dashed line are predicted exactly.", plot.predictions, model, X, y)
    elif isinstance(model, DBNOutlierDetector):
        rows = some(X.shape[0], ROWS)
        said = "Rows left of the dashed line are outliers for the model."
        yield _of("outliers", said, plot.outlier_scores, model, take(X, rows), None if y is None else np.asarray(y)[rows])
        if y is not None:
            yield _of("roc", "How well outliers are told from the other rows.", plot.roc, model, X, y)


def of_training(model, X):
    """Figures of how the training went."""
    if any(np.isfinite(v).any() for rbm in layers(model) for v in rbm.history_.values()) or len(
        getattr(model, "history_", {}).get("loss", ())
    ):
        said = (
            "Measures by epoch. A reconstruction error of 1 is no better than the column means. A free-energy gap that grows "
            "says that the layer overfits."
        )
        yield _of("curves", said, plot.learning_curves, model)
    said = "Broad tails say that a layer learned; one narrow peak at 0 that it learned little."
    yield _of("weights", said, plot.weights, model)
    said = f"Units that are off (dead) or on (saturated) for nearly all rows tell none apart. {TUNING}"
    yield _of("activity", said, plot.activity, model, take(X, some(X.shape[0], ROWS)))


def of_what_it_learned(model, X, y, image_shape):
    """Figures of filters, samples, reconstructions, and of the map of the rows."""
    shape, draws = shape_of(model, image_shape), not isinstance(model, Supervised) or model.dbn_ is not None
    for layer in range(min(2, len(layer_weights(model)))) if shape else (0,):
        said = "What hidden units look for: red turns a unit on, blue turns it off."
        yield _of(f"filters-{layer + 1}", said, plot.filters, model, layer, image_shape=image_shape)
    if shape and draws:
        pretrained = " They come from the pretrained network." if isinstance(model, Supervised) else ""
        said = f"New rows that the model draws.{pretrained}"
        yield _of("samples", said, plot.samples, model, image_shape=image_shape)
    if shape and (draws or hasattr(model, "reconstruct")):
        said = "Rows, and what is left of them in the hidden units."
        yield _of("reconstructions", said, plot.reconstructions, model, X, image_shape=image_shape)
    if not shape and draws:
        said = "Columns of the data, and of rows that the model draws. Where both agree, the model knows their distribution."
        yield _of("columns", said, plot.columns, model, X)
    if X.shape[0] > 1 and len(layer_weights(model)[-1]) > 1:
        said = "Rows by the features of the top layer; rows that are near each other are alike to the model."
        yield _of("embedding", said, plot.embedding, model, X, y)


def _of(name, caption, draw, *arguments, **options):
    return figure(name, caption, lambda: draw(*arguments, **options))
