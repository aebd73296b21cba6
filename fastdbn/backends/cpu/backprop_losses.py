"""Losses of a minibatch, and the deltas of its outputs, on all threads, as the composed ones of backprop.py.

Functions take (team, net, n, target, weight, losses): the network's `Buffers`, n rows, what is wanted of them, their weights, and
where their losses go.
"""

import functools

import numpy as np

from fastdbn.backends.cpu.backprop import softmax_row, unit_loss_row
from fastdbn.backends.cpu.backprop_buffers import level_of
from fastdbn.backends.cpu.gate import share
from fastdbn.backends.cpu.jit import inlinable


@inlinable
def softmax_loss(team, net, n, target, weight, losses):
    z, delta, size = level_of(net.means, net, len(net.weights), n), level_of(net.deltas, net, len(net.weights), n), net.sizes[-1]
    r0, r1 = share(team, n)
    scale = z.dtype.type(1.0 / n)
    for r in range(r0, r1):
        losses[r] = softmax_row(z[r, :size], target[r], weight[r], scale, delta[r, :size])


@inlinable
def squared_loss(team, net, n, target, weight, losses):
    """The first loss is that of all rows: it is one sum over all of their outputs."""
    z, delta, size = level_of(net.means, net, len(net.weights), n), level_of(net.deltas, net, len(net.weights), n), net.sizes[-1]
    r0, r1 = share(team, n)
    scale = z.dtype.type(1.0 / n)
    for r in range(r0, r1):
        for j in range(size):
            delta[r, j] = scale * weight[r] * (z[r, j] - target[r, j])
    if team.thread == 0:
        losses[0] = 0
        for r in range(n):
            for j in range(size):
                d = z[r, j] - target[r, j]
                losses[0] += 0.5 * np.float64(weight[r]) * np.float64(d) * np.float64(d)


@functools.cache
def _part_losses(units):
    """Plain function: the losses of a row, part by part of its units."""
    first = unit_loss_row(units[0])

    def last(net, part, z, target, w, weight, delta, losses, r):
        group, j0, j1 = net.parts[part]
        losses[r] += np.float64(weight) * first(group, z[r, j0:j1], target[r, j0:j1], w, delta[r, j0:j1], 0, 1)

    if len(units) == 1:
        return inlinable(last)
    rest = _part_losses(units[1:])
    inlinable(last)

    def more(net, part, z, target, w, weight, delta, losses, r):
        last(net, part, z, target, w, weight, delta, losses, r)
        rest(net, part + 1, z, target, w, weight, delta, losses, r)

    return inlinable(more)


@functools.cache
def unit_loss(units):
    parts = _part_losses(units)

    def run(team, net, n, target, weight, losses):
        z, delta = level_of(net.means, net, len(net.weights), n), level_of(net.deltas, net, len(net.weights), n)
        r0, r1 = share(team, n)
        scale = z.dtype.type(1.0 / n)
        for r in range(r0, r1):
            losses[r] = 0
            parts(net, 0, z, target, scale * weight[r], weight[r], delta, losses, r)

    return inlinable(run)
