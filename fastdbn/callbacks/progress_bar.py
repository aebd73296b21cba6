"""Progress for a person: a live line for each stage on a terminal, else one line at its end."""

import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from fastdbn.callbacks.callback import Callback
from fastdbn.support.report import progress
from fastdbn.support.types import Stage

SHOWN = ("reconstruction_error", "validation_reconstruction_error", "loss", "validation_loss", "validation_score", "wake_loss")
"""The measures that a line shows, where they are."""
NOTHING = "wake_loss", 0.0
"""What up-down says of a network of one layer, which has no wake phase."""


def title_of(stage: Stage) -> str:
    """What a line calls a stage."""
    return f"layer {stage + 1}" if isinstance(stage, int) else stage


class ProgressBar(Callback):
    """Show progress on stderr.

    On a terminal each stage is a live line by tqdm: rows trained on, rows a second, time left, and measures of the last epoch.
    Without a terminal it is one line at the end of the stage, with the rows a second of its
    median epoch, so that compiling in the first does not count.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import DBN
    >>> from fastdbn.callbacks import ProgressBar
    >>> dbn = DBN((32, 16), callbacks=[ProgressBar()], random_state=0).fit(load_digits().data / 16)
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._line: Any = None

    def __getstate__(self) -> dict[str, None]:
        return {"_bar": None, "_line": None}  # a terminal cannot be pickled or copied

    def on_stage_begin(self, estimator: Any, stage: Stage, epoch: int, n_epochs: int, n_rows: int) -> None:
        self._line = {"began": time.perf_counter(), "n_rows": n_rows, "seconds": [], "words": ""}
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=n_epochs * n_rows,
                initial=epoch * n_rows,
                desc=title_of(stage),
                unit=" rows",
                unit_scale=True,
                file=sys.stderr,
                dynamic_ncols=True,
            )

    def on_epoch_end(self, estimator: Any, stage: Stage, epoch: int, metrics: dict[str, float]) -> None:
        if self._line is None:  # a pass of `partial_fit` is no stage
            return
        known = [name for name in SHOWN if np.isfinite(metrics.get(name, np.nan)) and (name, metrics[name]) != NOTHING]
        self._line["words"] = "".join(f", {name.replace('_', ' ')} {metrics[name]:.4g}" for name in known)
        self._line["seconds"].append(metrics["seconds"])
        if self._bar is not None:
            self._bar.set_postfix_str(self._line["words"][2:], refresh=False)
            self._bar.update(self._line["n_rows"])

    def on_stage_end(self, estimator: Any, stage: Stage) -> None:
        self._close()
        line, self._line = self._line, None
        if not sys.stderr.isatty() and line is not None and line["seconds"]:
            seconds, n = time.perf_counter() - line["began"], len(line["seconds"])
            rate = line["n_rows"] / max(np.median(line["seconds"]), 1e-9)
            epochs = f"{n} epoch{'s' * (n != 1)}"
            progress(f"{title_of(stage)}: {epochs} in {seconds:.1f} s, {rate:,.0f} rows/s{line['words']}")

    def on_fit_end(self, estimator: Any, complete: bool) -> None:
        self._close()
        self._line = None

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
