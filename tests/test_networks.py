"""Networks hold RBM objects: how these describe layers, and that every tool of scikit-learn reaches their parameters."""

import copy
import pickle

import numpy as np
import pytest
from room import contents
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks
from small import binary
from test_interrupt import learnt
from test_sklearn import STOCHASTIC

from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    load,
)
from fastdbn.estimators import parameters
from fastdbn.estimators.network import OF_DATA, OWNED

X, Y = binary(40, 6), np.arange(40) % 2
QUICK = RBM(n_iter=1, batch_size=20)
TWO = [RBM(n_iter=2, batch_size=20), RBM(n_iter=1, batch_size=8, learning_rate=0.01)]
NETWORKS = [
    DBN((4, 3), random_state=0),
    DBNOutlierDetector((4, 3), random_state=0),
    GenerativeDBNClassifier((4, 3), up_down_iter=1, random_state=0),
    DBNClassifier((4, 3), max_iter=1, random_state=0),
    DBNRegressor((4, 3), max_iter=1, random_state=0),
    DBNAutoencoder((4, 3), max_iter=1, random_state=0),
]
each = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)


def made(network, rbm, **more):
    """A copy of a network with other layers, whose RBM objects are those given and no copies."""
    return clone(network).set_params(rbm=rbm, **more)


def flat(model):
    """Parameters by name, those of RBMs too; RBM objects and lists by their type."""
    return {name: type(x) if isinstance(x, (RBM, list, tuple)) else x for name, x in model.get_params().items()}


@pytest.fixture
def few_epochs(monkeypatch):
    """Let layers train for two epochs by default."""
    monkeypatch.setattr(parameters, "epochs", lambda rbm, rows: 2 if rbm.n_iter is None else rbm.n_iter)


# ---- what describes the layers


@each
def test_one_for_all_is_one_for_each(network, few_epochs):
    """One RBM means the same as a list with as many, a tuple the same as a list, and None the same as RBM()."""
    rbms = [QUICK, [QUICK, QUICK], (QUICK, clone(QUICK))]
    one, *others = (learnt(made(network, rbm).fit(X, Y)) for rbm in rbms)
    assert all(other == one for other in others)
    none, default, several = (learnt(made(network, rbm).fit(X, Y)) for rbm in (None, RBM(), [RBM(), RBM()]))
    assert none == default == several != one


@each
def test_a_list_and_a_tuple_are_the_same(network):
    """Layers that differ have their own parameters, whichever sequence holds them."""
    in_list, in_tuple = (made(network, kind(TWO)).fit(X, Y) for kind in (list, tuple))
    assert learnt(in_list) == learnt(in_tuple)
    layers = in_list.layers_ if hasattr(in_list, "layers_") else in_list.dbn_.layers_
    for layer, rbm in zip(layers, TWO, strict=True):
        assert (layer.n_iter, layer.batch_size, layer.learning_rate) == (rbm.n_iter, rbm.batch_size, rbm.learning_rate)


def test_layers_have_what_their_rbm_says(composed):
    """Every parameter of an RBM reaches its layer, but for what the network and the layer below decide."""
    rbms = [RBM(k=2, hidden="spin", scale="none", n_iter=1), RBM(k=[1, 3], hidden="gaussian", l1=0.1, n_iter=2)]
    dbn = DBN((4, 3), rbm=rbms, n_jobs=1, dtype="float64", verbose=0, random_state=7).fit(X)
    decided = {*OWNED, "visible", "scale", "binarize", "missing"}
    for layer, rbm, size in zip(dbn.layers_, rbms, (4, 3), strict=True):
        given, found = rbm.get_params(), layer.get_params()
        assert {name: found[name] for name in given.keys() - decided} == {name: given[name] for name in given.keys() - decided}
        assert (layer.n_components, layer.n_jobs, layer.dtype) == (size, 1, "float64")
    assert (dbn.layers_[0].random_state, dbn.layers_[1].visible) == (7, "spin")


