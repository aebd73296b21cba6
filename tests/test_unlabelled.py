"""Rows without a label: what marks them, what is learned from them, and what counts rows with a label alone."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from fastdbn import DBN, RBM, DataWarning, DBNClassifier, GenerativeDBNClassifier, load
from fastdbn.estimators.classes import classes

pytestmark = pytest.mark.filterwarnings("ignore::fastdbn.FitWarning")
DRAW = np.random.default_rng(0)
TRUE = np.arange(60) % 2
X = (DRAW.random((60, 6)) < np.where(TRUE[:, None] == np.arange(6) % 2, 0.9, 0.1)).astype(np.float32)
LABELLED = np.arange(60) % 5 < 2
Y = np.where(LABELLED, TRUE, -1)
LAYER = {"rbm": RBM(visible="bernoulli", n_iter=2, batch_size=10), "random_state": 0}
MODELS = [
    DBNClassifier((5, 4), max_iter=3, batch_size=10, unlabelled=-1, **LAYER),
    GenerativeDBNClassifier((5, 4), up_down_iter=3, unlabelled=-1, **LAYER),
]
both = pytest.mark.parametrize("model", MODELS, ids=["discriminative", "generative"])


def learnt(model):
    """All parameters of a fitted network, as one array."""
    if isinstance(model, DBNClassifier):
        arrays = [*model.coefs_, *model.intercepts_]
    else:
        arrays = [x for rbm in model.layers_ for x in (rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_)]
        arrays += [model.label_components_, model.label_intercept_]
    return np.concatenate([x.ravel() for x in arrays])


def pandas_series(values, **options):
    return pytest.importorskip("pandas").Series(values, **options)


LABELS = {
    "whole numbers": ([-1, 0, 1, 0], -1, [-1, 0, 1, 0], [0, 1]),
    "-1 and 1": ([-1, 1, -1, 3], -1, [-1, 0, -1, 1], [1, 3]),
    "-1 is a class": ([-1, 1, -1, 1], None, [0, 1, 0, 1], [-1, 1]),
    "-1 is one of three": ([-1, 0, 1, 1], np.nan, [0, 1, 2, 2], [-1, 0, 1]),
    "none is marked": ([0, 1, 1, 0], -1, [0, 1, 1, 0], [0, 1]),
    "floats": ([2.0, np.nan, 1.0, np.nan], np.nan, [1, -1, 0, -1], [1.0, 2.0]),
    "text and None": (["b", None, "a", "b"], np.nan, [1, -1, 0, 1], ["a", "b"]),
    "text": (np.array(["b", "?", "a", "?"]), "?", [1, -1, 0, -1], ["a", "b"]),
    "objects": (np.array([3, None, 2, np.nan], dtype=object), np.nan, [1, -1, 0, -1], [2, 3]),
    "objects and -1": (np.array(["b", -1, "a", -1], dtype=object), -1, [1, -1, 0, -1], ["a", "b"]),
    "masked": (np.ma.masked_array([0, 1, 7, 1], [0, 0, 1, 0]), np.nan, [0, 1, -1, 1], [0, 1]),
    "booleans": (np.array([True, None, False, True], dtype=object), np.nan, [1, -1, 0, 1], [False, True]),
}
SERIES = {
    "floats": ([2.0, None, 1.0, 2.0], {}, [1.0, 2.0]),
    "text": (["b", None, "a", "b"], {}, ["a", "b"]),
    "objects": (["b", None, "a", "b"], {"dtype": object}, ["a", "b"]),
    "Int64": ([2, None, 1, 2], {"dtype": "Int64"}, [1, 2]),
    "categories": (["b", None, "a", "b"], {"dtype": "category"}, ["a", "b"]),
}


@pytest.mark.parametrize("case", LABELS)
def test_numbers_of_labels(case):
    """Rows whose label is the marker have number -1, and the marker is no class."""
    y, marker, numbers, known = LABELS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, found_classes = classes(y, 4, unlabelled=marker)
    assert found.tolist() == numbers
    assert found_classes.tolist() == known
    assert classes(y, 4, found_classes, unlabelled=marker)[0].tolist() == numbers


@pytest.mark.parametrize("case", SERIES)
def test_missing_labels_of_a_series(case):
    """pandas marks them in several ways; NaN as the marker means all of them."""
    values, options, known = SERIES[case]
    y = pandas_series(values, **options)
    numbers, found = classes(y, 4, unlabelled=np.nan)
    assert numbers.tolist() == [1, -1, 0, 1]
    assert found.tolist() == known
    with pytest.raises(ValueError, match=r"in row 1: drop .*unlabelled=np\.nan"):
        classes(y, 4)


def test_minus_one_beside_two_classes_warns():
    """By default it is a class; the warning names the parameter that says otherwise, or that it is meant so."""
    for y in ([-1, 0, 1, 1], [-1.0, 0.0, 1.0, 1.0]):
        with pytest.warns(DataWarning, match=r"-1 beside 2 other classes.*unlabelled=-1.*unlabelled=np\.nan"):
            numbers, known = classes(y, 4)
        assert numbers.tolist() == [0, 1, 2, 2]
        assert known.tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("y", "marker", "says"),
    [
        ([-1, -1], -1, "y has no label but unlabelled=-1"),
        ([-1, 1], -1, "only one class, 1 beside unlabelled=-1"),
        ([np.nan, 1], -1, "y is nan in row 0"),
        (["a", 1, None], np.nan, "Unknown label type"),
        ([0.5, np.nan], np.nan, "DBNRegressor"),
    ],
)
def test_labels_that_say_nothing(y, marker, says):
    """Each is refused."""
    with pytest.raises(ValueError, match=says):
        classes(np.array(y, dtype=object) if None in y else y, len(y), unlabelled=marker)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "tol": 0.0}, {"class_weight": "balanced"}], ids=str)
def test_fine_tuning_learns_from_labelled_rows_alone(options):
    """Bit for bit: a network pretrained on all rows, then fitted on those with a label."""
    dbn = DBN((5, 4), **LAYER).fit(X)
    options = {"max_iter": 4, "batch_size": 10, "dropout": 0.0, **options}
    given = DBNClassifier((5, 4), pretrain=dbn, random_state=0, **options).fit(X[LABELLED], Y[LABELLED])
    model = DBNClassifier((5, 4), unlabelled=-1, **LAYER, **options).fit(X, Y)
    assert model.classes_.tolist() == [0, 1]
    assert np.array_equal(learnt(model), learnt(given))
    weights = np.arange(60) % 3 / 1.0
    given.fit(X[LABELLED], Y[LABELLED], weights[LABELLED])
    with pytest.raises(ValueError, match="sample_weight is 0 for all rows but those without a label"):
        model.fit(X, Y, np.where(LABELLED, 0.0, 1.0))


@both
def test_all_rows_with_labels_are_as_ever(model):
    """A marker that does not occur changes no bit."""
    assert np.array_equal(learnt(clone(model).fit(X, TRUE)), learnt(clone(model).set_params(unlabelled=None).fit(X, TRUE)))


def test_a_generative_network_learns_from_all_rows():
    """The top's weights move by rows without labels too; the share of the classes begins at that of the labelled rows."""
    model = clone(MODELS[1]).fit(X, Y)
    few = clone(MODELS[1]).fit(X[LABELLED], Y[LABELLED])
    assert not np.allclose(learnt(model), learnt(few), atol=1e-3)
    begun = clone(model).set_params(rbm=RBM(visible="bernoulli", n_iter=0), up_down_iter=0)
    y = np.where(LABELLED, TRUE * (np.arange(60) % 3 == 0), -1)
    share = np.exp(begun.fit(X, y).label_intercept_)
    counts = np.bincount(y[LABELLED])
    assert np.allclose(share / share.sum(), (counts + 0.5) / (counts.sum() + 1), atol=1e-6)
    balanced = clone(begun).set_params(class_weight="balanced").fit(X, y)
    assert np.allclose(balanced.label_intercept_, np.log(0.5), atol=1e-6)


