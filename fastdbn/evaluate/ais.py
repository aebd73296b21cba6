"""Annealed importance sampling of log Z, forward and reverse (Neal 2001; Salakhutdinov and Murray 2008).

Between a base, which has visible units with biases a and no weights, and the model lie the distributions

    p_beta(v) = exp(v.((1 - beta) a + beta b) - sum base(v) + sum_j cgf(beta (c_j + (v W)_j))) / Z_beta

for any pair of unit types. Their Gibbs steps are those of the machine with its weights times beta. A forward chain starts at the
base, and the mean of its weights

    w = prod_i p*_i(v_i) / p*_{i-1}(v_i)        estimates        Z_1 / Z_0

without bias. So log Z comes out too low in expectation (Jensen), and likelihoods too high. Chains that run back from the model
itself estimate Z_0 / Z_1 without bias, by 1 / w, so log Z comes out too high. If they start at exact draws, it is an upper
bound.
"""

from typing import Any, NamedTuple

import numpy as np

from fastdbn.estimators.layer import visible_blocks
from fastdbn.estimators.rows import later_rows
from fastdbn.evaluate.exact import Enumeration, count_bits, machine_with_z, rbm_of
from fastdbn.machine.block import BlockMachine, Chain
from fastdbn.machine.initial import smoothed_mean
from fastdbn.maths import rng
from fastdbn.maths.optim import is_number, is_sequence
from fastdbn.support import checks

PUBLISHED = ((0.5, 500), (0.9, 4_000), (1.0, 10_000))
"""Steps up to inverse temperatures, of Salakhutdinov and Murray 2008: 14,500 of them."""
MOST_STEPS = 10_000_000
"""The most inverse temperatures of a schedule by name: an array of 80 MB, and days of annealing."""
EXACT_BITS = 20
"""Reverse chains start at exact draws up to 2^20 states of one side, which takes seconds."""
SMOOTHING = 0.05
"""How much the means of the base are pulled to the middle of the range, because every state of the model must be likely enough
under the base."""
BURN_IN = 1000
"""Gibbs steps before reverse chains of other machines."""


class Estimate(NamedTuple):
    """An estimate of log Z.

    Attributes
    ----------
    log_z : float
    std_error : float
        Standard error of log_z, by the delta method; NaN for a single chain. It does not include regions that all chains have
        missed.
    interval : (float, float)
        log_z for the mean weight minus and plus three standard errors. The lower end can be minus infinity.
    ess : float
        Effective sample size, (sum w)^2 / sum w^2, from 1 to the number of chains.
    log_weights : (n_chains,) float64 array
        log w of each chain; forward, log_z = log Z_0 + log mean w, reverse, log_z = log Z_0 - log mean 1/w.
    is_bound : bool
        Whether log_z is a bound in expectation: a lower bound for forward chains, an upper bound for reverse chains.
    burn_in : int
        Gibbs steps before reverse chains begin; 0 for exact starts.
    """

    log_z: float
    std_error: float
    interval: tuple[float, float]
    ess: float
    log_weights: Any
    is_bound: bool
    burn_in: int


def inverse_temperatures(schedule="sm2008", n_steps=None):
    """The inverse temperatures of a schedule.

    Parameters
    ----------
    schedule : "sm2008", "linear" or array
        "sm2008": uniform in three pieces, 500 steps to 0.5, 4,000 to 0.9 and 10,000 to 1 (Salakhutdinov and Murray 2008), or for
        another number of steps in that proportion. An array rises from 0 to 1.
    n_steps : int or None
        None is 14,500 for "sm2008" and 1,000 for "linear".

    Returns
    -------
    (n_steps + 1,) float64 array

    Raises
    ------
    ValueError
        if the array does not rise from 0 to 1.
    """
    if isinstance(schedule, str):
        checks.choice(schedule, "schedule", ("sm2008", "linear"))
        if schedule == "linear":
            return np.linspace(0, 1, checks.integer(1000 if n_steps is None else n_steps, "n_steps", most=MOST_STEPS) + 1)
        total = sum(steps for _, steps in PUBLISHED)
        n_steps = checks.integer(total if n_steps is None else n_steps, "n_steps", most=MOST_STEPS)
        ends = np.array([0, *(end for end, _ in PUBLISHED)])
        at = np.cumsum([0, *(steps for _, steps in PUBLISHED)]) * (n_steps / total)
        return np.interp(np.arange(n_steps + 1), at, ends)
    betas = np.asarray(schedule, np.float64) if is_sequence(schedule) and all(map(is_number, schedule)) else np.empty(0)
    if len(betas) < 2 or betas[0] != 0 or betas[-1] != 1 or not (np.diff(betas) > 0).all():
        raise ValueError(f"schedule={schedule!r}: give 'sm2008', 'linear', or an array that rises from 0 to 1")
    return betas


