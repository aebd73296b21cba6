"""What classifier and regressor share: pretraining, then back-propagation through the whole network, and its use.

(Hinton and Salakhutdinov 2006; Bengio, Lamblin, Popovici, Larochelle 2007.)
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastdbn.estimators import loaded, parameters
from fastdbn.estimators.classes import check_any
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.fine_tuning import FineTuning
from fastdbn.estimators.forward import forward_of, means
from fastdbn.estimators.interrupt import FINE_TUNING, all_at_once, all_or_nothing, check_is_fitted
from fastdbn.estimators.layer import completed
from fastdbn.estimators.outcome import of_layers, of_outputs, some_rows, tell
from fastdbn.estimators.pretrained import Pretrained
from fastdbn.estimators.rows import binarize_of, checked, later_rows, threshold_of
from fastdbn.inputs import ranges
from fastdbn.inputs.choice import choose
from fastdbn.maths import rng
from fastdbn.maths.optim import momentum_ramp
from fastdbn.support import checks
from fastdbn.support.report import progress, warn
from fastdbn.support.types import Array, FilePath, PerEpoch, Rows, Seed, Validation
from fastdbn.training.backprop import OUTPUT, Plan, glorot
from fastdbn.training.monitors import check_stopping
from fastdbn.training.options import missing_values
from fastdbn.training.options.max_norm import check_max_norm
from fastdbn.units import get_unit, named


@dataclass(eq=False, repr=False, kw_only=True)
class Supervised(FineTuning, Pretrained):
    """What classifier and regressor share; they say what targets, loss and score are."""

    max_iter: int = 60
    solver: Literal["adam", "sgd"] = "adam"
    batch_size: int = 32
    shuffle: bool = True
    momentum: PerEpoch | None = None
    learning_rate_init: PerEpoch | None = None
    alpha: float = 3.2e-3
    dropout: float | Sequence[float] = 0.0
    max_norm: float | None = None
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float | None = None

    _check_loaded = loaded.check_network

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    @property
    def _n_features_out(self):
        return len(self.intercepts_[-2])

    # ---- training

    def fit(
        self,
        X: Rows,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        validation_data: Validation | None = None,
        resume: FilePath | None = None,
    ) -> Self:
        """Pretrain on X, then train on X and y.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : (n,) labels of any type, or `unlabelled`; for a regressor numbers, (n,) or (n, n_outputs)
        sample_weight : (n,) array or None
        validation_data : tuple (X, y) or None, default None
            Rows and targets to watch in place of a `validation_fraction`, in pretraining too.
        resume : "last", path or None, default None
            Go on from a checkpoint to the bits of an uninterrupted fit: from the file of a path, or from the last one that the
            `Checkpoint` of `callbacks` has written. "last" begins anew if there is none. Parameters and data must be those of
            the checkpoint.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters, or a single class of labels.
        DivergenceError
            if weights become infinite or NaN. The weights of the last good epoch are kept.
        """
        return self._fit(X, y, sample_weight, checkpoint=resume, validation=validation_data)

    def _rate(self, part, start=0):
        """The learning rate or its schedule; by default a line down to 0 from epoch `start`, worth 0.3 points on digits."""
        if self.learning_rate_init is not None:
            return checks.schedule(self.learning_rate_init, "learning_rate_init")
        top = {"adam": 0.005, "sgd": 0.2}[self.solver]
        return top if part is not None else parameters.falling(top, start, self.max_iter)

    def _has_begun(self):
        return hasattr(self, "coefs_")

    def _sizes(self):
        """Units of all hidden layers."""
        return checks.layer_sizes(self.hidden_layer_sizes)

    def _check(self, part=None):
        """All parameters, before anything is computed; returns the network's sizes and the plan."""
        sizes = self._sizes()
        if isinstance(self.dropout, (list, tuple)):
            rates = checks.per_layer(self.dropout, "dropout", len(sizes) + 1)
        else:
            rates = [0.0, *[self.dropout] * len(sizes)]
        checks.choice(self.solver, "solver", ("sgd", "adam"))
        checks.integer(self.max_iter, "max_iter", 0)
        check_stopping(self)
        parameters.check_shared(self)
        self._check_pretrained()
        self._check_own()
        return sizes, Plan(
            self._loss,
            self.solver,
            self._rate(part),
            momentum_ramp if self.momentum is None else checks.schedule(self.momentum, "momentum", 1.0),
            checks.real(self.alpha, "alpha"),
            tuple(checks.real(rate, "dropout", below=1.0) for rate in rates),
            check_max_norm(self.max_norm),
            checks.integer(self.batch_size, "batch_size"),
        )

    def _row_weights(self, target, weights, n, rows, seed, stops):
        """Weights of all n rows, those of their classes included; their mean is 1 over the rows of fine-tuning.

        They are refused if they leave no row to train on, or if early stopping, which holds rows out if it `stops`, does.
        """
        n_rows, n_held = len(rows), self._n_held_out(len(rows))
        if stops and self.validation_fraction == 0:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r}: give a number between 0 and 1, or validation_data, because "
                "early stopping watches rows held out"
            )
        if stops and n_held >= n_rows:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r}: early_stopping holds out {n_held} of the {n_rows} rows of "
                f"X{'' if n_rows == n else ' that have a label'}, which leaves none to train on: give more rows, a smaller share "
                "or early_stopping=False"
            )
        of_rows = (np.ones(n) if weights is None else weights) * self._class_factors(target)
        check_any(of_rows[rows])
        if stops and weights is not None and not of_rows[self._split(rows, target, seed)[0]].any():
            raise ValueError(
                f"sample_weight is 0 for all rows but those that validation_fraction={self.validation_fraction!r} holds out, "
                f"{n_held} of {n_rows}: give more rows a weight, or take another share or random_state"
            )
        return of_rows / of_rows[rows].mean()

    def _pair(self, X, y):
        """(rows that the network is about, noisy ones that it sees in their place or None) of checked X and of y."""
        return X, None

    def _noise(self, backend, unit, X, noisy):
        """What makes noisy inputs (training/noise.py), or None."""

    def _class_factors(self, target):
        """Factors of the rows' weights by class; target are the numbers of the classes."""
        return 1.0

    def _rows_of(self, target, n):
        """The numbers of the rows that fine-tuning learns from, of n."""
        return np.arange(n, dtype=np.uint32)

    def _check_own(self):
        """The parameters that one of the classes alone has."""

    @all_or_nothing
    def _fit(self, X, y, sample_weight, part=None, known=None, checkpoint=None, validation=None):
        """Fit, go on from an earlier fit or a checkpoint, or make one pass over a `EpochPart` of an epoch.

        known are the classes of the first call of `partial_fit`, or None.
        """
        sizes, plan = self._check(part)
        parameters.check_part(part, vars(self).get("n_iter_", 0))
        dbn = self._dbn()
        dbn._new_layers()
        resume = self._goes_on(part, checkpoint)
        pretrained = part is None and self._interrupted()
        self._begin_run(resume or pretrained, part)
        X, noisy = self._pair(checked(self, X, reset=not (resume or pretrained), may_lack=self._may_lack()), y)
        if noisy is not None and part is not None and part.first_row:
            raise ValueError(f"first_row={part.first_row} beside clean rows as y: leave it out")
        weights = checks.sample_weights(sample_weight, X.shape[0])
        target, n_outputs = self._targets(y, X.shape[0], resume, weights, known)
        labels, pretrain = getattr(self, "classes_", None), self._given_weights()
        watched = self._watched(validation)
        others = {} if watched is None else {f"validation_data {name}": x for name, x in watched._asdict().items()}
        self._note_data(part, X=X, y=target, noisy=noisy, classes=labels, sample_weight=weights, pretrain=pretrain, **others)
        parameters.check_room((X.shape[1], *sizes, n_outputs), "hidden_layer_sizes", self.hidden_layer_sizes)
        seed = self.seed_ if hasattr(self, "seed_") else rng.seed_of(self.random_state)
        rows = self._rows_of(target, X.shape[0])
        stopping = self._stopping(part)
        holds_out = watched is None and stopping is not None and stopping.name.startswith("validation_")
        of_rows = self._row_weights(target, weights, X.shape[0], rows, seed, holds_out)
        if resume:
            self._check_same(sizes, n_outputs, X)
        else:
            sizes = checks.layer_sizes(self.hidden_layer_sizes)
            self._begin(X, sizes, n_outputs, weights, dbn, part, seed, watched and watched.X)
        X, noisy = self._completed(X), self._completed(noisy)
        if watched is not None:
            watched = watched._replace(X=self._completed(watched.X), noisy=self._completed(watched.noisy))
        self._back_propagate(X, noisy, target, rows, of_rows, plan, part, watched, stopping)
        if part is not None:
            return self
        begins = self._run.begun[FINE_TUNING][0] == 0  # after this run's pretraining, or an earlier part of it
        own = self.dbn_ is not None and not isinstance(self._pretrained(), DBN)
        lines = of_layers(self.dbn_.layers_, self) if begins and own else []
        if self.max_iter and target is not None:
            rows = rows[some_rows(len(rows))]
            lines += of_outputs(means(self, X[rows]), target[rows], of_rows[rows])
        self._end_run()
        tell(lines)
        return self

    def _check_same(self, sizes, n_outputs, X):
        fitted = tuple(len(c) for c in self.intercepts_)
        if fitted != (*sizes, n_outputs):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} and {n_outputs} outputs differ from the fitted network's "
                f"{fitted}: keep them, or fit anew with warm_start=False"
            )
        parameters.same("dtype", str(self.dtype), self.coefs_[0].dtype.name)
        parameters.check_same_data(self._first(), self)
        parameters.check_same_seed(self, self)
        if self.dbn_ is not None:
            self._check_suits(self.dbn_)
        if threshold_of(self) is None:
            ranges.check_values(get_unit(self.visible_), self.scaling_, X, self._may_lack())

    def _begin(self, X, sizes, n_outputs, weights, dbn, part, seed, validation):
        """Initial weights: pretrained, given, or drawn; sizes are those of the layers that may be pretrained, validation rows to
        watch or None."""
        if not hasattr(self, "seed_"):  # else pretraining was interrupted
            self.seed_ = seed
            self.dbn_ = self._copy_pretrained(sizes, X)
            if self.dbn_ is None:
                self.dbn_ = dbn if self.pretrain and part is None else None
            else:
                self._recount()  # its epochs are none of this fit
        if self.dbn_ is not None:
            if vars(self.dbn_).get("_run") or not self.dbn_.__sklearn_is_fitted__():
                self._pretrain(X, weights, dbn, validation)
            first = self.dbn_.layers_[0]
            visible, scaling = first.visible_, first.scaling_
            layers = [(np.ascontiguousarray(rbm.components_.T), rbm.intercept_hidden_.copy()) for rbm in self.dbn_.layers_]
        else:
            if self.pretrain:
                warn(
                    "partial_fit does not pretrain: this network begins with random weights. Call fit on a first part of the "
                    "data, give a fitted DBN as pretrain, or give pretrain=False",
                    UserWarning,
                )
            X, data_rbm = self._completed(X), self._first()
            unit, scaling = choose(X, data_rbm.visible, data_rbm.scale, binarize_of(data_rbm), weights, None, part is not None)
            ranges.check_groups(X, unit)
            if self.verbose:
                progress(f"{X.shape[1]} {unit.name} visible units, data {scaling.words}")
            visible, binary = named(unit), [unit.support == (0.0, 1.0) for unit in self._units(len(sizes))]
            layers = self._random_layers((X.shape[1], *sizes), binary)
        coefs, intercepts = map(list, zip(*layers, *self._initial_outputs(sizes, n_outputs), strict=True))
        begun = {"visible_": visible, "scaling_": scaling, "coefs_": coefs, "intercepts_": intercepts}
        begun |= {"n_iter_": 0, "history_": {"loss": np.empty(0)}, "_step": 0, "_optimizer": None, "_best": None}
        all_at_once((self, begun))

    def _initial_outputs(self, sizes, n_outputs):
        """Initial (weights, biases) of the layers that are not pretrained."""
        return self._random_layers((sizes[-1], n_outputs), [False], len(sizes))

    def _random_layers(self, sizes, binary, first=0):
        """(weights, biases) of layers number `first` and above, between layers of these sizes, of binary units or others."""
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            W = glorot(self.seed_, first + i, n_in, n_out, binary[i])
            yield W.astype(self.dtype), np.zeros(n_out, self.dtype)

    def _output_unit(self):
        """The unit whose means the network's outputs are."""
        return get_unit(OUTPUT)

    def _units(self, n_layers):
        """Unit types of the first hidden layers."""
        return [get_unit(rbm.hidden, "hidden") for rbm in self._layers()[:n_layers]]

    # ---- use

    def _completed(self, X):
        """Checked rows, or None, with their missing values as the first RBM takes them."""
        if X is None or not self._may_lack() or missing_values.split(X)[1] is None:
            return X
        if self.dbn_ is None:
            raise ValueError(
                "X has missing values, and a network that was not pretrained cannot take them: fit with pretrain=True, or fill "
                "them first, such as by sklearn.impute.SimpleImputer"
            )
        return completed(self.dbn_.layers_[0], X)

    def _later_rows(self, X):
        """Rows for use by the fitted network, checked and completed."""
        X = later_rows(self, X, missing_values.WAYS)
        return X if forward_of(self).missing is None else self._completed(X)

    def transform(self, X: Rows, layer: int = -1, out: NDArray[Any] | None = None) -> Array:
        """Means of a hidden layer of the fine-tuned network.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        layer : int, default -1
            Hidden layer; 0 is the lowest, -1 the last.
        out : (n, units of the layer) array, memory map or None, default None
            Results are written here, without a copy. It has the model's precision and is C-contiguous.

        Returns
        -------
        (n, units of the layer) array
        """
        X = self._later_rows(X)
        return means(self, X, self._check_layer(layer, len(self.coefs_) - 1) + 1, out=out)

    def sample(
        self,
        n_samples: int | None = None,
        n_steps: int | None = None,
        random_state: Seed = None,
        mean: bool = False,
        totals: ArrayLike | None = None,
        *,
        start: Rows | None = None,
        method: Literal["auto", "gibbs", "tempering", "stacked"] = "auto",
        layer: int = -1,
    ) -> Array:
        """Draw visible states from the pretrained network, `dbn_`.

        Parameters
        ----------
        n_samples : int or None, default None
            None is one, or with `start` one for each of its rows.
        n_steps : int or None, default None
            Steps of the chains. None is 10 for "gibbs" from the states of some rows of the fit, 100 for "tempering", else 1000.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.
        mean : bool, default False
            Return visible means, which look smoother, instead of drawn states.
        totals, start, method, layer
            Those of `DBN.sample`, which docs/sampling.md explains.

        Returns
        -------
        (n_samples, n_features) array
            On the scale of the fit data.

        Raises
        ------
        ValueError
            if there is no pretrained network, because of ``pretrain=False`` or because only `partial_fit` was called. If that
            network has labels, for `totals` or `layer`.
        """
        check_is_fitted(self)
        if self.dbn_ is None:
            raise ValueError("this network was not pretrained, so it cannot generate: fit with pretrain=True")
        given: dict[str, Any] = {} if totals is None else {"totals": totals}
        if np.ndim(layer) or layer != -1:
            given["layer"] = layer
        if given and hasattr(self.dbn_, "classes_"):
            raise ValueError(
                f"{next(iter(given))} is for networks without labels, and that given as pretrain has some: leave it out"
            )
        return self.dbn_.sample(n_samples, n_steps, random_state, mean, start=start, method=method, **given)
