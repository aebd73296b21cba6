"""ONNX: a model as one file that runs without fastdbn and without Python (https://onnx.ai).

Names of outputs are those of scikit-learn's converters: `label` and `probabilities` of a classifier, `variable` of a regressor or
transformer, `label` and `scores` of an outlier detector.
"""

import dataclasses
import json
from os import PathLike
from typing import Any

import numpy as np

import fastdbn
from fastdbn.estimators.base import Estimator
from fastdbn.exits.model import Description, describe
from fastdbn.support.atomic import replacing

OPSET, IR_VERSION = 17, 8
"""The version of the operators that files use, and of the file format: those of ONNX 1.12, so ONNX Runtime 1.12 or later."""
MOST_BYTES = (1 << 31) - (1 << 20)
"""A file holds less than 2 GiB, a limit of its format (protobuf)."""


def _onnx():
    try:
        import onnx
        from onnx import checker, helper, numpy_helper
    except ImportError as error:
        raise ImportError(f'export_onnx needs the package onnx ({error}): pip install "fastdbn[onnx]"') from error
    return onnx, checker, helper, numpy_helper


class _Value:
    """The output of a node, or an initializer."""

    def __init__(self, graph, name, dtype):
        self.graph, self.name, self.dtype = graph, name, dtype

    def __add__(self, other):
        return self.graph.node("Add", self, other)

    def __sub__(self, other):
        return self.graph.node("Sub", self, other)

    def __mul__(self, other):
        return self.graph.node("Mul", self, other)

    def __truediv__(self, other):
        return self.graph.node("Div", self, other)

    def __gt__(self, other):
        return self.graph.node("Greater", self, other, dtype="bool")

    def __lt__(self, other):
        return self.graph.node("Less", self, other, dtype="bool")


