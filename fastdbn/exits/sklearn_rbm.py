"""scikit-learn's BernoulliRBM: its fitted models become fastdbn's, and fastdbn's become its."""

from typing import Any

import numpy as np
from sklearn.neural_network import BernoulliRBM as SklearnRBM
from sklearn.utils.validation import check_is_fitted

from fastdbn.backends.protocol import Params
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.rbm import RBM
from fastdbn.exits.parameters import plain_rbm, with_parameters

NAMES = ("n_features_in_", "feature_names_in_")


def _take_names(model, source):
    """Give a model the features of another."""
    for name in NAMES:
        if hasattr(source, name):
            setattr(model, name, getattr(source, name))


def from_sklearn(model: Any) -> BernoulliRBM:
    """A fitted `sklearn.neural_network.BernoulliRBM` as a fitted `BernoulliRBM`, which can train on.

    Parameters
    ----------
    model : sklearn.neural_network.BernoulliRBM

    Returns
    -------
    BernoulliRBM
        ``as_rbm()`` gives the `RBM` inside, with energies, samples and likelihoods.

    Raises
    ------
    TypeError
        for another model.
    NotFittedError
        before a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import BernoulliRBM
    >>> from fastdbn import from_sklearn
    >>> X = np.random.default_rng(0).integers(0, 2, (100, 6))
    >>> other = BernoulliRBM(4, random_state=0).fit(X)
    >>> np.allclose(from_sklearn(other).transform(X), other.transform(X))
    True
    """
    if not isinstance(model, SklearnRBM):
        raise TypeError(f"model={model!r}: give a sklearn.neural_network.BernoulliRBM")
    check_is_fitted(model)
    ours, W = BernoulliRBM(**model.get_params() | {"n_components": len(model.components_)}), model.components_.T
    params = Params(W, model.intercept_visible_, model.intercept_hidden_)
    ours._rbm = with_parameters(ours._engine(W.dtype), params, model.h_samples_, int(model.n_iter))
    _take_names(ours, model)
    return ours


def to_sklearn(model: RBM | BernoulliRBM) -> Any:
    """A fitted `BernoulliRBM` or `RBM` as a fitted `sklearn.neural_network.BernoulliRBM`, which can train on.

    Parameters
    ----------
    model : BernoulliRBM or RBM
        An `RBM` has Bernoulli units and no scaling.

    Returns
    -------
    sklearn.neural_network.BernoulliRBM
        With copies of the parameters. Settings of an `RBM` that scikit-learn lacks are not in it.

    Raises
    ------
    TypeError
        for other models.
    NotFittedError
        before a fit.
    ValueError
        names what scikit-learn's has no place for.
    """
    rbm = plain_rbm(model, [("bernoulli", "bernoulli")], "scikit-learn's BernoulliRBM")
    given = model.get_params(deep=False)
    kinds: dict[str, Any] = {
        "learning_rate": (int, float),
        "batch_size": int,
        "n_iter": int,
        "verbose": (bool, int),
        "random_state": object,
    }
    shared = {name: given[name] for name, kind in kinds.items() if isinstance(given[name], kind)}
    theirs = SklearnRBM(len(rbm.components_), **shared)
    theirs.components_ = np.array(rbm.components_, order="F")
    theirs.intercept_hidden_, theirs.intercept_visible_ = rbm.intercept_hidden_.copy(), rbm.intercept_visible_.copy()
    none = np.zeros((theirs.batch_size, len(rbm.components_)), rbm.components_.dtype)
    theirs.h_samples_ = none if rbm._chains is None or len(rbm._chains) != len(none) else rbm._chains.copy()
    theirs._n_features_out = len(rbm.components_)
    _take_names(theirs, model)
    return theirs
