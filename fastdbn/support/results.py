"""Results in an array of the user's: ``transform(X, out=...)`` and ``predict(X, out=...)``."""

import numpy as np

from fastdbn.support.checks import shown


def array_for(out, shape, dtype, X=None):
    """The array that results go into: `out`, checked, or a new one.

    Parameters
    ----------
    out : array, memory map or None
    shape : tuple
    dtype : dtype
    X : array, CSR matrix or None
        What results are computed from, block by block.

    Raises
    ------
    ValueError
        if `out` has another shape or type, cannot be written, or is not contiguous, or shares memory with X.
    """
    if out is None:
        return np.empty(shape, dtype)
    wanted = f"give a writable C-contiguous array of shape {shape} and type {np.dtype(dtype)}"
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise ValueError(f"out={shown(out)}: {wanted}, or None")
    faults = {
        f"has shape {out.shape}": out.shape != shape,
        f"has type {out.dtype}": out.dtype != dtype,
        "is not C-contiguous": not out.flags.c_contiguous,
        "cannot be written": not out.flags.writeable,
        "shares memory with X": isinstance(X, np.ndarray) and np.may_share_memory(out, X),
    }
    for fault, found in faults.items():
        if found:
            raise ValueError(f"out {fault}: {wanted}{', apart from X' if 'X' in fault else ''}")
    return out
