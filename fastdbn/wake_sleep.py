"""Up-down as a method of a fitted network: its layers' weights untied, trained by updown.py, and put back layer by layer."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastdbn import checks, data
from fastdbn.backends import Params
from fastdbn.inference import checked
from fastdbn.placement import all_or_nothing, backend_for
from fastdbn.report import progress
from fastdbn.units import get_unit
from fastdbn.updown import Directed, Schedule, Untied, train

METRICS = ("wake_loss", "sleep_loss", "update_ratio", "seconds")


def thirds(n_iter):
    """Gibbs steps of the top for a run: 3, 6 and 10 in its thirds (Hinton, Osindero, Teh 2006)."""
    return lambda epoch: (3, 6, 10)[min(3 * epoch // max(n_iter, 1), 2)]


TOP = 4.0
"""How many times the customary rate of its units the top learns by: its steps have no momentum, as those of pretraining have."""


def with_rates(schedule, units):
    """The schedule with customary rates where it has none; units are those of all levels, from below."""
    rate, top = schedule.learning_rate, schedule.top_learning_rate
    if rate is None:
        rate = min(unit.learning_rate for unit in units[:-1])
        top = TOP * min(unit.learning_rate for unit in units[-2:]) if top is None else top
    return schedule._replace(learning_rate=rate, top_learning_rate=rate if top is None else top)


def refuse_counts(unit):
    """A ValueError for visible units whose totals a network cannot make."""
    if unit.keeps_total:
        raise ValueError(f"visible={unit.name!r}: there are no fantasies of units that count, for nothing gives their totals")


class WakeSleep:
    """`up_down`, for networks of RBMs; those with labels say what their top RBM's parameters are."""

    @all_or_nothing
    def up_down(
        self, X, n_iter=20, *, learning_rate=1e-3, top_learning_rate=None, n_gibbs=None, weight_decay=0.0, batch_size=None
    ):
        """Train all weights of the fitted network together by the up-down algorithm, generative and recognition weights untied.

        Afterwards `transform` goes up by recognition weights, and `sample`, `reconstruct` and scores go down by generative ones.
        A second call goes on where the first ended: the schedules count epochs from the first call's start.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_iter : int, default 20
            Epochs.
        learning_rate : float, callable of the epoch (from 0), list or None, default 1e-3
            Small, or what pretraining has learnt is lost. None is the customary rate of the units.
        top_learning_rate : float, callable of the epoch, list or None, default None
            Of the top RBM, which bears more than the layers under it: on MNIST 0.3, where theirs is 0.02. None is theirs, or
            where theirs is None four times the customary rate of the top's units.
        n_gibbs : int, callable of the epoch, list or None, default None
            Gibbs steps of the top RBM in each minibatch. None takes 3, 6 and 10 in the thirds of the run.
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
            if training leaves the finite numbers; the weights of the last good epoch are kept.

        References
        ----------
        Hinton, Osindero, Teh 2006, "A fast learning algorithm for deep belief nets", appendix B.
        """
        check_is_fitted(self)
        refuse_counts(get_unit(self.layers_[0].visible_))
        schedule = self._schedule(n_iter, learning_rate, top_learning_rate, n_gibbs, weight_decay, batch_size)
        X = checked(self, X, reset=False)
        self.layers_[0]._check_values(X)
        return self._up_down(X, None, schedule)

    def _schedule(self, n_iter, learning_rate, top_learning_rate, n_gibbs, weight_decay, batch_size):
        n_iter = checks.integer(n_iter, "n_iter", 0)
        rates = {"learning_rate": learning_rate, "top_learning_rate": top_learning_rate}
        return Schedule(
            *(None if rate is None else checks.schedule(rate, name) for name, rate in rates.items()),
            0.0,
            checks.schedule(weight_decay, "weight_decay"),
            thirds(n_iter) if n_gibbs is None else checks.steps(n_gibbs, "n_gibbs"),
            checks.integer(self.layers_[0].batch_size if batch_size is None else batch_size, "batch_size"),
            n_iter,
        )

    def _top(self):
        """Parameters of the top RBM as up-down trains them, labels included."""
        return self.layers_[-1]._state().params

    def _keep_top(self, params):
        top = self.layers_[-1]
        top.components_ = np.ascontiguousarray(params.W.T)
        top.intercept_visible_, top.intercept_hidden_ = params.b, params.c

    def _up_down(self, X, labels, schedule):
        """Epochs of up-down over X, checked, and one-hot labels or None."""
        first, lower, top = self.layers_[0], self.layers_[:-1], self._top()
        done = getattr(self, "up_down_iter_", 0)
        recognition = [Directed(rbm.components_.T, rbm.intercept_hidden_) for rbm in lower]
        generative = [Directed(rbm._downward(), rbm.intercept_visible_) for rbm in lower]
        zeros = Params(*(np.zeros_like(x) for x in top))
        steps = getattr(self, "_up_down_step", self.layers_[-1]._step)
        state = Untied(recognition, generative, top, zeros, done, steps)
        units = [get_unit(first.visible_), *(get_unit(rbm.hidden_) for rbm in self.layers_)]
        schedule = with_rates(schedule, units)
        backend, last = backend_for(self), done + schedule.n_iter
        source = backend.load(data.source(X, first.scaling_, first.binarize), often=True)

        def on_epoch(state, metrics):
            for rbm, up, down in zip(lower, state.recognition, state.generative, strict=True):
                rbm.components_, rbm.intercept_hidden_ = np.ascontiguousarray(up.W.T), up.bias
                rbm.generative_components_, rbm.intercept_visible_ = down.W, down.bias
            self._keep_top(state.top)
            self.up_down_iter_, self._up_down_step = state.epoch, state.steps
            history = getattr(self, "up_down_history_", {})
            self.up_down_history_ = {name: np.append(history.get(name, ()), metrics[name]) for name in METRICS}
            if self.verbose:
                progress(
                    f"up-down epoch {state.epoch}/{last}: wake loss {metrics['wake_loss']:.3f}, sleep loss "
                    f"{metrics['sleep_loss']:.3f}, |dW|/|W| {metrics['update_ratio']:.1e}, {metrics['seconds']:.2f} s"
                )
            if self.callback is not None:
                self.callback(estimator=self, layer="up-down", epoch=state.epoch, metrics=metrics)

        number = len(self.layers_) - 1
        with backend.single_threaded():
            train(backend, units, state, source, X.shape[0], labels, schedule, first.seed_, number, on_epoch)
        return self
