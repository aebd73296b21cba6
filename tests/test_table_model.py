"""A model of a table: frames in, frames out, one file."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV

import fastdbn
from fastdbn import DBN, RBM, DataWarning, DBNAutoencoder, DBNClassifier, DBNRegressor, Preparation, TableModel

N = 60
DRAW = np.random.default_rng(0)
QUICK = {"rbm": RBM(n_iter=1), "random_state": 0}


@pytest.fixture
def people():
    """A table, and whether each is old."""
    age = np.round(DRAW.uniform(18, 80, N), 1)
    table = pd.DataFrame({"age": age, "job": np.array(["cook", "nurse", "smith"], object)[DRAW.integers(0, 3, N)]})
    table["member"] = [i % 2 == 0 for i in range(N)]
    table.loc[[1, 7], "age"], table.loc[[2, 7], "job"] = np.nan, None
    return table, np.array(["young", "old"])[(age > 50).astype(int)]


def test_classifier(people, tmp_path):
    """It predicts, scores, samples, imputes and is saved as one."""
    X, y = people
    model = TableModel(DBNClassifier((6,), max_iter=2, **QUICK)).fit(X, y)
    assert is_classifier(model)
    assert model.estimator_.visible_.name == "mixed"
    assert set(model.predict(X)) <= {"old", "young"}
    assert model.predict_proba(X).shape == (N, 2)
    assert 0 <= model.score(X, y) <= 1
    assert not hasattr(model, "decision_function")
    samples = model.sample(5, n_steps=3, random_state=0)
    assert list(samples) == ["age", "job", "member"]
    assert samples["member"].dtype == bool
    filled = model.impute(X, n_steps=2, random_state=0)
    assert not filled.isna().any().any()
    known = X["age"].notna()
    assert filled["age"][known].tolist() == X["age"][known].tolist()
    model.save(tmp_path / "m")
    other = TableModel.load(tmp_path / "m")
    assert np.array_equal(other.predict_proba(X), model.predict_proba(X))
    assert other.sample(5, n_steps=3, random_state=0).equals(samples)
    assert isinstance(fastdbn.load(tmp_path / "m"), DBNClassifier)
    with pytest.raises(ValueError, match="not trained on a table"):
        TableModel.of(DBN((3,), **QUICK).fit(np.eye(9)))


@pytest.mark.parametrize("rbm", [None, RBM(n_iter=1), [RBM(n_iter=1), RBM(n_iter=1)]], ids=["none", "one", "list"])
def test_units_reach_the_first_layer(people, rbm):
    """However the layers are described, the lowest has the units of the table."""
    X = people[0]
    model = TableModel(DBNRegressor((4, 3), rbm=rbm, max_iter=1, random_state=0)).fit(X, np.arange(N) / 7)
    assert is_regressor(model)
    assert model.estimator_.dbn_.layers_[0].visible_.name == "mixed"
    assert clone(model).fit(X, np.arange(N) / 7).predict(X).tolist() == model.predict(X).tolist()


def test_missing_values_are_left_to_a_model_that_takes_them(people):
    """With `missing` there are no marks, and nothing that is missing is filled in before."""
    X, _ = people
    model = TableModel(RBM(4, missing="sample", n_iter=1, random_state=0)).fit(X)
    assert model.preparation_.n_features_out_ == 5
    assert model.transform(X).shape == (N, 4)
    assert not model.reconstruct(X).isna().any().any()


def test_left_out_columns_are_named(people):
    """A warning names them and how to keep them."""
    X, y = people
    X["copy"] = np.where(y == "old", "o", "y")
    model = TableModel(DBNClassifier((4,), max_iter=1, **QUICK))
    with pytest.warns(DataWarning, match=r"'copy' determines the target .*Preparation\(keep=\['copy'\]\)"):
        model.fit(X, y)
    model.set_params(preparation=Preparation(keep=["copy"])).fit(X, y)
    assert "copy" in model.feature_names_in_


def test_verbose(people, capsys):
    """verbose prints the table of what was decided."""
    TableModel(DBNAutoencoder((4,), max_iter=1, verbose=1, **QUICK)).fit(people[0])
    assert "job     category  cook, nurse, smith" in capsys.readouterr().err


def test_search(people):
    """A grid search reaches parameters of the model and of its layers."""
    X, y = people
    search = GridSearchCV(
        TableModel(DBNClassifier((4,), max_iter=1, **QUICK)), {"estimator__alpha": [0.0, 0.1], "estimator__rbm__k": [1, 2]}, cv=2
    )
    assert search.fit(X, y).best_estimator_.predict(X).shape == (N,)


def test_refused():
    with pytest.raises(ValueError, match="give an RBM or a network"):
        TableModel(3).fit([[1, "a"]])
    plain = TableModel(DBNClassifier((3,), max_iter=1, pretrain=False)).fit(
        [[i, "ab"[i % 2]] for i in range(9)], np.arange(9) % 3
    )
    with pytest.raises(ValueError, match="without a pretrained network"):
        plain.impute([[1, None]])
