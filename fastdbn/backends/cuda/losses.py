"""Losses that stay on the device until they are read, so that a fit adds up those of an epoch without waiting for each
minibatch."""

SLOTS = 1024
"""Losses that share a buffer, which is read in one copy."""


class Loss:
    """A sum of losses: numbers and others of its kind can be added to it, and `float` reads it from the device.

    Parameters
    ----------
    backend : CUDA
    places : list of (buffer, int)
        where its parts are that have not been read.
    value : float
        The sum of the others.
    """

    def __init__(self, backend, places, value=0.0):
        self.backend, self.places, self.value = backend, places, value

    def __float__(self):
        read = {}
        for buffer, slot in self.places:
            if id(buffer) not in read:
                read[id(buffer)] = self.backend.to_host(buffer)
            self.value += float(read[id(buffer)][slot])
        self.places = []
        return self.value

    def __iadd__(self, other):
        if isinstance(other, Loss):
            self.places += other.places
            self.value += other.value
        else:
            self.value += other
        return self

    def __add__(self, other):
        total = Loss(self.backend, self.places.copy(), self.value)
        total += other
        return total

    __radd__ = __add__

    def __truediv__(self, number):
        return float(self) / number
