"""A model of a table: frames in, frames out, one file."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import fastdbn
from fastdbn import (
    DBN,
    RBM,
    DataWarning,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    Preparation,
    TableModel,
    evaluate,
)
from fastdbn.callbacks import Checkpoint

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


def test_rows_to_watch_are_a_table(people):
    """A list of a table and y is a pair; what is no table is named, with the remedy."""
    X, y = people
    model = TableModel(DBNClassifier((4,), pretrain=False, max_iter=1, **QUICK)).fit(X, y, validation_data=[X, y])
    assert np.isfinite(model.estimator_.history_["validation_loss"]).all()
    for given, named in (([X], r"\[ .*"), (y, ".*"), ([1.0, 2.0], r"\[1.0, 2.0\]"), (3, "3")):
        with pytest.raises(
            ValueError, match=rf"(?s)^validation_data={named}: X has . dimensions.*give a table, or a tuple \(table, y\)"
        ):
            model.fit(X, y, validation_data=given)
    with pytest.raises(ValueError, match=r"^validation_data: .*job"):
        model.fit(X, y, validation_data=(X.drop(columns="job"), y))


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


def test_verbose(people, capsys, composed):
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


NUMBERS = "predict_log_proba", "decision_function", "score_samples", "free_energy", "sample_hidden", "transform"
TABLES = "reconstruct", "denoise", "gibbs"
MODELS = {
    "RBM": RBM(4, n_iter=1, random_state=0),
    "DBN": DBN((4,), **QUICK),
    "DBNClassifier": DBNClassifier((4,), max_iter=1, **QUICK),
    "DBNAutoencoder": DBNAutoencoder((4,), max_iter=1, **QUICK),
    "DBNOutlierDetector": DBNOutlierDetector((4,), **QUICK),
}


@pytest.mark.parametrize("name", MODELS)
def test_methods_are_those_of_the_estimator(people, name, composed):
    """Whatever the estimator computes of numbers, the model computes of a table, and gives tables where those are rows."""
    X, y = people
    model = TableModel(MODELS[name]).fit(X, y if name == "DBNClassifier" else None)
    inside, numbers = model.estimator_, model.preparation_.transform(X)
    for method in (*NUMBERS, *TABLES):
        assert hasattr(model, method) == hasattr(inside, method)
        if not hasattr(model, method):
            continue
        options = {"random_state": 1} if method in ("sample_hidden", "gibbs") else {}
        found, known = getattr(model, method)(X, **options), getattr(inside, method)(numbers, **options)
        if method in NUMBERS:
            assert np.array_equal(found, known)
        else:
            assert found.equals(model.preparation_.inverse_transform(known))
    if hasattr(inside, "inverse_transform"):
        assert list(model.inverse_transform(model.transform(X))) == ["age", "job", "member"]
    if name in ("RBM", "DBN"):
        assert len(model.sample(start=X[:3], n_steps=1)) == 3
    if name == "DBNOutlierDetector":
        assert np.array_equal(clone(model).fit_predict(X), model.predict(X))
    framed = clone(model).set_output(transform="pandas").fit_transform(X, y)
    assert list(framed) == list(model.get_feature_names_out())
    assert model.to_host() is model
    layers = "dbn_" if hasattr(inside, "dbn_") else "machine_" if name == "RBM" else "layers_"
    with pytest.raises(AttributeError, match=rf"take that of its estimator, estimator_\.{layers}"):
        getattr(model, layers)
    with pytest.raises(AttributeError, match=r"of a .* has no attribute 'nothing'"):
        model.nothing  # noqa: B018


def test_parts_and_further_training(people):
    """Passes over parts, warm starts, up-down and rows to watch train the estimator on the numbers of the table."""
    X, y = people
    model = TableModel(DBNClassifier((4,), pretrain=False, random_state=0)).partial_fit(X[:30], y[:30], classes=["old", "young"])
    inside = clone(model.estimator_).partial_fit(model.preparation_.transform(X[:30]), y[:30], classes=["old", "young"])
    assert np.array_equal(inside.coefs_[0], model.estimator_.coefs_[0])
    assert model.partial_fit(X[30:], y[30:]).estimator_.n_iter_ == 2
    model = TableModel(DBNClassifier((4,), max_iter=1, warm_start=True, **QUICK)).fit(X, y, validation_data=(X, y))
    assert np.isfinite(model.estimator_.history_["validation_loss"]).all()
    assert model.fit(X, y).estimator_.n_iter_ == 2
    dbn = TableModel(DBN((4, 3), **QUICK)).fit(X, validation_data=X)
    assert dbn.up_down(X, 1) is dbn
    assert dbn.estimator_.up_down_iter_ == 1


def test_an_interrupted_fit_is_kept(people):
    """What Ctrl-C leaves goes on with warm_start, to the bits of a fit without it."""
    X, y = people

    def stop(epoch, layer, **_):
        if (layer, epoch) == ("fine-tuning", 1):
            raise KeyboardInterrupt

    model = TableModel(DBNClassifier((4,), max_iter=3, callbacks=[stop], warm_start=True, **QUICK))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.predict(X).shape == (N,)
    model.set_params(estimator__callbacks=None).fit(X, y)
    whole = TableModel(DBNClassifier((4,), max_iter=3, **QUICK)).fit(X, y)
    assert np.array_equal(model.predict_proba(X), whole.predict_proba(X))


def test_checkpoints(people, tmp_path):
    """A fit goes on from a checkpoint to the same bits, and the checkpoint is a model of tables."""
    X, y = people

    def stop(epoch, layer, **_):
        if (layer, epoch) == ("fine-tuning", 1):
            raise KeyboardInterrupt

    def model(*others):
        return TableModel(DBNClassifier((4,), max_iter=3, callbacks=[Checkpoint(tmp_path), *others], **QUICK))

    with pytest.raises(KeyboardInterrupt):
        model(stop).fit(X, y)
    assert TableModel.load(tmp_path / "last.safetensors").predict(X).shape == (N,)
    whole = TableModel(DBNClassifier((4,), max_iter=3, **QUICK)).fit(X, y)
    with pytest.raises(ValueError, match="data"):
        model().fit(X.iloc[::-1], y, resume="last")
    assert np.array_equal(model().fit(X, y, resume="last").predict_proba(X), whole.predict_proba(X))


def test_evaluation_and_pictures_take_tables(people, tmp_path):
    """They are given the estimator and the numbers of the table."""
    X, y = people
    model = TableModel(RBM(4, n_iter=1, random_state=0)).fit(X)
    numbers, log_z = model.preparation_.transform(X), evaluate.log_z(model)
    assert log_z == evaluate.log_z(model.estimator_)
    assert np.array_equal(evaluate.log_likelihood(model, X), evaluate.log_likelihood(model.estimator_, numbers))
    assert evaluate.free_energy_gap(model, X_train=X, X_validation=X) == 0
    with pytest.raises(NotFittedError):
        evaluate.log_z(TableModel(RBM(4)))
    pytest.importorskip("matplotlib")
    plot = fastdbn.plot
    assert plot.activity(model, X) is not None
    assert plot.weights(model) is not None
    model = TableModel(DBNClassifier((4,), max_iter=1, **QUICK)).fit(X, y)
    assert plot.confusion_matrix(model, X, y) is not None
    fastdbn.write_report(tmp_path / "r.html", model, X, y, X_test=X, y_test=y)
    page = (tmp_path / "r.html").read_text()
    assert "cook" in page  # columns are described as they came
    assert "model = TableModel(DBNClassifier(" in page


def test_refused():
    with pytest.raises(ValueError, match="give an RBM or a network"):
        TableModel(3).fit([[1, "a"]])
    plain = TableModel(DBNClassifier((3,), max_iter=1, pretrain=False)).fit(
        [[i, "ab"[i % 2]] for i in range(9)], np.arange(9) % 3
    )
    with pytest.raises(ValueError, match="without a pretrained network"):
        plain.impute([[1, None]])
