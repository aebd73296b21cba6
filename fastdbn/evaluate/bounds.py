"""Likelihoods of an RBM, which are exact if it is small, and bounds on the likelihood of a DBN."""

from typing import NamedTuple

import numpy as np

from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import free_energies, visible_blocks
from fastdbn.estimators.rows import later_rows, threshold_of
from fastdbn.evaluate.models import Model, exact_log_z, machine_with_z, of_tables, rbm_of
from fastdbn.machine import pseudo
from fastdbn.machine.enumeration import Enumeration
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import Doubles, Rows, Seed


class Bound(NamedTuple):
    """Lower bounds on log p(x) under a DBN. They hold in expectation over the draws.

    Attributes
    ----------
    bound : (n,) float64 array
        the variational bound, E_q log(p(x, h) / q(h | x)).
    tightened : (n,) float64 array
        log of the mean of p(x, h) / q(h | x) over the draws. It rises to log p(x) with the number of draws.
    """

    bound: Doubles
    tightened: Doubles


def _states(estimator, model, X):
    """X, checked by an estimator, for the likelihood of its RBM `model`: all values must be states of the visible units.

    Raises
    ------
    ValueError
        for values between those of two-valued units: they are probabilities, and those have no likelihood.
    """
    X = later_rows(estimator, X)
    for unit, start, stop, _ in model.machine_.visible_unit.parts(X.shape[1]):
        values = (0.0, 1.0) if unit.support == "one-of" else unit.support
        if not isinstance(values, tuple) or threshold_of(model) is not None:
            continue
        for rows, v in visible_blocks(model, X):
            block = model.machine_.backend.to_host(v)[:, start:stop]
            bad = np.argwhere((block != values[0]) & (block != values[1]))
            if len(bad):
                i, j = bad[0]
                raise ValueError(
                    f"X has {block[i, j]:g} in row {rows.start + i}, column {start + j}, and {unit.name} units are {values[0]:g} "
                    f"or {values[1]:g}: binarise X first, X > 0.5 or rng.random(X.shape) < X, and say which beside the result"
                )
    return X


def _log_jacobian(model):
    """log |d inside / d x| of the scaling, where the visible units have densities."""
    continuous = model.machine_.visible_unit.support in ("real", "half-line", "mixed") and model.scaling_.scale is not None
    return float(np.log(model.scaling_.scale).sum()) if continuous else 0.0


@of_tables
def log_z(model: Model) -> float:
    """log Z of a small RBM, exactly. All states of one side are enumerated, and the other side is summed out.

    The enumerated side has two-valued, softmax or binomial units and at most 2^25 states. The other side may have any units.
    So Gaussian visible units with few hidden units are exact too. The computation is in float64.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        for larger machines. The message gives their sizes.
    """
    return exact_log_z(model)


@of_tables
def exact_samples(model: Model, n_samples: int, random_state: Seed = None) -> Doubles:
    """Independent draws from p(v) of a small RBM, one whose `log_z` can be computed.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted.
    n_samples : int
    random_state : None, int, RandomState or Generator

    Returns
    -------
    (n_samples, n_features) float64 array
        On the scale of the fit data.
    """
    n, seed = checks.integer(n_samples, "n_samples"), rng.seed_of(random_state)
    rbm = rbm_of(model)
    return rbm.scaling_.invert(Enumeration(machine_with_z(rbm), rbm.n_jobs).draw(n, seed))


@of_tables
def log_likelihood(model: Model, X: Rows, log_z: float | None = None) -> Doubles:
    """log p(x) of each row under an RBM, in nats.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted.
    X : (n, n_features) array or CSR matrix
        Values that the visible units take. For two-valued units report how X was binarised, because that changes the result by
        tens of nats.
    log_z : float or None, default None
        log Z, for example from `ais`. None computes `log_z(model)`, for small machines.

    Returns
    -------
    (n,) float64 array
        For real-valued units these are log densities of X as it was given. If the model scales its data, the logarithms of the
        scales are added.

    Raises
    ------
    ValueError
        for values that two-valued units do not take.
    """
    rbm = rbm_of(model)
    X = _states(model, rbm, X)
    z = exact_log_z(rbm) if log_z is None else checks.real(log_z, "log_z", -checks.FINITE, checks.FINITE)
    return _log_jacobian(rbm) - free_energies(rbm, X) - z


