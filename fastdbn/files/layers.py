"""One RBM and its scaling in a model file: their tensors and their entries of the record."""

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.estimators.rbm import RBM
from fastdbn.files import entries
from fastdbn.files.entries import count, decode_params, encode, encode_history, encode_params, entry, positive, tensor
from fastdbn.inputs.data import Scaling
from fastdbn.inputs.ranges import MOST_COUNTS
from fastdbn.machine import model
from fastdbn.training.monitors import MONITORS
from fastdbn.training.options import OPTIONS
from fastdbn.training.options.learned_variances import BASE, learned_scaling
from fastdbn.training.options.option import HIDDEN, VISIBLE
from fastdbn.units import get_unit

ROOM = 1 << 26
"""Numbers that the chains of a fit may take where the file holds fewer."""


def put_scaling(scaling, tensors):
    """The entry of a scaling, or None; its numbers go into tensors."""
    if scaling.scale is None:
        return None
    tensors["scaling.shift"], tensors["scaling.scale"] = (np.asarray(x, np.float64) for x in (scaling.shift, scaling.scale))
    return {"clip": bool(scaling.clip)}


def get_scaling(record, tensors, n_features):
    """The scaling of an entry."""
    if record is None:
        return Scaling()
    shift = tensor(tensors, "scaling.shift", (n_features,), np.float64)
    return Scaling(shift, positive(tensors, "scaling.scale", n_features), entry(record, "clip", bool))


def put_rbm(rbm, tensors, prefix):
    """The entry of an RBM; its arrays go into tensors, in the precision of its `dtype`."""
    for name in ("components", "intercept_hidden", "intercept_visible"):
        tensors[prefix + name] = np.asarray(getattr(rbm, f"{name}_"), rbm.dtype)
    for name, x in zip("Wbc", rbm._velocity, strict=True):
        tensors[f"{prefix}velocity.{name}"] = np.asarray(x, rbm.dtype)
    if rbm._chains is not None:
        tensors[prefix + "chains"] = np.asarray(rbm._chains, rbm.dtype)
    kept = _kept_shapes(*rbm.components_.shape, rbm.dtype)
    for name, x in rbm._kept.items():
        tensors[f"{prefix}kept.{name}"] = np.asarray(x, kept[name][1])
    if get_unit(rbm.visible_).keeps_total:
        tensors[prefix + "totals"] = rbm.totals_
    if hasattr(rbm, "generative_components_"):
        tensors[prefix + "generative"] = np.asarray(rbm.generative_components_, rbm.dtype)
    return {
        "params": encode_params(rbm),
        "visible": encode(rbm.visible_, "visible"),
        "hidden": encode(rbm.hidden_, "hidden"),
        "n_iter": rbm.n_iter_,
        "step": rbm._step,
        "draws": rbm._draws,
        "seed": str(rbm.seed_),
        "layer": rbm.layer_,
        "history": encode_history(rbm.history_),
    }


