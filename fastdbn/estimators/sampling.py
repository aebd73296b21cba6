"""`sample` of fitted models: its arguments, its method, and the chains.

"auto" is `AUTO`, but Gibbs sampling where chains begin at `start`, and where that method cannot draw: of counts.
"""

import numpy as np

from fastdbn.estimators import machines
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.starts import STEPS
from fastdbn.machine.block import block_rows
from fastdbn.sampling import METHODS, ladder
from fastdbn.sampling.sampler import Task
from fastdbn.support import checks

AUTO = "gibbs"
"""The method that models draw by if they are not told."""
RANDOM = "random"
"""The `start` of chains that begin at draws which know the biases alone."""
AT_ONCE = 16
"""Chains with replicas are handled in blocks of fewer rows, by this factor."""


def is_rows(start):
    """Whether chains start at rows, of a checked `start`."""
    return not (start is None or isinstance(start, str))


def check_sample(estimator, n_samples, n_steps, mean, start, method, width):
    """(number of samples, start as checked rows, or as "random" or None) for `sample`; a chain takes `width` numbers."""
    checks.choice(method, "method", ("auto", *METHODS))
    if n_steps is not None:
        checks.integer(n_steps, "n_steps")
    checks.flag(mean, "mean")
    if isinstance(start, str):
        checks.choice(start, "start", (RANDOM,))
    elif start is not None:
        start = later_rows(estimator, start)
        if n_samples not in (None, start.shape[0]):
            raise ValueError(
                f"n_samples={n_samples!r} and start has {start.shape[0]} rows: leave n_samples out, because one chain "
                "starts at each row"
            )
        return start.shape[0], start
    n = checks.integer(1 if n_samples is None else n_samples, "n_samples")
    checks.room(n * width, "n_samples", n_samples)
    return n, start


def method_for(name, stack, layer, there=False):
    """The method of a name for the machines of a stack.

    Raises
    ------
    ValueError
        if it cannot draw from them.
    """
    if name == "auto":
        name = "gibbs" if there or METHODS[AUTO].refusal(stack, layer) else AUTO
    if reason := METHODS[name].refusal(stack, layer):
        raise ValueError(f"method={name!r} {reason}")
    return METHODS[name]


def ladder_of(estimator, sources, machine):
    """The `Ladder` of a model, kept for an estimator while its precision and the arrays that the machine was built from are the
    same objects.

    Parameters
    ----------
    estimator : fitted estimator
    sources : tuple of arrays
    machine : callable of a number of chains
        Makes the machine.
    """
    return machines.prepared(estimator, "ladder", (*sources, estimator.dtype), lambda: ladder.find(machine(ladder.CHAINS)))


def drawn(method, stack, layer, n_steps, noise, states, there, ladder=None, hidden=None):
    """(states, means) on the scale of a layer's visible units, without labels, of a chain for each of some host states.

    Parameters
    ----------
    method : Sampler class
    stack : callable of a slice of chains
        Makes the machines.
    layer : int
    n_steps : int or None
    noise : (seed, number of the draw)
    states, there
        As for `Sampler.start`.
    ladder : callable or None
        Only "tempering" needs it.
    hidden : (n, n_hidden) array or None
        Hidden states or means at which Gibbs chains begin, if not `there`. They then make `STEPS` steps, if they are not told.
    """
    out, means, n = np.empty_like(states), np.empty_like(states), len(states)
    size = max(1, block_rows(states.shape[1]) // (1 if method is METHODS["gibbs"] else AT_ONCE))
    steps = method.steps if hidden is None else STEPS
    for first in range(0, n, size):
        rows = slice(first, min(first + size, n))
        numbers, begin = np.arange(rows.start, rows.stop, dtype=np.uint32), None if hidden is None else hidden[rows]
        sampler = method(Task(stack(rows), layer, numbers, *noise, ladder, begin))
        with sampler.machine.backend.single_threaded():
            sampler.start(states[rows], there)
            sampler.run(0, steps if n_steps is None else n_steps)
        sampler.machine.backend.fetch(sampler.drawn, out[rows])
        sampler.machine.backend.fetch(sampler.chain.v_mean, means[rows])
    return out, means