class Chains:
    """Gibbs chains of an RBM at inverse temperatures between a base and the model, and the buffers that they need."""

    def __init__(self, model, base, n_chains, seed):
        machine = machine_with_z(model)
        (nv, nh), self.backend, self.base, self.seed = machine.shape, machine.backend, base, seed
        checks.room(n_chains * (nv + nh), "n_chains", n_chains)
        b = self.backend
        # weights in rows of their own order both ways, so that states may choose among them
        self.machine = BlockMachine(b, machine.visible_unit, machine.hidden_unit, machine.in_rows().params, machine.params.W)
        self.params, self.back = self.machine.params, b.constant(model.components_)
        self.bias = model.intercept_visible_.astype(np.float64)
        self.toward = b.constant(self.bias - base)
        self.v, self.h = b.states(machine.visible_unit, n_chains, nv), b.states(machine.hidden_unit, n_chains, nh)
        self.mean, self.field = b.zeros(n_chains, nv), b.zeros(n_chains, nh)
        self.who = b.array(np.arange(n_chains, dtype=np.uint32))

    def log_z_of_base(self):
        """log Z_0: sum_i cgf(a_i) + sum_j cgf(0)."""
        b, machine, total = self.backend, self.machine, 0.0
        for unit, bias in ((machine.visible_unit, self.base), (machine.hidden_unit, np.zeros(machine.shape[1]))):
            out = np.empty(1)
            b.cgf(unit, b.constant(bias), b.zeros(1, len(bias)), out)
            total += out[0]
        return total

    def start_at_base(self):
        self.mean = self.backend.zeros(len(self.v), len(self.base))  # its field
        key = rng.key(self.seed, 0, rng.stream(rng.ANNEAL, 2))
        self._with_bias(self.base).start_visible(self.mean, self.v, self.who, key)

    def start(self, model, X):
        """Start at rows of data, or at the base if there are none."""
        if X is None:
            self.start_at_base()
        else:
            self.start_at(_rows_of(model, X, len(self.v), self.seed))

    def start_at(self, states):
        self.v = self.backend.states(self.machine.visible_unit, *states.shape, states)

    def _with_bias(self, bias):
        """The machine with other visible biases."""
        m, params = self.machine, self.params._replace(b=self.backend.constant(bias))
        return BlockMachine(self.backend, m.visible_unit, m.hidden_unit, params, m.down)

    def _down(self, step, beta, gibbs):
        """Draw hidden states, then visible ones, at an inverse temperature. The fields of the hidden units are there already."""
        machine, factor = self.machine, None
        if beta != 1:
            machine, factor = self._with_bias(self.bias_at(beta)), self._constant(beta)

        def key(purpose, t):
            return rng.key(self.seed, step, rng.stream(rng.ANNEAL, 3 if purpose == rng.HIDDEN else 4, gibbs))

        chain = Chain(self.v, self.h, self.mean, self.field)
        machine.walk(chain, self.who, key, 0, 2, beta=factor, has_field=True)

    def bias_at(self, beta):
        """Biases (nv,) of the visible units, or (T, nv) for beta (T, 1), over the inverse temperature; float64."""
        return self.bias + self.base * ((1 - beta) / beta)

    def _constant(self, beta):
        return self.backend.constant(np.full(len(self.v), beta))

    def gibbs(self, first, last):
        """Steps first to last of the model's own chains."""
        for t in range(first, last):
            self.backend.field(self.v, self.params.W, self.field)
            self._down(t, 1.0, 1)

    def anneal(self, betas, reverse):
        """The log weights of chains from the present states, up or down the inverse temperatures.

        A backend may have `anneal`, with the arguments of `_anneal` after these chains, which runs all steps in compiled calls
        and gives the same by test, or None where it would not gain.

        Raises
        ------
        ValueError
            if they leave the finite numbers.
        """
        b = self.backend
        betas = betas.astype(b.dtype).astype(np.float64)  # as the kernels see them
        number = np.arange(len(betas) - 1, 0, -1) if reverse else np.arange(1, len(betas))
        upper, lower = betas[number], betas[number - 1]
        down = np.where(number == number[-1], 0.0, lower if reverse else upper)  # the last weight is that of the last states
        total = b.anneal(self, number, upper, lower, down)
        if total is None:
            total = self._anneal(number, upper, lower, down)
        if not np.isfinite(total).all():
            units = f"{self.machine.visible_unit.name}-{self.machine.hidden_unit.name}"
            raise ValueError(
                "model: its AIS chains left the finite numbers. Raise n_steps. If that does not help, its weights are so large "
                f"that a {units} machine has no Z"
            )
        return total

    def _anneal(self, number, upper, lower, down):
        """The log weights by the backend's operations: steps of some numbers, their inverse temperatures, those of the draws."""
        b, hidden, n = self.backend, self.machine.hidden_unit, len(self.v)
        total, high, low, along = np.zeros(n), np.empty(n), np.empty(n), np.empty(n)
        for i, above, below, beta in zip(number.tolist(), upper, lower, down, strict=True):
            b.field(self.v, self.params.W, self.field)
            b.cgf(hidden, self.params.c, self.field, high, self._constant(above))
            b.cgf(hidden, self.params.c, self.field, low, self._constant(below))
            b.dot(self.v, self.toward, along)
            total += high - low + (above - below) * along
            if beta:
                self._down(i, beta, 0)
        return total


