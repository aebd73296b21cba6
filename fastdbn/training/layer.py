"""The records of a run of contrastive divergence: the layer and its data, the numbers of the fit, and where training stands."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fastdbn.backends.protocol import Params
from fastdbn.maths import rng
from fastdbn.training.order import WHOLE, Shuffle
from fastdbn.units.unit import Unit


class Layer(NamedTuple):
    """One RBM to train.

    Attributes
    ----------
    visible, hidden : Unit
    data : Any
        The backend's.
    n_rows : int
        Rows that are trained on.
    weights : (rows of the data,) host array or None
    number : int
        Its place in the stack, from 0.
    seed : int
        Of all noise.
    rows : sorted host array or None
        The rows that are trained on; None means the first ones.
    held_out : sorted host array or None
        The other rows.
    mask : Any
        The backend's data that are 1 where a value is missing; None where none is.
    validation : Layer or None
        The same layer with data that are watched beside those trained on, instead of rows held out.
    shuffle : Shuffle
    stored : Stored or None
        Where the rows lie, if that is a file.
    """

    visible: Unit
    hidden: Unit
    data: Any
    n_rows: int
    weights: Any
    number: int
    seed: int
    rows: Any = None
    held_out: Any = None
    mask: Any = None
    validation: Any = None
    shuffle: Shuffle = WHOLE
    stored: Any = None

    def load(self, backend, rows, epoch, out):
        """out = rows of the data as an epoch sees them; both buffers are the backend's."""
        backend.load_rows(self.data, rows, rng.key(self.seed, epoch, rng.stream(rng.DATA, self.number)), out)


class Settings(NamedTuple):
    """The numbers of a fit, checked; k, learning_rate, momentum and weight_decay may be schedules.

    options are `Option` objects, made for one run.
    """

    k: Any
    persistent: bool
    n_chains: int
    learning_rate: Any
    momentum: Any
    weight_decay: Any
    batch_size: int
    monitor_interval: int = 5
    options: tuple = ()

    @property
    def chain_rows(self):
        """Rows of all persistent chains; 0 where there are none."""
        return self.n_chains * int(np.prod([option.copies for option in self.options])) if self.persistent else 0


class State(NamedTuple):
    """Where training stands, as host arrays. A run that begins here ends with the same bits.

    chains are the hidden states of persistent chains, or None. epoch and step count epochs and minibatches. extras are the arrays
    that options go on with, by name.
    """

    params: Params
    velocity: Params
    chains: Any
    epoch: int
    step: int
    extras: Mapping[str, np.ndarray] = MappingProxyType({})
