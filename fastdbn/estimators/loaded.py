"""What must hold between the attributes of an estimator that a file has filled, so that it can be used like a fitted one.

Fields (files/state.py) check each attribute by itself. The functions here check parameters as `fit` does, sizes that depend on
parameters, and that whatever is computed with the weights is finite. They raise ValueError. `owner` is the estimator that the
first argument is part of, or None.
"""

import itertools
import reprlib

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.estimators import parameters
from fastdbn.estimators.interrupt import FINE_TUNING, UP_DOWN
from fastdbn.files.entries import FLAG, count
from fastdbn.files.state import POSITIVE, SQUARES, Maybe, Record, Tensor
from fastdbn.inputs.data import Scaling
from fastdbn.machine import initial
from fastdbn.machine.block import MOST_COUNTS
from fastdbn.support import checks
from fastdbn.support.checks import refuse
from fastdbn.training.layer import State
from fastdbn.training.options import OPTIONS
from fastdbn.training.options.learned_variances import BASE, learned_scaling
from fastdbn.training.options.trajectory import KEPT, machines_of
from fastdbn.units import Mixed, get_unit, visible_unit

INPUTS = {"float32": 1e15, "float64": 1e120}
"""The greatest input of a unit for which squares and sums stay finite."""
MOST_CHAINS = 1 << 26
"""The chains of a later fit may have so many numbers, even if the file holds fewer."""

# ---- fields

EACH = Tensor("n_features", dtype="float64")
"""A number for each feature."""
SCALE = Tensor("n_features", dtype="float64", holds=POSITIVE)
"""A scale of each feature."""
SCALING = Maybe(Record(Scaling, shift=EACH, scale=SCALE, clip=FLAG), Scaling(), blank=lambda scaling: scaling.scale is None)
TOTALS = f"whole numbers from 0 to {MOST_COUNTS}", lambda x: (x >= 0) & (x <= MOST_COUNTS) & (x == np.floor(x))
"""What totals of rows are, so that a draw can count them out."""
OF_TRAINING = {
    name: Maybe(Tensor(*shape, dtype="float64" if name in option.exact else None))
    for option in OPTIONS
    for name, shape in option.keeps.items()
}
"""The fields of what training options keep."""
PARAMS = Record(Params, W=Tensor("n_features", "n_hidden"), b=Tensor("n_features"), c=Tensor("n_hidden"))
CHAINS = Maybe(Tensor(None, "n_hidden"), None)
EXTRAS = Record(dict, **OF_TRAINING)
STATE = Record(State, params=PARAMS, velocity=PARAMS, chains=CHAINS, epoch=count(), step=count(), extras=EXTRAS)
"""The field of where the training of an RBM stood."""

# ---- finite numbers


def _check_inputs(name, W, bias, states, unit):
    """Refuse weights and biases of units whose inputs could be so large that results are not finite.

    Parameters
    ----------
    name : str
        What an error names.
    W, bias : arrays
    states : float
        The greatest state of the units below.
    unit : Unit

    Returns
    -------
    float
        The greatest state of these units.
    """
    weight, offset = (float(max(x.max(), -x.min())) for x in (W, bias))
    most = len(W) * weight * states + offset
    finite = most <= INPUTS[W.dtype.name]
    refuse(not finite, f"{name}: weights of {weight:.3g} and biases of {offset:.3g} leave the finite numbers")
    return _greatest_state(unit, W.shape[1], most)


def _greatest_state(unit, n, most=1.0):
    """The greatest state of n units of a type: an end of its range, or if it has none the greatest input."""
    return max(
        max(abs(part.low), abs(part.high)) if np.isfinite([part.low, part.high]).all() else max(most, 1.0)
        for part, *_ in unit.parts(n)
    )


# ---- runs


def _check_run(estimator, epochs, layers=()):
    """A run that a later fit can complete.

    No stage began after the epoch at which it stands; `epochs` has those of all stages. `layers` are pairs (RBM, an RBM with the
    parameters of the next fit), which belong together.
    """
    run = vars(estimator).get("_run")
    if not run:
        return
    for stage, (start, _) in run.begun.items():
        n = epochs.get(stage)
        refuse(n is None, f"run: it has no stage {stage!r}")
        refuse(start > n, f"run: stage {stage!r} began at epoch {start}, and stands at {n}")
    for rbm, new in layers:
        parameters.check_same(rbm, new, rbm.layer_ == 0)


# ---- RBM


