"""One RBM and its scaling in a model file: their tensors and their entries of the record."""

import numpy as np

from fastdbn import variance
from fastdbn.backends import Params
from fastdbn.chains import FAST
from fastdbn.data import Scaling
from fastdbn.entries import count, decode_params, encode, encode_params, history, positive, tensor, unit_from
from fastdbn.rbm import RBM
from fastdbn.units import get_unit


def put_scaling(scaling, tensors):
    if scaling.scale is None:
        return None
    tensors["scaling.shift"], tensors["scaling.scale"] = scaling.shift, scaling.scale
    return {"clip": bool(scaling.clip)}


def get_scaling(record, tensors, n_features):
    if record is None:
        return Scaling()
    shift = tensor(tensors, "scaling.shift", (n_features,))
    return Scaling(shift, positive(tensors, "scaling.scale", n_features), bool(record["clip"]))


def put_rbm(rbm, tensors, prefix):
    tensors[prefix + "components"] = rbm.components_
    tensors[prefix + "intercept_hidden"] = rbm.intercept_hidden_
    tensors[prefix + "intercept_visible"] = rbm.intercept_visible_
    for name, x in zip("Wbc", rbm._velocity, strict=True):
        tensors[f"{prefix}velocity.{name}"] = x
    if rbm._chains is not None:
        tensors[prefix + "chains"] = rbm._chains
    for name, x in rbm._kept.items():
        tensors[f"{prefix}kept.{name}"] = x
    if get_unit(rbm.visible_).keeps_total:
        tensors[prefix + "totals"] = rbm.totals_
    if hasattr(rbm, "generative_components_"):
        tensors[prefix + "generative"] = rbm.generative_components_
    return {
        "params": encode_params(rbm),
        "visible": encode(rbm.visible_, "visible"),
        "hidden": encode(rbm.hidden_, "hidden"),
        "n_iter": rbm.n_iter_,
        "step": rbm._step,
        "draws": rbm._draws,
        "seed": str(rbm.seed_),
        "layer": rbm.layer_,
        "history": {name: [None if np.isnan(x) else float(x) for x in values] for name, values in rbm.history_.items()},
    }


def get_rbm(record, tensors, prefix):
    rbm = RBM(**decode_params(record))
    rbm.components_ = tensor(tensors, prefix + "components", (None, None))
    nh, nv = rbm.components_.shape
    rbm.intercept_hidden_ = tensor(tensors, prefix + "intercept_hidden", (nh,))
    rbm.intercept_visible_ = tensor(tensors, prefix + "intercept_visible", (nv,))
    shapes = ((nv, nh), (nv,), (nh,))
    rbm._velocity = Params(*(tensor(tensors, f"{prefix}velocity.{n}", s) for n, s in zip("Wbc", shapes, strict=True)))
    rbm._chains = tensor(tensors, prefix + "chains", (None, nh)) if prefix + "chains" in tensors else None
    of_options = dict.fromkeys((*variance.NAMES, variance.BASE, "offset_v"), (nv,)) | {"offset_h": (nh,)}
    of_options |= {"activity": (nh,), "learning_rate": (1,)} | dict(zip(FAST, shapes, strict=True))
    names = {name: f"{prefix}kept.{name}" for name in of_options}
    rbm._kept = {name: tensor(tensors, at, of_options[name]) for name, at in names.items() if at in tensors}
    if prefix + "generative" in tensors:
        rbm.generative_components_ = tensor(tensors, prefix + "generative", (nh, nv))
    rbm.visible_, rbm.hidden_ = unit_from(record["visible"]), unit_from(record["hidden"])
    parts = get_unit(rbm.visible_).parts(nv)
    if parts[-1].stop != nv:
        raise ValueError(f"a mixed layer of {parts[-1].stop} columns where there are {nv}")
    if get_unit(rbm.visible_).keeps_total:
        rbm.totals_ = tensor(tensors, prefix + "totals", (None, sum(part.unit.keeps_total for part in parts)))
    rbm.n_iter_, rbm._step, rbm._draws = (count(record[name]) for name in ("n_iter", "step", "draws"))
    rbm.seed_, rbm.layer_ = count(record["seed"], 2**64), count(record["layer"])
    rbm.history_ = history(record["history"], rbm.n_iter_)
    rbm.scaling_, rbm.n_features_in_ = Scaling(), nv
    return rbm
