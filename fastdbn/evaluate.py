"""What a fitted model is worth: likelihoods, exact and estimated, bounds, and how well its chains mix.

docs/evaluation.md says what each number means, and which are bounds and in which direction.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastdbn import pseudo, rng
from fastdbn.inference import checked
from fastdbn.units import get_unit

__all__ = ["free_energy_gap", "pseudo_log_likelihood"]


def _states(model, X):
    """X, checked, for the likelihood of a fitted RBM: rows of values that the visible units take.

    Raises
    ------
    ValueError
        for values between those of two-valued units: they are probabilities, of which there is no likelihood.
    """
    check_is_fitted(model)
    X = checked(model, X, reset=False)
    unit = get_unit(model.visible_)
    values = (0.0, 1.0) if unit.support == "one-of" else unit.support
    if isinstance(values, tuple) and model._threshold() is None:
        for backend, rows, v in model._blocks(X):
            block = backend.to_host(v)
            bad = np.argwhere((block != values[0]) & (block != values[1]))
            if len(bad):
                i, j = bad[0]
                raise ValueError(
                    f"X has {block[i, j]:g} in row {rows.start + i}, column {j}, and {unit.name} units are {values[0]:g} or "
                    f"{values[1]:g}: binarise X first, X > 0.5 or rng.random(X.shape) < X, and say which beside the result"
                )
    return X


def pseudo_log_likelihood(model, X, exact=True, random_state=None):
    """The log pseudo-likelihood of each row: the sum over visible units i of log p(v_i | all others).

    Parameters
    ----------
    model : RBM
        fitted; visible units of two values, or softmax.
    X : (n, n_features) array or CSR matrix
    exact : bool, default True
        False takes one unit, or softmax group, of each row, drawn at random, times their number: an unbiased estimate.
    random_state : None, int, RandomState or Generator
        of that choice.

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
    X = _states(model, X)
    units, out, params = (get_unit(model.visible_), get_unit(model.hidden_)), np.empty(X.shape[0]), None
    draw = None if exact else rng.host_generator(rng.seed_of(random_state), 0, rng.stream(rng.SCORE))
    for backend, rows, v in model._blocks(X, model._threshold()):
        params = params or model._params(backend, len(out))
        out[rows] = pseudo.log_likelihood(backend, *units, params, v, draw)
    return out


def free_energy_gap(model, X_train, X_validation):
    """How much less probable, in nats a row, validation rows are than training rows; Z cancels out.

    mean F(validation) - mean F(training) of an RBM; of a DBN the difference of its bounds. It grows as the model overfits
    (Hinton 2010, section 6); take as many training rows as there are validation rows.

    Parameters
    ----------
    model : RBM or DBN
        fitted.
    X_train, X_validation : (n, n_features) arrays or CSR matrices

    Returns
    -------
    float
    """
    return float(np.mean(model.score_samples(X_train)) - np.mean(model.score_samples(X_validation)))
