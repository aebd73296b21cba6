"""Names of networks' parameters: those of their RBMs, those of earlier versions, and their order."""

import copy
import inspect

import pytest
from sklearn.base import clone
from test_networks import NETWORKS, QUICK, TWO, each, made

import fastdbn
from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
)
from fastdbn.estimators.base import Estimator


@each
def test_names_of_parameters(network):
    """Those of one RBM are rbm__k, those of a list rbm__0__k; without an RBM there are none."""
    assert not [name for name in made(network, None).get_params() if name.startswith("rbm__")]
    own = set(RBM().get_params())
    one = made(network, QUICK)
    assert {name for name in one.get_params() if name.startswith("rbm__")} == {f"rbm__{name}" for name in own}
    assert one.get_params()["rbm__batch_size"] == 20
    for kind in (list, tuple):
        params = made(network, kind(TWO)).get_params()
        names = {f"rbm__{i}__{name}" for i in range(2) for name in own}
        assert {name for name in params if name.startswith("rbm__")} == names | {"rbm__0", "rbm__1"}
        assert params["rbm__1"] is TWO[1]
        assert (params["rbm__0__n_iter"], params["rbm__1__n_iter"]) == (2, 1)
        assert set(made(network, kind(TWO)).get_params(deep=False)) == set(network.get_params(deep=False))


@each
def test_parameters_are_set(network):
    """Of one RBM, of one in a list, of a whole layer, and of all of these at once."""
    model = made(network, clone(QUICK)).set_params(rbm__k=3, verbose=0)
    assert model.rbm.k == 3 and model.set_params() is model
    for kind in (list, tuple):
        model = made(network, kind(map(clone, TWO)))
        model.set_params(rbm__0__k=3, rbm__1__n_iter=5)
        assert [(rbm.k, rbm.n_iter) for rbm in model.rbm] == [(3, 2), (1, 5)]
        new = RBM(k=7)
        model.set_params(rbm__1__l1=0.5, rbm__1=new, rbm__0__k=4)
        assert type(model.rbm) is kind and model.rbm[1] is new
        assert [(rbm.k, rbm.l1) for rbm in model.rbm] == [(4, 0.0), (7, 0.5)]
        model.set_params(rbm__1__k=9, rbm=[RBM(), RBM()], verbose=1)
        assert [rbm.k for rbm in model.rbm] == [1, 9] and model.verbose == 1
    model.set_params(rbm=RBM(), rbm__k=2)
    assert model.rbm.k == 2


def test_a_layer_that_is_set_leaves_the_list_of_another_network():
    """Networks that were given one list do not share what one of them is set to later."""
    rbms = [RBM(), RBM()]
    first, second = DBN((4, 3), rbm=rbms), DBN((4, 3), rbm=rbms)
    first.set_params(rbm__1=RBM(k=5))
    assert rbms[1].k == second.rbm[1].k == 1
    copied = clone(second).set_params(rbm__0__k=5)
    assert (copied.rbm[0].k, rbms[0].k) == (5, 1)


@each
def test_names_that_are_none(network):
    """The error says what there is: no RBM yet, no such layer, no such parameter."""
    with pytest.raises(ValueError, match=r"rbm__k: rbm is None, which has no parameters to set. Set rbm=RBM\(\) first"):
        made(network, None).set_params(rbm__k=2)
    for name in ("rbm__2__k", "rbm__k", "rbm__-1__k", "rbm__2", "rbm__"):
        with pytest.raises(ValueError, match=f"{name}: rbm is a list of 2 RBMs, named rbm__0 to rbm__1"):
            made(network, list(map(clone, TWO))).set_params(**{name: 2})
    for rbm, name in ((QUICK, "rbm__depth"), (TWO, "rbm__0__depth"), (None, "depth"), (TWO, "rbms__0")):
        with pytest.raises(ValueError, match=r"Invalid parameter '(depth|rbms)'"):
            made(network, copy.deepcopy(rbm)).set_params(**{name: 2})


@pytest.mark.parametrize(
    "kind",
    [kind for name in fastdbn.__all__ if inspect.isclass(kind := getattr(fastdbn, name)) and issubclass(kind, Estimator)],
)
def test_signatures(kind):
    """Only the sizes may be given by place; every parameter is an attribute with the default that the signature shows."""
    first, *rest = inspect.signature(kind).parameters.values()
    assert first.name == ("n_components" if kind in (RBM, BernoulliRBM) else "hidden_layer_sizes")
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in rest} == {inspect.Parameter.KEYWORD_ONLY}
    assert kind().get_params(deep=False) == {parameter.name: parameter.default for parameter in (first, *rest)}
    if kind not in (RBM, BernoulliRBM):
        assert not {"visible", "hidden", "scale", "k", "n_iter", "pretrain_iter", "rbm_params", "callback"} & set(
            kind().get_params()
        )
    with pytest.raises(TypeError, match="positional"):
        kind(4, RBM())
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        kind(4, depth=3)


OLD = {
    "n_iter": r"rbm=RBM\(n_iter=\.\.\.\)",
    "visible": r"rbm=RBM\(visible=\.\.\.\)",
    "persistent": r"rbm=RBM\(persistent=\.\.\.\)",
    "pretrain_iter": r"rbm=RBM\(n_iter=\.\.\.\)",
    "rbm_params": "a list with one RBM for each layer",
    "callback": r"callbacks=\[\.\.\.\], a list",
}
"""Parameters of earlier versions, and what to give instead."""


@each
@pytest.mark.parametrize("name", OLD)
def test_old_names(network, name):
    """The error says what took their place, in the constructor and in `set_params`."""
    for use in (type(network), clone(network).set_params):
        with pytest.raises(TypeError, match=f"no parameter '{name}' any more: give .*{OLD[name]}"):
            use(**{name: 1})
    for kind in (RBM, BernoulliRBM):
        with pytest.raises(TypeError, match=f"no parameter 'callback' any more: give {OLD['callback']}"):
            kind(callback=print)


def test_the_first_parameters_are_those_that_matter():
    """Sizes, then the layers, then how they are put together."""
    for network in NETWORKS:
        assert list(inspect.signature(type(network)).parameters)[:3] == ["hidden_layer_sizes", "rbm", "propagate"]


def test_networks_show_their_rbms():
    """The text of a network has those parameters that were set."""
    text = repr(DBN((4, 3), rbm=RBM(k=5), random_state=0))
    assert text == "DBN(hidden_layer_sizes=(4, 3), random_state=0, rbm=RBM(k=5))"
    assert "RBM(k=5)" in repr(DBN((4, 3), rbm=[RBM(k=5), RBM()]))