def test_rows_without_labels_help():
    """Two labels of 400 rows: clusters of the others show where the classes part."""
    draw, n = np.random.default_rng(1), 400
    true = draw.integers(0, 2, n)
    centres = draw.random((2, 16)) < 0.5
    rows = (draw.random((n, 16)) < np.where(centres[true], 0.75, 0.25)).astype(np.float32)
    some = np.r_[np.flatnonzero(true == 0)[:1], np.flatnonzero(true == 1)[:1]]
    y = np.full(n, -1)
    y[some] = true[some]
    rbm = RBM(visible="bernoulli", n_iter=30, learning_rate=0.05, batch_size=20)
    model = GenerativeDBNClassifier(8, rbm=rbm, up_down_iter=0, unlabelled=-1, random_state=0).fit(rows, y)
    few = clone(model).fit(rows[some], true[some])
    assert model.score(rows, true) > few.score(rows, true) + 0.02


@both
def test_scores_count_labelled_rows(model, tmp_path):
    """So do files and clones know the marker."""
    model = clone(model).fit(X, Y)
    right = model.predict(X) == TRUE
    assert model.score(X, Y) == pytest.approx(right[LABELLED].mean())
    weights = np.arange(60) / 1.0
    assert model.score(X, Y, weights) == pytest.approx(np.average(right[LABELLED], weights=weights[LABELLED]))
    with pytest.raises(ValueError, match="y has no label but unlabelled=-1"):
        model.score(X, np.full(60, -1))
    for marker in (-1, np.nan, "?"):
        model.set_params(unlabelled=marker).save(tmp_path / "m")
        found = load(tmp_path / "m").unlabelled
        assert found == marker or (marker != marker and found != found)
        assert repr(clone(model).unlabelled) == repr(marker)


