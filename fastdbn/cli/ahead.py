"""Compile the kernels of fine-tuning in a second process while the first pretrains.

The second process fits the same model to a few rows without pretraining. What it compiles the first finds in the cache. If it
fails or is late, the first compiles as ever. On Linux it is a fork, made when the first has compiled what both need, so it
neither imports nor compiles that again. It ends with the block, or with the first process, however that ends.

The environment variable FASTDBN_ONE_PROCESS=1 turns this off.
"""

import contextlib
import copy
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

from fastdbn.backends.cpu import jit, pool, shipped
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.cpu.cache import cache_folder

ROWS = 200
KERNEL = "backprop_steps."
"""How the file of a kernel begins that the second process would compile."""


@contextlib.contextmanager
def compiled_ahead(model, X, y):
    """Let a second process run in this block if the model will be pretrained and the kernels of what follows are nowhere."""
    process = None
    if _wanted(model):
        with contextlib.suppress(OSError, pickle.PicklingError, AttributeError, TypeError):  # it can be done without
            process = _started(model, X, y)
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.join()


def _wanted(model):
    """Whether a second process helps: two processors, something to do meanwhile, and no kernel of what follows."""
    if os.environ.get("FASTDBN_ONE_PROCESS") == "1" or getattr(model, "pretrain", False) is not True or model.device != "cpu":
        return False
    return model.n_jobs != 1 and pool.available_threads() > 1 and _lacking()


def _lacking():
    """Whether no kernel of back-propagation is kept, and there is a folder that can keep it."""
    folder = cache_folder()
    if folder is None or not os.access(folder, os.W_OK):
        return False
    return not any(name.startswith(KERNEL) for name in (*shipped.names(), *(path.name for path in Path(folder).iterdir())))


def _started(model, X, y):
    from sklearn.base import clone

    CPU(dtype=model.dtype).field(*(np.zeros((2, 2), model.dtype) for _ in range(3)))  # compiles what both need
    quick = clone(copy.copy(model).set_params(pretrain=False, max_iter=1, verbose=0, callbacks=None, n_jobs=1))
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    given = quick, X[:ROWS], None if y is None else y[:ROWS]
    process = context.Process(target=compile_for, args=given, daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, about threads: those of BLAS hold no lock now
        process.start()
    return process


def compile_for(model, X, y):
    """What the second process does: fit a model and use it, in silence, until the first process ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the first process, which says what it leaves
    sys.stdout = sys.stderr = nowhere = open(os.devnull, "w")  # noqa: SIM115
    for stream in (1, 2):
        os.dup2(nowhere.fileno(), stream)
    jit.keep_quiet()
    warnings.simplefilter("ignore")
    model.fit(X, y).transform(X)


def _end_with_parent():
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
