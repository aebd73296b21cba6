"""``fit(..., resume=...)``: an estimator takes the state of a checkpoint, if that is one of the same fit."""

import copy
import os

from fastdbn.callbacks.callback import listeners
from fastdbn.callbacks.checkpoint import Checkpoint
from fastdbn.files import state
from fastdbn.files.parameters import encode_estimator
from fastdbn.support import checks
from fastdbn.support.report import warn

FREE = "n_jobs", "verbose", "callbacks", "warm_start"
"""Parameters that change no bit of a fit."""


def found(estimator, resume):
    """(the estimator that a checkpoint holds, checked to be one of this estimator's fit, and what messages call the checkpoint).

    The estimator is None if "last" finds no file.

    Parameters
    ----------
    estimator : estimator
    resume : "last", str or path

    Raises
    ------
    ValueError
        that names the file and what is wrong: it is damaged, no checkpoint, of another class, or of other parameters.
    """
    path = _path(estimator, resume)
    if path is None:
        return None, ""
    try:
        saved, params = state.load_checkpoint(path)
    except FileNotFoundError:
        raise ValueError(f'resume={checks.shown(resume)} is not a file: give "last" or the path of a checkpoint') from None
    named = f"resume={os.fspath(resume)!r}" if path == resume else f"resume={resume!r} ({path})"
    if type(saved) is not type(estimator):
        kinds = type(saved).__name__, type(estimator).__name__
        raise ValueError(
            f"{named} is a checkpoint of a {kinds[0]}, and this is a {kinds[1]}: give a checkpoint of the same class"
        )
    if not vars(saved).get("_run") or saved._run.data is None:
        raise ValueError(f"{named} is a model, not a checkpoint of its fit: load it, and fit with warm_start=True to train it on")
    _check_parameters(estimator, saved, params, named)
    if getattr(saved, "missing", None) == "sample" or any(getattr(rbm, "missing", None) == "sample" for rbm in _first(saved)):
        warn(
            "missing='sample': chains of missing values are no part of a checkpoint and begin anew, so the bits are not those of "
            "an uninterrupted fit. Use missing='drop' where they must be",
            UserWarning,
        )
    return saved, named


def _first(saved):
    """The lowest layer of a network, if it is there."""
    network = getattr(saved, "dbn_", None) or saved
    return getattr(network, "layers_", [])[:1]


def _path(estimator, resume):
    """The path of a checkpoint; None if "last" finds no file."""
    if not isinstance(resume, (str, os.PathLike)) or not os.fspath(resume):
        raise ValueError(f'resume={checks.shown(resume)}: give "last" or the path of a checkpoint')
    if resume != "last":
        return resume
    for callback in listeners(estimator):
        if isinstance(callback, Checkpoint) and callback.save_last:
            return callback.last if callback.last.exists() else None
    raise ValueError("resume='last' needs a Checkpoint among the callbacks: give callbacks=[Checkpoint(folder)], or a path")


def _check_parameters(estimator, saved, params, named):
    """Refuse parameters that are not those of the checkpoint."""
    probe = copy.copy(estimator)
    vars(probe).update({name: value for name, value in vars(saved).items() if name not in saved.get_params(deep=False)})
    ours, theirs = (dict(_flat(x)) for x in (encode_estimator(probe)["params"], params))
    differ = [
        f"{name}={_shown(theirs.get(name))} there and {_shown(ours.get(name))} here"
        for name in sorted({*ours, *theirs})
        if name.rpartition("__")[2] not in FREE and ours.get(name) != theirs.get(name)
    ]
    if differ:
        raise ValueError(f"{named} is of a fit with other parameters: {'; '.join(differ)}. Set them back, or fit without resume")


def _flat(params, prefix=""):
    """(name, value) of encoded parameters, those of RBMs in them by names such as rbm__k."""
    for key, value in params.items():
        members = value if isinstance(value, list) else [value]
        rbms = [x["estimator"]["params"] for x in members if isinstance(x, dict) and "estimator" in x]
        if not rbms:
            yield prefix + key, value
        for i, rbm in enumerate(rbms):
            yield from _flat(rbm, f"{prefix}{key}__{i}__" if isinstance(value, list) else f"{prefix}{key}__")


def _shown(value):
    """An encoded parameter in words."""
    return checks.shown(tuple(value["tuple"]) if isinstance(value, dict) and "tuple" in value else value)