@each
@pytest.mark.parametrize("kind", ["one", "list", "tuple"])
def test_rbms_are_copied_and_never_fitted(network, kind):
    """After fits of every sort they are as they were, and no layer is one of them or shares an array with one."""
    rbms = QUICK if kind == "one" else {"list": list, "tuple": tuple}[kind](TWO)
    given = [rbms] if kind == "one" else rbms
    before = [dict(vars(rbm)) for rbm in given]
    model = made(network, rbms, warm_start=True)
    assert model.rbm is rbms
    for _ in range(2):
        model.fit(X, Y)
    model.partial_fit(X, Y)
    assert model.rbm is rbms
    assert [vars(rbm) for rbm in given] == before
    layers = model.layers_ if hasattr(model, "layers_") else model.dbn_.layers_
    assert not {*map(id, layers)} & {*map(id, given)}


def test_an_rbm_that_is_fitted_describes_a_layer_too():
    """What it has learnt stays its own: the network begins anew."""
    fitted = clone(QUICK).set_params(visible="bernoulli").fit(X[:, :4])
    before = learnt(fitted)
    model, plain = (DBN((4, 3), rbm=rbm, random_state=0).fit(X) for rbm in (fitted, clone(fitted)))
    assert learnt(model) == learnt(plain)
    assert learnt(fitted) == before


def test_changed_rbms_count_in_the_next_fit():
    """A parameter that is set later, on the network or on the RBM, is that of the epochs to come."""
    model = DBN((4, 3), rbm=clone(QUICK), random_state=0, warm_start=True).fit(X)
    assert model.n_iter_ == 2
    model.set_params(rbm__n_iter=3).fit(X)
    assert model.n_iter_ == 2 + 6
    model.rbm.n_iter = 1
    model.fit(X)
    assert model.n_iter_ == 2 + 6 + 2


# ---- what is refused


@each
@pytest.mark.parametrize("rbms", [[], (), [QUICK], [QUICK] * 3], ids=["no list", "no tuple", "one", "three"])
def test_lists_of_the_wrong_length(network, rbms):
    """Each layer needs one; nothing is guessed."""
    with pytest.raises(ValueError, match=f"rbm has {len(rbms)} RBMs for 2 layers: give one RBM for all, or a list of 2"):
        made(network, rbms).fit(X, Y)


@each
@pytest.mark.parametrize("rbm", [3, "rbm", RBM, {"k": 2}, BernoulliRBM(4), DBN((4, 3))], ids=lambda x: type(x).__name__)
def test_what_is_no_rbm(network, rbm):
    """It is named, with its place in a list."""
    for given, name in ((rbm, "rbm="), ([QUICK, rbm], r"rbm\[1\]="), ((rbm, QUICK), r"rbm\[0\]=")):
        with pytest.raises(ValueError, match=f"{name}.*: give an RBM, as in rbm=RBM\\(k=5\\), a list"):
            made(network, given).fit(X, Y)


DECIDED = {
    "n_components": 4,
    "random_state": 0,
    "warm_start": True,
    "n_jobs": 1,
    "device": "auto",
    "dtype": "float64",
    "verbose": 1,
    "callbacks": [lambda **_: None],
    "memory_limit": "1MB",
}
"""Parameters that a network decides, and values that are not the defaults."""
DATA = {"visible": "gaussian", "scale": "minmax", "binarize": 0.5, "missing": "drop"}


@each
@pytest.mark.parametrize("name", OWNED)
def test_what_the_network_decides(network, name):
    """An RBM that has it too would say something else: it is refused, and the error says where it belongs."""
    owner = "hidden_layer_sizes" if name == "n_components" else f"{name} of the network"
    rbm = RBM(n_iter=1, **{name: DECIDED[name]})
    for given, place in ((rbm, "rbm"), ([QUICK, rbm], r"rbm\[1\]"), ([rbm, QUICK], r"rbm\[0\]")):
        with pytest.raises(ValueError, match=f"{place} has {name}=.*, which the network decides: give {owner} instead"):
            made(network, given).fit(X, Y)


@pytest.mark.parametrize("name", OF_DATA)
def test_what_describes_the_data(name):
    """It belongs to the first RBM of a list; one RBM for all layers has it for the first."""
    with pytest.raises(ValueError, match=rf"rbm\[1\] has {name}=.*, which describes the data: give it to rbm\[0\] only"):
        DBN((4, 3), rbm=[QUICK, clone(QUICK).set_params(**{name: DATA[name]})]).fit(X)
    first = clone(QUICK).set_params(**{name: DATA[name]})
    one, several = (DBN((4, 3), rbm=rbm, random_state=0).fit(X) for rbm in (first, [first, QUICK]))
    assert learnt(one) == learnt(several)
    assert getattr(one.layers_[0], name) == DATA[name]