def checked_rbm(model, X):
    """The fitted RBM of `rbm_of`, and X checked by the given model, or None if there is no X."""
    rbm = rbm_of(model)
    return rbm, None if X is None else later_rows(model, X)


def base_biases(model, X=None):
    """The visible biases a of the base: those of the smoothed means of training rows, or without rows the model's own.

    Parameters
    ----------
    model : RBM
    X : (n, n_features) array, CSR matrix or None
        Checked.

    Returns
    -------
    (n_features,) float64 array
    """
    unit = machine_with_z(model).visible_unit
    if X is None:
        return model.intercept_visible_.astype(np.float64)
    to_host = model.machine_.backend.to_host
    mean = sum(to_host(v).sum(axis=0, dtype=np.float64) for _, v in visible_blocks(model, X)) / X.shape[0]
    for part, start, stop, _ in unit.parts(len(mean)):
        own = mean[start:stop]
        if np.isfinite(part.low + part.high):
            middle = 1 / part.group_size(stop - start) if part.support == "one-of" else (part.low + part.high) / 2
            mean[start:stop] = (1 - SMOOTHING) * own + SMOOTHING * middle
        else:
            mean[start:stop] = smoothed_mean(part, own, X.shape[0])
    return unit.link(mean)


def _estimate(log_z_0, log_weights, sign, is_bound, burn_in):
    """The `Estimate` of log weights; sign is 1 forward and -1 in reverse, where 1 / w is averaged."""
    logs, n = sign * log_weights, len(log_weights)
    w = np.exp(logs - logs.max())
    error = float(w.std(ddof=1) / np.sqrt(n) / w.mean()) if n > 1 else np.nan
    log_mean = float(np.log(w.mean()) + logs.max())
    with np.errstate(divide="ignore"):
        ends = np.log(np.maximum([1 - 3 * error, 1 + 3 * error], 0)) + log_mean
    low, high = sorted(float(log_z_0 + sign * end) for end in ends)
    return Estimate(
        float(log_z_0 + sign * log_mean), error, (low, high), float(w.sum() ** 2 / (w * w).sum()), log_weights, is_bound, burn_in
    )


