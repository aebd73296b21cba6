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

from typing import Any

import numpy as np

from fastdbn.estimators.layer import visible_blocks
from fastdbn.estimators.rows import later_rows
from fastdbn.evaluate.estimate import Estimate, estimate, exactly
from fastdbn.evaluate.models import Model, exact_log_z, machine_with_z, of_tables, rbm_of
from fastdbn.evaluate.schedule import Plan, Schedule
from fastdbn.machine.block import BlockMachine, Chain
from fastdbn.machine.enumeration import BITS, Enumeration, count_bits
from fastdbn.machine.initial import base_of_means, log_z_without_weights
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import Doubles, Rows, Seed

EXACT_BITS = 20
"""Reverse chains start at exact draws up to 2^20 states of one side, which takes seconds."""
BURN_IN = 1000
"""Gibbs steps before reverse chains of other machines."""


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
        machine = self.machine
        no_bias = np.zeros(machine.shape[1])
        return log_z_without_weights(self.backend, machine.visible_unit, machine.hidden_unit, self.base, no_bias)

    def start_at_base(self):
        self.mean = self.backend.zeros(len(self.v), len(self.base))  # its field
        key = rng.key(self.seed, 0, rng.stream(rng.ANNEAL, 2))
        self._with_bias(self.base).start_visible(self.mean, self.v, self.who, key)

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


def base_biases(model: Model, X: Any = None) -> Doubles:
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
    return base_of_means(unit, mean, X.shape[0])


@of_tables
def ais(
    model: Model,
    n_chains: int = 100,
    n_steps: int | None = None,
    *,
    X: Rows | None = None,
    schedule: Schedule = "sm2008",
    precision: float | None = None,
    max_steps: int | None = None,
    exact: bool = True,
    random_state: Seed = None,
) -> Estimate:
    """log Z: exact for small machines, else by annealed importance sampling.

    The expectation of an estimate is at most log Z. So log-likelihoods come out too high, more so with few steps and chains.

    Parameters
    ----------
    model : RBM, BernoulliRBM or DBN of one layer
        fitted; any pair of units. Of a deeper `DBN` take ``top_rbm()``. Chains run in the model's precision; weights are summed
        in float64.
    n_chains : int, default 100
    n_steps : int or None, default None
        Number of inverse temperatures. None is that of the schedule, 14,500 for "sm2008". With a `precision` it is the first
        number tried, and None is 1,000.
    X : (n, n_features) array, CSR matrix or None, default None
        Training rows. Their means define the base distribution. None takes the model's visible biases, which needs more steps.
    schedule : "sm2008", "linear" or array
        As for `inverse_temperatures`.
    precision : float or None, default None
        Half of the interval's width, in nats, that the result should have at most. The number of steps is raised until it has,
        or until it is `max_steps`, which brings a warning.
    max_steps : int or None, default None
        The most steps for a `precision`, which it needs. None is 1,000,000.
    exact : bool, default True
        Enumerate the states of machines with at most 2^25 on one side, as `log_z` does: 25 binary units. That takes up to a
        minute or two. The result says so (`is_exact`). False anneals in any case.
    random_state : None, int, RandomState or Generator
        The same seed gives the same bits at any number of threads.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        if an argument is out of range.

    Warns
    -----
    EstimateWarning
        if few chains count, or if the precision was not reached.

    References
    ----------
    Neal 2001, "Annealed importance sampling"; Salakhutdinov and Murray 2008, "On the quantitative analysis of deep belief
    networks".
    """
    plan = Plan(n_chains, n_steps, schedule, precision, max_steps, random_state)
    model, X = checked_rbm(model, X)
    return _annealed(model, X, checks.flag(exact, "exact"), plan)


@of_tables
def reverse_ais(
    model: Model,
    n_chains: int = 100,
    n_steps: int | None = None,
    *,
    X: Rows | None = None,
    schedule: Schedule = "sm2008",
    burn_in: int | None = None,
    precision: float | None = None,
    max_steps: int | None = None,
    exact: bool = True,
    random_state: Seed = None,
) -> Estimate:
    """log Z: exact for small machines, else by annealed importance sampling with chains that run from the model back to the base.

    If the chains start at exact draws from the model, the result is an upper bound in expectation, and `is_bound` is True.
    Otherwise they start at training rows (or at draws from the base) and make some Gibbs steps first. Then the result is only
    a diagnostic: if it is far from that of `ais`, trust neither; if it is near, both may still have missed the same region.

    Parameters
    ----------
    model, n_chains, n_steps, X, schedule, precision, max_steps, exact, random_state
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
    plan = Plan(n_chains, n_steps, schedule, precision, max_steps, random_state)
    model, X = checked_rbm(model, X)
    at_draws = burn_in is None and _bits(model) <= EXACT_BITS
    burn_in = 0 if at_draws else BURN_IN if burn_in is None else checks.integer(burn_in, "burn_in")
    return _annealed(model, X, checks.flag(exact, "exact"), plan, reverse=True, at_draws=at_draws, burn_in=burn_in)


def _annealed(model, X, exact, plan, reverse=False, at_draws=False, burn_in=0):
    """The `Estimate` of a plan, or the exact log Z. Reverse chains start at exact draws, or at rows and make Gibbs steps."""
    if exact and _bits(model) <= BITS:
        return exactly(exact_log_z(model))
    base = base_biases(model, X)

    def run(betas, seed):
        chains = Chains(model, base, plan.n_chains, seed)
        with chains.backend.single_threaded():
            if at_draws:
                chains.start_at(Enumeration(model.machine_, model.n_jobs).draw(plan.n_chains, seed))
            elif reverse and X is not None:
                chains.start_at(rows_of(model, X, plan.n_chains, seed))
            else:
                chains.start_at_base()
            chains.gibbs(0, burn_in)
            log_weights, sign = chains.anneal(betas, reverse), -1 if reverse else 1
            return estimate(chains.log_z_of_base(), log_weights, sign, at_draws or not reverse, burn_in, len(betas) - 1)

    return plan.carry_out(run)


def _bits(model):
    """log2 of the number of states of the side that has fewer."""
    machine = machine_with_z(model)
    sides = zip((machine.visible_unit, machine.hidden_unit), machine.shape, strict=True)
    return min(count_bits(*side) for side in sides)


def rows_of(model, X, n, seed):
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


def gap(forward: Estimate, reverse: Estimate) -> float:
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
