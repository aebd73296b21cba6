"""The operations of an exit as nodes of an ONNX graph."""

from typing import Any

import numpy as np


def _operator(operator, dtype=None):
    def apply(self, other):
        return self.graph.node(operator, self, other, dtype=dtype)

    return apply


class Value:
    """The output of a node, or an initializer."""

    def __init__(self, graph, name, dtype):
        self.graph, self.name, self.dtype = graph, name, dtype

    __add__, __sub__, __mul__, __truediv__ = map(_operator, ("Add", "Sub", "Mul", "Div"))
    __gt__, __lt__ = _operator("Greater", "bool"), _operator("Less", "bool")


def _adds(operator, dtype=None):
    """An operation that adds one node."""
    return lambda self, *values: self.node(operator, *values, dtype=dtype)


class Graph:
    """`Operations` that add nodes to a graph."""

    affine, maximum, where, sigmoid, tanh = map(_adds, ("Gemm", "Max", "Where", "Sigmoid", "Tanh"))
    isnan = _adds("IsNaN", "bool")

    def __init__(self, helper, numpy_helper):
        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def constant(self, x, name):
        """An initializer. Names of what is inside begin with a slash, so that columns may have any other."""
        x, name = np.ascontiguousarray(x), f"/{name}"
        self.arrays[name] = x
        self.initializers[name] = self.numpy_helper.from_array(x.astype(object) if x.dtype.kind == "U" else x, name)
        return Value(self, name, x.dtype.name)

    def number(self, x, dtype):
        return self.constant(np.array(x, dtype), f"{dtype}_{x!r}")

    def shape(self, *sizes):
        return self.constant(np.array(sizes, np.int64), f"shape_{'_'.join(map(str, sizes))}")

    def info(self, value, shape):
        """What is said of an input or output of the graph."""
        element = "object" if value.dtype.startswith("str") else value.dtype
        return self.helper.make_tensor_value_info(value.name, self.helper.np_dtype_to_tensor_dtype(np.dtype(element)), shape)

    def node(self, operator, *inputs, dtype=None, name=None, **attributes):
        """Add a node. Numbers among its inputs take the type of the values."""
        of_values = next((x.dtype for x in inputs if isinstance(x, Value) and x.dtype != "bool"), "float64")
        values = [x if isinstance(x, Value) else self.number(float(x), of_values) for x in inputs]
        out = name or f"/{operator.lower()}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, [x.name for x in values], [out], out, **attributes))
        return Value(self, out, dtype or of_values)

    def let(self, name, x):
        return x

    def dtype(self, x):
        return x.dtype

    def cast(self, x, dtype):
        if x.dtype == dtype:
            return x
        return self.node("Cast", x, dtype=dtype, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def clip(self, x, low, high):
        x = x if low is None else self.node("Max", x, low)
        return x if high is None else self.node("Min", x, high)

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
        columns = [function(self.constant(row, f"{rows.name[1:]}_{k}")) for k, row in enumerate(self.arrays[rows.name])]
        del self.initializers[rows.name]
        return self.concat([self.node("Unsqueeze", column, self.shape(1)) for column in columns])

    def argmax(self, x):
        return self.node("ArgMax", x, dtype="int64", axis=1, keepdims=0)

    def take(self, x, numbers):
        return self.node("Gather", x, numbers, dtype=x.dtype)
