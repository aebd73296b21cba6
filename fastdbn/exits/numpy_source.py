"""NumPy: a model as plain arrays and a short program that needs NumPy alone."""

import ast
import dataclasses
import functools
import hashlib
import io
import re
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastdbn
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.table_model import TableModel
from fastdbn.exits.model import Affine, describe, is_prepared
from fastdbn.support.atomic import replacing

HELPERS = {
    "sigmoid": "def sigmoid(s):\n    return 0.5 + 0.5 * np.tanh(0.5 * s)",
    "softmax": "def softmax(s):\n    e = np.exp(s - s.max(axis=-1, keepdims=True))\n    return e / e.sum(axis=-1, keepdims=True)",
    "logsumexp": "def logsumexp(s):\n    top = s.max(axis=-1)\n    return top + np.log(np.exp(s - top[..., None]).sum(axis=-1))",
}
"""Functions that programs may call."""
LOAD = """\
import hashlib
import io
from pathlib import Path

import numpy as np

path = Path(__file__).with_suffix(".npz")
content = path.read_bytes()
if hashlib.sha256(content).hexdigest() != "{sha256}":
    raise ValueError(f"{{path}} does not hold the arrays of {{__file__}}: export the model again, which writes both files")
with np.load(io.BytesIO(content)) as arrays:
    globals().update(arrays)
del content
"""
"""The beginning of a module: it reads its arrays from a file, which must be the one that was written with it."""


def _operator(sign, dtype=None):
    def apply(self, other):
        return _Text(f"({self.text}) {sign} ({_inner(other)})", dtype or self.dtype)

    return apply


class _Text:
    """An expression, and the type of its numbers. Parentheses that it does not need go when it is written down."""

    def __init__(self, text, dtype):
        self.text, self.dtype = text, dtype

    __add__, __sub__, __mul__, __truediv__ = map(_operator, "+-*/")
    __gt__, __lt__ = _operator(">", "bool"), _operator("<", "bool")


def _inner(x):
    return x.text if isinstance(x, _Text) else repr(x)


def _call(function, *arguments, like=None, dtype=None):
    return _Text(f"{function}({', '.join(map(_inner, arguments))})", dtype or (like or arguments[0]).dtype)


def _calls(function, dtype=None):
    """An operation that is a call of a function."""
    return staticmethod(functools.partial(_call, function, dtype=dtype))


def _method(x, call, dtype=None):
    return _Text(f"({x.text}).{call}", dtype or x.dtype)


class _Writer:
    """`Operations` that write expressions, and lines for those with names."""

    maximum, sigmoid, tanh = map(_calls, ("np.maximum", "sigmoid", "np.tanh"))
    isnan = _calls("np.isnan", dtype="bool")

    def __init__(self):
        self.lines: list[str] = []

    def let(self, name, x):
        if name != "x" and x.text.isidentifier():
            return x
        if x.text != name:
            self.lines.append(ast.unparse(ast.parse(f"{name} = {x.text}")))
        return _Text(name, x.dtype)

    def dtype(self, x):
        return x.dtype

    def cast(self, x, dtype):
        return x if x.dtype == dtype else _method(x, f"astype(np.{dtype})", dtype)

    def affine(self, x, W, b):
        return _Text(f"({x.text}) @ {W.text} + {b.text}", x.dtype)

    def clip(self, x, low, high):
        if high is None:
            return _call("np.maximum", x, low)
        return _call("np.minimum", x, high) if low is None else _call("np.clip", x, low, high)

    def where(self, condition, x, y):
        return _call("np.where", condition, x, y, like=x if isinstance(x, _Text) else y if isinstance(y, _Text) else _FLOAT)

    def softplus(self, x):
        return _call("np.logaddexp", 0.0, x, like=x)

    def _groups(self, x, n, size):
        return _method(x, f"reshape(-1, {n // size}, {size})")

    def softmax(self, x, n, size):
        if n == size:
            return _call("softmax", x)
        return _method(_call("softmax", self._groups(x, n, size)), f"reshape(-1, {n})")

    def logsumexp(self, x, n, size):
        return _call("logsumexp", self._groups(x, n, size))

    def sum(self, x):
        return _method(x, "sum(axis=1)")

    def columns(self, x, start, stop):
        return _Text(f"({x.text})[:, {start}:{stop}]", x.dtype)

    def concat(self, parts):
        return _Text(f"np.concatenate([{', '.join(part.text for part in parts)}], axis=1)", parts[0].dtype)

    def each(self, rows, function):
        column = function(_Text("row", rows.dtype))
        return _Text(f"np.stack([{column.text} for row in {rows.text}], axis=1)", column.dtype)

    def argmax(self, x):
        return _method(x, "argmax(axis=1)", "int64")

    def take(self, x, numbers):
        return _Text(f"{x.text}[{numbers.text}]", x.dtype)


