"""Compile the kernels of fine-tuning in a second process while the first pretrains.

The second process fits the same model to a few rows without pretraining. What it compiles the first finds in the cache. If it
fails or is late, the first compiles as ever.
"""

import contextlib
import copy
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from fastdbn.backends.cpu import pool, shipped
from fastdbn.backends.cpu.cache import cache_folder

PROGRAM = "import pickle, sys; model, X, y = pickle.load(sys.stdin.buffer); model.fit(X, y).transform(X)"
ROWS = 200


@contextlib.contextmanager
def compiled_ahead(model, X, y):
    """Let a second process run in this block if the model will be pretrained and the kernels of what follows are nowhere."""
    process = None
    if getattr(model, "pretrain", False) is True and model.n_jobs != 1 and pool.available_threads() > 1 and _lacking():
        with contextlib.suppress(OSError, pickle.PicklingError, AttributeError, TypeError):  # it can be done without
            process = _started(model, X, y)
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def _lacking():
    """Whether no kernel of back-propagation is kept, and there is a folder for it."""
    folder = cache_folder()
    kept = "backprop_steps*.nbc"
    return folder is not None and not any(any(place.glob(kept)) for place in (Path(folder), shipped.folder()))


def _started(model, X, y):
    from sklearn.base import clone

    model = clone(copy.copy(model).set_params(pretrain=False, max_iter=1, verbose=0, callbacks=None))
    with tempfile.TemporaryFile() as given:
        pickle.dump((model, X[:ROWS], None if y is None else y[:ROWS]), given)
        given.seek(0)
        settings = {"FASTDBN_QUIET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        said = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=given, env=os.environ | settings, **said)
