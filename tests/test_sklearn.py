"""scikit-learn's manners: its own estimator checks, and the tools that users put estimators into."""

import pickle

import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
)

ESTIMATORS = [
    RBM(8, n_iter=2, random_state=0),
    BernoulliRBM(8, n_iter=2, random_state=0),
    DBN((8, 6), rbm=RBM(n_iter=2), random_state=0),
    DBNOutlierDetector((8,), rbm=RBM(n_iter=2), random_state=0),
    GenerativeDBNClassifier((16,), rbm=RBM(n_iter=100, batch_size=10), up_down_iter=0, random_state=0),
    DBNClassifier(
        (16,), rbm=RBM(n_iter=2, batch_size=10), max_iter=60, batch_size=10, learning_rate_init=0.01, dropout=0.0, random_state=0
    ),
    DBNAutoencoder((8, 4), rbm=RBM(n_iter=2, batch_size=10), max_iter=10, batch_size=10, random_state=0),
    DBNRegressor((16,), rbm=RBM(n_iter=2, batch_size=10), max_iter=60, batch_size=10, learning_rate_init=0.01, random_state=0),
]
STOCHASTIC = {
    f"check_sample_weight_equivalence_on_{kind}_data": "fits are stochastic; the gradients' equivalence is tested elsewhere"
    for kind in ("dense", "sparse")
}
NEEDS_SIGNS = "score is the area under the ROC curve, which needs y of 1 and -1"
SCORED = {f"check_{name}": NEEDS_SIGNS for name in ("fit_score_takes_y", "n_features_in_after_fitting", "pipeline_consistency")}
NAMES = [type(estimator).__name__ for estimator in ESTIMATORS]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)


@parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda estimator: STOCHASTIC | (SCORED if isinstance(estimator, DBNOutlierDetector) else {}),
)
def test_scikit_learn_checks(estimator, check, request):
    """The estimator breaks a convention that scikit-learn's own tools rely on."""
    if "sample_weight" in str(check):  # test_cd.py compares whole minibatches of weighted rows with single operations
        request.getfixturevalue("composed")
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


def output(model, X):
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


def plain(estimator):
    """Parameters by name, those of RBMs too, but without the RBM objects themselves."""
    return {name: x for name, x in estimator.get_params().items() if not isinstance(x, (RBM, list))}


@each
def test_clone_copies_parameters_and_nothing_fitted(estimator, digits):
    """A clone that shares state, or loses parameters, spoils every search and cross-validation."""
    fitted = clone(estimator).fit(*digits)
    copy = clone(fitted)
    assert plain(copy) == plain(estimator)
    with pytest.raises(NotFittedError):
        output(copy, digits[0])
    assert (output(copy.fit(*digits), digits[0]) == output(fitted, digits[0])).all()


@each
def test_pickle(estimator, digits):
    """joblib sends models between processes by pickle; a copy must be the same model, in use and in going on."""
    model = clone(estimator).fit(*digits)
    copy = pickle.loads(pickle.dumps(model))
    assert output(copy, digits[0]).tobytes() == output(model, digits[0]).tobytes()
    again = [m.partial_fit(*digits) for m in (model, copy)]
    assert output(again[0], digits[0]).tobytes() == output(again[1], digits[0]).tobytes()


@each
def test_feature_names_out(estimator, digits):
    """Names must match the columns of transform: set_output and ColumnTransformer label columns by them."""
    model = clone(estimator).fit(*digits)
    names = model.get_feature_names_out()
    assert len(names) == model.transform(digits[0][:3]).shape[1]
    assert names[0] == f"{type(model).__name__.lower()}0"


@pytest.mark.parametrize("estimator", ESTIMATORS[:4], ids=NAMES[:4])
def test_pipeline(estimator, digits):
    """Features for a linear model is what RBMs are mostly used for."""
    name = "n_iter" if "n_iter" in estimator.get_params() else "rbm__n_iter"
    pipe = make_pipeline(clone(estimator).set_params(**{name: 5}), LogisticRegression(max_iter=300))
    assert cross_val_score(pipe, *digits, cv=2).shape == (2,)
    assert pipe.fit(*digits).predict(digits[0][:4]).shape == (4,)
    names = pipe[:-1].get_feature_names_out()
    assert len(names) == pipe[-1].n_features_in_


def test_grid_search_in_two_processes(digits):
    """A search in worker processes must work and find what it finds in one process."""
    grid = {"max_iter": [1, 12], "hidden_layer_sizes": [(24,)]}
    base = DBNClassifier(rbm=RBM(n_iter=1, batch_size=20), batch_size=20, learning_rate_init=0.01, dropout=0.0, random_state=0)
    both = [GridSearchCV(base, grid, cv=2, n_jobs=n_jobs).fit(*digits) for n_jobs in (1, 2)]
    assert both[0].best_params_ == both[1].best_params_ == {"max_iter": 12, "hidden_layer_sizes": (24,)}
    assert (both[0].cv_results_["mean_test_score"] == both[1].cv_results_["mean_test_score"]).all()
