"""The search of `fastdbn tune`: the few settings that matter, within a time."""

import math
import time

import numpy as np
from sklearn.base import clone

FACTOR = 3
"""Halving keeps one candidate in so many for the next round, which has so many times the epochs."""


def space(model):
    """{parameter: (low, high)} on a logarithmic scale, {parameter: (low, high)} on a linear one, {parameter: choices}."""
    n = model.n_features_in_
    widths = sorted({max(16, int(n * share)) for share in (0.25, 0.5, 1.0, 2.0) if n * share <= 2048} | {128, 256})
    layers = [(width,) * depth for width in widths for depth in (1, 2)]
    return (
        {"learning_rate_init": (5e-4, 2e-2), "rbm__learning_rate": (5e-3, 0.2), "alpha": (1e-4, 0.3)},
        {"dropout": (0.0, 0.6)},
        {"hidden_layer_sizes": layers, "batch_size": [32, 64, 128], "pretrain": [True, False]},
    )


def search(model, X, y, train, valid, seconds, seed, say):
    """The settings with the best score on rows held out, and (settings tried, score of the defaults, best score).

    Optuna proposes them where it is installed, scikit-learn's halving search elsewhere. The defaults are tried first.

    Parameters
    ----------
    model : estimator, fitted with its defaults on the rows `train`
    train, valid : (k,) arrays
        Numbers of the rows to fit, and of those to score.
    seconds : float
        With Optuna no fit begins later than this; halving chooses how many settings it tries by the time of one fit.
    say : callable of a line
    """
    began = time.perf_counter()
    first = model.score(X[valid], y[valid])
    say(f"defaults: {first:.4f}")
    try:
        import optuna
    except ImportError:
        say('scikit-learn searches, because Optuna is not installed: pip install "fastdbn[tune]"')
        return _by_halving(model, X, y, train, valid, seconds, seed, first)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logarithmic, linear, choices = space(model)
    found = [({}, first)]

    def objective(trial):
        given = {name: trial.suggest_float(name, *ends, log=True) for name, ends in logarithmic.items()}
        given |= {name: trial.suggest_float(name, *ends) for name, ends in linear.items()}
        for name, values in choices.items():
            given[name] = values[trial.suggest_categorical(name, range(len(values)))]
        score = clone(model).set_params(**given).fit(X[train], y[train]).score(X[valid], y[valid])
        found.append((given, score))
        if score > max(value for _, value in found[:-1]):
            say(f"{time.perf_counter() - began:.0f} s, {len(found)} settings: {score:.4f}")
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds, catch=(ArithmeticError,))
    best, score = max(found, key=lambda pair: pair[1])
    return best, (len(found), first, score)


def _by_halving(model, X, y, train, valid, seconds, seed, first):
    """`search` by scikit-learn."""
    from scipy.stats import loguniform, uniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    logarithmic, linear, choices = space(model)
    ways = {name: loguniform(*ends) for name, ends in logarithmic.items()}
    ways |= {name: uniform(low, high - low) for name, (low, high) in linear.items()} | choices
    began = time.perf_counter()
    clone(model).fit(X[train], y[train])
    fits = seconds / max(time.perf_counter() - began, 1e-3)
    n = int(np.clip(fits / 2, 2, FACTOR**4))  # each is pretrained in full, and later rounds fine-tune few of them
    most = model.max_iter
    tried = HalvingRandomSearchCV(
        *(clone(model), ways),
        resource="max_iter",
        max_resources=most,
        min_resources=max(1, most // FACTOR ** int(math.log(n, FACTOR))),
        n_candidates=n,
        factor=FACTOR,
        cv=[(train, valid)],
        random_state=seed,
        refit=False,
        error_score=math.nan,
    )
    tried.fit(X, y)
    if not tried.best_score_ > first:
        return {}, (n + 1, first, first)
    best = {name: value for name, value in tried.best_params_.items() if name != "max_iter"}
    return best, (n + 1, first, float(tried.best_score_))