def check_rbm(rbm, owner):
    """An RBM: its parameters, its units, what training options keep, and its weights."""
    visible, hidden = get_unit(rbm.visible_), get_unit(rbm.hidden_)
    nh, nv = rbm.components_.shape
    _check_next_fit(rbm, rbm)
    _check_run(rbm, {0: rbm.n_iter_}, [(rbm, rbm)])
    refuse(rbm.n_components != nh, f"n_components={rbm.n_components} where {nh} were fitted")
    parameters.settings(rbm, visible)
    refuse(initial.learns_variance(hidden), f"hidden={hidden.name!r}: variances are learned of visible units")
    counted, totals = sum(part.unit.keeps_total for part in visible.parts(nv)), getattr(rbm, "totals_", np.empty((1, 0)))
    refuse(totals.shape[1] != counted, f"totals={totals!r:.80} of {visible.name} units, {counted} of whose parts count")
    for option in OPTIONS:
        option.check_extras(rbm._extras, visible)
    if rbm._best is not None:
        _check_best(rbm, visible, hidden)
    _check_variance(rbm)
    _check_mixed(visible, rbm.scaling_)
    states = _check_inputs("components", rbm.components_.T, rbm.intercept_hidden_, _greatest_state(visible, nv), hidden)
    _check_inputs("components", getattr(rbm, "generative_components_", rbm.components_), rbm.intercept_visible_, states, visible)
    _check_ladder(rbm._extras, visible, hidden)
    if owner is None:
        _check_norm(rbm)


def _check_best(rbm, visible, hidden):
    """The state of the best epoch, whose parameters the fit may end with."""
    best, nv = rbm._best, rbm.n_features_in_
    refuse(best.epoch > rbm.n_iter_, f"best.epoch={best.epoch} of {rbm.n_iter_} epochs")
    for option in OPTIONS:
        option.check_extras(best.extras, visible)
    states = _check_inputs("best", best.params.W, best.params.c, _greatest_state(visible, nv), hidden)
    _check_inputs("best", best.params.W.T, best.params.b, states, visible)
    _check_ladder(best.extras, visible, hidden)


def _check_ladder(extras, visible, hidden):
    """The frozen machines of a trajectory."""
    for W, b, c in machines_of(extras):
        states = _check_inputs("ladder", W, c, _greatest_state(visible, len(b)), hidden)
        _check_inputs("ladder", W.T, b, states, visible)


def _check_variance(rbm):
    """Learned variances are those of the scaling."""
    if BASE in rbm._extras:
        refuse(rbm.scaling_.scale is None or rbm.scaling_.clip, "scaling is lacking where variances are learned")
        with np.errstate(over="ignore"):
            same = np.allclose(rbm.scaling_.scale, learned_scaling(rbm.scaling_, rbm._extras).scale, rtol=1e-6, atol=0.0)
        refuse(not same, "scaling is not that of the variances that were learned")


def _check_mixed(visible, scaling):
    """Columns of a mixed layer whose units are not real are as they are given."""
    if isinstance(visible, Mixed) and scaling.scale is not None:
        for unit, start, stop, _ in visible.columns:
            plain = unit.support == "real" or ((scaling.shift[start:stop] == 0) & (scaling.scale[start:stop] == 1)).all()
            refuse(not plain, f"scaling of columns {start} to {stop - 1}, which are {unit.name} units")


def _check_norm(rbm):
    """An RBM has a distribution, unless its weights were untied."""
    norm = initial.unbounded_norm(get_unit(rbm.visible_), get_unit(rbm.hidden_), rbm.components_.T)
    diverges = norm >= 1 and not hasattr(rbm, "generative_components_")
    refuse(diverges, f"weights between units without bounds have a spectral norm of {norm:.3g}, and fit keeps it below 1")


