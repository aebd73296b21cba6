"""A backend that reads the rows of a shard by their numbers in the whole data, so that they draw the noise of one machine.

Its shortcuts are off: they would take numbers and places of rows for the same.
"""

import numpy as np

from fastdbn.maths import rng


class Numbered:
    """A backend, with rows numbered from `first`."""

    def __init__(self, backend, first):
        self._backend, self._first = backend, first

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def load(self, source, for_training=False):
        """(the backend's data, whether zeros and ones are drawn): a draw is named by the row's number in the whole data."""
        draws = isinstance(source.threshold, str)
        return self._backend.load(source._replace(threshold=None) if draws else source, for_training), draws

    def load_rows(self, data, rows, key, out):
        """Rows by their numbers in the whole data."""
        b, (data, draws), numbers = self._backend, data, self._backend.to_host(rows)
        b.load_rows(data, b.array((numbers - self._first).astype(np.uint32)), key, out)
        if draws:
            p = b.to_host(out)
            states = _uniforms(numbers, p.shape[1], key) < p
            b.copy(b.array(states.astype(p.dtype)), out)

    def cd_steps(self, *_):
        """Never."""
        return False

    def backprop_steps(self, *_):
        """Never."""


def _uniforms(rows, width, key):
    """The uniforms of the kernels that draw data, (rows, width) float32, on the host."""
    blocks = np.arange(-(-width // 4), dtype=np.uint32)[None]
    with np.errstate(over="ignore"):
        words = rng.philox(blocks, rows[:, None].astype(np.uint32), key.step, key.stream, key.k0, key.k1)
    return rng.uniform_32(np.stack(words, axis=-1).reshape(len(rows), -1)[:, :width], None)
