"""How annealing is done: its inverse temperatures, and how many of them a precision takes."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastdbn.evaluate.estimate import warn_of_few_chains
from fastdbn.maths import rng
from fastdbn.maths.optim import is_number, is_sequence
from fastdbn.support import checks
from fastdbn.support.report import EstimateWarning, warn
from fastdbn.support.types import Doubles

PUBLISHED = ((0.5, 500), (0.9, 4_000), (1.0, 10_000))
"""Steps up to inverse temperatures, of Salakhutdinov and Murray 2008: 14,500 of them."""
MOST_STEPS = 10_000_000
"""The most inverse temperatures of a schedule by name: an array of 80 MB, and days of annealing."""
FIRST_STEPS, GROWTH, FINEST, MOST_FOR_PRECISION = 1000, (2, 10), 1e-4, 1_000_000
"""For a precision: the first number of steps, by how much the next one may be larger, the finest precision, which rounding
and the time that it takes allow, and the most steps unless `max_steps` is given."""

Schedule = Literal["sm2008", "linear"] | Sequence[float] | NDArray[Any]
"""Inverse temperatures, by name or one by one."""


def inverse_temperatures(schedule: Schedule = "sm2008", n_steps: int | None = None) -> Doubles:
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
        if the array does not rise from 0 to 1, or has another number of steps.
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
    if n_steps not in (None, len(betas) - 1):
        raise ValueError(f"n_steps={n_steps!r}, and schedule is an array of {len(betas) - 1} steps: leave n_steps out")
    return betas


class Plan:
    """What both directions are asked for, checked."""

    def __init__(self, n_chains, n_steps, schedule, precision, max_steps, random_state):
        self.n_chains = checks.integer(n_chains, "n_chains")
        self.max_steps = MOST_FOR_PRECISION if max_steps is None else checks.integer(max_steps, "max_steps", most=MOST_STEPS)
        inverse_temperatures(schedule, n_steps)
        if precision is None and max_steps is not None:
            raise ValueError(f"max_steps={max_steps!r} bounds the steps for a precision: give precision, or n_steps instead")
        if precision is not None:
            precision = checks.real(precision, "precision", FINEST)
            if not isinstance(schedule, str):
                raise ValueError(f"precision={precision!r} needs a schedule for any number of steps: give 'sm2008' or 'linear'")
            if n_steps is not None and n_steps > self.max_steps:
                raise ValueError(f"n_steps={n_steps} is more than max_steps={self.max_steps}: raise max_steps, or lower n_steps")
            n_steps = min(FIRST_STEPS if n_steps is None else n_steps, self.max_steps)
        self.n_steps, self.schedule, self.precision, self.seed = n_steps, schedule, precision, rng.seed_of(random_state)

    def carry_out(self, run):
        """The `Estimate` that `run` makes of inverse temperatures and a seed; with a precision, of as many as that takes.

        The variance of log weights falls as the number of steps rises. So a wide interval says how many steps to try next.
        """
        n_steps, seed = self.n_steps, self.seed
        while True:
            found = run(inverse_temperatures(self.schedule, n_steps), seed)
            if self.precision is None or found.half_width <= self.precision or found.n_steps >= self.max_steps:
                break
            more = np.clip((found.half_width / self.precision) ** 2, *GROWTH)
            n_steps, seed = min(int(more * found.n_steps), self.max_steps), (seed + 1) % 2**64
        if self.precision is not None and not found.half_width <= self.precision:
            warn(
                f"log Z is known to {found.half_width:.2g} nats after {found.n_steps} steps, and precision={self.precision:g} "
                "was asked for: raise max_steps or n_chains, or give training rows as X",
                EstimateWarning,
            )
        else:
            warn_of_few_chains(found)
        return found