def get_rbm(record, tensors, prefix, untied=False):
    """The RBM of an entry, not scaled yet; its arrays are taken out of tensors. untied: up-down has trained it in a network."""
    rbm = RBM(**decode_params(record))
    settings = rbm._settings()
    rbm.components_ = tensor(tensors, prefix + "components", (None, None), rbm.dtype)
    nh, nv = rbm.components_.shape
    if rbm.n_components != nh:
        raise ValueError(f"n_components={rbm.n_components} where {nh} were fitted")
    rbm.intercept_hidden_ = tensor(tensors, prefix + "intercept_hidden", (nh,), rbm.dtype)
    rbm.intercept_visible_ = tensor(tensors, prefix + "intercept_visible", (nv,), rbm.dtype)
    shapes = zip("Wbc", ((nv, nh), (nv,), (nh,)), strict=True)
    rbm._velocity = Params(*(tensor(tensors, f"{prefix}velocity.{n}", s, rbm.dtype) for n, s in shapes))
    rbm._chains = tensor(tensors, prefix + "chains", (None, nh), rbm.dtype) if prefix + "chains" in tensors else None
    if prefix + "generative" in tensors:
        rbm.generative_components_ = tensor(tensors, prefix + "generative", (nh, nv), rbm.dtype)
    rbm.visible_, rbm.hidden_ = entries.unit_of(record, "visible", nv), entries.unit_of(record, "hidden", nh)
    visible, hidden = get_unit(rbm.visible_), get_unit(rbm.hidden_)
    rbm._kept = _kept(tensors, f"{prefix}kept.", nh, nv, rbm.dtype, visible)
    rbm._settings(visible)
    if visible.keeps_total:
        rbm.totals_ = _totals(tensors, prefix + "totals", sum(part.unit.keeps_total for part in visible.parts(nv)))
    _check_numbers(rbm, visible, hidden, untied or hasattr(rbm, "generative_components_"))
    check_chains(rbm, settings)
    rbm.n_iter_, rbm._step, rbm._draws, rbm.layer_ = (count(record, name) for name in ("n_iter", "step", "draws", "layer"))
    rbm.seed_ = entries.seed(record)
    rbm.history_ = entries.history(record, MONITORS, rbm.n_iter_)
    rbm.scaling_, rbm.n_features_in_ = Scaling(), nv
    return rbm


def check_scaling(rbm):
    """Whether the scaling of an RBM is the one that its variances, if it learns some, have led to."""
    if BASE not in rbm._kept:
        return
    if rbm.scaling_.scale is None or rbm.scaling_.clip:
        raise ValueError("scaling is lacking where variances are learned")
    with np.errstate(over="ignore"):
        learned = learned_scaling(rbm.scaling_, rbm._kept).scale
    if not np.allclose(rbm.scaling_.scale, learned, rtol=1e-6, atol=0.0):
        raise ValueError("scaling is not that of the variances that were learned")


def _kept_shapes(nh, nv, dtype):
    """(shape, precision) of all that options keep, by name."""
    sizes = {VISIBLE: nv, HIDDEN: nh}
    return {
        name: (tuple(sizes.get(n, n) for n in shape), "float64" if option.exact else dtype)
        for option in OPTIONS
        for name, shape in option.keeps.items()
    }


def _kept(tensors, prefix, nh, nv, dtype, visible):
    """What options kept, checked by them."""
    shapes = _kept_shapes(nh, nv, dtype)
    kept = {name: tensor(tensors, prefix + name, *shapes[name]) for name in shapes if prefix + name in tensors}
    for option in OPTIONS:
        option.check_extras(kept, visible)
    return kept


def _totals(tensors, name, n_parts):
    """Totals of rows: whole numbers that a draw can count out."""
    x = tensor(tensors, name, (None, n_parts), np.float64)
    if not ((x >= 0) & (x <= MOST_COUNTS) & (x == np.floor(x))).all():
        raise ValueError(f"tensor {name} holds totals that are no whole numbers from 0 to {MOST_COUNTS}")
    return x


def _check_numbers(rbm, visible, hidden, untied):
    """Whether what the parameters give is finite, and a distribution where `fit` sees to one."""
    W, states = rbm.components_.T, entries.greatest_state(visible, rbm.components_.shape[1])
    states = entries.check_fields("components", W, rbm.intercept_hidden_, states, hidden)
    down = getattr(rbm, "generative_components_", rbm.components_)
    entries.check_fields("components", down, rbm.intercept_visible_, states, visible)
    norm = 0.0 if untied else model.unbounded_norm(visible, hidden, W)
    if norm >= 1:
        raise ValueError(f"weights between units without bounds have a spectral norm of {norm:.3g}, and fit keeps it below 1")


def check_chains(rbm, settings):
    """Whether the next fit's chains take no more room than those of the file, or little."""
    chains = settings.chain_rows
    most = max(0 if rbm._chains is None else len(rbm._chains), ROOM // max(rbm.components_.shape))
    if chains > most:
        raise ValueError(f"{chains} persistent chains (n_chains, batch_size, temperatures) where the file allows {most}")
