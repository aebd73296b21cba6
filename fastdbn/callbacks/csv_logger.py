"""The measures of all epochs as a CSV file that grows while the fit runs."""

import csv
from typing import Any

from fastdbn.callbacks.callback import Callback
from fastdbn.support.atomic import replacing
from fastdbn.support.types import FilePath, Stage

KEY = "stage", "epoch"


class CSVLogger(Callback):
    """Write a line for each epoch to a CSV file: stage, epoch, and all measures. What was not measured stays empty.

    A stage that has other measures adds its columns. A fit that goes on from an earlier one goes on in its file, and so does
    `partial_fit`. Epochs that are trained anew replace those of the file. Any other fit replaces the file. A file of anything
    else is an error.

    Parameters
    ----------
    path : str or path
        Its folder must be there.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from fastdbn import RBM
    >>> from fastdbn.callbacks import CSVLogger
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = RBM(8, n_iter=2, callbacks=[CSVLogger(f"{folder}/log.csv")], random_state=0).fit(X)
    ...     open(f"{folder}/log.csv").readline()[:32]
    'stage,epoch,reconstruction_error'
    """

    def __init__(self, path: FilePath) -> None:
        self.path = path
        self._columns: Any = None
        self._rows: Any = None

    def on_fit_begin(self, estimator: Any, resumed: bool) -> None:
        known = self._read()
        self._columns, self._rows = known if resumed else ([*KEY], [])
        self._write()

    def on_stage_begin(self, estimator: Any, stage: Stage, epoch: int, n_epochs: int, n_rows: int) -> None:
        known = [row for row in self._rows if row["stage"] != str(stage) or int(row["epoch"]) <= epoch]
        if len(known) < len(self._rows):
            self._rows = known
            self._write()

    def on_epoch_end(self, estimator: Any, stage: Stage, epoch: int, metrics: dict[str, float]) -> None:
        if self._rows is None:  # a pass of `partial_fit`
            self.on_fit_begin(estimator, resumed=True)
            self.on_stage_begin(estimator, stage, epoch - 1, epoch, 0)
        row = {"stage": str(stage), "epoch": epoch} | {name: value for name, value in metrics.items() if value == value}
        self._rows.append(row)
        if set(metrics) <= set(self._columns):
            with open(self.path, "a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(row)
        else:
            self._columns += [name for name in metrics if name not in self._columns]
            self._write()

    def on_fit_end(self, estimator: Any, complete: bool) -> None:
        self._columns, self._rows = None, None

    def _read(self) -> tuple[list[str], list[dict[str, Any]]]:
        """(columns, lines) of an earlier fit, if they are there; the last one may be cut, where a process was killed."""
        try:
            with open(self.path, newline="") as file:
                found = csv.DictReader(file)
                columns = list(found.fieldnames or KEY)
                if tuple(columns[: len(KEY)]) != KEY:
                    raise ValueError(f"path={str(self.path)!r} was not written by a CSVLogger: give another path, or remove it")
                return columns, [row for row in found if None not in (*row, *row.values()) and row["epoch"].isdecimal()]
        except FileNotFoundError:
            return [*KEY], []

    def _write(self) -> None:
        """Write all lines anew, in one step."""
        with replacing(self.path) as aside, open(aside, "w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self._rows)
