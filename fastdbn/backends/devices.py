"""Which device computes: the CPU, or a GPU where there is one."""

import functools
import importlib.util
import os

from fastdbn.backends.protocol import Backend

DEVICES = ("cpu", "cuda", "auto")
PRECISIONS = ("float32", "tf32", "bf16")


class DeviceError(OSError):
    """The requested device, or its software, is not available."""


@functools.cache
def lacking_cuda():
    """What is missing for CUDA here, and the remedy; None if nothing is. In CUDA's simulator nothing is missing."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        return None
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed: pip install 'fastdbn[cuda]'"
    from numba import cuda

    if not cuda.is_available():
        return "no GPU is found: check that `nvidia-smi` lists one, and that its driver is recent enough for this CUDA"
    return None


def get_backend(n_jobs: int | None = None, dtype: str = "float32", device: str = "cpu", precision: str = "float32") -> Backend:
    """The backend that computes.

    Parameters
    ----------
    n_jobs : int or None
        threads of the CPU, at most 1024; None and -1 take the processors at hand, -2 all but one of them, and so on.
    dtype : "float32" or "float64"
    device : "cpu", "cuda" or "auto"
        "auto" takes the GPU where there is one.
    precision : "float32", "tf32" or "bf16"
        what the GPU's products of float32 numbers round their factors to.

    Raises
    ------
    ValueError
        if a value is out of range.
    DeviceError
        if device is "cuda" and the GPU or its software is lacking.
    """
    for name, value, allowed in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{name}={value!r}: give one of {', '.join(map(repr, allowed))}")
    lack = None if device == "cpu" else lacking_cuda()
    if device == "cuda" and lack:
        raise DeviceError(f"device='cuda': {lack}; or use device='cpu' or 'auto'")
    if device == "cpu" or lack:
        from fastdbn.backends.cpu.backend import CPU

        return CPU(n_jobs, dtype)
    from fastdbn.backends.cuda.backend import CUDA

    return CUDA(n_jobs, dtype, precision)
