"""Data on the device, as bits or numbers. Data that do not fit are streamed from the host, minibatch by minibatch.

The host prepares rows (scaling, thresholds, CSR) by the CPU backend's own `load_rows` and packing, so data on the device are
either words of 64 binary units or numbers that are visible states already. The device draws from
probabilities, anew in each epoch.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.loading import PACKED
from fastdbn.backends.cuda.kernels import BITS, SAMPLES, VALUES
from fastdbn.maths import rng

BLOCK = 1 << 24
"""Numbers that are prepared on the host and copied at a time."""


class Resident(NamedTuple):
    """Data on the device: kind BITS: X (n, q) uint64 words; VALUES or SAMPLES: X (n, nv) numbers."""

    kind: int
    X: Any


class Streamed:
    """Data on the host, whose rows are copied to the device while it computes.

    Rows go through two pinned buffers in turn, each with a buffer on the device. The copies have a stream of their own, which
    waits only for a buffer to be read.

    Parameters
    ----------
    backend : CUDA
    data : the data of its CPU backend
    """

    def __init__(self, backend, data):
        self.backend, self.data, self.turn = backend, data, 0
        self.stream = cuda.stream()
        self.buffers: list = [None, None]
        self.copied, self.read = ([cuda.event() for _ in range(2)] for _ in range(2))

    def load_rows(self, rows, key, out):
        """out = the given rows."""
        self.turn, compute = 1 - self.turn, self.backend.stream
        copied, read = self.copied[self.turn], self.read[self.turn]
        copied.synchronize()  # the copy before the last: the pinned buffer is free
        if self.buffers[self.turn] is None or len(self.buffers[self.turn][1]) < len(rows):
            self.buffers[self.turn] = self.backend.pinned(*out.shape), self.backend.empty(*out.shape)
        pinned, staged = (buffer[: len(rows)] for buffer in self.buffers[self.turn])
        self.backend.host.load_rows(self.data, rows.host, key, pinned)
        read.wait(self.stream)
        staged.copy_to_device(pinned, stream=self.stream)
        copied.record(self.stream)
        copied.wait(compute)
        out.copy_to_device(staged, stream=compute)
        read.record(compute)


def load(backend, source, for_training):
    """A source's data in one of these forms.

    Parameters
    ----------
    backend : CUDA
    source : Source
    for_training : bool
        whether binary data are worth packing.
    """
    sampled = source.threshold == "sample"
    rows, units = source.X.shape
    data = backend.host.load(source, for_training)
    if data.kind == PACKED and backend.fits(data.words.nbytes):
        return Resident(BITS, backend.array(data.words))
    if not backend.fits(rows * units * backend.dtype.itemsize):
        return Streamed(backend, data)
    if sampled:  # probabilities stay what they are; the draws are the device's
        data = backend.host.load(source._replace(threshold=None))
    X = backend.empty(rows, units)
    size = max(1, BLOCK // units)
    buffer, key = np.empty((min(size, rows), units), backend.dtype), rng.key(0, 0, 0)
    for start in range(0, rows, size):
        part = buffer[: min(size, rows - start)]
        backend.host.load_rows(data, np.arange(start, start + len(part), dtype=np.uint32), key, part)
        X[start : start + len(part)].copy_to_device(part, stream=backend.stream)
        backend.stream.synchronize()  # before the buffer is used again
    return Resident(SAMPLES if sampled else VALUES, X)
