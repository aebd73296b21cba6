"""Data frames of polars: what works with those of pandas works with them, and gives frames of polars."""

import datetime

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import fastdbn
from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor, GenerativeDBNClassifier, Preparation, TableModel

pl = pytest.importorskip("polars", reason="polars is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")

N = 40
DRAW = np.random.default_rng(0)
QUICK = {"rbm": RBM(n_iter=1), "random_state": 0}


@pytest.fixture
def people():
    """The same table as a frame of polars and of pandas: numbers, text, categories, flags, dates, times and gaps."""
    born = [datetime.date(1980, 1, 1) + datetime.timedelta(days=int(x)) for x in DRAW.integers(0, 9000, N)]
    cells = {
        "height": np.round(DRAW.normal(170, 9, N), 1).tolist(),
        "children": DRAW.integers(0, 30, N).tolist(),
        "job": [("cook", "nurse", "smith")[i] for i in DRAW.integers(0, 3, N)],
        "town": [("Ulm", "Bonn", "Jena")[i] for i in DRAW.integers(0, 3, N)],
        "member": [i % 3 == 0 for i in range(N)],
        "born": born,
        "seen": [datetime.datetime(2020, 1, 1, 8, 30) + datetime.timedelta(hours=7 * i) for i in range(N)],
    }
    for name, row in (("height", 3), ("children", 4), ("job", 5), ("town", 6), ("member", 7), ("born", 8), ("seen", 9)):
        cells[name][row] = None
    ours = pl.DataFrame(cells).with_columns(pl.col("town").cast(pl.Categorical), pl.col("children").cast(pl.Int16))
    theirs = pd.DataFrame(cells)
    theirs["town"], theirs["seen"] = theirs["town"].astype("category"), pd.to_datetime(theirs["seen"])
    return ours, theirs


def test_columns_are_prepared_alike(people):
    """Both frames have the same kinds of columns and the same numbers."""
    ours, theirs = (Preparation().fit(frame) for frame in people)
    assert [column.kind for column in ours.columns_] == ["number", "number", "category", "category", "flag", "date", "date"]
    assert ours.columns_ == theirs.columns_
    np.testing.assert_array_equal(ours.transform(people[0]), theirs.transform(people[1]))
    np.testing.assert_array_equal(ours.transform(people[0].lazy().collect()), ours.transform(people[1]))
    named = ours.set_output(transform="polars").transform(people[0])
    assert isinstance(named, pl.DataFrame)
    assert named.columns == list(ours.get_feature_names_out())


def test_what_was_prepared_goes_back(people):
    """The inverse is a frame of polars, with nulls where values were missing."""
    ours, theirs = people
    preparation = Preparation().fit(ours)
    back, known = preparation.inverse_transform(preparation.transform(ours)), Preparation().fit(theirs)
    known = known.inverse_transform(known.transform(theirs))
    assert isinstance(back, pl.DataFrame)
    assert back.columns == list(known)
    for name in back.columns:
        assert back[name].is_null().to_list() == known[name].isna().tolist()
        assert back[name].drop_nulls().to_list() == known[name].dropna().tolist()


def test_models_of_tables(people, tmp_path):
    """Fitted alike; tables come back as frames of polars, and a file serves both."""
    ours, theirs = people
    y = pl.Series("y", ["a", "b"] * (N // 2))
    models = [
        TableModel(DBNClassifier((4,), max_iter=1, **QUICK)).fit(frame, target)
        for frame, target in ((ours, y), (theirs, y.to_numpy()))
    ]
    assert np.array_equal(models[0].predict_proba(ours), models[1].predict_proba(theirs))
    assert models[0].score(ours, y) == models[1].score(theirs, y.to_numpy())
    samples = [model.sample(3, n_steps=2, random_state=0) for model in models]
    assert isinstance(samples[0], pl.DataFrame)
    assert samples[0].columns == list(samples[1]) == ours.columns
    filled = models[0].impute(ours, n_steps=2, random_state=0)
    assert isinstance(filled, pl.DataFrame)
    assert filled.null_count().sum_horizontal().item() == 0
    models[0].save(tmp_path / "m")
    other = TableModel.load(tmp_path / "m")
    assert np.array_equal(other.predict(ours), models[0].predict(theirs))
    assert isinstance(other.impute(ours, n_steps=1), pl.DataFrame)


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_numbers(tmp_path):
    """Estimators take frames of numbers as they are, note the names of the columns, and refuse others."""
    draw = np.random.default_rng(1)
    X = pl.DataFrame({name: draw.random(N).astype(np.float32) for name in "abc"})
    y, numbers = pl.Series(draw.integers(0, 2, N)), X.to_numpy()
    rbm = RBM(4, n_iter=1, random_state=0).fit(X)
    assert list(rbm.feature_names_in_) == ["a", "b", "c"]
    assert np.array_equal(rbm.components_, RBM(4, n_iter=1, random_state=0).fit(numbers).components_)
    assert isinstance(rbm.set_output(transform="polars").transform(X), pl.DataFrame)
    with pytest.raises(ValueError, match="feature names"):
        rbm.transform(X.rename({"a": "z"}))
    rbm.save(tmp_path / "m")
    assert np.array_equal(fastdbn.load(tmp_path / "m").transform(X), rbm.transform(X).to_numpy())
    for model, target in (
        (DBNClassifier((4,), max_iter=1, **QUICK), y),
        (DBNClassifier((4,), max_iter=1, **QUICK), y.cast(pl.String)),
        (DBNRegressor((4,), max_iter=1, **QUICK), y),
        (DBNRegressor((4,), max_iter=1, **QUICK), X.select("a", "b")),
        (GenerativeDBNClassifier((4,), up_down_iter=1, **QUICK), y),
    ):
        model.fit(X, target, sample_weight=pl.Series(np.ones(N)), validation_data=(X, target))
        assert len(model.predict(X)) == N
        assert np.isfinite(model.score(X, target))
    DBNAutoencoder((2,), max_iter=1, **QUICK).fit(X, X).score(X, X)
    DBN((4,), **QUICK).fit(X, validation_data=X).impute(X.with_columns(a=None), n_steps=1)


def test_groups(people):
    """Splits by a column of groups, in a Pipeline."""
    ours, _ = people
    model = make_pipeline(Preparation(), DBNClassifier((4,), max_iter=1, **QUICK))
    y = pl.Series([0, 1] * (N // 2))
    scores = cross_val_score(model, ours.drop("town", "born"), y, groups=pl.Series([i // 4 for i in range(N)]), cv=GroupKFold(2))
    assert np.isfinite(scores).all()


def test_pictures_and_report(people, tmp_path):
    """They describe the columns of the frame."""
    pytest.importorskip("matplotlib")
    ours, _ = people
    model = TableModel(RBM(4, n_iter=1, random_state=0)).fit(ours)
    fastdbn.write_report(tmp_path / "r.html", model, ours)
    assert "nurse" in (tmp_path / "r.html").read_text()
    numbers = ours.select("height", "children").drop_nulls()
    plain = RBM(4, n_iter=1, random_state=0).fit(numbers)
    fastdbn.write_report(tmp_path / "n.html", plain, numbers)
    assert "children" in (tmp_path / "n.html").read_text()
    fastdbn.plot.columns(plain, numbers, ["children"], n_steps=1)
    fastdbn.plot.embedding(plain, numbers)