@both
def test_passes(model):
    """`classes` may hold the marker; a part of the data without any label is for the generative network alone."""
    model = clone(model)
    model.partial_fit(X[:20], Y[:20], classes=[-1, 0, 1])
    assert model.classes_.tolist() == [0, 1]
    before = learnt(model)
    if isinstance(model, DBNClassifier):
        with pytest.raises(ValueError, match=r"y has no label but unlabelled=-1.*leave this part of the data out"):
            model.partial_fit(X[20:], np.full(40, -1))
        assert np.array_equal(learnt(model), before)
    else:
        model.partial_fit(X[20:], np.full(40, -1))
        assert not np.array_equal(learnt(model), before)
        model.up_down(X, Y, 2)
        begun = clone(model).partial_fit(X, np.full(60, -1), classes=[0, 1])
        assert np.isfinite(learnt(begun)).all()


@both
def test_interrupted_fits_and_threads(model):
    """A fit that is completed, and one on two threads, has the bits of a whole one."""
    whole = learnt(clone(model).fit(X, Y))
    assert np.array_equal(learnt(clone(model).set_params(n_jobs=2).fit(X, Y)), whole)
    for after in range(1, 7):
        seen = []

        def interrupt(after=after, seen=seen, **_):
            seen.append(1)
            if len(seen) == after:
                raise KeyboardInterrupt

        stopped = clone(model).set_params(callbacks=[interrupt])
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(X, Y)
        assert np.array_equal(learnt(stopped.set_params(callbacks=None, warm_start=True).fit(X, Y)), whole)


@both
def test_grid_search(model):
    """Folds are scored by their labelled rows; markers that scikit-learn cannot stratify need plain folds."""
    search = GridSearchCV(clone(model), {"rbm__learning_rate": [0.05, 0.1]}, cv=3, error_score="raise").fit(X, Y)
    assert search.best_estimator_.classes_.tolist() == [0, 1]
    y = np.array(["ab"[label] if label >= 0 else None for label in Y], dtype=object)
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(clone(model).set_params(unlabelled=np.nan), {"rbm__k": [1, 2]}, cv=folds, error_score="raise").fit(X, y)
    assert search.best_estimator_.classes_.tolist() == ["a", "b"]
    assert set(search.predict(X)) <= {"a", "b"}
