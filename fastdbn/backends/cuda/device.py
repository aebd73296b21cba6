"""The GPU's memory and launches: buffers on the device, copies from and to the host, and what is said where memory is lacking."""

import contextlib
import threading
from typing import Any

import numpy as np
from numba import cuda

from fastdbn.backends.cuda import kernels, sums
from fastdbn.backends.cuda.jit import REALS, THREADS, blocks_for

SHARE = 0.8
"""Of the free memory, what data may take; the rest is for the model and its states."""
BEGIN = (
    "the GPU has no room to begin with: other processes hold its memory (`nvidia-smi` lists them). End them, name another GPU by "
    "CUDA_VISIBLE_DEVICES, or use device='cpu'"
)


def _of_array(shape, dtype, place="the GPU"):
    """The message for an array that has no room."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    free, total = cuda.current_context().get_memory_info()
    return (
        f"{place} has no room for an array of {shape} ({size / 1e6:,.1f} MB): {free / 1e6:,.1f} of {total / 1e6:,.1f} MB are "
        "free on the GPU. Use a smaller batch_size, fewer n_chains or smaller layers, or device='cpu'"
    )


@contextlib.contextmanager
def _needed(message, *arguments):
    """A MemoryError of a message, or of what a function makes of the arguments, where memory is lacking; other errors pass.

    The driver's error for it has another class from version to version of numba-cuda, and one name in its text.
    """
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error).upper() and not isinstance(error, MemoryError):
            raise
        raise MemoryError(message(*arguments) if callable(message) else message) from error


class Rows:
    """Row numbers, on the host and on the device, because the host reads the rows of streamed data."""

    def __init__(self, host, device):
        self.host, self.device = host, device

    def __len__(self):
        return len(self.host)

    def part(self, start, stop):
        return Rows(self.host[start:stop], self.device[start:stop])


def flat(x):
    """A buffer as a vector."""
    return x if x.ndim == 1 else x.reshape(x.size)


def matrix(x):
    """A vector as a row; matrices as they are."""
    return x if x.ndim > 1 else x.reshape(1, x.size)


class Device:
    """Buffers of the current GPU in one precision, and a stream of its own for all work on them.

    Operations run in the order in which they were asked for, and the host waits only where it reads. Allocations are plain
    device memory.
    """

    def __init__(self, dtype) -> None:
        self.dtype = dtype
        self.real: Any = REALS[dtype]
        with _needed(BEGIN):  # by the context, where this process has none yet
            self.stream = cuda.stream()
        self._local = threading.local()

    def fits(self, size):
        """Whether data of so many bytes may be kept on the device."""
        return size <= SHARE * cuda.current_context().get_memory_info().free

    def empty(self, *shape: int, dtype=None):
        """A buffer of any content."""
        dtype = np.dtype(self.dtype if dtype is None else dtype)
        with _needed(_of_array, shape, dtype):
            return cuda.device_array(shape, dtype, stream=self.stream)

    def pinned(self, *shape: int):
        """Memory of the host that copies may go on from while the host goes on too."""
        with _needed(_of_array, shape, self.dtype, "the host's pinned memory"):
            return cuda.pinned_array(shape, self.dtype)

    def kept(self, name, *shape, dtype=None, make=None):
        """A buffer that the thread's next operation of the same name and shape uses again; `make` makes it, once."""
        buffers = vars(self._local).setdefault("buffers", {})
        if (name, shape) not in buffers:
            buffers[name, shape] = make() if make else self.empty(*shape, dtype=dtype)
        return buffers[name, shape]

    def copied(self, values):
        """A copy of a host array as it is."""
        with _needed(_of_array, values.shape, values.dtype):
            return cuda.to_device(values, stream=self.stream)

    def array(self, values) -> Any:
        values = np.asarray(values)
        values = np.ascontiguousarray(values, self.dtype if values.dtype.kind == "f" else None)
        out = self.copied(values)
        return Rows(values, out) if values.dtype == np.uint32 else out

    def constant(self, values) -> Any:
        values = np.asarray(values, self.dtype)
        whole = values.flags.c_contiguous or values.flags.f_contiguous  # in either order: products take both
        return self.copied(values if whole else np.ascontiguousarray(values))

    def zeros(self, *shape: int) -> Any:
        out = self.empty(*shape)
        self.each(kernels.fill, out.size, flat(out), self.real(0))
        return out

    def to_host(self, x) -> np.ndarray:
        out = x.copy_to_host(stream=self.stream)
        self.stream.synchronize()
        return out

    def onto(self, out) -> Any:
        return self.empty(*out.shape)

    def part(self, x, start: int, stop: int) -> Any:
        return x.part(start, stop) if isinstance(x, Rows) else x[start:stop]

    def each(self, formula, items, *arguments, draws=False):
        """A thread for each item of a formula of kernels.py; `draws` says whether it takes noise."""
        if items:
            kernel = kernels.each(formula, self.real if draws else None)
            kernel[blocks_for(items), THREADS, self.stream](items, *arguments)

    def launch_blocks(self, kernel, items, *arguments):
        """A block for each item."""
        if items:
            kernel[blocks_for(items, 1), THREADS, self.stream](*arguments)

    def launch_all(self, kernel, blocks, *arguments):
        """So many blocks, all on the GPU at once, for a kernel in which they wait for each other."""
        kernel[blocks, THREADS, self.stream](*arguments)

    def reduce(self, formula, out, *arguments):
        """The sums of a formula of sums.py, a block for each: added to a host array, or written to a buffer."""
        on_host = isinstance(out, np.ndarray)
        sums_ = self.kept("sums", out.size, dtype=np.float64) if on_host else flat(out)
        self.launch_blocks(sums.each(formula), out.size, sums_, *arguments)
        if on_host:
            out += self.to_host(sums_).reshape(out.shape)
