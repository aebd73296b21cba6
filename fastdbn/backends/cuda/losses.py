"""Losses that stay on the device until they are read, so that a fit adds up those of an epoch without waiting for each
minibatch."""

import weakref

import numpy as np

SLOTS = 1024
"""The most losses that are kept on the device. Before there are more, all are read."""


class Losses:
    """The place of losses on the device, and the sums on the host that are not read yet.

    Parameters
    ----------
    backend : CUDA
    """

    def __init__(self, backend):
        self.backend, self.buffer, self.used = backend, backend.empty(SLOTS, dtype=np.float64), 0
        self.waiting: weakref.WeakSet = weakref.WeakSet()

    def next_slot(self):
        """The number of a free slot, for a kernel to fill."""
        if self.used == SLOTS:
            self.read()
        self.used += 1
        return self.used - 1

    def read(self):
        """Give all that are still in use their sums; all slots are free again."""
        values = self.backend.to_host(self.buffer)
        for loss in list(self.waiting):
            loss.settle(values)
        self.used = 0


class Loss:
    """A sum of losses: numbers and others of its kind can be added to it, and `float` reads it from the device."""

    def __init__(self, losses, slots, value=0.0):
        self.losses, self.value, self.slots = losses, value, slots
        losses.waiting.add(self)

    def settle(self, values):
        self.value += sum(float(values[slot]) for slot in self.slots)
        self.slots = []

    def __float__(self):
        if self.slots:
            self.losses.read()
        return self.value

    def __iadd__(self, other):
        if isinstance(other, Loss):
            self.value += other.value
            self.slots += other.slots
        else:
            self.value += other
        return self

    def __add__(self, other):
        total = Loss(self.losses, self.slots.copy(), self.value)
        total += other
        return total

    __radd__ = __add__

    def __truediv__(self, number):
        return float(self) / number