@each
def test_a_bad_parameter_of_any_layer(network):
    """It is named before anything is trained."""
    for rbm in (RBM(k=0), [RBM(k=0), QUICK], [QUICK, RBM(k=0)]):
        model = made(network, rbm)
        with pytest.raises(ValueError, match="k=0"):
            model.fit(X, Y)
        assert not [name for name in vars(model) if name.endswith("_")]


# ---- parameters by name


@each
@pytest.mark.parametrize("rbm", [None, QUICK, TWO, tuple(TWO)], ids=["none", "one", "list", "tuple"])
def test_copies(network, rbm, tmp_path, few_epochs):
    """Clones, pickles and files have the parameters of all layers, and go on to the same bits."""
    model = made(network, copy.deepcopy(rbm)).fit(X, Y)
    cloned = clone(model)
    assert flat(cloned) == flat(model)
    assert learnt(cloned.fit(X, Y)) == learnt(model)
    if rbm is not None:
        mine, its = ([m.rbm] if isinstance(m.rbm, RBM) else m.rbm for m in (model, cloned))
        assert not {*map(id, mine)} & {*map(id, its)}
    model.save(tmp_path / "m")
    model.partial_fit(X, Y)
    for other in (pickle.loads(pickle.dumps(cloned)), load(tmp_path / "m")):
        assert flat(other) == flat(model)
        assert learnt(other.partial_fit(X, Y)) == learnt(model)


@pytest.mark.parametrize("name", ["rbm__k", "rbm__0__k"])
@pytest.mark.parametrize("kind", [DBNClassifier, GenerativeDBNClassifier])
def test_grid_search(name, kind):
    """A search over a parameter of an RBM fits what it says, and leaves the RBM that it was given alone."""
    rbm = copy.deepcopy(QUICK if name == "rbm__k" else TWO)
    base = made({type(network): network for network in NETWORKS}[kind], rbm)
    search = GridSearchCV(base, {name: [2, 4]}, cv=2, error_score="raise").fit(X, Y)
    for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        again = GridSearchCV(clone(base).set_params(**params), {}, cv=2).fit(X, Y)
        assert again.best_score_ == score
    assert search.best_estimator_.get_params()[name] == search.best_params_[name] in (2, 4)
    assert base.get_params()[name] == 1


