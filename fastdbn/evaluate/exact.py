"""Exact log Z of small models, by enumeration (machine/enumeration.py), and the RBM that a model stands for."""

import numpy as np

from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.generative import GenerativeDBNClassifier
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.rbm import RBM
from fastdbn.machine.enumeration import Enumeration


def rbm_of(model):
    """The fitted `RBM` that a model is, or that does its work: of a network of one layer without labels that layer.

    Raises
    ------
    ValueError
        for another estimator; the message says what to give.
    NotFittedError
        for one that is not fitted.
    """
    if isinstance(model, (RBM, BernoulliRBM, DBN)) and not isinstance(model, GenerativeDBNClassifier):
        check_is_fitted(model)
        first, *others = model._stack()
        if not others:
            return first
    raise ValueError(
        f"model={type(model).__name__}: give a fitted RBM, BernoulliRBM or DBN of one layer. Of a deeper DBN, or one with "
        "labels, give its top_rbm(), of a network after back-propagation its dbn_; dbn_bound takes every DBN"
    )


def machine_with_z(rbm):
    """The machine of an RBM, which has one Z.

    Raises
    ------
    ValueError
        for visible units that count; the message says what to do.
    """
    if rbm.machine_.visible_unit.keeps_total:
        raise ValueError(
            "model: visible units that count have no one Z, but one for every total of a row: compare free energies of rows of "
            "the same total"
        )
    return rbm.machine_


def exact_log_z(model):
    """log Z of a model that `rbm_of` takes, by enumeration."""
    rbm = rbm_of(model)
    return float(np.logaddexp.reduce(Enumeration(machine_with_z(rbm), rbm.n_jobs).block_logs()))
