"""Every parameter of every estimator gets values that it cannot have: each is refused by name, before anything is trained."""

from numbers import Number

import numpy as np
import pytest
from sklearn.base import clone

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
from fastdbn.support import checks
from fastdbn.support.checks import MOST
from fastdbn.training.holdout import hold_out
from fastdbn.training.training import Training
from fastdbn.training.updown import UpDown

ESTIMATORS = [
    RBM(4, n_iter=1),
    BernoulliRBM(4, n_iter=1),
    DBN((4, 2), rbm=RBM(n_iter=1)),
    DBNOutlierDetector((4, 2), rbm=RBM(n_iter=1)),
    GenerativeDBNClassifier((4, 2), rbm=RBM(n_iter=1), up_down_iter=1),
    DBNClassifier((4, 2), rbm=RBM(n_iter=1), max_iter=1),
    DBNRegressor((4, 2), rbm=RBM(n_iter=1), max_iter=1),
    DBNAutoencoder((4, 2), rbm=RBM(n_iter=1), max_iter=1),
]
VALUES = {
    "object": object(),
    "text": "x",
    "none": None,
    "true": True,
    "negative": -1,
    "zero": 0,
    "huge": 2**63,
    "astronomic": 10**400,
    "real": 1e300,
    "nan": np.nan,
    "infinite": np.inf,
    "numpy": np.float32(np.nan),
    "empty-tuple": (),
    "empty-list": [],
    "empty-text": "",
    "empty-dict": {},
    "tuple of text": ("x", "x"),
    "list of nan": [np.nan],
    "matrix": np.zeros((2, 2)),
    "scalar-array": np.array(0.5),
}
X = (np.random.default_rng(0).random((24, 6)) < 0.5).astype(np.float32)
Y = np.arange(24) % 2


TAKEN = {
    "": "batch_size contamination device dtype hidden hidden_layer_sizes k missing_steps monitor_interval n_components "
    "n_iter_no_change precision propagate scale solver visible rbm__warm_start "
    "RBM.early_stopping rbm__early_stopping LABELS.persistent LABELS.clip_norm LABELS.sparsity_cost LABELS.variance_rate",
    "none": "rbm centering fast_learning_rate missing n_chains n_gibbs sparsity_target temperatures trajectory monitor "
    "noise rbm__callbacks rbm__n_jobs rbm__random_state rbm__memory_limit LABELS.max_norm LABELS.tol",
    "true": "early_stopping persistent pretrain warm_start shuffle",
    "zero": "n_iter max_iter dropout validation_fraction rbm__verbose LABELS.l1",
    "true zero": "verbose",
    "none zero": "binarize momentum RBM.n_iter up_down_iter",
    "none huge": "max_norm",
    "none negative": "n_jobs",
    "none huge astronomic": "memory_limit",
    "none empty-dict": "class_weight",
    "text none negative huge astronomic real nan infinite numpy empty-text": "unlabelled",
    "none empty-tuple empty-list": "callbacks",
    "zero huge": "alpha clip_norm l1 noise_level sparsity_cost variance_rate weight_decay",
    "none zero huge": "learning_rate learning_rate_init up_down_learning_rate up_down_top_learning_rate tol",
    "none negative zero huge astronomic": "random_state",
}
"""The values that are taken, by name, and the parameters that take them. New ones need a row. Some have a row of their own in
RBM, in the RBM of a network (rbm__), or in that of a network with labels (LABELS)."""
TAKEN = {name: set(kinds.split()) for kinds, names in TAKEN.items() for name in names.split()}


@pytest.fixture
def epochs(monkeypatch):
    """A list that grows with each epoch that would be trained; none is."""
    run = []
    monkeypatch.setattr(Training, "run", lambda training, n_iter, *_, **__: run.append(n_iter))
    return run


