"""Measures of an RBM in training, and early stopping by one of them.

Measures are taken after each epoch on fixed rows: up to `WATCHED` of those trained on, and up to as many of those held out. So
they cost little, and differences between epochs come from the parameters, not from the choice of rows (Hinton 2010, sections 5
to 7 and 11). Nothing here changes the training.
"""

from typing import NamedTuple

import numpy as np

from fastdbn.machine import pseudo
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.training.options.missing_values import base_of_zeros

WATCHED, WATCHED_NUMBERS = 256, 1 << 20
"""The most rows that are watched, and the most numbers that they hold together."""
DEAD, SATURATED = 0.01, 0.99
"""Hidden units with a lower mean activity over the watched rows are dead, with a higher one saturated: they no longer
distinguish rows."""
FLIPS, ROWS_PER_FLIP = 4, 20
"""The pseudo-likelihood takes the conditionals of 1 to `FLIPS` units of each watched row: one for every `ROWS_PER_FLIP` rows
trained on per watched row."""


class Monitor(NamedTuple):
    """How early stopping reads a measure.

    sense says what is better. "rises" or "falls": by more than tol. "stays": the measure is best before training; keep the
    latest epoch within tol of the best. None: it does not measure quality.
    """

    sense: str | None
    tol: float = 0.0


MONITORS = {
    "reconstruction_error": Monitor("falls", 1e-4),
    "baseline_error": Monitor(None),
    "validation_reconstruction_error": Monitor("falls", 1e-4),
    "pseudo_likelihood": Monitor("rises", 1e-3),
    "validation_pseudo_likelihood": Monitor("rises", 1e-3),
    "free_energy_gap": Monitor("stays", 1.0),
    "log_z": Monitor(None),
    "log_likelihood": Monitor("rises", 0.05),
    "validation_log_likelihood": Monitor("rises", 0.05),
    "update_ratio": Monitor("falls", 1e-5),
    "hidden_activity": Monitor(None),
    "hidden_spread": Monitor(None),
    "dead_units": Monitor("stays", 0.01),
    "saturated_units": Monitor("stays", 0.01),
    "learning_rate": Monitor(None),
    "effective_chains": Monitor(None),
    "swap_rate": Monitor(None),
    "seconds": Monitor(None),
}
"""All measures of an RBM: one number for each epoch, NaN if it is not measured."""
OF_OUTPUTS = {
    "loss": Monitor("falls", 1e-4),
    "validation_loss": Monitor("falls", 1e-4),
    "validation_score": Monitor("rises", 1e-4),
}
"""Those of fine-tuning."""
OF_UP_DOWN = {
    "wake_loss": Monitor("falls", 1e-3),
    "sleep_loss": Monitor("falls", 1e-3),
    "update_ratio": MONITORS["update_ratio"],
    "validation_loss": OF_OUTPUTS["validation_loss"],
    "validation_score": OF_OUTPUTS["validation_score"],
    "seconds": Monitor(None),
}
"""Those of up-down."""
MEASURES = MONITORS | OF_OUTPUTS | OF_UP_DOWN


def monitor_of(rbm, unit):
    """The monitor that ends a fit of `rbm` early: its own, or a measure of rows held out: the log-likelihood where it is known,
    else the pseudo-likelihood, else the reconstruction error.

    unit is that of the visible units, or None where it is not known yet; then the result may be None.
    """
    if rbm.monitor is not None or unit is None:
        return rbm.monitor
    if knows_likelihood(rbm):
        return "validation_log_likelihood"
    return f"validation_{'pseudo_likelihood' if pseudo.is_two_valued(unit) else 'reconstruction_error'}"


def knows_likelihood(rbm):
    """Whether a fit estimates the log-likelihood of its rows, all of whose values are observed."""
    return rbm.trajectory is not None and rbm.missing is None