@of_tables
def dbn_bound(dbn: Model, X: Rows, log_z_top: float | None = None, n_samples: int = 100, random_state: Seed = None) -> Bound:
    """Variational lower bound on log p(x) of each row under a DBN, and the tighter importance-weighted bound.

    log p(x) >= E_q [ sum_l log p(h_{l-1} | h_l) - F_top(h_{L-1}) - sum_l log q(h_l | h_{l-1}) ] - log Z_top

    Here q are the upward conditionals, and the top RBM's hidden units are summed out. The tighter bound is never below the
    other, by Jensen. Both are bounds in expectation over the draws. An error in log Z moves all rows by the same amount.

    Parameters
    ----------
    dbn : DBN, DBNOutlierDetector or GenerativeDBNClassifier
        fitted.
    X : (n, n_features) array or CSR matrix
        As for `log_likelihood`.
    log_z_top : float or None, default None
        log Z of ``dbn.top_rbm()``, for example from `ais`. None computes `log_z`, for small machines. With labels it is that
        of the joint top RBM, and the bound is on log p(x) with the labels summed out.
    n_samples : int, default 100
        Draws for each row. Their noise is keyed by the row's values.
    random_state : None, int, RandomState or Generator

    Returns
    -------
    Bound

    Raises
    ------
    ValueError
        for values that two-valued units do not take.

    References
    ----------
    Hinton, Osindero, Teh 2006, "A fast learning algorithm for deep belief nets"; Salakhutdinov and Murray 2008, "On the
    quantitative analysis of deep belief networks"; Burda, Grosse, Salakhutdinov 2016, "Importance weighted autoencoders".
    """
    if not isinstance(dbn, DBN):
        raise ValueError(
            f"dbn={type(dbn).__name__}: give a fitted DBN. For an RBM use log_likelihood; of a network after back-propagation "
            "give its dbn_"
        )
    check_is_fitted(dbn)
    first = dbn.layers_[0]
    X, n, seed = _states(dbn, first, X), checks.integer(n_samples, "n_samples"), rng.seed_of(random_state)
    z = exact_log_z(dbn.top_rbm()) if log_z_top is None else checks.real(log_z_top, "log_z_top", -checks.FINITE, checks.FINITE)
    z -= _log_jacobian(first)
    mean, logs = np.zeros(X.shape[0]), np.full(X.shape[0], -np.inf)
    for rows, states in dbn._draws_up(X, n, seed):
        bracket = dbn._log_weight(states)
        mean[rows] += bracket / n
        logs[rows] = np.logaddexp(logs[rows], bracket)
    return Bound(mean - z, logs - np.log(n) - z)


@of_tables
def pseudo_log_likelihood(model: Model, X: Rows, exact: bool = True, random_state: Seed = None) -> Doubles:
    """Log pseudo-likelihood of each row: the sum over visible units i of log p(v_i | all others).

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted, with two-valued or softmax visible units.
    X : (n, n_features) array or CSR matrix
    exact : bool, default True
        False draws one unit, or softmax group, of each row and multiplies by their number. That is an unbiased estimate.
    random_state : None, int, RandomState or Generator
        Seed of that draw.

    Returns
    -------
    (n,) float64 array

    Raises
    ------
    ValueError
        for units of another kind, or values that such units do not take.

    References
    ----------
    Besag 1975, "Statistical analysis of non-lattice data".
    """
    rbm = rbm_of(model)
    X = _states(model, rbm, X)
    out, machine = np.empty(X.shape[0]), rbm.machine_.in_rows(X.shape[0])
    rng.check(random_state)
    draw = None if checks.flag(exact, "exact") else rng.host_generator(rng.seed_of(random_state), 0, rng.stream(rng.SCORE))
    for rows, v in visible_blocks(rbm, X):
        out[rows] = pseudo.log_likelihood(machine, v, draw)
    return out


@of_tables
def free_energy_gap(model: Model, X_train: Rows, X_validation: Rows) -> float:
    """How much less probable validation rows are than training rows, in nats per row. Z cancels out.

    It is mean F(validation) - mean F(training) for an RBM, and the difference of the bounds for a DBN. It grows when the model
    overfits (Hinton 2010, section 6). Take as many training rows as validation rows.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN
        fitted.
    X_train, X_validation : (n, n_features) arrays or CSR matrices

    Returns
    -------
    float
    """
    rbm = None if isinstance(model, DBN) else rbm_of(model)
    check_is_fitted(model)

    def mean_score(name, X):
        try:
            if rbm is None:
                return np.mean(DBN.score_samples(model, X))  # a detector's own adds a penalty
            return -np.mean(free_energies(rbm, later_rows(model, X, ("drop",))))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    return float(mean_score("X_train", X_train) - mean_score("X_validation", X_validation))
