"""Checkpoints: files with the complete state of a fit, from which another process goes on to the same bits."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastdbn.callbacks.callback import Callback
from fastdbn.files import state
from fastdbn.support import checks
from fastdbn.support.report import warn
from fastdbn.support.types import FilePath, Stage
from fastdbn.training.monitors import MEASURES

LAST = "last.safetensors"
"""The file that `resume="last"` goes on from."""
OF_EPOCH = re.compile(r"(layer-\d+|up-down|fine-tuning)-(\d{5,})\.safetensors")
"""The names of files with the best epochs of a stage."""


class Checkpoint(Callback):
    """Write checkpoints while a fit runs; ``fit(..., resume="last")`` goes on from the last one to the same bits.

    A file appears whole or not at all, so a process may be killed at any moment. It is a model file (docs/model-file.md), and
    `fastdbn.load` reads it if its model can be used, which a network can once all of its layers are there.

    Parameters
    ----------
    dirpath : str or path
        Folder of the files, which is made. A fit that begins anew wants one without checkpoints.
    every_n_epochs : int, default 1
        Epochs between two checkpoints. The end of a stage, and of the fit, is a checkpoint too.
    monitor : str or None, default None
        The entry of `history_` by which epochs are the best. None keeps no best epochs.
    save_top_k : int, default 1
        How many of the best epochs of each stage that measures `monitor` are kept, each in a file
        ``layer-1-00012.safetensors``, ``up-down-...`` or ``fine-tuning-...``.
    save_last : bool, default True
        Keep the last checkpoint as ``last.safetensors``.

    Raises
    ------
    ValueError
        for a bad parameter; in `fit`, for a folder with checkpoints of another fit, or a model that no file can hold.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from fastdbn import RBM
    >>> from fastdbn.callbacks import Checkpoint
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = RBM(8, n_iter=2, callbacks=[Checkpoint(folder)], random_state=0)
    ...     whole = model.fit(X).transform(X)
    ...     again = model.fit(X, resume="last").transform(X)
    >>> bool((whole == again).all())
    True
    """

    is_last = True

    def __init__(
        self,
        dirpath: FilePath,
        *,
        every_n_epochs: int = 1,
        monitor: str | None = None,
        save_top_k: int = 1,
        save_last: bool = True,
    ) -> None:
        if not isinstance(dirpath, (str, os.PathLike)) or not os.fspath(dirpath):
            raise ValueError(f"dirpath={checks.shown(dirpath)}: give the path of a folder")
        if monitor is not None:
            checks.choice(monitor, "monitor", [name for name, how in MEASURES.items() if how.sense is not None])
        self.dirpath, self.monitor = Path(dirpath), monitor
        self.every_n_epochs = checks.integer(every_n_epochs, "every_n_epochs")
        self.save_top_k = checks.integer(save_top_k, "save_top_k", 0)
        self.save_last = checks.flag(save_last, "save_last")
        if not (save_last or (monitor and save_top_k)):
            raise ValueError("save_last=False without a monitor writes nothing: give save_last=True or a monitor")
        self._pending, self._measured = False, False

    @property
    def last(self) -> Path:
        """The path of the last checkpoint."""
        return self.dirpath / LAST

    def on_fit_begin(self, estimator: Any, resumed: bool) -> None:
        self._pending, self._measured = False, False
        state.check_parameters(estimator)
        self.dirpath.mkdir(parents=True, exist_ok=True)
        if not resumed and (self.last.exists() or any(self._best_files())):
            raise ValueError(
                f"dirpath={str(self.dirpath)!r} has checkpoints of another fit: give resume='last' to go on with that, or give "
                "another folder, or remove them"
            )

    def on_epoch_end(self, estimator: Any, stage: Stage, epoch: int, metrics: dict[str, float]) -> None:
        value = np.nan if self.monitor is None else metrics.get(self.monitor, np.nan)
        self._measured |= bool(np.isfinite(value))
        if epoch % self.every_n_epochs:
            self._pending = True
            return
        self._save(estimator)
        if self.monitor is not None and self.save_top_k and np.isfinite(value):
            self._save_best(estimator, stage, epoch, self.monitor)

    def on_stage_end(self, estimator: Any, stage: Stage) -> None:
        self._save(estimator)

    def on_fit_end(self, estimator: Any, complete: bool) -> None:
        if complete:
            self._save(estimator)
            if self.monitor is not None and not self._measured and self.save_top_k:
                warn(
                    f"monitor={self.monitor!r} was not measured in this fit, so no best epochs were kept: hold out rows, or give "
                    "another monitor",
                    UserWarning,
                )
        elif self._pending:
            with contextlib.suppress(OSError, MemoryError):  # what ended the fit is what to tell
                self._save(estimator)

    def _save(self, estimator: Any) -> None:
        if self.save_last:
            self.dirpath.mkdir(parents=True, exist_ok=True)  # `partial_fit` begins no fit
            state.save(estimator, self.last, partial=True)
        self._pending = False

    def _save_best(self, estimator: Any, stage: Stage, epoch: int, monitor: str) -> None:
        """Keep an epoch if it is among the best of its stage, and remove those that no longer are."""
        sign = -1.0 if MEASURES[monitor].sense == "rises" else 1.0
        words, values = _words(stage), _history(estimator, stage)[monitor]
        files = {number: path for name, number, path in self._best_files() if name == words and number < epoch}
        known = [number for number in files if number <= len(values)]
        best = sorted([*known, epoch], key=lambda number: (sign * values[number - 1], number))[: self.save_top_k]
        if epoch in best:
            state.save(estimator, self.dirpath / f"{words}-{epoch:05d}.safetensors", partial=True)
        for number in set(files) - set(best):
            files[number].unlink(missing_ok=True)

    def _best_files(self) -> Iterator[tuple[str, int, Path]]:
        """(stage, epoch, path) of the files with best epochs."""
        for path in sorted(self.dirpath.iterdir()) if self.dirpath.is_dir() else ():
            if found := OF_EPOCH.fullmatch(path.name):
                yield found[1], int(found[2]), path


def _words(stage: Stage) -> str:
    """What a file calls a stage."""
    return f"layer-{stage + 1}" if isinstance(stage, int) else stage


def _history(estimator: Any, stage: Stage) -> dict[str, Any]:
    """The measures of a stage by name, an array each."""
    if stage == "up-down":
        return estimator.up_down_history_
    owner = getattr(estimator, "dbn_", None) if isinstance(stage, int) else None
    layers = getattr(owner or estimator, "layers_", None)
    return layers[stage].history_ if isinstance(stage, int) and layers else estimator.history_
