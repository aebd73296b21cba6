"""What networks share: their parameters, and the RBM objects that describe their layers."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import clone

from fastdbn.callbacks.callback import Callbacks
from fastdbn.estimators import parameters
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.rbm import RBM
from fastdbn.support import checks
from fastdbn.support.checks import shown
from fastdbn.support.types import Bytes, Device, DType, Seed

SHARED = "n_jobs", "device", "dtype", "verbose", "memory_limit"
"""Parameters of a network that its layers get from it."""
OWNED = ("n_components", "random_state", "warm_start", "callbacks", *SHARED)
"""Parameters of `RBM` that the network decides."""
OF_DATA = "visible", "scale", "binarize", "missing"
"""Parameters of `RBM` that describe the data: those of the first layer count."""
DEFAULT = RBM()


@dataclass(eq=False, repr=False)
class DeepNetwork(Estimator):
    """A network whose layers are described by RBM objects."""

    _renamed = Estimator._renamed | {
        **{name: f"rbm=RBM({name}=...)" for name in DEFAULT.get_params()},
        "callback": "callbacks=[...], a list",
        "rbm_params": "rbm=RBM(...), or a list with one RBM for each layer",
        "pretrain_iter": "rbm=RBM(n_iter=...)",
    }

    hidden_layer_sizes: int | Sequence[int] = (256, 256)
    _: KW_ONLY
    rbm: RBM | Sequence[RBM] | None = None
    propagate: Literal["sample", "mean"] = "sample"
    n_jobs: int | None = None
    device: Device = "cpu"
    dtype: DType = "float32"
    random_state: Seed = None
    verbose: int = 0
    callbacks: Callbacks | None = None
    warm_start: bool = False
    memory_limit: Bytes | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; deep ones are those of `rbm` too: ``rbm__k``, or ``rbm__0__k`` in a list.

        Parameters
        ----------
        deep : bool, default True

        Returns
        -------
        dict
        """
        params = super().get_params(deep)
        if deep and isinstance(self.rbm, (list, tuple)):
            for i, rbm in enumerate(self.rbm):
                params[f"rbm__{i}"] = rbm
                if isinstance(rbm, RBM):
                    params |= {f"rbm__{i}__{name}": value for name, value in rbm.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of `rbm` too, as `get_params` names them.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for a name that is no parameter.
        """
        self._refuse_old_names(params)
        if "rbm" in params:
            self.rbm = params.pop("rbm")
        nested = {name: value for name, value in params.items() if name.startswith("rbm__")}
        if nested and self.rbm is None:
            raise ValueError(f"{next(iter(nested))}: rbm is None, which has no parameters to set. Set rbm=RBM() first")
        if isinstance(self.rbm, (list, tuple)):
            for name in sorted(nested, key=lambda name: name.count("__")):  # whole layers before their parameters
                self._set_in_list(name, params.pop(name))
        return super().set_params(**params)

    def _set_in_list(self, name, value):
        """Set one RBM of the list, ``rbm__0``, or a parameter of one, ``rbm__0__k``."""
        _, number, *parameter = name.split("__", 2)
        if not number.isdecimal() or int(number) >= len(self.rbm):
            raise ValueError(f"{name}: rbm is a list of {len(self.rbm)} RBMs, named rbm__0 to rbm__{len(self.rbm) - 1}")
        if parameter:
            self.rbm[int(number)].set_params(**{parameter[0]: value})
        else:
            self.rbm = type(self.rbm)((*self.rbm[: int(number)], value, *self.rbm[int(number) + 1 :]))

    def _templates(self):
        """The RBM objects that describe the layers, one for each, checked but not copied."""
        n_layers = len(checks.layer_sizes(self.hidden_layer_sizes))
        if self.rbm is None:
            return [DEFAULT] * n_layers
        several = isinstance(self.rbm, (list, tuple))
        templates = list(self.rbm) if several else [self.rbm] * n_layers
        if len(templates) != n_layers:
            raise ValueError(
                f"rbm has {len(templates)} RBMs for {n_layers} layers: give one RBM for all, or a list of {n_layers}"
            )
        for i, rbm in enumerate(templates):
            name = f"rbm[{i}]" if several else "rbm"
            if not isinstance(rbm, RBM):
                raise ValueError(f"{name}={shown(rbm)}: give an RBM, as in rbm=RBM(k=5), a list with one for each layer, or None")
            _check_template(rbm, name, of_data=i == 0 or not several)
        return templates

    def _first(self):
        """The RBM object that describes the data."""
        return self._templates()[0]

    def _may_lack(self):
        """Whether rows may have missing values, which the first layer then takes."""
        return self._first().missing is not None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        first = self.rbm[0] if isinstance(self.rbm, (list, tuple)) and self.rbm else self.rbm
        tags.input_tags.allow_nan = getattr(first, "missing", None) is not None
        return tags

    def _new_layers(self):
        """Unfitted copies of the RBM objects with the sizes and the parameters that this network owns."""
        parameters.check_shared(self)
        checks.choice(self.propagate, "propagate", ("mean", "sample"))
        layers: list[RBM] = []
        for size, template in zip(checks.layer_sizes(self.hidden_layer_sizes), self._templates(), strict=True):
            rbm = clone(template).set_params(n_components=size, **{name: getattr(self, name) for name in SHARED})
            if layers:
                rbm.set_params(visible=layers[-1].hidden, scale="none", binarize=None, missing=None)
            else:
                rbm.random_state = self.random_state
            parameters.settings(rbm)
            layers.append(rbm)
        return layers


def _check_template(rbm, name, of_data):
    """Refuse an RBM object that sets what the network, or the layer below, decides."""
    for parameter in OWNED:
        value = getattr(rbm, parameter)
        if not _is_default(value, parameter):
            instead = "hidden_layer_sizes" if parameter == "n_components" else f"{parameter} of the network"
            raise ValueError(f"{name} has {parameter}={shown(value)}, which the network decides: give {instead} instead")
    for parameter in () if of_data else OF_DATA:
        value = getattr(rbm, parameter)
        if not _is_default(value, parameter):
            raise ValueError(f"{name} has {parameter}={shown(value)}, which describes the data: give it to rbm[0] only")


def _is_default(value, parameter):
    default = getattr(DEFAULT, parameter)
    return value is default or (isinstance(value, (str, int, float, bool, np.generic)) and value == default)


def as_template(rbm, of_data):
    """An unfitted copy of a layer without what a network decides, to describe a layer of another network."""
    names = OWNED if of_data else (*OWNED, *OF_DATA)
    return clone(rbm).set_params(**{name: getattr(DEFAULT, name) for name in names})


OF_TOP = "visible", "hidden", "scale", "k", "learning_rate", "momentum", "weight_decay", "batch_size", "n_iter", "precision"
"""Parameters of the top RBM of a network with labels. It has what its network owns too."""


def check_labelled(top):
    """The parameters of the top RBM of a network with labels, all others of which must be the defaults."""
    if checks.is_auto(top.learning_rate):
        raise ValueError(
            "learning_rate='auto' reaches the top RBM, whose rate is not steered: give a list of RBMs, the last with None, a "
            "number or a schedule"
        )
    for name, default in DEFAULT.get_params().items():
        value = getattr(top, name)
        value = default if name == "centering" and value is None else value
        if name not in (*OF_TOP, *OWNED, "binarize") and value != default:
            raise ValueError(
                f"{name}={value!r} reaches the top RBM, which learns labels only by CD: give a list of RBMs, the last with "
                f"{name}={default!r}"
            )