def names_of(estimator):
    """The names of all parameters, those of a network's RBM too."""
    return [name for name in estimator.get_params() if not name.startswith("pretrain__")]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_parameters_are_taken_or_refused_before_the_first_epoch(estimator, epochs):
    """An error names the parameter, and nothing has been trained by then."""
    cls = type(estimator).__name__
    for place in names_of(estimator):
        taken, name = set(), place.removeprefix("rbm__")
        for kind, value in VALUES.items():
            epochs.clear()
            model = clone(estimator).set_params(**{place: value})
            try:
                model.fit(X, Y)
            except ValueError as error:
                assert name in str(error), (name, kind, str(error))
                assert not epochs, (name, kind, str(error))
            else:
                taken.add(kind)
        keys = [name]
        if place != name:
            keys = [*(["LABELS." + name] if cls == "GenerativeDBNClassifier" else []), place, "RBM." + name, name]
        elif cls == "RBM":
            keys = ["RBM." + name, name]
        assert taken == next(TAKEN[key] for key in keys if key in TAKEN), place


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (RBM(MOST), "n_components"),
        (RBM(4, persistent=True, n_chains=MOST), "n_chains"),
        (RBM(4, persistent=True, batch_size=MOST), "batch_size"),
        (BernoulliRBM(MOST), "n_components"),
        (DBN((4, MOST)), "hidden_layer_sizes"),
        (DBN((MOST, 4)), "hidden_layer_sizes"),
        (GenerativeDBNClassifier((MOST,)), "hidden_layer_sizes"),
        (DBNClassifier((4, MOST)), "hidden_layer_sizes"),
        (DBNAutoencoder((MOST,), pretrain=False), "hidden_layer_sizes"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_sizes_beyond_the_memory_are_refused(estimator, name, epochs, monkeypatch):
    """A size that cannot be allocated is not tried, which would end the process on some systems."""
    monkeypatch.setattr(checks, "memory", lambda: 1e9)
    with pytest.raises(ValueError, match=rf"{name}=.*asks for .* GB, and this machine has 1 GB"):
        estimator.fit(X, Y)
    assert not epochs


@pytest.mark.parametrize(
    ("unit", "n"),
    [("softmax:1", 6), ("softmax:4", 6), ("softmax:7", 4), ("softmax", 1), ("binomial:0", 6), ("softmax:" + "9" * 9, 6)],
)
def test_groups_fill_their_layer(unit, n, epochs):
    """Units that are left over would be read past the end of the layer, and one alone in its group is always on."""
    above = (n, 3)
    layer = RBM(hidden=unit)
    for estimator in (RBM(n, hidden=unit), DBN((4, n), rbm=[RBM(), layer]), GenerativeDBNClassifier(above, rbm=layer)):
        with pytest.raises(ValueError, match=f"hidden='{unit}'"):
            estimator.fit(X, Y)
    for pretrain in (True, False):
        for cls in (DBNClassifier, DBNRegressor, DBNAutoencoder):
            with pytest.raises(ValueError, match=f"hidden='{unit}'"):
                cls((n, 3), rbm=layer, pretrain=pretrain).fit(X, Y)
            with pytest.raises(ValueError, match=f"visible='{unit}'"):
                cls(3, rbm=RBM(visible=unit), pretrain=pretrain).fit(X[:, :n], Y)
    with pytest.raises(ValueError, match=f"visible='{unit}'"):
        RBM(3, visible=[(unit, slice(0, n)), ("gaussian", slice(n, 7))]).fit(np.c_[X, X[:, 0]][:, :7], Y)
    assert not epochs


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pretrain": "no"}, "pretrain='no'"),
        ({"pretrain": RBM(4, n_iter=0).fit(X)}, "DBN.stack"),
        ({"class_weight": "balance"}, "class_weight='balance'"),
        ({"class_weight": {5: 2.0}}, "class_weight={5: 2.0}"),
        ({"class_weight": {0: -1.0}}, r"class_weight\[0\]=-1.0"),
        ({"class_weight": {0: 0, 1: 0}}, "gives no class of y any weight"),
        ({"early_stopping": True, "validation_fraction": 0.99}, "holds out 24 of the 24 rows.*none to train on"),
    ],
    ids=str,
)
def test_a_classifier_looks_at_all_before_it_pretrains(options, match, epochs):
    """Hours of pretraining are not spent before an error that was there to be seen."""
    with pytest.raises(ValueError, match=match):
        DBNClassifier(4, **options).fit(X, Y)
    assert not epochs


def test_class_weights_for_chunks_that_lack_a_class():
    """A chunk of a stream holds what it holds; the weights of the others are there all the same."""
    chunks = [Y == 0, Y == 1, Y == 0]
    models = [DBNClassifier(4, class_weight=weight, random_state=0) for weight in ({1: 5.0}, {0: 1.0, 1: 5.0})]
    for model in models:
        for chunk in chunks:
            model.partial_fit(X[chunk], Y[chunk], classes=[0, 1])
    assert np.array_equal(models[0].predict_proba(X), models[1].predict_proba(X))


