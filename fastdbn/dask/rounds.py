"""Rounds of training over shards: their tasks, submitted together, and how results are merged in a fixed order.

average     each shard trains on some minibatches of its own, from common parameters. The new ones are the mean of the shards',
            weighted by the rows that each has trained on (McDonald, Hall, Mann 2010; Stich 2019).
gradient    each shard computes the gradient of its rows of one large minibatch. Their sum makes the step.

What workers send is added in the order of the shards, at most `FAN` at once, so the bits depend neither on which worker was
first nor on how many there are.
"""

from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fastdbn.support.report import warn

FAN = 8
"""Results that one task adds: more would bring them all to one machine, fewer would add steps on the way."""
SEGMENT = 32
"""Rounds whose tasks are submitted together. Their last state comes to the client, so no more than these are computed again if
workers die."""
SMALL = 1000
"""Rows of a minibatch below which a round for each step takes far longer than the step."""


class Part(NamedTuple):
    """What a shard adds to a round: arrays that are summed, other results by shard, and the number of steps made."""

    arrays: list
    others: dict
    steps: int


def added(*parts):
    """The sum of parts, in their order."""
    arrays = [reduce(np.add, arrays) for arrays in zip(*(part.arrays for part in parts), strict=True)]
    return Part(arrays, {key: x for part in parts for key, x in part.others.items()}, max(part.steps for part in parts))


def _merged(merge, state, job, round_, *parts):
    return merge(state, job, round_, added(*parts))


class Work(NamedTuple):
    """The work of shards in a round, as tasks.

    part : function of (shard, state, job, what the shard does in the round) -> Part
    merge : function of (state, job, round, Part) -> the state after the round
    select : function of (state) -> what `part` needs of it; None for all
    """

    part: Any
    merge: Any
    select: Any = None


def carried_out(shards, joined, work, state, job, rounds):
    """The state after some rounds.

    Parameters
    ----------
    shards : Shards
        With the rows of the fit.
    joined : Shards
        The same, with what belongs to rows in this run.
    work : Work
    state
        Before the rounds.
    job
        What all rounds of an epoch have in common.
    rounds : list of (round, {shard: what it does})
        In each at least one shard does something.
    """
    submit = shards.cluster.submit
    for start in range(0, len(rounds), SEGMENT):

        def build(state=state, some=rounds[start : start + SEGMENT]):
            common, futures = shards.cluster.put(job), joined.futures
            now, kept = shards.cluster.put(state), []
            for round_, tasks in some:
                seen = now if work.select is None else submit(work.select, now)
                parts = [submit(work.part, futures[i], seen, common, does, shard=i) for i, does in sorted(tasks.items())]
                while len(parts) > FAN:
                    kept += parts
                    parts = [submit(added, *parts[i : i + FAN]) for i in range(0, len(parts), FAN)]
                kept += [seen, now, *parts]
                now = submit(_merged, work.merge, now, common, round_, *parts)
            return [now]

        state = shards.cluster.results(build, joined.renew)[0]
    return state


def of_epoch(shards, rows, order, batch_size, weights=None, all_shards=False):
    """The rounds of an epoch over some rows, or all for None; order(n) gives the order of n rows on one machine."""
    n = shards.shape[0] if rows is None else len(rows)
    if shards.sync.kind == "average":
        sizes = shards.sizes if rows is None else [len(x) for x in shards.split_numbers(rows)]
        return _of_average(sizes, batch_size, shards.sync.every)
    return _of_gradient(shards, order(n) if rows is None else rows[order(n)], batch_size, weights, all_shards)


def _of_average(sizes, batch_size, every):
    """The rounds of an epoch of averaging over shards of some sizes.

    A shard does (first minibatch, last minibatch + 1, its fraction of the rows of the round); the round is None.
    """
    rounds, first, longest = [], 0, max(sizes)
    while first * batch_size < longest:
        rows = [min(max(n - first * batch_size, 0), every * batch_size) for n in sizes]
        total = sum(rows)
        rounds.append((None, {i: (first, first + every, n / total) for i, n in enumerate(rows) if n}))
        first += every
    return rounds


def _of_gradient(shards, order, batch_size, weights, all_shards):
    """The rounds of an epoch of steps on whole minibatches of rows in an order.

    A shard does (its rows, numbered from 0; the rows of all shards; the mean of their weights), if it has some, or if
    `all_shards` have something to do. The round is the last two.
    """
    rounds = []
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        whole = len(rows), 1.0 if weights is None else float(weights[rows].mean())
        mine = enumerate(shards.split_numbers(rows))
        rounds.append((whole, {i: (numbers, *whole) for i, numbers in mine if len(numbers) or all_shards}))
    return rounds


def check_size(sync, batch_size, name):
    """Warn of minibatches too small for a round each."""
    if sync.kind == "gradient" and batch_size < SMALL:
        warn(
            f"{name} is {batch_size}, and sync='gradient' makes a round over all machines for each minibatch: the rounds take "
            f"longer than the steps. Give some thousand rows, or sync='average'",
            UserWarning,
        )
