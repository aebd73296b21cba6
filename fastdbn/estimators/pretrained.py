"""The pretrained network that a supervised one begins with: its own, or a fitted DBN that it was given."""

import copy
from dataclasses import dataclass

import numpy as np
from sklearn.frozen import FrozenEstimator

from fastdbn.callbacks.callback import Relay
from fastdbn.estimators import parameters
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.network import SHARED, DeepNetwork, as_template
from fastdbn.estimators.rows import check_values, threshold_of
from fastdbn.units import get_unit


@dataclass(eq=False, repr=False, kw_only=True)
class Pretrained(DeepNetwork):
    """A network that pretrains a DBN, or takes a copy of one."""

    pretrain: bool | DBN | FrozenEstimator = True

    def _pretrained(self):
        """`pretrain` without the FrozenEstimator that may hold it."""
        return self.pretrain.estimator if isinstance(self.pretrain, FrozenEstimator) else self.pretrain

    def _given_weights(self):
        """All parameters of the network that was given as `pretrain`, one after another; None if none was."""
        layers = getattr(self._pretrained(), "layers_", None)
        names = "components_", "intercept_hidden_", "intercept_visible_"
        return layers and np.concatenate([getattr(rbm, name).ravel() for rbm in layers for name in names])

    def _check_pretrained(self):
        """Refuse what is no network."""
        if not isinstance(self._pretrained(), (bool, np.bool_, DBN)):
            raise ValueError(
                f"pretrain={self.pretrain!r}: give True, False or a fitted DBN, which FrozenEstimator may hold; DBN.stack makes "
                "one of RBMs"
            )

    def _dbn(self):
        """An unfitted DBN with this estimator's parameters."""
        names = "hidden_layer_sizes", "rbm", "propagate", "random_state", *SHARED
        callbacks = [Relay(self)] if self.callbacks or "_tasks" in vars(self) else None
        return DBN(**{name: getattr(self, name) for name in names}, callbacks=callbacks)

    def _templates(self):
        given = self._pretrained()
        layers = getattr(given, "layers_", None) if isinstance(given, DBN) else None
        return layers if layers and self.rbm is None else super()._templates()

    def _saved_params(self):
        """A network that was given as `pretrain` is in the file as it is fitted, and its layers describe those of a fit anew."""
        params = super()._saved_params()
        if not isinstance(self.pretrain, (bool, np.bool_)):
            templates = [as_template(rbm, i == 0) for i, rbm in enumerate(self._templates())] if self.rbm is None else self.rbm
            params |= {"pretrain": True, "rbm": templates}
        return params

    def _layers(self):
        """The RBMs that say what units and data are: the pretrained ones, or without those the ones that describe them."""
        dbn = getattr(self, "dbn_", None)
        return self._templates() if dbn is None else dbn.layers_

    def _copy_pretrained(self, sizes, X):
        """A copy of the network given as `pretrain`, checked against this one's layers and the data; None if none was given."""
        dbn = self._pretrained()
        if not isinstance(dbn, DBN):
            return None
        if not dbn.__sklearn_is_fitted__():
            raise ValueError("pretrain is a DBN that is not fitted: fit it, and wrap it in FrozenEstimator where it is cloned")
        found = [(rbm.components_.shape[0], get_unit(rbm.hidden_)) for rbm in dbn.layers_]
        wanted = [get_unit(rbm.hidden, "hidden") for rbm in super()._templates()] if self.rbm else [unit for _, unit in found]
        if found != list(zip(sizes, wanted, strict=False)) or len(found) != len(sizes) or dbn.n_features_in_ != X.shape[1]:
            layers = ", ".join(f"{size} {unit.name}" for size, unit in found)
            raise ValueError(
                f"pretrain is a DBN of {dbn.n_features_in_} features and hidden layers of {layers} units; "
                f"hidden_layer_sizes={self.hidden_layer_sizes!r}, rbm={self.rbm!r} and X with {X.shape[1]} features "
                "do not suit it: give its hidden layers as hidden_layer_sizes, no rbm, and X with its features"
            )
        self._check_suits(dbn)
        check_values(dbn.layers_[0], X)
        dbn = copy.deepcopy(dbn)
        vars(dbn).pop("_run", None)  # it is taken as it is
        dbn.callbacks = None
        return dbn

    def _check_suits(self, dbn):
        """Refuse units, a scaling and a threshold that are not those of the pretrained network."""
        whose = "the pretrained network", "give the same"
        templates = self._templates()
        for rbm, template in zip(dbn.layers_, templates, strict=False):
            parameters.same("hidden", get_unit(template.hidden, "hidden"), get_unit(rbm.hidden_), *whose)
        parameters.check_same_data(templates[0], dbn.layers_[0], *whose)
        parameters.same("binarize", threshold_of(templates[0]), threshold_of(dbn.layers_[0]), *whose)

    def _pretrain(self, X, weights, new, validation):
        """Train the DBN of this network, or complete it, with the parameters of a new one; validation are rows to watch."""
        dbn = self.dbn_.set_params(**new.get_params(deep=False) | {"random_state": self.seed_, "warm_start": True})
        try:
            dbn._fit(X, weights, validation=validation)  # what went wrong is told once all is trained
        finally:
            dbn.warm_start = False
            dbn.callbacks = None  # they hold this estimator, and would be pickled with it
