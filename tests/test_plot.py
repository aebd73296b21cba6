"""Pictures: what they show is right, they draw on the given axes, and models that cannot be drawn get an error that says so."""

import subprocess
import sys
import warnings

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from small import ESTIMATORS, binary, each_estimator

from fastdbn import DBN, RBM, DBNClassifier, DBNOutlierDetector, DBNRegressor, plot
from fastdbn.plot.columns import _panel
from fastdbn.plot.images import coloured, limits

X = binary(40, 12)
Y = np.arange(40) % 2
SHAPE = {"image_shape": (3, 4)}
LABELLED, ODD = ["DBNClassifier", "GenerativeDBNClassifier"], np.where(np.arange(40) < 5, -1, 1)

DRAWS = {
    "filters": lambda model, ax: plot.filters(model, ax=ax, **SHAPE),
    "reconstructions": lambda model, ax: plot.reconstructions(model, X, 3, ax=ax, **SHAPE),
    "samples": lambda model, ax: plot.samples(model, 2, n_steps=2, ax=ax, **SHAPE),
    "weights": lambda model, ax: plot.weights(model, ax=ax),
    "activity": lambda model, ax: plot.activity(model, X, ax=ax),
    "embedding": lambda model, ax: plot.embedding(model, X, Y, ax=ax),
    "outlier_scores": lambda model, ax: plot.outlier_scores(model, X, ax=ax),
    "confusion_matrix": lambda model, ax: plot.confusion_matrix(model, X, Y, ax=ax),
    "roc": lambda model, ax: plot.roc(model, X, ODD if hasattr(model, "decision_function") else Y, ax=ax),
    "predictions": lambda model, ax: plot.predictions(model, X, Y, ax=ax),
}
"""Each function of one panel."""
REFUSED = {
    "confusion_matrix": lambda name: name not in LABELLED,
    "roc": lambda name: name not in (*LABELLED, "DBNOutlierDetector"),
    "predictions": lambda name: name != "DBNRegressor",
}
"""Which functions are not for which classes."""


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def models():
    """One of every class, fitted."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in ESTIMATORS:
            found[type(estimator).__name__] = clone(estimator).fit(X, *((Y,) if "y" in _needs(estimator) else ()))
    return found


def _needs(estimator):
    return "y" if hasattr(estimator, "predict") and not isinstance(estimator, DBNOutlierDetector) else ""


@each_estimator
@pytest.mark.parametrize("name", DRAWS)
def test_every_picture_of_every_class(models, estimator, name):
    """It is drawn on the given axes, or an error says what to draw instead."""
    kind, ax = type(estimator).__name__, Figure().subplots()
    if REFUSED.get(name, lambda kind: False)(kind):
        with pytest.raises(ValueError, match=r"classifier|regressors|outlier"):
            DRAWS[name](models[kind], ax)
        return
    assert DRAWS[name](models[kind], ax) is ax
    assert ax.has_data() or ax.texts
    ax.figure.canvas.draw()


@each_estimator
def test_panels(models, estimator):
    """Learning curves and columns draw a panel each, on given axes, of the right number."""
    model = models[type(estimator).__name__]
    axes = plot.learning_curves(model)
    assert axes[0].get_title(loc="left") == "Reconstruction error"
    assert len(plot.columns(model, X, [0, 3], n_steps=2)) == 2
    own = Figure().subplots(1, 2)
    assert list(plot.columns(model, X, [0, 3], n_steps=2, axes=own)) == list(own)
    with pytest.raises(ValueError, match="axes has 2 axes for 3 panels"):
        plot.columns(model, X, [0, 1, 2], n_steps=2, axes=own)
    with pytest.raises(ValueError, match="no_such"):
        plot.learning_curves(model, ["no_such"])


def test_missing_pixels():
    """They do not decide what is black and white, and are drawn as nothing."""
    rows = np.array([[0.0, 1.0, np.nan, 0.5]])
    assert limits(rows) == (0.0, 1.0)
    assert limits(rows * np.nan) == (0.0, 1.0)
    assert coloured(rows[:, None], 0, 1)[0, 0, :, 3].tolist() == [255, 255, 0, 255]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coloured(np.full((1, 2, 2, 3), np.nan), 0, 1)


def test_few_values_far_apart():
    """A column of few whole numbers is drawn by value only where these are near each other."""
    for values, n_bins in (([0.0, 3.0], 4), ([0.0, 1e12], 30)):
        ax = Figure().subplots()
        _panel(ax, np.array(values * 5), np.array(values * 5), "x")
        assert len(ax.patches[0].get_data().values) == n_bins


def test_predictions_of_several_outputs(models, monkeypatch):
    model = models["DBNRegressor"]
    monkeypatch.setattr(type(model), "predict", lambda self, X: np.zeros((len(X), 2)))
    with pytest.raises(ValueError, match="a model of one output"):
        plot.predictions(model, X, Y)


def test_curves_are_the_history(models):
    """Errors are shares of the column means' error; rows held out are dashed; NaN is left out."""
    rbm = RBM(5, n_iter=6, validation_fraction=0.2, random_state=0).fit(X)
    error, likelihood, gap = plot.learning_curves(rbm)
    history = rbm.history_
    seen, held_out = error.lines
    assert np.allclose(seen.get_ydata(), history["reconstruction_error"] / history["baseline_error"][-1])
    assert held_out.get_linestyle() == "--"
    assert likelihood.lines[0].get_xdata().tolist() == [5, 6]
    assert np.allclose(gap.lines[0].get_ydata(), history["free_energy_gap"])


