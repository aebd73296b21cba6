"""What every estimator does with frames, masks and names: one table of estimators, whatever they inherit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from small import ESTIMATORS, binary, each_estimator

from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, DBNOutlierDetector, DBNRegressor, TableModel

X, Y = binary(40, 6), np.arange(40) % 2


def frame(rows=X):
    return pd.DataFrame(rows, columns=[f"column {i}" for i in range(rows.shape[1])])


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def fitted(request):
    """Every estimator, fitted on a frame."""
    return clone(request.param).fit(frame(), Y)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(fitted, library):
    """Frames of named columns, with the index of the rows given, by `transform` and by `fit_transform`."""
    frames = pytest.importorskip(library)
    model = clone(fitted).set_output(transform=library)
    rows = frame().set_index(np.arange(40) + 7)
    for out in (model.fit_transform(rows, Y), model.transform(rows)):
        assert isinstance(out, frames.DataFrame)
        assert list(out.columns) == list(model.get_feature_names_out())
        assert np.array_equal(out.to_numpy(), fitted.transform(frame()))
        if library == "pandas":
            assert out.index.equals(rows.index)


def test_set_output_of_a_lower_layer():
    """Only the last layer has names; a lower one is refused by a message, and given without set_output."""
    for estimator in ESTIMATORS:
        if len(getattr(estimator, "hidden_layer_sizes", ())) < 2 or type(estimator).__name__ == "DBNAutoencoder":
            continue
        model = clone(estimator).fit(X, Y).set_output(transform="pandas")
        assert model.transform(X, layer=-1).shape == (40, 3)
        with pytest.raises(ValueError, match=r"layer=0: set_output\(transform='pandas'\) names"):
            model.transform(X, layer=0)
        assert model.set_output(transform="default").transform(X, layer=0).shape == (40, 4)


MASKED = np.ma.masked_array(X, np.eye(40, 6, dtype=bool))
TAKING_ROWS = (
    "transform",
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "free_energy",
    "sample_hidden",
)
TAKING_ROWS += ("reconstruct", "gibbs", "denoise", "inverse_transform", "partial_fit", "fit", "fit_transform", "fit_predict")
TAKING_ROWS += ("up_down", "score")


@pytest.mark.parametrize("name", TAKING_ROWS)
@each_estimator
def test_masked_rows(estimator, name):
    """A mask means values that are not there: what covers them is never read as data."""
    model, detects = clone(estimator).fit(X, Y), isinstance(estimator, DBNOutlierDetector)
    if name in ("gibbs", "free_energy") and hasattr(model, "layers_"):
        model = DBN.stack(model.layers_[:1])  # these are for networks of one layer
    method = getattr(model, name, None)
    if method is None:
        pytest.skip("no such method")
    masked = np.ma.masked_array(model.transform(X), mask=True) if name == "inverse_transform" else MASKED
    targets = (Y,) if name.endswith(("fit", "fit_transform", "score", "up_down")) and hasattr(model, "predict") else ()
    if detects:
        targets = (2 * Y - 1,) if name == "score" else ()
    with pytest.raises(ValueError, match="X is a masked array with"):
        method(masked, *targets)


@each_estimator
def test_masked_targets_and_weights(estimator):
    """Targets and weights have no missing values, in training and in scores."""
    masked, model = np.ma.masked_array(Y, Y == 1), clone(estimator).fit(X, Y)
    if hasattr(model, "score") and hasattr(model, "predict"):
        detects = isinstance(model, DBNOutlierDetector)
        for name in ("score",) if detects else ("fit", "partial_fit", "score"):
            with pytest.raises(ValueError, match="y is a masked array with 20 masked values"):
                getattr(model, name)(X, masked)
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            model.score(X, 2 * Y - 1 if detects else Y, sample_weight=masked)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            method(X, Y, sample_weight=masked)


def test_masks_where_values_may_be_missing():
    """With `missing`, and in `impute`, a masked value is NaN; a mask that covers nothing changes nothing."""
    lacking, open_ = MASKED.filled(np.nan), np.ma.masked_array(X, np.zeros(X.shape, bool))
    models = [RBM(3, missing="drop", n_iter=1, random_state=0).fit(rows) for rows in (MASKED, lacking)]
    assert np.array_equal(*(model.components_ for model in models))
    assert np.array_equal(models[0].transform(MASKED), models[0].transform(lacking))
    assert np.array_equal(models[0].transform(open_), models[0].transform(X))
    whole = RBM(3, n_iter=1, random_state=0).fit(open_)
    assert np.array_equal(whole.impute(MASKED, random_state=0), whole.impute(lacking, random_state=0))
    counts = np.ma.masked_array(np.arange(24).reshape(4, 6) % 2, np.eye(4, 6, dtype=bool))
    assert np.array_equal(models[0].transform(counts), models[0].transform(counts.astype(float).filled(np.nan)))


@pytest.mark.parametrize(
    "estimator", [RBM(4), DBNClassifier((4,)), BernoulliRBM(4)], ids=lambda estimator: type(estimator).__name__
)
def test_what_is_no_number(estimator):
    """Text, dates and columns of one name are refused with the remedy."""
    y = np.arange(6) % 2
    day, name = pd.date_range("2020-01-01", periods=6), ["a", "b"] * 3
    for X, said in [
        (pd.DataFrame({"day": day, "x": y}), "X has dates or times: make numbers of them"),
        (np.column_stack([day.to_numpy()]), "X has dates or times"),
        (pd.DataFrame({"name": name, "x": y}), r"X has text .*'a'.*fastdbn\.TableModel\(estimator\)"),
        (np.column_stack([name]), "X has text"),
        (pd.DataFrame(np.zeros((6, 2)), columns=["a", "a"]), r"X has two columns named 'a': give each a name of its own"),
    ]:
        with pytest.raises(ValueError, match=said):
            estimator.fit(X, y)


def test_what_is_no_table_or_target():
    with pytest.raises(ValueError, match="y has dates or times: make numbers of them"):
        DBNRegressor((4,)).fit(np.zeros((3, 2)), np.array(["2020-01-01"] * 3, "M8[D]"))
    with pytest.raises(ValueError, match=r"X is a dict.*pandas\.DataFrame\(X\)"):
        TableModel(DBNClassifier((4,))).fit({"a": [1, 2]}, [0, 1])
