"""The search of `fastdbn tune`: the few settings that matter, within a time."""

import math
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

from fastdbn.callbacks import Callback
from fastdbn.cli.split import fewer
from fastdbn.estimators.parameters import epochs
from fastdbn.support.report import FitWarning, progress

FACTOR = 3
"""Halving keeps one candidate in so many for the next round, which has so many times the epochs."""


FITS, FEWEST = 10, 1000
"""The search has the time for so many fits of the defaults: it takes fewer rows until it has, but not fewer than this."""
SHARE = 5
"""One fit takes at most one part in so many of the search's time, so no wide network takes all of it."""


class Deadline(Callback):
    """Ends a fit by a TimeoutError at a time of `time.perf_counter`, or after `most` seconds; `done` is what share was done."""

    def __init__(self, at, most=math.inf):
        self.at, self.most = at, most

    def on_fit_begin(self, estimator, resumed):
        self.until, self.stages, self.done = min(self.at, time.perf_counter() + self.most), 0, 0.0
        self.check()

    def on_stage_begin(self, estimator, stage, epoch, n_epochs, n_rows):
        self.n_epochs = n_epochs

    def on_epoch_end(self, estimator, stage, epoch, metrics):
        self.done = (self.stages + epoch / self.n_epochs) / (len(estimator.hidden_layer_sizes) + 1)
        self.check()

    def on_stage_end(self, estimator, stage):
        self.stages += 1

    def check(self):
        now = time.perf_counter()
        if now >= self.at:
            raise TimeoutError("the time of the search is over")
        if now >= self.until:
            raise TimeoutError("the fit takes too much of the time")


def first_fit(model, X, y, train, task, seconds):
    """(the defaults fitted to some of the rows `train`, numbers of these rows, seconds that it took).

    They are all rows if a fit to them takes at most one part in `FITS` of the time. Kernels are compiled first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        rows = fewer(train, y, task, 200)
        clone(model).set_params(max_iter=1, rbm__n_iter=1, callbacks=None).fit(X[rows], y[rows])
    rows, callbacks = train, model.callbacks or []
    while True:
        began = time.perf_counter()
        deadline = Deadline(math.inf, seconds / FITS if len(rows) > FEWEST else math.inf)
        fitted = clone(model)
        fitted.callbacks = [*callbacks, deadline]
        try:
            fitted.fit(X[rows], y[rows])
        except TimeoutError:
            n = max(FEWEST, int(len(rows) * min(0.5, 0.7 * deadline.done)))
            progress(
                f"{len(rows)} rows take more than one part in {FITS} of the time: searching on {n}; more --minutes allow more"
            )
            rows = fewer(rows, y, task, n)
        else:
            return fitted, rows, time.perf_counter() - began


def epochs_of(model, n):
    """Epochs of a fit of a classifier or a regressor to n rows, of all layers and of fine-tuning."""
    return len(model.hidden_layer_sizes) * epochs(model.rbm, n) + model.max_iter


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


def search(model, X, y, train, valid, seconds, of_fit, seed, say):
    """The settings with the best score on rows held out, and (settings tried, score of the defaults, best score).

    Optuna proposes them where it is installed, scikit-learn's halving search elsewhere. The defaults are tried first.

    Parameters
    ----------
    model : estimator, fitted with its defaults on the rows `train`
    train, valid : (k,) arrays
        Numbers of the rows to fit, and of those to score.
    seconds : float
        The fit that is running then is ended and does not count. Nor does one that takes one part in `SHARE` of them.
    of_fit : float
        Seconds that the fit of the defaults took.
    say : callable of a line
    """
    began = time.perf_counter()
    first = model.score(X[valid], y[valid])
    say(f"defaults: {first:.4f}")
    if seconds <= 0:
        say(f"the fit of the defaults took the whole time, {of_fit:.0f} s: give more --minutes")
        return {}, (1, first, first)
    settings, model = space(model), clone(model).set_params(callbacks=[Deadline(began + seconds, max(seconds / SHARE, of_fit))])
    try:
        import optuna
    except ImportError:
        say('scikit-learn searches, because Optuna is not installed: pip install "fastdbn[tune]"')
        return _by_halving(model, settings, X, y, train, valid, of_fit, seed, first)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logarithmic, linear, choices = settings
    found = [({}, first)]

    def objective(trial):
        given = {name: trial.suggest_float(name, *ends, log=True) for name, ends in logarithmic.items()}
        given |= {name: trial.suggest_float(name, *ends) for name, ends in linear.items()}
        for name, values in choices.items():
            given[name] = values[trial.suggest_categorical(name, range(len(values)))]
        try:
            score = clone(model).set_params(**given).fit(X[train], y[train]).score(X[valid], y[valid])
        except TimeoutError:
            raise optuna.TrialPruned from None
        found.append((given, score))
        if score > max(value for _, value in found[:-1]):
            say(f"{time.perf_counter() - began:.0f} s, {len(found)} settings: {score:.4f}")
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds, catch=(ArithmeticError,))
    best, score = max(found, key=lambda pair: pair[1])
    return best, (len(found), first, score)


def _by_halving(model, settings, X, y, train, valid, of_fit, seed, first):
    """`search` by scikit-learn, again and again with other settings while there is time for one more fit of the defaults."""
    from scipy.stats import loguniform, uniform

    logarithmic, linear, choices = settings
    ways = {name: loguniform(*ends) for name, ends in logarithmic.items()}
    ways |= {name: uniform(low, high - low) for name, (low, high) in linear.items()} | choices
    best, distinct, at = (first, {}), set(), model.callbacks[0].at
    while (left := at - time.perf_counter()) > of_fit or not distinct:
        n = int(np.clip(left / of_fit / 2, 2, FACTOR**4))  # each is pretrained in full, and later rounds fine-tune few of them
        found = _halved(model, ways, X, y, train, valid, n, (seed + len(distinct)) % 2**32)
        longest = max((params["max_iter"] for _, params in found), default=0)
        last = [(score, {name: params[name] for name in ways}) for score, params in found if params["max_iter"] == longest]
        best = max([best, *last], key=lambda pair: pair[0])
        distinct |= {str([params[name] for name in ways]) for _, params in found}
        if left < 0 or not found:
            break
    return best[1], (len(distinct) + 1, first, best[0])


def _halved(model, ways, X, y, train, valid, n, seed):
    """[(score, parameters)] of the fits of one search by scikit-learn, of n settings."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    most, found = model.max_iter, []

    def scored(fitted, X, y):
        found.append((fitted.score(X, y), fitted.get_params()))
        return found[-1][0]

    tried = HalvingRandomSearchCV(
        *(model, ways),
        resource="max_iter",
        max_resources=most,
        min_resources=max(1, most // FACTOR ** int(math.log(n, FACTOR))),
        n_candidates=n,
        factor=FACTOR,
        cv=[(train, valid)],
        scoring=scored,
        return_train_score=False,
        random_state=seed,
        refit=False,
        error_score=math.nan,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")  # of fits that were ended
        try:
            tried.fit(X, y)
        except ValueError as error:  # all fits of a round failed
            if TimeoutError.__name__ not in str(error):
                raise
    return found