def ais(model, n_chains=100, n_steps=None, *, X=None, schedule="sm2008", random_state=None):
    """log Z by annealed importance sampling.

    The expectation of the estimate is at most log Z. So log-likelihoods come out too high, more so with few steps and chains.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted; any pair of units. Of a deeper `DBN` take ``top_rbm()``. Chains run in the model's precision; weights are summed
        in float64.
    n_chains : int, default 100
    n_steps : int or None, default None
        Number of inverse temperatures. None is that of the schedule, 14,500 for "sm2008".
    X : (n, n_features) array, CSR matrix or None, default None
        Training rows. Their means define the base distribution. None takes the model's visible biases, which needs more steps.
    schedule : "sm2008", "linear" or array
        As for `inverse_temperatures`.
    random_state : None, int, RandomState or Generator
        The same seed gives the same bits at any number of threads.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        if an argument is out of range.

    References
    ----------
    Neal 2001, "Annealed importance sampling"; Salakhutdinov and Murray 2008, "On the quantitative analysis of deep belief
    networks".
    """
    betas, (model, X) = inverse_temperatures(schedule, n_steps), checked_rbm(model, X)
    chains = Chains(model, base_biases(model, X), checks.integer(n_chains, "n_chains"), rng.seed_of(random_state))
    with chains.backend.single_threaded():
        chains.start_at_base()
        return _estimate(chains.log_z_of_base(), chains.anneal(betas, reverse=False), 1, True, 0)


def reverse_ais(model, n_chains=100, n_steps=None, *, X=None, schedule="sm2008", burn_in=None, random_state=None):
    """log Z by annealed importance sampling with chains that run from the model back to the base.

    If the chains start at exact draws from the model, the result is an upper bound in expectation, and `is_bound` is True.
    Otherwise they start at training rows (or at draws from the base) and make some Gibbs steps first. Then the result is only
    a diagnostic: if it is far from that of `ais`, trust neither; if it is near, both may still have missed the same region.

    Parameters
    ----------
    model, n_chains, n_steps, X, schedule, random_state
        As for `ais`.
    burn_in : int or None, default None
        Gibbs steps before the chains run back. None takes exact draws for machines with at most 2^20 states on one side, and
        1,000 steps for others.

    Returns
    -------
    Estimate

    References
    ----------
    Burda, Grosse and Salakhutdinov 2015, "Accurate and conservative estimates of MRF log-likelihood using reverse annealing";
    Grosse, Ghahramani and Adams 2015, "Sandwiching the marginal likelihood using bidirectional Monte Carlo".
    """
    betas, n, seed = inverse_temperatures(schedule, n_steps), checks.integer(n_chains, "n_chains"), rng.seed_of(random_state)
    model, X = checked_rbm(model, X)
    machine = machine_with_z(model)
    sides = zip((machine.visible_unit, machine.hidden_unit), machine.shape, strict=True)
    exact = burn_in is None and min(count_bits(*side) for side in sides) <= EXACT_BITS
    steps = 0 if exact else BURN_IN if burn_in is None else checks.integer(burn_in, "burn_in")
    chains = Chains(model, base_biases(model, X), n, seed)
    with chains.backend.single_threaded():
        if exact:
            chains.start_at(Enumeration(machine, model.n_jobs).draw(n, seed))
        else:
            chains.start(model, X)
        chains.gibbs(0, steps)
        return _estimate(chains.log_z_of_base(), chains.anneal(betas, reverse=True), -1, exact, steps)


def _rows_of(model, X, n, seed):
    """Visible states of n rows drawn from data; values between the two of a unit are probabilities, and drawn."""
    draw, machine = rng.host_generator(seed, 1, rng.stream(rng.ANNEAL)), machine_with_z(model)
    rows = draw.integers(0, X.shape[0], n)
    v = np.concatenate([machine.backend.to_host(v) for _, v in visible_blocks(model, X[rows])])
    for unit, start, stop, _ in machine.visible_unit.parts(v.shape[1]):
        if isinstance(unit.support, tuple):
            low, high = unit.support
            share = (v[:, start:stop] - low) / (high - low)
            v[:, start:stop] = np.where(draw.random(share.shape) < share, high, low)
    return v


def gap(forward, reverse):
    """How far a reverse estimate of log Z is above a forward one. With a reverse bound it is at least 0 in expectation.

    Parameters
    ----------
    forward, reverse : Estimate
        of `ais` and `reverse_ais`.

    Returns
    -------
    float
    """
    return reverse.log_z - forward.log_z