def _check_next_fit(rbm, new):
    """The parameters of an RBM's next fit, those of `new`. Its chains take no more memory than those of the file, or little."""
    settings = parameters.settings(new)
    if isinstance(new.visible, list):
        visible_unit(new.visible, rbm.n_features_in_)
    chains = settings.chain_rows
    ladder = machines_of(rbm._extras)
    copies = len(ladder) + KEPT if ladder else 1
    most = max(0 if rbm._chains is None else len(rbm._chains), MOST_CHAINS // max(rbm.components_.shape) // copies)
    refuse(chains > most, f"{chains} persistent chains (n_chains, batch_size, temperatures) where the file allows {most}")


def _check_templates(layers, templates):
    """The RBMs that describe the layers of a network have the units and sizes that were fitted."""
    for rbm, new in zip(layers, templates, strict=True):
        _check_next_fit(rbm, new)
        refuse(get_unit(new.hidden) != get_unit(rbm.hidden_), f"rbm has hidden={new.hidden!r} where {rbm.hidden_!r} were fitted")


def check_engine(estimator, owner):
    """The RBM of a BernoulliRBM."""
    rbm, shape = estimator._rbm, (estimator.n_components, estimator.n_features_in_)
    bernoulli = (rbm.visible_, rbm.hidden_, rbm.scaling_.scale) == ("bernoulli", "bernoulli", None)
    refuse(not bernoulli, f"{rbm.visible_} visible and {rbm.hidden_} hidden units, or a scaling, where all are Bernoulli")
    refuse(
        shape != rbm.components_.shape, f"n_components and n_features_in are {shape} where {rbm.components_.shape} were fitted"
    )
    refuse(rbm._chains is None, "it lacks rbm.chains")
    _check_next_fit(rbm, estimator._engine(rbm.dtype))


# ---- stacks


def check_stack(dbn, owner):
    """The layers of a DBN fit each other, its parameters and its features."""
    layers, sizes = dbn.layers_, checks.layer_sizes(dbn.hidden_layer_sizes)
    found = [hasattr(dbn, name) for name in ("up_down_iter_", "_up_down_step", "up_down_history_")]
    refuse(any(found) != all(found), "some of up_down_iter, up_down_step and up_down_history are lacking")
    n = len(sizes) if dbn.__sklearn_is_fitted__() else len(layers)  # a checkpoint may lack the upper layers
    fitted = tuple(len(rbm.components_) for rbm in layers)
    suits = layers and sizes[:n] == fitted and [rbm.layer_ for rbm in layers] == list(range(n))
    refuse(not suits, f"hidden_layer_sizes={reprlib.repr(sizes)} do not suit the layers")
    n_in = layers[0].n_features_in_
    refuse(n_in != dbn.n_features_in_, f"layers.0 has {n_in} features where there are {dbn.n_features_in_}")
    dbn._check_neighbours(layers)
    templates = dbn._new_layers()[:n]
    _check_templates(layers, templates)
    epochs = dict.fromkeys(range(len(sizes)), 0) | {i: rbm.n_iter_ for i, rbm in enumerate(layers)}
    epochs[UP_DOWN] = getattr(dbn, "up_down_iter_", 0)
    _check_run(dbn, epochs, zip(layers, templates, strict=True))
    if dbn.starts_ is not None:
        _check_starts(dbn.starts_, layers[-1])
    if dbn._up_down_best is not None:
        _check_untied(dbn, dbn._up_down_best)
    for rbm in layers:
        if not any(found):
            _check_norm(rbm)
        if rbm is not layers[0] and rbm.scaling_.scale is not None:
            states = float((1.0 + np.abs(rbm.scaling_.shift)).max() * rbm.scaling_.scale.max())
            _check_inputs("layers", rbm.components_.T, rbm.intercept_hidden_, states, get_unit(rbm.hidden_))


def _check_starts(means, top):
    """Means at which chains begin are those of the top's hidden units."""
    n = len(top.components_)
    refuse(means.shape[1] != n or not len(means), f"starts of shape {means.shape} where the top has {n} units")
    for part, start, stop, _ in get_unit(top.hidden_).parts(n):
        x = means[:, start:stop]
        refuse(not ((x >= part.low) & (x <= part.high)).all(), f"starts holds means that {part.name} units do not have")


def _check_untied(dbn, best):
    """The parameters of the best epoch of up-down, which the fit may end with."""
    sizes = [dbn.n_features_in_, *(len(rbm.components_) for rbm in dbn.layers_)]
    n_top = sizes[-2] + len(getattr(dbn, "classes_", ()))
    shapes = [(n, m, m) for n, m in itertools.pairwise(sizes[:-1])]
    found = [(*up.W.shape, len(up.bias)) for up in best.recognition]
    down = [(*down.W.shape[::-1], len(down.bias)) for down in best.generative]
    tops = [(*top.W.shape, len(top.b), len(top.c)) for top in (best.top, best.velocity)]
    same = found == shapes and down == [(n, m, n) for n, m, _ in shapes] and tops == [(n_top, sizes[-1], n_top, sizes[-1])] * 2
    refuse(not same, "up_down_best has other sizes than the layers")
    units = [get_unit(dbn.layers_[0].visible_), *(get_unit(rbm.hidden_) for rbm in dbn.layers_)]
    for i, layer in enumerate(best.recognition):
        _check_inputs("up_down_best", *layer, _greatest_state(units[i], sizes[i]), units[i + 1])
    for i, layer in enumerate(best.generative):
        _check_inputs("up_down_best", *layer, _greatest_state(units[i + 1], sizes[i + 1]), units[i])
    _check_inputs("up_down_best", best.top.W, best.top.c, _greatest_state(units[-2], sizes[-2]), units[-1])


def check_threshold(detector, owner):
    """The threshold of an outlier detector, its greatest score and the range of its data."""
    detector._share()
    if not hasattr(detector, "offset_"):  # a checkpoint
        return
    refuse(not hasattr(detector, "extent_"), "it lacks extent")
    ordered = -SQUARES < detector.offset_ <= detector.top_ < SQUARES
    refuse(not ordered, f"offset={detector.offset_!r} and top={detector.top_!r}: scores below {SQUARES:g}, in this order")
    refuse((detector.extent_.low > detector.extent_.high).any(), "extent.low exceeds extent.high")


def check_labels(estimator, owner):
    """The labels of a generative classifier, whose weights belong to its top layer."""
    parameters.refuse_counts(get_unit(estimator.layers_[0].visible_))
    if not hasattr(estimator, "label_components_"):  # a checkpoint
        return
    refuse(estimator.starts_ is not None and estimator.start_classes_ is None, "it lacks start_classes")
    n, top = len(estimator.label_components_), len(estimator.layers_[-1].components_)
    refuse(n != top, f"label_components of {n} hidden units where the top layer has {top}")
    _check_inputs("labels", estimator.label_components_, estimator.label_intercept_, 1.0, get_unit("softmax"))


# ---- networks


def check_network(network, owner):
    """The layers of a back-propagated network fit each other, its parameters, its pretrained layers and its update rule."""
    _check_run(network, {FINE_TUNING: getattr(network, "n_iter_", 0)})
    if not hasattr(network, "coefs_"):
        network._check()
        _check_dbn(network, network._dbn()._new_layers(), complete=False)
        return
    (sizes, _), n_in, coefs = network._check(), network.n_features_in_, network.coefs_
    outputs = getattr(network, "classes_", getattr(network, "target_mean_", coefs[0]))
    fitted = len(coefs[0]), *(len(c) for c in network.intercepts_)
    refuse(
        fitted != (n_in, *sizes, len(outputs)),
        f"coefs and intercepts of {fitted} units where {n_in}, hidden_layer_sizes and {len(outputs)} belong",
    )
    best, units = network._best, [*network._units(len(sizes)), network._output_unit()]
    refuse(best is not None and best.epoch > network.n_iter_, f"best.epoch={best and best.epoch} of {network.n_iter_} epochs")
    for name, state in ("coefs", (coefs, network.intercepts_)), ("best", best and best[:2]):
        states = _greatest_state(get_unit(network.visible_), n_in)
        for W, bias, unit in zip(*state, units, strict=True) if state else ():
            states = _check_inputs(name, W, bias, states, unit)
    _check_mixed(get_unit(network.visible_), network.scaling_)
    if network._loss == "unit":  # an autoencoder
        parameters.refuse_counts(get_unit(network.visible_))
    templates = network._dbn()._new_layers()
    if network.dbn_ is not None:
        _check_dbn(network, templates, complete=True)
        _check_templates(network.dbn_.layers_, templates)
        refuse(network.dbn_.layers_[0].visible_ != network.visible_, "the visible units of dbn are not those of the network")


def _check_dbn(network, templates, complete):
    """The pretrained layers of a network are those that templates describe; the first of them, if it is not `complete`."""
    dbn = network.dbn_
    found = [(len(rbm.components_), get_unit(rbm.hidden_), get_unit(rbm.hidden)) for rbm in dbn.layers_]
    wanted = [(rbm.n_components, get_unit(rbm.hidden), get_unit(rbm.hidden)) for rbm in templates]
    suits = found == (wanted if complete else wanted[: len(found)]) and dbn.n_features_in_ == network.n_features_in_
    refuse(not suits, "the sizes and units of dbn are not those of the network")
    network._check_suits(dbn)


def check_targets(regressor, owner):
    """The scale of a regressor's targets."""
    n, scale = len(regressor.target_mean_), regressor.target_scale_.max()
    refuse(scale >= SQUARES, f"target_scale is {SQUARES:g} or larger: predictions would not be finite")
    refuse(regressor._flat and n > 1, f"{n} outputs where targets were one column")
