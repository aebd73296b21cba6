"""Up-down as a method of a fitted network: it unties the weights of the layers, trains them by updown.py, and puts them back."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from fastdbn.backends.protocol import Params
from fastdbn.callbacks.early_stopping import stopping_of
from fastdbn.estimators.device import backend_for
from fastdbn.estimators.fitted_dbn import FittedDBN
from fastdbn.estimators.interrupt import UP_DOWN, all_at_once, all_or_nothing, check_is_fitted
from fastdbn.estimators.layer import completed
from fastdbn.estimators.machines import downward, host_params
from fastdbn.estimators.network import DeepNetwork
from fastdbn.estimators.parameters import falling, refuse_counts
from fastdbn.estimators.rows import binarize_of, check_values, checked
from fastdbn.files.entries import count, history
from fastdbn.files.state import Maybe, Record, Series, Tensor, fields
from fastdbn.inputs import data
from fastdbn.support import checks
from fastdbn.support.types import Doubles, PerEpoch, Rows
from fastdbn.training.monitors import OF_UP_DOWN, check_monitor
from fastdbn.training.updown import Directed, Schedule, Untied, UpDown
from fastdbn.units import get_unit


def thirds(n_iter, start=0):
    """Gibbs steps of the top for a run that begins at an epoch: 3, 6 and 10 in its thirds (Hinton, Osindero, Teh 2006)."""
    return lambda epoch: (3, 6, 10)[min(3 * (epoch - start) // max(n_iter, 1), 2)]


TOP = 4.0
"""How many times the customary rate of its units the top learns by: its steps have no momentum, as those of pretraining have."""


def with_defaults(schedule, units, start, a_pass=False):
    """The schedule of a run that begins at an epoch, with customary rates and Gibbs steps where it has none.

    units are those of all levels, from below. Customary rates fall to 0 over the run, but stay where they are in a single pass.
    """
    rate, top = schedule.learning_rate, schedule.top_learning_rate

    def customary(rate):
        return rate if a_pass else falling(rate, start, schedule.n_iter)

    if rate is None:
        rate = customary(min(unit.learning_rate for unit in units[:-1]))
        top = customary(TOP * min(unit.learning_rate for unit in units[-2:])) if top is None else top
    k = thirds(schedule.n_iter, start) if schedule.k is None else schedule.k
    return schedule._replace(learning_rate=rate, top_learning_rate=rate if top is None else top, k=k)


DIRECTED = Series(lambda i: Record(Directed, W=Tensor(None, None), bias=Tensor(None)))
TOP_PARAMS = Record(Params, W=Tensor(None, None), b=Tensor(None), c=Tensor(None))
UNTIED = Record(
    Untied, recognition=DIRECTED, generative=DIRECTED, top=TOP_PARAMS, velocity=TOP_PARAMS, epoch=count(), step=count()
)
"""The field of where up-down stood."""


class WakeSleep(FittedDBN, DeepNetwork):
    """`up_down`, for networks of RBMs; those with labels say what their top RBM's parameters are."""

    up_down_iter_: int
    up_down_history_: dict[str, Doubles]

    _saved = fields(
        up_down_iter_=Maybe(count("n_up_down")),
        _up_down_step=Maybe(count()),
        _up_down_best=Maybe(UNTIED, None),
        up_down_history_=Maybe(history("n_up_down", OF_UP_DOWN)),
    )

    @all_or_nothing
    def up_down(
        self,
        X: Rows,
        n_iter: int = 20,
        *,
        sample_weight: ArrayLike | None = None,
        learning_rate: PerEpoch | None = 1e-3,
        top_learning_rate: PerEpoch | None = None,
        n_gibbs: PerEpoch | None = None,
        weight_decay: PerEpoch = 0.0,
        batch_size: int | None = None,
    ) -> Self:
        """Train all weights of the fitted network together by the up-down algorithm: each direction gets its own weights.

        Afterwards `transform` uses the recognition weights, and `sample`, `reconstruct` and scores use the generative weights
        on the way down. A second call goes on where the first ended, and schedules count epochs from the start of the first
        call. With ``warm_start=True`` a call with the same `n_iter` completes a call that was interrupted.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_iter : int, default 20
            Epochs.
        sample_weight : (n,) array or None, default None
            Weights of the rows. The losses of `up_down_history_` are weighted too.
        learning_rate : float, callable of the epoch (from 0), list or None, default 1e-3
            Learning rate. It must be small, or what pretraining has learned is lost. None is the customary rate of the units,
            which falls linearly to 0.
        top_learning_rate : float, callable of the epoch, list or None, default None
            Learning rate of the top RBM. It may be larger than that of the layers below: on MNIST 0.3 and 0.02. None is
            `learning_rate`, or four times the customary rate of the top's units if that is None too.
        n_gibbs : int, callable of the epoch, list or None, default None
            Gibbs steps of the top RBM in each minibatch. None takes 3, 6 and 10 in the three thirds of this call's epochs.
        weight_decay : float, callable or list, default 0
        batch_size : int or None, default None
            None is that of the first layer.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters.
        DivergenceError
            if weights become infinite or NaN. The weights of the last good epoch are kept.

        References
        ----------
        Hinton, Osindero, Teh 2006, "A fast learning algorithm for deep belief nets", appendix B.
        """
        check_is_fitted(self)
        refuse_counts(get_unit(self.layers_[0].visible_))
        schedule = self._schedule(n_iter, learning_rate, top_learning_rate, n_gibbs, weight_decay, batch_size)
        self._begin_run(True)
        X = checked(self, X, reset=False, may_lack=self._may_lack())
        check_values(self.layers_[0], X)
        weights = checks.sample_weights(sample_weight, X.shape[0])
        self._note_data(None, X=X, sample_weight=weights)
        self._up_down(X, None, weights, schedule)
        self._end_run()
        return self

    def _schedule(self, n_iter, learning_rate, top_learning_rate, n_gibbs, weight_decay, batch_size, prefix=""):
        """The `Schedule` of a run, checked; names of rates in errors begin with the prefix."""
        n_iter = checks.integer(n_iter, "n_iter", 0)
        rates = {"learning_rate": learning_rate, "top_learning_rate": top_learning_rate}
        return Schedule(
            *(None if rate is None else checks.schedule(rate, prefix + name) for name, rate in rates.items()),
            0.0,
            checks.schedule(weight_decay, "weight_decay"),
            None if n_gibbs is None else checks.steps(n_gibbs, "n_gibbs"),
            checks.integer(self.layers_[0].batch_size if batch_size is None else batch_size, "batch_size"),
            n_iter,
        )

    def _top(self):
        """Parameters of the top RBM as up-down trains them, labels included."""
        return host_params(self.layers_[-1])

    def _of_top(self, params):
        """The attributes that hold parameters of the top RBM: (estimator, dict) each."""
        names = "components_", "intercept_visible_", "intercept_hidden_"
        return [(self.layers_[-1], dict(zip(names, (np.ascontiguousarray(params.W.T), params.b, params.c), strict=True)))]

    def _changes(self, state):
        """The attributes that hold parameters of up-down: (estimator, dict) each."""
        names, lower = ("components_", "intercept_hidden_", "generative_components_", "intercept_visible_"), self.layers_[:-1]
        untied = [
            (rbm, dict(zip(names, (np.ascontiguousarray(up.W.T), up.bias, *down), strict=True)))
            for rbm, up, down in zip(lower, state.recognition, state.generative, strict=True)
        ]
        return [*untied, *self._of_top(state.top)]

    def _up_down(self, X, labels, weights, schedule, a_pass=False, score=None):
        """Epochs of up-down over X, checked, one-hot labels or None, and weights or None, of the rows.

        They are those that the run lacks, or a pass of its own. `score` gives measures of a state, or is None.
        """
        first, lower, top = self.layers_[0], self.layers_[:-1], self._top()
        self._forget_starts()
        done = getattr(self, "up_down_iter_", 0)
        recognition = [Directed(rbm.components_.T, rbm.intercept_hidden_) for rbm in lower]
        generative = [Directed(downward(rbm), rbm.intercept_visible_) for rbm in lower]
        zeros = Params(*(np.zeros_like(x) for x in top))
        steps = getattr(self, "_up_down_step", self.layers_[-1]._step)
        state = Untied(recognition, generative, top, zeros, done, steps)
        units = [get_unit(first.visible_), *(get_unit(rbm.hidden_) for rbm in self.layers_)]
        start, lacking = (done, schedule.n_iter) if a_pass else self._enter(UP_DOWN, done, schedule.n_iter, X.shape[0])
        schedule, backend = with_defaults(schedule, units, start, a_pass), backend_for(self)
        X = completed(first, X)
        source = backend.load(data.source(X, first.scaling_, binarize_of(first)), for_training=True)

        def keep(state, history, best):
            own = {"up_down_iter_": state.epoch, "_up_down_step": state.step, "up_down_history_": history}
            all_at_once(*self._changes(state), (self, own | {"_up_down_best": best}))

        number, history = len(self.layers_) - 1, getattr(self, "up_down_history_", {name: np.empty(0) for name in OF_UP_DOWN})
        run = UpDown(backend, units, source, X.shape[0], labels, schedule, first.seed_, number, state, weights, score)
        stopping = None if a_pass else stopping_of(self, OF_UP_DOWN, "validation_score")
        if stopping is not None:
            check_monitor(stopping.name, None, score is not None, False)
        more = {"tell": self._teller(UP_DOWN), "verbose": self.verbose, "stopping": stopping, "since": start}
        run.run(lacking, keep, history, best=self._up_down_best, **more)
        if not a_pass:
            self._keep_starts(X, weights, labels)
            self._leave(UP_DOWN)
