"""HDF5 files of the package rbms (https://github.com/DsysDML/rbms), of A. Decelle and others.

    model_type          "BBRBM" {0, 1} and {0, 1};  "IIRBM" {-1, 1} and {-1, 1};  "PBRBM" Potts and {0, 1}
    parallel_chains     (chains, visible units); of Potts units the numbers of their states
    update_N/params/    after N updates: weight_matrix, vbias, hbias
    update_N/time       seconds

weight_matrix is (nv, nh), and vbias (nv,); of Potts units with q states (nv, q, nh) and (nv, q). Older files have the arrays in
update_N itself.
"""

import contextlib
import re
from os import PathLike

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.estimators.bernoulli_rbm import BernoulliRBM
from fastdbn.estimators.rbm import RBM
from fastdbn.exits.parameters import plain_rbm, with_parameters
from fastdbn.support import checks
from fastdbn.support.atomic import replacing
from fastdbn.support.types import DType
from fastdbn.units import get_unit

TYPES = {"BBRBM": ("bernoulli", "bernoulli"), "IIRBM": ("spin", "spin"), "PBRBM": ("softmax", "bernoulli")}
ARRAYS = "weight_matrix", "vbias", "hbias"
CHAINS = 100
"""Chains of a file, drawn anew: rbms cannot read one without."""


def _h5py():
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'files of rbms need the package h5py ({error}): pip install "fastdbn[rbms]"') from error
    return h5py


@contextlib.contextmanager
def _opened(path):
    """A file of rbms, open to read. What is no such file is a ValueError."""
    with open(path, "rb"):  # which raises an OSError with the path
        pass
    try:
        with _h5py().File(path, "r") as file:
            yield file
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is not a file of the package rbms: {error}") from error


def from_rbms(path: str | PathLike[str], update: int | None = None) -> RBM:
    """Read an RBM from a file of the package rbms.

    Parameters
    ----------
    path : str or path
        Its model is a "BBRBM" (Bernoulli units), an "IIRBM" (spins) or a "PBRBM" (Potts visible units).
    update : int or None, default None
        The number of updates after which the parameters were saved. None takes the greatest.

    Returns
    -------
    RBM
        A fitted one, which can train on. Rows of Potts units are one-hot: q columns for each unit, "softmax:q". Chains are not
        read.

    Raises
    ------
    ImportError
        without h5py: ``pip install "fastdbn[rbms]"``.
    FileNotFoundError
        if there is no such file.
    ValueError
        for another file, another model, an update that is not there, or shapes that do not fit.
    """
    with _opened(path) as file:
        kind = file["model_type"][()].decode() if "model_type" in file else "BBRBM"
        if kind not in TYPES:
            raise ValueError(f"{path} holds a {kind}, and fastdbn reads {', '.join(TYPES)}")
        saved = sorted(int(match[1]) for match in (re.fullmatch(r"update_(\d+)", key) for key in file) if match)
        if not saved:
            raise ValueError(f"{path} holds no update: rbms saves parameters as update_1, update_2, ...")
        number = saved[-1] if update is None else checks.integer(update, "update", 0)
        if number not in saved:
            raise ValueError(f"update={update!r}: {path} holds those of {', '.join(map(str, saved[-20:]))}")
        group = file[f"update_{number}"]
        W, b, c = (np.asarray(group.get("params", group)[name]) for name in ARRAYS)
    potts = kind == "PBRBM"
    fit = (W.ndim, b.shape, c.shape) == (2 + potts, W.shape[:-1], W.shape[-1:]) and W.dtype.kind == "f"
    if not fit:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in zip(ARRAYS, (W, b, c), strict=True))
        raise ValueError(f"{path}: the arrays of update {number} do not fit together in a {kind}: {shapes}")
    visible, hidden = TYPES[kind]
    visible = f"{visible}:{W.shape[1]}" if potts else visible
    dtype: DType = "float64" if W.dtype == np.float64 else "float32"
    rbm = RBM(len(c), visible=visible, hidden=hidden, scale="none", dtype=dtype, random_state=0)
    return with_parameters(rbm, Params(W.reshape(-1, len(c)), b.ravel(), c))


def to_rbms(model: RBM | BernoulliRBM, path: str | PathLike[str]) -> None:
    """Write a fitted RBM as a file of the package rbms, which its programs read as update 1.

    Parameters
    ----------
    model : RBM or BernoulliRBM
        With Bernoulli, spin or (visible) softmax units, and no scaling. Softmax groups are Potts units.
    path : str or path
        An existing file is replaced in one step.

    Raises
    ------
    ImportError
        without h5py: ``pip install "fastdbn[rbms]"``.
    NotFittedError
        before a fit.
    TypeError
        for other models.
    ValueError
        names what such a file has no place for.
    OSError
        if the file cannot be written.
    """
    rbm = plain_rbm(model, [*TYPES.values()], "a file of rbms")
    unit, (nh, nv) = get_unit(rbm.visible_), rbm.components_.shape
    name = {pair: name for name, pair in TYPES.items()}[unit.name.partition(":")[0], rbm.hidden_]
    W, b, chains = rbm.components_.T, rbm.intercept_visible_, rbm.sample(CHAINS, n_steps=1, random_state=0)
    if name == "PBRBM":
        q = unit.group_size(nv)
        W, b = W.reshape(-1, q, nh), b.reshape(-1, q)
        chains = chains.reshape(CHAINS, -1, q).argmax(axis=2).astype(rbm.dtype)
    with replacing(path) as aside, _h5py().File(aside, "w") as file:
        file["model_type"], file["parallel_chains"] = name, chains
        group = file.create_group("update_1")
        group["time"] = 0.0
        group.create_group("flags")
        for key, x in zip(ARRAYS, (W, b, rbm.intercept_hidden_), strict=True):
            group[f"params/{key}"] = np.ascontiguousarray(x)
