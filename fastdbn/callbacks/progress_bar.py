"""Progress for a person: a live line for each stage on a terminal, else one line at its end."""

import sys
import time

import numpy as np
from tqdm import tqdm

from fastdbn.callbacks.callback import Callback
from fastdbn.support.report import progress

SHOWN = ("reconstruction_error", "validation_reconstruction_error", "loss", "validation_loss", "validation_score", "wake_loss")
"""The measures that a line shows, where they are."""


def title_of(stage):
    """What a line calls a stage."""
    return f"layer {stage + 1}" if isinstance(stage, int) else stage


class ProgressBar(Callback):
    """Show progress on stderr.

    On a terminal each stage is a live line by tqdm: rows trained on, rows a second, time left, and measures of the last epoch.
    Without a terminal it is one line at the end of the stage.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdbn import DBN
    >>> from fastdbn.callbacks import ProgressBar
    >>> dbn = DBN((32, 16), callbacks=[ProgressBar()], random_state=0).fit(load_digits().data / 16)
    """

    def __init__(self):
        self._bar, self._line = None, None

    def __getstate__(self):
        return {"_bar": None, "_line": None}  # a terminal cannot be pickled or copied

    def on_stage_begin(self, estimator, stage, epoch, n_epochs, n_rows):
        self._line = {"began": time.perf_counter(), "first": epoch, "n_rows": n_rows, "epoch": epoch, "words": ""}
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

    def on_epoch_end(self, estimator, stage, epoch, metrics):
        if self._line is None:  # a pass of `partial_fit` is no stage
            return
        words = (f"{name.replace('_', ' ')} {metrics[name]:.4g}" for name in SHOWN if np.isfinite(metrics.get(name, np.nan)))
        self._line |= {"epoch": self._line["epoch"] + 1, "words": ", ".join(words)}
        if self._bar is not None:
            self._bar.set_postfix_str(self._line["words"], refresh=False)
            self._bar.update(self._line["n_rows"])

    def on_stage_end(self, estimator, stage):
        self._close()
        line, self._line = self._line, None
        if not sys.stderr.isatty() and line is not None and line["epoch"] > line["first"]:
            seconds, n = time.perf_counter() - line["began"], line["epoch"] - line["first"]
            rate = n * line["n_rows"] / max(seconds, 1e-9)
            progress(f"{title_of(stage)}: {n} epochs in {seconds:.1f} s, {rate:,.0f} rows/s, {line['words']}")

    def on_fit_end(self, estimator, complete):
        self._close()
        self._line = None

    def _close(self):
        if self._bar is not None:
            self._bar.close()
        self._bar = None