def test_weight_on_held_out_rows_alone(epochs):
    """There is nothing to learn from, in any layer, whichever of them holds rows out."""
    weights = np.zeros(len(X))
    weights[hold_out(0, len(X), 0.25)[1]] = 1.0
    holds, none = RBM(validation_fraction=0.25), RBM()
    for layers in (holds, [holds, none], [none, holds]):
        with pytest.raises(ValueError, match=r"sample_weight is 0 .* validation_fraction=0.25"):
            DBN((4, 2), rbm=layers, random_state=0).fit(X, sample_weight=weights)
    model = RBM(4, validation_fraction=0.25, random_state=0, warm_start=True).fit(X)
    with pytest.raises(ValueError, match=r"sample_weight is 0 .* validation_fraction=0.25"):
        model.fit(X, sample_weight=weights)


def test_weight_on_rows_that_early_stopping_holds_out(epochs):
    """Nor is there for back-propagation, which would end with the weights it began with."""
    for cls in (DBNClassifier, DBNRegressor, DBNAutoencoder):
        model = cls(4, early_stopping=True, validation_fraction=0.25, random_state=0)
        held_out = model._split(np.arange(24), Y, 0)[1]
        weights = np.zeros(len(X))
        weights[held_out[0]] = 1.0
        with pytest.raises(ValueError, match=r"sample_weight is 0 .* validation_fraction=0.25"):
            model.fit(X, Y, sample_weight=weights)
        assert not epochs
    with pytest.raises(ValueError, match=r"sample_weight is 0 .* class_weight is 0"):
        DBNClassifier(4, class_weight={0: 0.0}).fit(X, Y, sample_weight=1 - Y)
    assert not epochs


def test_rates_of_a_top_with_labels(epochs, monkeypatch):
    """Its rate is that of both its units, and a steered one is refused before the layers below are trained."""
    with pytest.raises(ValueError, match=r"learning_rate='auto' reaches the top RBM.*list of RBMs, the last with None"):
        GenerativeDBNClassifier((4, 2), rbm=RBM(learning_rate="auto")).fit(X, Y)
    assert not epochs
    rates = []
    monkeypatch.setattr(UpDown, "run", lambda run, n_iter, *_, **__: rates.append(run.schedule.learning_rate) if n_iter else None)
    for hidden in ("bernoulli", "gaussian"):
        GenerativeDBNClassifier(3, rbm=RBM(hidden=hidden), up_down_iter=0).fit(X, Y)
    assert [rate(0) for rate in rates] == [0.05, 0.005]
    GenerativeDBNClassifier((4, 2), rbm=[RBM(learning_rate="auto"), RBM(learning_rate=None)], up_down_iter=0).fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden", "gaussian"), ("visible", "gaussian"), ("scale", "minmax"), ("dtype", "float64"), ("random_state", 1)],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_weights_belong_to_stays(name, value, method, epochs):
    """Going on with other units, or another scale, would be ignored in silence, or spoil the weights."""
    for cls in (RBM, DBN, DBNOutlierDetector, DBNClassifier, DBNRegressor, DBNAutoencoder):
        model = cls(4, random_state=0, warm_start=True).fit(X, Y)
        getattr(model, method)(X, Y)
        model.set_params(**{name: value} if hasattr(model, name) else {"rbm": RBM(**{name: value})})
        if name == "dtype" and hasattr(model, "coefs_"):
            continue  # which is the precision of the next epochs
        with pytest.raises(ValueError, match=f"{name}={value!r} is not that of "):
            getattr(model, method)(X, Y)
        model.set_params(warm_start=False).fit(X, Y)


def test_sizes_stay(epochs):
    """A model of 4 units goes on with 4 units or not at all."""
    for model in (RBM(4, warm_start=True).fit(X), BernoulliRBM(4).fit(X)):
        with pytest.raises(ValueError, match="n_components=9 is not that of the fit, 4"):
            model.set_params(n_components=9).partial_fit(X)
    with pytest.raises(ValueError, match=r"binarize=0\.5 is not that of the fit, None"):
        DBN(4).fit(X).set_params(rbm=RBM(binarize=0.5)).partial_fit(X)