class _Graph:
    """`Operations` that add nodes to a graph."""

    def __init__(self, helper, numpy_helper):
        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def constant(self, x, name):
        """An initializer."""
        x = np.ascontiguousarray(x)
        self.arrays[name] = x
        self.initializers[name] = self.numpy_helper.from_array(x.astype(object) if x.dtype.kind == "U" else x, name)
        return _Value(self, name, x.dtype.name)

    def number(self, x, dtype):
        name = f"{dtype}_{x!r}"
        return _Value(self, name, dtype) if name in self.initializers else self.constant(np.array(x, dtype), name)

    def shape(self, *sizes):
        return self.constant(np.array(sizes, np.int64), f"shape{len(self.initializers)}")

    def node(self, operator, *inputs, dtype=None, name=None, **attributes):
        """Add a node. Numbers among its inputs take the type of the values."""
        of_values = next((x.dtype for x in inputs if isinstance(x, _Value) and x.dtype != "bool"), "float64")
        values = [x if isinstance(x, _Value) else self.number(float(x), of_values) for x in inputs]
        out = name or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, [x.name for x in values], [out], out, **attributes))
        return _Value(self, out, dtype or of_values)

    def let(self, name, x):
        return x

    def dtype(self, x):
        return x.dtype

    def cast(self, x, dtype):
        if x.dtype == dtype:
            return x
        return self.node("Cast", x, dtype=dtype, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def affine(self, x, W, b):
        return self.node("Gemm", x, W, b)

    def maximum(self, x, y):
        return self.node("Max", x, y)

    def clip(self, x, low, high):
        x = x if low is None else self.node("Max", x, low)
        return x if high is None else self.node("Min", x, high)

    def where(self, condition, x, y):
        return self.node("Where", condition, x, y)

    def isnan(self, x):
        return self.node("IsNaN", x, dtype="bool")

    def sigmoid(self, x):
        return self.node("Sigmoid", x)

    def tanh(self, x):
        return self.node("Tanh", x)

    def softplus(self, x):
        if x.dtype == "float32":
            return self.node("Softplus", x)
        small = self.node("Exp", self.node("Neg", self.node("Abs", x)))  # ONNX Runtime has Softplus for float32 alone
        return self.node("Log", small + 1.0) + self.node("Max", x, 0.0)

    def _groups(self, x, n, size):
        return self.node("Reshape", x, self.shape(-1, n // size, size))

    def softmax(self, x, n, size):
        if n == size:
            return self.node("Softmax", x, axis=-1)
        return self.node("Reshape", self.node("Softmax", self._groups(x, n, size), axis=-1), self.shape(-1, n))

    def logsumexp(self, x, n, size):
        return self.node("ReduceLogSumExp", self._groups(x, n, size), axes=[-1], keepdims=0)

    def sum(self, x):
        return self.node("ReduceSum", x, self.shape(-1), keepdims=0)

    def columns(self, x, start, stop):
        return self.node("Slice", x, self.shape(start), self.shape(stop), self.shape(1))

    def concat(self, parts):
        return self.node("Concat", *parts, axis=1)

    def each(self, rows, function):
        columns = [function(self.constant(row, f"{rows.name}_{k}")) for k, row in enumerate(self.arrays[rows.name])]
        del self.initializers[rows.name]
        return self.concat([self.node("Unsqueeze", column, self.shape(1)) for column in columns])

    def argmax(self, x):
        return self.node("ArgMax", x, dtype="int64", axis=1, keepdims=0)

    def take(self, x, numbers):
        return self.node("Gather", x, numbers, dtype=x.dtype)


def _model(description: Description):
    """The ONNX model of a description."""
    _, checker, helper, numpy_helper = _onnx()
    graph = _Graph(helper, numpy_helper)
    values: dict[str | None, _Value] = {None: _Value(graph, "X", description.input_dtype)}
    infos = []
    for output in description.outputs:
        x = values[output.source]
        for i, stage in enumerate(output.stages):
            arrays = {name: graph.constant(a, f"{output.method}.{i}.{name}") for name, a in stage.arrays.items()}
            x = dataclasses.replace(stage, **arrays).apply(graph, x)
        x = values[output.method] = graph.node("Identity", x, name=output.name)
        one = output.name in ("label", "scores")
        infos.append(_info(helper, x, ["N"] if one else ["N", None]))
    X = _info(helper, values[None], ["N", description.n_features])
    infos.sort(key=lambda info: info.name != "label")  # which comes first, as in scikit-learn's converters
    body = helper.make_graph(graph.nodes, description.kind, [X], infos, list(graph.initializers.values()))
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fastdbn",
        producer_version=fastdbn.__version__,
        doc_string=f"{description.kind} of {description.n_features} features, exported by fastdbn {fastdbn.__version__}",
    )
    metadata = {"name": description.kind, "version": fastdbn.__version__}
    if description.feature_names is not None:
        metadata["feature_names"] = json.dumps(description.feature_names)
    helper.set_model_props(model, metadata)
    checker.check_model(model, full_check=True)
    return model


def _info(helper, value, shape):
    element = "object" if value.dtype.startswith("str") else value.dtype
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(np.dtype(element)), shape)


def export_onnx(model: Estimator, path: str | PathLike[str], *, input_dtype: str = "float32") -> None:
    """Write a fitted model as an ONNX file, with its scaling and thresholds inside.

    The file has one input, ``X``, (N, n_features), for any number N of rows. It uses operators of opset 17, which ONNX Runtime
    1.12 or later runs. Its outputs agree with the model's to about 1e-5. Rows must be finite numbers: unlike the model, the file
    refuses nothing, and it clips values outside the range of the units without a warning.

    ==========================  =============================================================
    model                       outputs
    ==========================  =============================================================
    classifiers                 ``label`` (N,), ``probabilities`` (N, n_classes)
    ``DBNRegressor``            ``variable`` (N, n_outputs)
    RBM, ``DBN``                ``variable`` (N, n_components): what `transform` gives
    ``DBNAutoencoder``          ``variable``: the codes; ``reconstruction`` (N, n_features)
    ``DBNOutlierDetector``      ``label`` (N,): 1 or -1, ``scores`` (N,): `decision_function`
    ==========================  =============================================================

    Labels are text or 64-bit integers. Other outputs have the model's precision.

    Parameters
    ----------
    model : a fitted model
    path : str or path
        An existing file is replaced in one step.
    input_dtype : {"float32", "float64"}, default "float32"
        Type of the input. Take float64 for columns that float32 does not tell apart, such as times in seconds since 1970.

    Raises
    ------
    ImportError
        without the package onnx: ``pip install "fastdbn[onnx]"``.
    NotFittedError
        before a fit.
    ValueError
        names what has no such form, and why: rectified hidden units, units of your own, a detector of several layers.
    OSError
        if the file cannot be written.

    Examples
    --------
    >>> import fastdbn, numpy as np, tempfile
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> model = fastdbn.RBM(8, n_iter=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastdbn.export_onnx(model, f"{folder}/model.onnx")
    """
    proto = _model(describe(model, input_dtype))
    if (size := proto.ByteSize()) > MOST_BYTES:
        raise ValueError(f"the model takes {size:,} bytes, and an ONNX file holds less than 2 GiB: export a smaller network")
    with replacing(path) as aside:
        aside.write_bytes(proto.SerializeToString())
