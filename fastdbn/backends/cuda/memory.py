"""What is said where a GPU has no memory left: the sizes, and what helps."""

import contextlib

import numpy as np
from numba import cuda

BEGIN = (
    "the GPU has no room to begin with: other processes hold its memory (`nvidia-smi` lists them). End them, name another GPU by "
    "CUDA_VISIBLE_DEVICES, or use device='cpu'"
)


def of_array(shape, dtype, place="the GPU"):
    """The message for an array that has no room."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    free, total = cuda.current_context().get_memory_info()
    return (
        f"{place} has no room for an array of {shape} ({size / 1e6:,.1f} MB): {free / 1e6:,.1f} of {total / 1e6:,.1f} MB are "
        "free on the GPU. Use a smaller batch_size, fewer n_chains or smaller layers, or device='cpu'"
    )


@contextlib.contextmanager
def needed(message, *arguments):
    """A MemoryError of a message, or of what a function makes of the arguments, where memory is lacking; other errors pass.

    The driver's error for it has another class from version to version of numba-cuda, and one name in its text.
    """
    try:
        yield
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error).upper() and not isinstance(error, MemoryError):
            raise
        raise MemoryError(message(*arguments) if callable(message) else message) from error