def test_filters_are_the_weights():
    """Each tile is a unit's weights, on one scale; those of a higher layer come down through the layer below."""
    dbn = DBN((4, 3), rbm=RBM(n_iter=1), random_state=0).fit(X)
    lower, upper = (rbm.components_.astype(float) for rbm in dbn.layers_)
    for layer, W in ((0, lower), (1, upper @ lower)):
        image = plot.filters(dbn, layer, units=[2, 0], **SHAPE).images[0].get_array()
        most = np.quantile(np.abs(W[[2, 0]]), 0.995)
        for unit, left in ((2, 0), (0, 5)):
            shares = np.clip(W[unit].reshape(3, 4) / most / 2 + 0.5, 0, 1)
            assert (image[:, left : left + 4] == matplotlib.colormaps["RdBu_r"](shares, bytes=True)).all()
        assert (image[:, 4, 3] == 0).all()
    with pytest.raises(ValueError, match="units=\\[9\\]"):
        plot.filters(dbn, units=[9])
    with pytest.raises(ValueError, match="layer=2"):
        plot.filters(dbn, 2)


def test_tables_get_a_map(models):
    """Columns that are no image, or not to be one, are drawn as columns of a map."""
    ax = plot.filters(models["RBM"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column", "hidden unit")
    assert ax.images[0].get_array().shape == (4, 12)
    with pytest.raises(ValueError, match=r"give image_shape=\(height, width\).*fastdbn.plot.columns"):
        plot.samples(models["RBM"])


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 2, 3)])
def test_colour(shape):
    """Three channels, first or last, become colours."""
    rows = np.random.default_rng(0).random((30, 12)).astype(np.float32)
    ax = plot.reconstructions(RBM(4, n_iter=1, random_state=0).fit(rows), rows, 2, image_shape=shape)
    first = rows[0].reshape(shape) if shape[2] == 3 else np.moveaxis(rows[0].reshape(shape), 0, -1)
    assert (ax.images[0].get_array()[:2, :2, :3] == np.round(255 * first.astype(float))).all()


def test_square_images_are_found():
    """8x8 pixels are an image, also in a frame of one kind of names; columns with names of their own are none."""
    pandas = pytest.importorskip("pandas")
    rows = binary(50, 64)
    rbm = RBM(4, n_iter=1, random_state=0)
    assert plot.samples(rbm.fit(rows), 4, n_steps=2).images[0].get_array().shape == (17, 17, 4)
    pixels = pandas.DataFrame(rows, columns=[f"pixel_{i // 8}_{i % 8}" for i in range(64)], copy=False)
    assert plot.samples(rbm.fit(pixels), 4, n_steps=2).images
    table = pixels.rename(columns={"pixel_0_0": "age"})
    with pytest.raises(ValueError, match="not taken for images"):
        plot.samples(rbm.fit(table), 4, n_steps=2)
    for wrong, says in (((3, 4), "12 values"), ((8,), "give \\(height"), (64, "give \\(height")):
        with pytest.raises(ValueError, match=says):
            plot.samples(rbm, 4, image_shape=wrong)


def test_samples_of_classes(models):
    """A line for each class, by the model's own draws; a model without classes refuses a label."""
    ax = plot.samples(models["GenerativeDBNClassifier"], 3, n_steps=2, **SHAPE)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "1"]
    with pytest.raises(ValueError, match="no class; GenerativeDBNClassifier"):
        plot.samples(models["DBN"], label=1, **SHAPE)


def test_drawing_leaves_the_model_as_it_was(models):
    """Pictures take noise of their own: the model's next draws are those that it would have made."""
    rbm = models["RBM"]
    before = rbm._draws
    plot.samples(rbm, 2, n_steps=2, **SHAPE)
    plot.columns(rbm, X, n_steps=2)
    assert rbm._draws == before


def test_names_are_shown_as_they_stand():
    """Names that look like formulas, and labels that begin with an underscore, are no formulas and are not lost."""
    labels = np.array(["$\\frac{$", "_x", "<b>"])[np.arange(40) % 3]
    model = DBNClassifier((4,), rbm=RBM(n_iter=1), max_iter=1, random_state=0).fit(X, labels)
    for draw in (plot.confusion_matrix, plot.roc, plot.embedding):
        draw(model, X, labels).figure.canvas.draw()
    assert [text.get_text()[6:8] for text in plot.roc(model, X, labels).get_legend().get_texts()] == ["$\\", "<b", "_x"]


def test_what_is_no_model():
    """A Pipeline, and a model that is not fitted, are refused with what to give."""
    with pytest.raises(TypeError, match="pipeline\\[-1\\]"):
        plot.filters(make_pipeline(MinMaxScaler(), RBM(2)))
    with pytest.raises(ValueError, match="not fitted"):
        plot.filters(RBM(2))
    plain = DBNRegressor((4,), pretrain=False, max_iter=1, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="pretrain=True"):
        plot.samples(plain, **SHAPE)
    assert plot.activity(plain, X).has_data()


def test_import_error_names_the_extra():
    """Without matplotlib the package works, and its pictures say how to get it."""
    code = "import sys; sys.modules['matplotlib'] = None; import fastdbn; fastdbn.plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "fastdbn[plot]"' in done.stderr.splitlines()[-1]