def check(rbm, unit):
    """The parameters of early stopping; unit is that of the visible units, or None where it is not known yet."""
    if isinstance(rbm.early_stopping, str):
        raise ValueError(f"early_stopping={rbm.early_stopping!r}: give early_stopping=True, monitor={rbm.early_stopping!r}")
    name, allowed = rbm.monitor, [monitor for monitor, how in MONITORS.items() if how.sense is not None]
    if name is not None:
        checks.choice(name, "monitor", allowed)
    if check_stopping(rbm):
        check_monitor(monitor_of(rbm, unit), unit, True, knows_likelihood(rbm))


def check_stopping(estimator):
    """What RBMs and fine-tuning have alike; returns whether to stop early."""
    checks.integer(estimator.n_iter_no_change, "n_iter_no_change")
    if estimator.tol is not None:
        checks.real(estimator.tol, "tol")
    checks.real(estimator.validation_fraction, "validation_fraction", below=1.0)
    return checks.flag(estimator.early_stopping, "early_stopping")


def check_monitor(name, unit, held_out, known):
    """Refuse to stop early by what is not measured.

    Parameters
    ----------
    name : str or None
        None is a measure of rows held out.
    unit : Unit or None
        Of the visible units; None where it is not known yet.
    held_out : bool
        Whether there are rows held out.
    known : bool
        Whether the log-likelihood is (`knows_likelihood`).
    """
    if (name is None or name.startswith("validation_") or name == "free_energy_gap") and not held_out:
        raise ValueError(
            f"early_stopping by monitor={name!r} needs rows held out: give validation_fraction, such as 0.1, or validation_data"
        )
    if name is not None and name.endswith("log_likelihood") and not known:
        raise ValueError(f"monitor={name!r} is measured only with trajectory and without missing: give trajectory=0.25")
    if name is not None and name.endswith("pseudo_likelihood") and unit is not None and not pseudo.is_two_valued(unit):
        raise ValueError(
            f"monitor={name!r} needs visible units of two values, and these are {unit.name}: "
            "use 'validation_reconstruction_error' or 'free_energy_gap'"
        )


class Stopping:
    """The best state of a fit by one monitor, and when to stop.

    Parameters
    ----------
    name : str
        Of `MEASURES`.
    patience : int
        The fit ends after so many measured epochs in a row without an improvement.
    tol : float or None
        None is the monitor's own.
    keeps_best : bool
        Whether the fit leaves the best state, not the last.
    """

    def __init__(self, name, patience, tol=None, keeps_best=True):
        self.keeps_best = keeps_best
        self.name, self.patience, self.sense = name, patience, MEASURES[name].sense
        self.tol = MEASURES[name].tol if tol is None else tol
        self.best_score, self.best_state, self.stale = -np.inf, None, 0

    def update(self, metrics, state):
        """Take in an epoch; returns whether to stop."""
        value = metrics[self.name]
        if np.isnan(value):
            return False
        score = value if self.sense == "rises" else -value
        if self.sense == "stays":
            fresh = keep = score >= self.best_score - self.tol
        else:
            fresh, keep = score > self.best_score + self.tol, score > self.best_score
        self.stale = 0 if fresh else self.stale + 1
        self.best_state = state if keep and self.keeps_best else self.best_state
        self.best_score = max(self.best_score, score)
        return self.stale >= self.patience

    def replay(self, values, state, best=None):
        """Take in the epochs that an earlier part of the fit has had; returns whether to stop.

        Parameters
        ----------
        values : (epochs,) array
            Of the monitor.
        state
            What the last of them left.
        best
            What the best of them left, where that is known. An interrupt leaves the best epoch, so the last is the best one.
            Where it is not, the search begins anew.
        """
        stop = False
        for i, value in enumerate(values, 1):
            stop = self.update({self.name: value}, state if i == len(values) else None)
        if self.keeps_best and self.best_state is None:
            self.best_state = best
            if best is None:
                self.best_score, self.stale, stop = -np.inf, 0, False
        return stop