_FLOAT = _Text("", "float64")


class NumPyModel(NamedTuple):
    """A model as arrays and a program.

    Attributes
    ----------
    arrays : dict of arrays
        Weights, biases and scaling, by the names that the program uses.
    source : str
        A Python program of the functions that the model has as methods, such as ``predict(X)``. ``exec(source, dict(arrays))``
        defines them.
    """

    arrays: dict[str, np.ndarray]
    source: str

    def save(self, path: str | PathLike[str]) -> None:
        """Write a module, and beside it its arrays as a .npz file of the same name.

        Parameters
        ----------
        path : str or path
            Ends with ``.py``. Existing files are replaced, one after the other. The module refuses arrays that were not written
            with it, so a crash between the two leaves no mixed model.

        Raises
        ------
        ValueError
            for another ending.
        OSError
            if a file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".py":
            raise ValueError(f"path={str(path)!r}: give a name that ends with .py; the arrays go into a .npz file beside it")
        file = io.BytesIO()
        np.savez(file, **self.arrays)  # type: ignore[arg-type]
        head, docs, rest = re.split(r'(""".*?"""\n)', self.source, maxsplit=1, flags=re.S)
        load = LOAD.format(sha256=hashlib.sha256(file.getvalue()).hexdigest())
        rest = rest.replace("import numpy as np\n", load, 1)
        for name, content in ((path.with_suffix(".npz"), file.getvalue()), (path, (head + docs + rest).encode())):
            with replacing(name) as aside:
                aside.write_bytes(content)


def to_numpy(model: Estimator | TableModel, *, input_dtype: str = "float64") -> NumPyModel:
    """A fitted model as plain arrays and a program that needs NumPy alone.

    Parameters
    ----------
    model : a fitted model
        Of any class that `export_onnx` takes. Of a table, its `preparation_` stays outside: the program takes the numbers that
        this one's `transform` gives.
    input_dtype : {"float64", "float32"}, default "float64"
        What the program reads rows as.

    Returns
    -------
    NumPyModel
        ``arrays``, and the text ``source`` of ``predict(X)``, ``predict_proba(X)``, ``transform(X)``, ``reconstruct(X)`` or
        ``decision_function(X)``, whichever the model has. ``save("model.py")`` writes both.

    Raises
    ------
    NotFittedError
        before a fit.
    ValueError
        names what has no such form, and why.

    Examples
    --------
    >>> import fastdbn, numpy as np
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> exported = fastdbn.to_numpy(fastdbn.RBM(8, n_iter=2, random_state=0).fit(X))
    >>> exported.arrays["W"].shape
    (16, 8)
    >>> print(exported.source.partition("def transform")[2])
    (X):
        x = np.asarray(X, np.float64)
        x = np.clip(x, 0.0, 1.0).astype(np.float32)
        x = sigmoid(x @ W + b)
        return x
    <BLANKLINE>
    """
    description = describe(model, input_dtype)
    counts = Counter(name for output in description.outputs for stage in output.stages for name in stage.arrays)
    numbers, arrays, functions = Counter[str](), {}, []
    dtypes: dict[str | None, str] = {None: description.input_dtype}
    for output in description.outputs:
        writer = _Writer()
        x = _Text("x", dtypes[output.source])
        for stage in output.stages:
            values = {}
            for name, array in stage.arrays.items():
                numbers[name] += 1
                unique = name if counts[name] == 1 else f"{name}{numbers[name]}"
                arrays[unique], values[name] = np.ascontiguousarray(array), _Text(unique, array.dtype.name)
            x = dataclasses.replace(stage, **values).apply(writer, x)
            x = x if isinstance(stage, Affine) else writer.let("x", x)
        dtypes[output.method] = x.dtype
        source = f"{output.source}(X)" if output.source else f"np.asarray(X, np.{description.input_dtype})"
        lines = [f"x = {source}", *writer.lines, "return x[:, 0]" if output.flat else "return x"]
        functions.append(f"def {output.method}(X):\n" + "\n".join(f"    {line}" for line in lines))
    text = "\n\n\n".join(functions)
    helpers = [helper for name, helper in HELPERS.items() if re.search(rf"(?<!\.)\b{name}\(", text)]
    title = f'"""{description.kind} of {description.n_features} features, exported by fastdbn {fastdbn.__version__}.'
    if is_prepared(model):
        title += "\n\nRows are numbers, as transform of the model's preparation_ makes them of a table.\n"
    return NumPyModel(arrays, "\n\n\n".join([f'{title}"""\n\nimport numpy as np', *helpers, text]) + "\n")
