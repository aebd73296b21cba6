"""Update rules as scalar formulas, and learning-rate schedules.

A rule maps (parameter, gradient, its two state numbers, hyperparameters) to the new (parameter, states); the gradient is
that of the loss, so rules go down. Backends compile them over whole arrays.
"""

import numbers
from typing import NamedTuple

import numpy as np

from fastdbn.maths.scalar import sqrt


class StepHyper(NamedTuple):
    """learning_rate, weight_decay (L2: decay times the parameter joins the gradient), and the rule's own numbers.

    SGD uses `first` as its momentum. Adam uses `first` and `second` as the decay of its two moments, and `correct_first`
    and `correct_second`, 1 / (1 - decay^t), against their start at zero.
    """

    learning_rate: np.floating
    weight_decay: np.floating
    first: np.floating
    second: np.floating
    correct_first: np.floating
    correct_second: np.floating
    epsilon: np.floating
    unit: np.floating


def sgd(p, g, velocity, unused, hyper):
    """Momentum (Polyak 1964): velocity = momentum velocity - rate (g + decay p); p += velocity."""
    velocity = hyper.first * velocity - hyper.learning_rate * (g + hyper.weight_decay * p)
    return p + velocity, velocity, unused


def adam(p, g, m, v, hyper):
    """Adam (Kingma and Ba 2015, algorithm 1)."""
    g = g + hyper.weight_decay * p
    m = hyper.first * m + (hyper.unit - hyper.first) * g
    v = hyper.second * v + (hyper.unit - hyper.second) * g * g
    root = sqrt(v * hyper.correct_second) + hyper.epsilon
    return p - hyper.learning_rate * m * hyper.correct_first / root, m, v


RULES = {"sgd": sgd, "adam": adam}
STATES = {"sgd": 1, "adam": 2}
"""How many numbers a rule keeps for each parameter."""


class Optimizer(NamedTuple):
    """What a rule goes on with, as host arrays: its name, the steps that its states have seen, and these.

    Of each layer the states are a tuple: the first for W, the first for the bias, then the second ones where the rule has two.
    """

    solver: str
    steps: int
    states: list[tuple]


def step_hyper(dtype, rule, learning_rate, weight_decay, step, momentum=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """The `StepHyper` of step number `step` (from 1) in a precision."""
    first = momentum if rule == "sgd" else beta_1
    numbers_ = (
        learning_rate,
        weight_decay,
        first,
        beta_2,
        1 / (1 - beta_1**step),
        1 / (1 - beta_2**step),
        epsilon,
        1.0,
    )
    return StepHyper(*(np.dtype(dtype).type(x) for x in numbers_))


def step_hypers(dtype, rule, learning_rate, weight_decay, step, n, momentum=0.9, beta_1=0.9, beta_2=0.999):
    """The `step_hyper` of n steps from number `step` on, (n, 8): only Adam's corrections change."""
    hypers = np.tile(step_hyper(dtype, rule, learning_rate, weight_decay, step, momentum, beta_1, beta_2), (n, 1))
    for i in range(n):
        hypers[i, 4], hypers[i, 5] = 1 / (1 - beta_1 ** (step + i)), 1 / (1 - beta_2 ** (step + i))
    return hypers


MOST_STEPS = 2**18 - 1
"""The most Gibbs steps of a minibatch: `rng.stream` has noise for so many."""
RATIO = 1e-3
"""What |dW| / |W| should be (Hinton 2010, section 7)."""
LOWEST, HIGHEST = 1e-6, 1.0
"""The range of a learning rate that is steered."""
LARGEST = float(np.finfo(np.float32).max)
"""The largest number that training in float32 knows."""


def is_number(value):
    """Whether a value is a real number, and no boolean."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_sequence(value):
    """Whether a value is a tuple, a list or a vector of at least one entry."""
    return (isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)) and len(value) > 0


def at_epoch(schedule, epoch, name):
    """The value of a schedule at an epoch counted from 0.

    Parameters
    ----------
    schedule : float, callable of the epoch, or sequence
        of a sequence the last value holds for all later epochs.
    epoch : int
    name : str
        the parameter that an error names.

    Raises
    ------
    ValueError
        if the value is not a finite number of at least 0.
    """
    if callable(schedule):
        value = schedule(epoch)
    elif is_sequence(schedule):
        value = schedule[min(epoch, len(schedule) - 1)]
    elif is_number(schedule) and 0 <= schedule <= LARGEST:
        value = schedule
    else:
        raise ValueError(f"{name}={schedule!r}: give a finite number of at least 0, a callable of the epoch, or a non-empty list")
    if not (is_number(value) and 0 <= value <= LARGEST):
        raise ValueError(f"{name} is {value!r} at epoch {epoch}: it must be a finite number of at least 0")
    return float(value)


def steps_at_epoch(schedule, epoch, name):
    """The value of a schedule of whole numbers of at least 1, such as k, at an epoch; those of a callable or list are rounded."""
    value = round(at_epoch(schedule, epoch, name))
    if not 1 <= value <= MOST_STEPS:
        raise ValueError(f"{name} is {value} at epoch {epoch}: it must be at least 1 and at most {MOST_STEPS}")
    return value


def steer(rate, ratio):
    """A learning rate moved so that |dW| / |W|, which was `ratio`, nears `RATIO`: by the root of what is lacking, 1.5 at most."""
    if not (np.isfinite(ratio) and ratio > 0):
        return rate
    factor = min(max((RATIO / ratio) ** 0.5, 1 / 1.5), 1.5)
    return min(max(rate * factor, LOWEST), HIGHEST)


def momentum_ramp(epoch):
    """Momentum 0.5 for the first five epochs, then 0.9 (Hinton 2010, section 9)."""
    return 0.5 if epoch < 5 else 0.9
