"""PyTorch: a fitted network as an `nn.Sequential`, to go on with, or to fine-tune, there."""

import dataclasses
import functools
from typing import Any

import numpy as np

from fastdbn.estimators.base import Estimator
from fastdbn.estimators.table_model import TableModel
from fastdbn.exits import formulas
from fastdbn.exits.model import Affine, Inputs, Label, Means, Sign, describe

HOW = "to_torch needs PyTorch: https://pytorch.org/get-started says how to install it"


@functools.cache
def _torch():
    """(the package, the module of stages that PyTorch has no module for)."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"{HOW} ({error})") from error

    class Stage(torch.nn.Module):
        """A stage of `fastdbn.exits.model`; its arrays are buffers."""

        def __init__(self, stage):
            super().__init__()
            self.stage = stage
            for name, array in stage.arrays.items():
                self.register_buffer(name, _tensor(torch, array))

        def forward(self, x):
            return dataclasses.replace(self.stage, **dict(self.named_buffers())).apply(_Tensors(torch), x)

        def extra_repr(self):
            return type(self.stage).__name__

    return torch, Stage


def _tensor(torch, array):
    return torch.from_numpy(np.array(array, order="C"))


class _Tensors:
    """`Operations` on tensors."""

    def __init__(self, torch):
        self.torch = torch
        self.sigmoid, self.tanh, self.isnan = torch.sigmoid, torch.tanh, torch.isnan
        self.maximum, self.where = torch.maximum, torch.where

    def let(self, name, x):
        return x

    def dtype(self, x):
        return str(x.dtype).removeprefix("torch.")

    def cast(self, x, dtype):
        return x.to(getattr(self.torch, dtype))

    def affine(self, x, W, b):
        return x @ W + b

    def clip(self, x, low, high):
        return self.torch.clamp(x, low, high)

    def softplus(self, x):
        return self.torch.nn.functional.softplus(x)

    def softmax(self, x, n, size):
        return self.torch.softmax(x.reshape(-1, n // size, size), -1).reshape(-1, n)

    def logsumexp(self, x, n, size):
        return self.torch.logsumexp(x.reshape(-1, n // size, size), -1)

    def sum(self, x):
        return x.sum(1)

    def columns(self, x, start, stop):
        return x[:, start:stop]

    def concat(self, parts):
        return self.torch.cat(parts, 1)

    def each(self, rows, function):
        return self.torch.stack([function(row) for row in rows], 1)


def _modules(stage):
    """The modules of a stage: PyTorch's own where it has them."""
    torch, Stage = _torch()
    nn = torch.nn
    if isinstance(stage, Affine):
        linear = nn.Linear(*stage.W.shape, dtype=getattr(torch, stage.W.dtype.name))
        with torch.no_grad():
            linear.weight.copy_(_tensor(torch, stage.W.T))
            linear.bias.copy_(_tensor(torch, stage.b))
        return [linear]
    if type(stage) is Inputs and not stage.arrays and stage == Inputs(dtype=stage.dtype, low=stage.low, high=stage.high):
        ends = -np.inf if stage.low is None else stage.low, np.inf if stage.high is None else stage.high
        return [nn.Hardtanh(*ends)] if np.isfinite(ends).any() else []
    if isinstance(stage, Means) and len(stage.unit.parts(stage.n)) == 1:
        size, simple = stage.unit.group_size(stage.n), {"bernoulli": nn.Sigmoid, "spin": nn.Tanh, "noisy-relu": nn.Softplus}
        name = formulas.family(stage.unit)
        if name == "softmax":
            return [nn.Softmax(1)] if size == stage.n else [nn.Unflatten(1, (-1, size)), nn.Softmax(2), nn.Flatten()]
        if name in simple:
            return [simple[name]()]
        if name in ("gaussian", "gaussian-variance"):
            return []
    return [Stage(stage)]


def to_torch(model: Estimator | TableModel) -> Any:
    """A fitted model as a `torch.nn.Sequential`.

    It takes a tensor (N, n_features) of the model's precision, on the scale of the rows of the fit.

    ============================  ====================================================
    model                         output
    ============================  ====================================================
    classifiers                   probabilities, (N, n_classes), as `predict_proba`
    ``DBNRegressor``              predictions, (N, n_outputs)
    RBM, ``DBN``                  hidden means, (N, n_components), as `transform`
    ``DBNAutoencoder``            reconstructions, (N, n_features)
    ``DBNOutlierDetector``        `decision_function`, (N,)
    ============================  ====================================================

    The last module of a `DBNClassifier` is the softmax: ``net[:-1]`` gives logits, for ``CrossEntropyLoss``. Weights are
    parameters, so the network can be trained. Scaling and thresholds are modules without parameters. Keep ``net.state_dict()``
    rather than the network itself, which holds classes made at run time.

    Parameters
    ----------
    model : a fitted model
        Of any class that `export_onnx` takes. Of a table, its `preparation_` stays outside: the module takes the numbers that
        this one's `transform` gives.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ImportError
        without PyTorch.
    NotFittedError
        before a fit.
    ValueError
        names what has no such form, and why.
    """
    torch, _ = _torch()
    stages = [stage for output in describe(model).outputs for stage in output.stages if not isinstance(stage, (Label, Sign))]
    return torch.nn.Sequential(*(module for stage in stages for module in _modules(stage)))