@pytest.mark.parametrize("options", [{"visible": "gaussian"}, {"scale": "minmax"}, {"binarize": 0.5}], ids=str)
def test_a_network_that_is_given_keeps_its_data(options, epochs):
    """What it was pretrained on is what it reads; another scale beside it would have no effect, another threshold a bad one."""
    other = RBM(**options)
    for dbn, layer in ((DBN(4).fit(X), other), (DBN(4, rbm=other).fit(X), RBM(visible="bernoulli", scale="none"))):
        epochs.clear()
        with pytest.raises(ValueError, match=r"is not that of the pretrained network.*give the same"):
            DBNClassifier(4, pretrain=dbn, rbm=layer).fit(X, Y)
        assert not epochs
    DBNClassifier(4, pretrain=DBN(4, rbm=RBM(binarize="sample")).fit(X)).fit(X, Y)


def numbers_of(run):
    """The numbers of a run of contrastive divergence: its rows, its settings, and those of its options."""
    plain = Number, str, tuple, list, type(None)
    options = [(type(x), {name: y for name, y in vars(x).items() if isinstance(y, plain)}) for x in run.settings.options]
    return run.layer.rows is None, run.settings._replace(options=()), options


def test_numbers_of_numpy_are_numbers(monkeypatch):
    """They come out of searches over np.arange and np.linspace, of any width."""
    seen = []
    monkeypatch.setattr(Training, "run", lambda run, *_, **__: seen.append(numbers_of(run)))
    plain = {"centering": None}  # which has arrays
    numbers = {"k": 2, "persistent": True, "n_chains": 3, "batch_size": 5, "n_iter": 1, "verbose": 0, "random_state": 1}
    rates = {"learning_rate": 0.5, "momentum": 0.5, "weight_decay": 0.25, "l1": 0.5, "max_norm": 2.0, "validation_fraction": 0.25}
    RBM(4, **plain, **numbers, **rates).fit(X)
    for whole, real in ((np.int64, np.float64), (np.uint8, np.float32), (np.int16, np.longdouble)):
        given = {name: np.bool_(x) if x is True else whole(x) for name, x in numbers.items()}
        RBM(whole(4), **plain, **given, **{name: real(x) for name, x in rates.items()}, warm_start=np.True_).fit(X)
        assert seen[0] == seen.pop()


CHANGED = {
    "k": 2,
    "persistent": True,
    "n_chains": 3,
    "learning_rate": 0.01,
    "momentum": 0.1,
    "weight_decay": 0.1,
    "clip_norm": 1.0,
    "variance_rate": 0.5,
    "batch_size": 5,
    "n_iter": 2,
    "centering": "data",
    "l1": 0.1,
    "max_norm": 2.0,
    "sparsity_target": 0.1,
    "sparsity_cost": 0.5,
    "fast_learning_rate": 0.1,
    "temperatures": 3,
    "trajectory": 0.3,
    "monitor_interval": 2,
    "validation_fraction": 0.25,
    "shuffle": False,
    "memory_limit": 1000,
}
"""Parameters that may change between fits, and another value."""
FIXED = {"n_components", "visible", "hidden", "scale", "dtype", "random_state", "binarize"}
BESIDE = {
    "n_jobs",
    "device",
    "precision",
    "verbose",
    "callbacks",
    "warm_start",
    "early_stopping",
    "monitor",
    "n_iter_no_change",
    "tol",
}
MISSING = {"missing", "missing_steps"}


def test_a_parameter_that_changes_between_fits_reaches_the_next(monkeypatch):
    """Beside those that are refused, and those that decide nothing about a gradient, none is ignored."""
    assert set(RBM().get_params()) == FIXED | set(CHANGED) | BESIDE | MISSING
    seen = []
    monkeypatch.setattr(Training, "run", lambda run, n_iter, *_, **__: seen.append((n_iter, numbers_of(run))))
    with_chains = {"n_chains", "fast_learning_rate", "temperatures"}
    for name, value in CHANGED.items():
        more = {"persistent": True} if name in with_chains else {"sparsity_target": 0.1} if name == "sparsity_cost" else {}
        more |= {"persistent": True, "trajectory": 0.5} if name == "trajectory" else {}
        more |= {"visible": "gaussian-variance"} if name in ("clip_norm", "variance_rate") else {}
        model = RBM(4, random_state=0, warm_start=True, **more).fit(X)
        model.set_params(**{name: value}).fit(X)
        assert seen[-2] != seen[-1], name