def test_grid_search_over_whole_rbms():
    """Layers, and the list of them, are values of a search too."""
    base = made(NETWORKS[3], copy.deepcopy(TWO))
    search = GridSearchCV(base, {"rbm": [QUICK, TWO], "hidden_layer_sizes": [(4, 3)]}, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 2
    search = GridSearchCV(base, {"rbm__1": [RBM(k=2, n_iter=1), RBM(k=3, n_iter=1)]}, cv=2, error_score="raise").fit(X, Y)
    assert search.best_estimator_.rbm[1].k in (2, 3) and base.rbm[1].k == 1


# ---- networks that were pretrained


@pytest.mark.parametrize("wrap", [lambda dbn: dbn, FrozenEstimator], ids=["plain", "frozen"])
@pytest.mark.parametrize("kind", [DBNClassifier, DBNRegressor, DBNAutoencoder])
def test_a_pretrained_network_says_what_its_layers_are(kind, wrap, tmp_path, composed):
    """Without `rbm` its units, scaling and threshold hold, also in a file, and for a fit anew after it."""
    rbms = [RBM(hidden="gaussian", scale="minmax", learning_rate=0.001, n_iter=1), RBM(n_iter=1)]
    dbn = DBN((4, 3), rbm=rbms, random_state=0).fit(X)
    before = learnt(dbn)
    model = kind((4, 3), pretrain=wrap(dbn), max_iter=2, random_state=0).fit(X, Y)
    assert learnt(dbn) == before and model.rbm is None
    assert [unit.name for unit in model._units(2)] == ["gaussian", "bernoulli"]
    explicit = kind((4, 3), rbm=rbms, pretrain=wrap(dbn), max_iter=2, random_state=0).fit(X, Y)
    assert learnt(model) == learnt(explicit)
    model.save(tmp_path / "m")
    back = load(tmp_path / "m")
    assert back.pretrain is True
    assert [rbm.hidden for rbm in back.rbm] == ["gaussian", "bernoulli"]
    assert contents(back.transform(X)) == contents(model.transform(X))
    assert learnt(back.fit(X, Y)) == learnt(kind((4, 3), rbm=rbms, max_iter=2, random_state=0).fit(X, Y))


@pytest.mark.parametrize("other", [RBM(), [RBM(hidden="gaussian"), RBM()], RBM(hidden="gaussian", scale="standard")], ids=repr)
def test_a_pretrained_network_and_other_layers(other, composed):
    """An RBM beside it has to say the same."""
    dbn = DBN((4, 3), rbm=RBM(hidden="gaussian", n_iter=1), random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"do not suit it|is not that of the pretrained network"):
        DBNClassifier((4, 3), rbm=other, pretrain=dbn).fit(X, Y)
    DBNClassifier((4, 3), rbm=RBM(hidden="gaussian", k=3), pretrain=dbn, max_iter=1).fit(X, Y)


def test_pretraining_and_fine_tuning_have_their_own_batches_and_momentum():
    """Those of the network change fine-tuning alone, those of its RBM pretraining alone."""
    options = {"solver": "sgd", "max_iter": 2, "random_state": 0}
    base, tuned = (DBNClassifier((4,), rbm=QUICK, batch_size=n, momentum=m, **options).fit(X, Y) for n, m in ((8, 0.5), (5, 0.9)))
    assert learnt(base.dbn_) == learnt(tuned.dbn_)
    assert contents(base.coefs_) != contents(tuned.coefs_)
    for more in ({"batch_size": 5}, {"momentum": 0.9}):
        rbm = clone(QUICK).set_params(**more)
        other = DBNClassifier((4,), rbm=rbm, batch_size=8, momentum=0.5, **options).fit(X, Y)
        assert learnt(base.dbn_) != learnt(other.dbn_)
        assert base._step == other._step


def test_stacks_describe_their_layers(composed):
    """A network of trained RBMs has RBMs that would train it so, without what the network decides."""
    first = RBM(4, hidden="spin", k=2, scale="minmax", n_iter=1, dtype="float64", random_state=3).fit(X)
    second = RBM(3, visible="spin", n_iter=2, dtype="float64", random_state=3).fit(first.transform(X))
    stack = DBN.stack([first, second])
    assert (stack.dtype, stack.random_state, stack.hidden_layer_sizes) == ("float64", 3, (4, 3))
    assert [(rbm.k, rbm.n_iter, rbm.hidden) for rbm in stack.rbm] == [(2, 1, "spin"), (1, 2, "bernoulli")]
    assert (stack.rbm[0].scale, stack.rbm[1].visible) == ("minmax", "auto")
    again = clone(stack).fit(X)
    assert contents(again.layers_[0].components_) == contents(first.components_)
    assert contents(clone(stack).set_params(warm_start=True).fit(X).transform(X)) == contents(again.transform(X))


# ---- manners


@parametrize_with_checks(
    [
        DBN((8, 6), rbm=RBM(n_iter=2, k=2), random_state=0),
        DBN((8, 6), rbm=[RBM(n_iter=2), RBM(n_iter=1, k=2)], random_state=0),
        DBN((8, 6), random_state=0),
        DBNClassifier(
            (16, 12),
            rbm=[RBM(n_iter=2, batch_size=10), RBM(n_iter=1, batch_size=10)],
            batch_size=10,
            learning_rate_init=0.01,
            dropout=0.0,
            dtype="float64",  # in float32 a BLAS may round a row by its place, and one check compares more exactly than that
            random_state=0,
        ),
    ],
    expected_failed_checks=lambda estimator: STOCHASTIC,
)
def test_scikit_learn_checks(estimator, check, few_epochs, request):
    """With one RBM, a list of them, and none, scikit-learn's own conventions hold."""
    if estimator.dtype == "float64" or "sample_weight" in str(check):  # test_cd.py compares whole minibatches with these
        request.getfixturevalue("composed")
    check(estimator)
