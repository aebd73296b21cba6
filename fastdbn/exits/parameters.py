"""An RBM of parameters from elsewhere, and the parameters of an RBM that other software can hold."""

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.rbm import RBM
from fastdbn.inputs.data import Scaling
from fastdbn.training.layer import State
from fastdbn.training.monitors import MONITORS
from fastdbn.units import get_unit


def with_parameters(rbm, params, chains=None, n_iter=0):
    """Give an unfitted RBM parameters, so that it is fitted: its visible units take rows as they are. Returns it.

    Parameters
    ----------
    rbm : RBM
        Unfitted, with its unit types.
    params : Params
        W (nv, nh), b (nv,) and c (nh,).
    chains : (n, nh) array or None
        Hidden states of persistent chains.
    n_iter : int
        Epochs that made them.

    Raises
    ------
    ValueError
        for numbers that are not finite.
    """
    for name, x in params._asdict().items():
        if not np.isfinite(x).all():
            raise ValueError(f"{name} has numbers that are not finite: this model had diverged, so take an earlier one")
    unit, n = get_unit(rbm.visible), len(params.b)
    start = np.full(n, 1.0 / unit.group_size(n) if unit.group != 1 else (unit.low + unit.high) / 2)
    rbm._begin_layer(unit, Scaling(), start, 1, 0, 0)
    params = Params(*(np.array(x, rbm.dtype, order="C") for x in params))
    chains = None if chains is None else np.array(chains, rbm.dtype)
    measures = {name: np.full(n_iter, np.nan) for name in MONITORS}
    rbm._keep(State(params, Params(*map(np.zeros_like, params)), chains, n_iter, 0), measures)
    return rbm


def plain_rbm(model, pairs, form):
    """The RBM of a fitted model whose rows and hidden states are what other software takes.

    Parameters
    ----------
    model : RBM or BernoulliRBM
    pairs : names of unit types, (visible, hidden), without their numbers, that the form has
    form : its name in words

    Raises
    ------
    NotFittedError
    TypeError
        for other models.
    ValueError
        names what the form has no place for.
    """
    if not isinstance(model, (RBM, BernoulliRBM)):
        raise TypeError(f"model={model!r}: {form} holds one RBM. Of a network give one of layers_")
    check_is_fitted(model)
    rbm = model.as_rbm() if isinstance(model, BernoulliRBM) else model
    units = get_unit(rbm.visible_), get_unit(rbm.hidden_)
    if tuple(unit.name.partition(":")[0] for unit in units) not in pairs:
        known = ", ".join(f"{visible} and {hidden}" for visible, hidden in pairs)
        raise ValueError(f"{form} has no place for {units[0].name} visible and {units[1].name} hidden units: it takes {known}")
    if rbm.scaling_.scale is not None or not (rbm.binarize is None or isinstance(rbm.binarize, str)):
        raise ValueError(f"{form} has no place for a scaling or a threshold: scale the data yourself, and fit with scale='none'")
    if hasattr(rbm, "generative_components_"):
        raise ValueError(f"{form} has one weight matrix, and up-down has untied this RBM's two")
    return rbm