class Rows:
    """Some rows, evenly spread over those given, and buffers for what is computed of them.

    Options change what is read of them (`Option.watch`): v, the visible states; known, 1 where a value was observed; dropped,
    whether others are no part of the machine of their row; unit, what an error of 1 is on the scale of the data, squared.
    """

    def __init__(self, backend, layer, rows, shape, options):
        nv, nh = shape
        few = min(WATCHED, len(rows), max(1, WATCHED_NUMBERS // nv))
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, few).astype(np.uint32))]
        self.backend, self.layer, self.options, self.rows = backend, layer, options, backend.array(chosen)
        self.v = backend.states(layer.visible, len(chosen), nv)
        self.h, self.mean = backend.zeros(len(chosen), nh), backend.zeros(len(chosen), nv)
        draw = rng.host_generator(layer.seed, 0, rng.stream(rng.SCORE, layer.number))
        flips = int(np.clip(len(rows) // (len(chosen) * ROWS_PER_FLIP), 1, FLIPS))
        self.unit, self.known, self.dropped = 1.0, np.ones((len(chosen), nv)), False
        self.weights = np.ones(len(chosen)) if layer.weights is None else layer.weights[chosen]
        self.places = backend.array(np.arange(len(chosen), dtype=np.uint32))
        self.flipped = draw.integers(nv, size=(flips, len(chosen)))

    def take(self, machine, epoch):
        """Read the rows, as the epoch sees them."""
        self.layer.load(self.backend, self.rows, epoch, self.v)
        for option in self.options:
            option.watch(self, machine, epoch)

    def reconstruction_error(self, machine):
        """The mean squared error of reconstructing observed values through the hidden means, which are left in place."""
        b = self.backend
        machine.hidden_given(self.v, self.h)
        machine.visible_given(self.h, self.mean, self.v if self.layer.visible.keeps_total else None)
        errors = np.square(b.to_host(self.v) - b.to_host(self.mean), dtype=np.float64)
        return float(np.sum(errors * self.unit * self.known) / max(np.sum(self.known, dtype=np.float64), 1.0))

    def column_means(self):
        """(means (nv,) of the observed values by the rows' weights, the mean squared error of giving these means for each row).

        Where units count, means are shares of a row's total.
        """
        v, totals = self.backend.to_host(self.v).astype(np.float64), np.ones(self.known.shape)
        for unit, start, stop, _ in self.layer.visible.parts(v.shape[1]):
            if unit.keeps_total:
                totals[:, start:stop] = v[:, start:stop].sum(axis=1, keepdims=True)
        share = self.known * self.weights[:, None]
        means = (share * v).sum(axis=0) / np.maximum((share * totals).sum(axis=0), 1e-30)
        errors = (v - means * totals) ** 2
        return means, float(np.sum(errors * self.unit * self.known) / max(np.sum(self.known), 1.0))

    def activity(self):
        """(mean, spread, dead share, saturated share) of the hidden means left in place.

        The spread is the deviation over rows, a root mean square over units. Shares are NaN where the units have no such end.
        All but the mean are relative to a unit's range. The units of a group of K share one between them: they are dead below a
        K-th of what other units are, and their spread counts sqrt(K) times.
        """
        unit, h = self.layer.hidden, self.backend.to_host(self.h)
        means, group = np.mean(h, axis=0, dtype=np.float64), unit.group_size(h.shape[1])
        width = unit.high - unit.low if np.isfinite(unit.high) else 1.0
        spread = np.sqrt(group * np.mean(np.var(h, axis=0, dtype=np.float64))) / width
        dead = saturated = np.nan
        if np.isfinite(unit.low):
            dead = np.mean(means < unit.low + DEAD * width / group)
            if np.isfinite(unit.high):
                saturated = np.mean(means > unit.low + SATURATED * width)
        return float(means.mean()), float(spread), float(dead), float(saturated)

    def free_energy(self, machine):
        """F(v) of the rows, (B,) float64; of units that are dropped nothing."""
        out = np.empty(len(self.v))
        machine.free_energy_block(self.v, out, self.h)
        if self.dropped:
            out -= (1 - self.known) @ base_of_zeros(self.backend, self.layer.visible, self.known.shape[1])
        return out

    def pseudo_likelihood(self, machine):
        """The mean of the stochastic pseudo-likelihood over rows and some units of each; missing ones do not count."""
        place, total, count = np.arange(len(self.rows)), 0.0, 0.0
        for chosen in self.flipped:
            known = self.known[place, chosen]
            total += known @ pseudo.stochastic(machine, self.v, chosen)
            count += known.sum()
        return float(total / max(count, 1.0))


class Watch:
    """All measures of a layer's parameters.

    Parameters
    ----------
    backend : Backend
    layer : Layer
    shape : (nv, nh)
    interval : int
        Epochs between two measures of the pseudo-likelihood and of the chains.
    options : sequence of Option
    last : int or None
        The epoch that ends the fit, in which both are measured too.
    """

    def __init__(self, backend, layer, shape, interval, options=(), last=None):
        self.interval, self.last = interval, last
        rows = np.arange(layer.n_rows, dtype=np.uint32) if layer.rows is None else layer.rows
        self.samples = {"": Rows(backend, layer, rows, shape, options)}
        if layer.validation is not None:
            rows = np.arange(layer.validation.n_rows, dtype=np.uint32)
            self.samples["validation_"] = Rows(backend, layer.validation, rows, shape, options)
        elif layer.held_out is not None:
            self.samples["validation_"] = Rows(backend, layer, layer.held_out, shape, options)
        self.two_valued = pseudo.is_two_valued(layer.visible)

    def measure(self, machine, epoch, chains=None, log_z=None):
        """The measures after an epoch (from 0): a dict with all names of `MONITORS`, NaN for those of the training itself.

        chains are (hidden states of persistent chains, a buffer for their visible means), or None. log_z is a callable that
        estimates log Z of the machine, or None.
        """
        due = (epoch + 1) % self.interval == 0 or epoch + 1 == self.last
        metrics = dict.fromkeys(MONITORS, np.nan)
        energies, log_z = [], log_z() if log_z is not None and due else np.nan
        metrics["log_z"] = log_z
        for prefix, rows in self.samples.items():
            rows.take(machine, epoch)
            metrics[prefix + "reconstruction_error"] = rows.reconstruction_error(machine)
            if not prefix:
                names = "hidden_activity", "hidden_spread", "dead_units", "saturated_units"
                metrics.update(zip(names, rows.activity(), strict=True))
            if len(self.samples) > 1 or np.isfinite(log_z):
                energies.append(rows.free_energy(machine).mean())
                if rows.known.all():
                    metrics[prefix + "log_likelihood"] = float(-energies[-1] - log_z)
            if self.two_valued and due:
                metrics[prefix + "pseudo_likelihood"] = rows.pseudo_likelihood(machine)
        if len(energies) > 1:
            metrics["free_energy_gap"] = float(energies[1] - energies[0])
        if due:
            means, metrics["baseline_error"] = self.samples[""].column_means()
            if chains is not None:
                metrics["effective_chains"] = self.effective_chains(machine, *chains, means, metrics["baseline_error"])
        return metrics

    def effective_chains(self, machine, states, mean, means, error):
        """How many independent draws from the data have a mean that is as near to that of the data as the chains' mean is.

        The squared distance of such means is the variance of the data over the number of draws. So chains that have all gone to
        one mode count as one or two, however many they are. NaN where units count, because totals differ.
        """
        rows = self.samples[""]
        if rows.layer.visible.keeps_total:
            return np.nan
        machine.visible_given(states, mean)
        distance = np.mean(rows.unit * (rows.backend.to_host(mean).mean(axis=0, dtype=np.float64) - means) ** 2)
        return float(min(error / distance, len(states))) if distance > 0 else float(len(states))
