"""A model of the time of a round.

    T = hops * latency + tasks * overhead + messages * bytes / bandwidth + work / rate

hops        tasks that wait for each other: the shards', then one for each level of sums
tasks       all tasks of a round, which one scheduler hands out
messages    times that the state passes the busiest link: to each machine from the one that made it, and back in sums of `FAN`
work        floating-point operations of the shards of one machine

Dask reads a result from one of the workers that have it, so what one machine sends is the bound at first; it is taken for all.
"""

import math
from typing import NamedTuple

from fastdbn.dask.rounds import FAN


class Costs(NamedTuple):
    """What a cluster costs: seconds for a hop and for a task, bytes a second of a link, operations a second of a machine."""

    latency: float
    overhead: float
    bandwidth: float
    rate: float


class Round(NamedTuple):
    """A round: bytes that go out and come back for each shard, operations of each shard, shards, machines."""

    out: float
    back: float
    work: float
    shards: int
    machines: int


def of_layer(nv, nh, kind, rows, shards, machines):
    """The round of a layer's CD-1 in float32 on so many rows of each shard."""
    size = 4.0 * (nv * nh + nv + nh)
    state = size if kind == "gradient" else 2 * size  # with the velocity
    return Round(state, state, 2.0 * 5 * nv * nh * rows, shards, machines)


def levels(shards):
    """Levels of sums."""
    return max(1, math.ceil(math.log(shards, FAN) - 1e-9))


def seconds(costs, what):
    """(computing, all) seconds of a round."""
    computing = what.work * math.ceil(what.shards / what.machines) / costs.rate
    tasks = what.shards + sum(math.ceil(what.shards / FAN**level) for level in range(1, levels(what.shards) + 1)) + 1
    # what lies on the machine already is not sent
    away = 1 - 1 / what.machines
    sent = away * (what.machines * what.out + min(FAN, what.shards) * levels(what.shards) * what.back)
    hops = 2 + levels(what.shards)
    return computing, hops * costs.latency + tasks * costs.overhead + sent / costs.bandwidth + computing
