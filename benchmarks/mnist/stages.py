"""Training that can be stopped at any time and then goes on from the last epoch. A stage is one model file in a folder."""

import json
import time

import numpy as np

from fastdbn import load

LAYERS = {"max_iter": "fine-tuning", "up_down_iter": "up-down"}
"""What a callback is told of epochs that are not an RBM's."""


class Stages:
    """The stages of one experiment, their models and curves in a folder.

    Parameters
    ----------
    root : Path
        folder of all experiments.
    experiment : str
    kind : str
        what is added to the names of experiments whose data are others.
    """

    def __init__(self, root, experiment, kind=""):
        self.root, self.experiment, self.kind = root, experiment, kind
        self.folder = root / (experiment + kind)
        self.folder.mkdir(parents=True, exist_ok=True)

    def beside(self, experiment):
        """The stages of another experiment on the same data."""
        return Stages(self.root, experiment, self.kind)

    def fitted(self, name):
        """The model of a stage that was trained before."""
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            raise FileNotFoundError(f"no {path}: run the experiment {self.experiment} first")
        return load(path)

    def curve(self, name):
        """What was measured after each epoch of a stage, a dict each."""
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def seconds(self, name):
        """Seconds of training of a stage, evaluations left out."""
        return sum(entry["seconds"] for entry in self.curve(name))

    def train(self, name, model, n_iter, X, y=None, watch=None, parameter="n_iter", **of_rows):
        """The fitted model of a stage, trained for what is left of its epochs.

        Parameters
        ----------
        name : str
        model : estimator
            not fitted; used where the folder has none.
        n_iter : int
            epochs altogether.
        parameter : {"n_iter", "max_iter", "up_down_iter"}
            of the estimator, that says how many epochs a call of `fit` runs.
        watch : callable or None
            (model, epoch) -> dict of figures for the curve; its time is not counted.
        **of_rows
            Further arguments of `fit`.
        """
        path, rows = self.folder / f"{name}.safetensors", self.folder / f"{name}.jsonl"
        fitted = load(path) if path.exists() else None
        up_down = parameter == "up_down_iter"
        done = 0 if fitted is None else fitted.up_down_iter_ if up_down else fitted.n_iter_
        if done >= n_iter:
            return fitted
        self._drop_after(rows, done)
        clock = [time.perf_counter()]

        def keep(estimator, layer, epoch, metrics):
            if layer != LAYERS.get(parameter, layer):  # a network pretrains first
                return
            entry = {"epoch": epoch, **{key: value for key, value in metrics.items() if np.isfinite(value)}}
            entry["seconds"] = time.perf_counter() - clock[0]
            if watch is not None:
                entry |= watch(estimator, epoch)
            estimator.save(path)
            with rows.open("a") as file:
                file.write(json.dumps({key: float(value) for key, value in entry.items()}) + "\n")
            print(name, " ".join(f"{key} {value:.5g}" for key, value in entry.items()), flush=True)
            clock[0] = time.perf_counter()

        fitted = model if fitted is None else fitted
        fitted.set_params(warm_start=True, callbacks=[keep], **{parameter: n_iter - done})
        fitted.fit(X, **of_rows) if y is None else fitted.fit(X, y, **of_rows)
        return fitted.set_params(callbacks=None)

    def _drop_after(self, rows, done):
        """Lines of the curve that a crash left without their model."""
        if rows.exists():
            kept = [line for line in rows.read_text().splitlines() if json.loads(line)["epoch"] <= done]
            rows.write_text("".join(line + "\n" for line in kept))
