"""What all estimators share: parameters as attributes, scikit-learn's tags, the device, and saving."""

from typing import Any, ClassVar, Self

import sklearn
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

import fastdbn
from fastdbn.backends import devices
from fastdbn.estimators import machines
from fastdbn.estimators.interrupt import RUN, Interruptible, check_is_fitted
from fastdbn.estimators.sklearn_callbacks import Mixin, told
from fastdbn.files.entries import COLUMNS, HASH, NAMES, WORDS, count
from fastdbn.files.parameters import register
from fastdbn.files.state import Maybe, fields, save
from fastdbn.maths import rng
from fastdbn.preparation.saved import PREPARATION
from fastdbn.support import checks
from fastdbn.support.types import Device, FilePath, Seed


class Estimator(Interruptible, Mixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An estimator that transforms dense or sparse rows, in a precision of its own, and can be saved.

    A class says in `_saved` which attributes a fit leaves (files/state.py). Its `_check_loaded` raises a ValueError where those
    of a file do not go together; it is given the estimator that this one is part of, or None.
    The command line sets `command_`, the words of the command that trained the model, `data_hash_`, the SHA-256 of its file, and
    `left_out_`, the columns of its table that are no features, or `preparation_`, which makes numbers of a table.
    """

    n_features_in_: int
    feature_names_in_: NDArray[Any]

    _saved = fields(
        n_features_in_=count("n_features", 1),
        feature_names_in_=Maybe(NAMES),
        left_out_=Maybe(COLUMNS),
        preparation_=Maybe(PREPARATION),
        command_=Maybe(WORDS),
        data_hash_=Maybe(HASH),
        _run=Maybe(RUN),
    )

    def __init_subclass__(cls, **options):
        """Model files may name public classes, and scikit-learn's callbacks are told of a `fit`."""
        super().__init_subclass__(**options)
        if "fit" in vars(cls):
            cls.fit = told(cls.fit)
        if cls.__name__ in fastdbn.__all__ and cls.__module__.startswith(f"{__package__}."):
            register(cls)

    _renamed: ClassVar[dict[str, str]] = {"callback": "callbacks=[...], a list"}
    """Parameters of earlier versions, and what to give instead."""

    def __new__(cls, *_, **params):
        cls._refuse_old_names(params)
        return super().__new__(cls)

    def set_params(self, **params: Any) -> Self:
        self._refuse_old_names(params)
        return super().set_params(**params)

    @classmethod
    def _refuse_old_names(cls, params):
        """A TypeError for a parameter of an earlier version, which says what to give instead."""
        for name in params:
            if name in cls._renamed and name not in cls.__dataclass_fields__:
                raise TypeError(f"{cls.__name__} has no parameter {name!r} any more: give {cls._renamed[name]} instead")

    def _saved_params(self):
        """The parameters that a model file holds."""
        return self.get_params(deep=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check_layer(self, layer, n):
        """The index from 0 of the layer that `transform` should give, of n layers."""
        number = checks.layer(layer, n)
        output = getattr(self, "_sklearn_output_config", {}).get("transform", sklearn.get_config()["transform_output"])
        if number != n - 1 and output != "default":
            raise ValueError(
                f"layer={layer!r}: set_output(transform={output!r}) names the columns of the last layer only. Call "
                "set_output(transform='default') first"
            )
        return number

    def _next_noise(self, random_state: Seed) -> tuple[int, int]:
        """(seed, number of the draw): the seed of `random_state` and 0, or the model's seed and a new number."""
        if random_state is not None:
            return rng.seed_of(random_state), 0
        with machines.lock:
            self._draws += 1
            return self._stack()[0].seed_, self._draws

    def to_device(self, device: Device = "cuda") -> Self:
        """From now on this estimator and its layers compute on `device`.

        Parameters
        ----------
        device : {"cuda", "auto", "cpu"}, default "cuda"

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for an unknown device.
        DeviceError
            if there is no such device here; the estimator is left as it was.
        """
        devices.get_backend(device=device)
        for part in (self, *getattr(self, "layers_", ())):
            part.device = device
        if getattr(self, "dbn_", None) is not None:
            self.dbn_.to_device(device)
        return self

    def to_host(self) -> Self:
        """From now on this estimator and its layers compute on the CPU. Returns self."""
        return self.to_device("cpu")

    def save(self, path: FilePath) -> None:
        """Write the model to a safetensors file, read back by `fastdbn.load`.

        Parameters
        ----------
        path : str or path
            An existing file is replaced in one step, and keeps its mode.

        Raises
        ------
        NotFittedError
            before a fit.
        ValueError
            for what a file cannot hold, such as your own unit records.
        OSError
            if the file cannot be written, for example because the disk is full. An existing file is left as it was.
        """
        check_is_fitted(self)
        save(self, path)
