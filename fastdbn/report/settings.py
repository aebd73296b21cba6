"""What a model is: its parameters, its layers, and how its training ended."""

import numpy as np
from sklearn.base import clone

from fastdbn.estimators.finetune import DBNClassifier
from fastdbn.estimators.forward import means
from fastdbn.estimators.outcome import of_layers, of_outputs, some_rows
from fastdbn.estimators.regressor import DBNRegressor
from fastdbn.evaluate.models import layers, take
from fastdbn.support.checks import shown
from fastdbn.units import get_unit

LAYERS = "layer", "units", "epochs", "seconds", "error over that of the column means", "dead units", "saturated units"


def parameters(model):
    """(name, value, whether it is the default) of every parameter, those of a single `rbm` too."""
    params = model.get_params()
    defaults = type(model)().get_params()
    if hasattr(model, "rbm") and model.rbm is not None and not isinstance(model.rbm, (list, tuple)):
        defaults |= {f"rbm__{name}": value for name, value in type(model.rbm)().get_params().items()}
        params.pop("rbm")
    lines = []
    for name, value in sorted(params.items()):
        if not name.startswith("rbm__") or "rbm" not in params:
            default = defaults.get(name)
            lines.append((name, shown(value), value is default or shown(value) == shown(default)))
    return lines


def of_each_layer(model):
    """A line of `LAYERS` for each pretrained layer."""
    lines = []
    for i, rbm in enumerate(layers(model), 1):
        history, (n_hidden, n_visible) = rbm.history_, rbm.components_.shape
        words = f"{n_visible} {get_unit(rbm.visible_).name} to {n_hidden} {get_unit(rbm.hidden_).name}"
        error = _last(history, "reconstruction_error") / _last(history, "baseline_error")
        idle = (_share(_last(history, name)) for name in ("dead_units", "saturated_units"))
        lines.append((i, words, rbm.n_iter_, f"{np.nansum(history['seconds']):.3g}", _share(error), *idle))
    return lines


def _last(history, name):
    known = history[name][np.isfinite(history[name])]
    return known[-1] if len(known) else np.nan


def _share(value):
    return f"{value:.0%}" if np.isfinite(value) else "–"


def warnings_of(model, X, y):
    """What a fit warns of, by the measures of the model and its answers for some rows; as lines with a remedy each."""
    lines = [f"{line[0].upper()}{line[1:]}." for line in of_layers(layers(model), model)]
    if y is not None and isinstance(model, (DBNClassifier, DBNRegressor)):
        rows = some_rows(X.shape[0])
        y = np.asarray(y)[rows]
        if isinstance(model, DBNClassifier):
            target = np.searchsorted(model.classes_, y)
        else:
            target = (y.reshape(len(y), -1) - model.target_mean_) / model.target_scale_
        found = of_outputs(means(model, model._later_rows(take(X, rows))), target, np.ones(len(rows)))
        lines += [f"{line[0].upper()}{line[1:]}." for line in found]
    if vars(model).get("_run"):
        lines.append("The fit was interrupted. Set warm_start=True and fit again: it goes on where it stopped.")
    return lines


def in_python(model):
    """Lines of Python that repeat the fit, with the seed that it had."""
    seed = model.seed_ if hasattr(model, "seed_") else layers(model)[0].seed_
    again = repr(clone(model).set_params(random_state=seed))
    names = {type(model).__name__, *(["RBM"] if "RBM(" in again else [])}
    if hasattr(model, "preparation_"):
        again, names = f"TableModel({again})", {*names, "TableModel"}
    target = ", y" if hasattr(model, "classes_") or hasattr(model, "target_mean_") else ""
    return f"from fastdbn import {', '.join(sorted(names))}\n\nmodel = {again}\nmodel.fit(X{target})"


def in_words(model):
    """A model's size in words."""
    rbms = layers(model)
    if hasattr(model, "coefs_"):
        sizes = [model.n_features_in_, *(len(bias) for bias in model.intercepts_)]
        trained = f"pretrained for {sum(rbm.n_iter_ for rbm in rbms)} epochs" if rbms else "not pretrained"
        trained += f", fine-tuned for {model.n_iter_}"
        weights = model.coefs_
    else:
        sizes = [model.n_features_in_, *(len(rbm.components_) for rbm in rbms)]
        trained, weights = f"trained for {sum(rbm.n_iter_ for rbm in rbms)} epochs", [rbm.components_ for rbm in rbms]
    return f"{'–'.join(map(str, sizes))} units, {sum(W.size for W in weights):,} weights, {trained}"
