"""Results in an array of the user's: ``transform(X, out=...)`` and ``predict(X, out=...)``."""

import os

import numpy as np

from fastdbn.support.checks import shown
from fastdbn.support.stored import Stored


def array_for(out, shape, dtype, X=None):
    """The array that results go into: `out`, checked, or a new one.

    Parameters
    ----------
    out : array, memory map or None
    shape : tuple
    dtype : dtype
    X : array, CSR matrix, Stored or None
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
        "lies in the file of X": _same_file(out, X),
    }
    for fault, found in faults.items():
        if found:
            raise ValueError(f"out {fault}: {wanted}{', apart from X' if 'X' in fault else ''}")
    return out


def _same_file(a, b):
    """Whether two arrays are maps of one file."""
    paths = [_path_of(a), _path_of(b)]
    return None not in paths and os.path.samefile(*paths)


def _path_of(rows):
    """The path of the file that an array or `Stored` is a map of, or None."""
    rows = rows.mapped if isinstance(rows, Stored) else rows
    while isinstance(rows, np.ndarray):
        if isinstance(rows, np.memmap) and rows.filename is not None:
            return rows.filename
        rows = rows.base
    return None
