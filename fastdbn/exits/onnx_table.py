"""The preparation of a table in an ONNX graph: one input for each column, and from them the numbers that a model takes.

A column of numbers, or of labels that are all numbers, is an input of numbers; NaN is a missing value. A date is the number of
days since 1970. Any other column is text. It is looked up as the fit spelt it, in small letters and in capitals. What is not
found is missing, or among the rare labels if the fit had such.
"""

import numpy as np

from fastdbn.exits.onnx_graph import Value
from fastdbn.preparation.column import CATEGORY, FLAG, OTHER
from fastdbn.preparation.preparation import KEEP, Preparation
from fastdbn.tables.cells import MISSING

ML_OPSET = 3
"""The version of the operators of ai.onnx.ml, which look up text."""


def _spellings(labels):
    """{text: label number} for all ways in which labels are found; the fit's own spelling comes first."""
    found = {}
    for change in (str, str.casefold, str.upper, str.capitalize):
        for i, label in enumerate(labels):
            if label != OTHER:
                found.setdefault(change(label), i)
    return found


def _one_hot(graph, column, x):
    """(n, labels) float64: 1 for the label of each row; zeros where it is missing."""
    labels = column.labels
    if column.numeric:
        known = graph.constant(np.array([[float(label) for label in labels]], x.dtype), f"{x.name}.labels")
        return graph.cast(graph.node("Equal", x, known, dtype="bool"), "float64")
    rare, numbers = labels.index(OTHER) if OTHER in labels else -1, _spellings(labels)
    for text in MISSING:
        for spelt in (text, text.upper()):
            numbers.setdefault(spelt, -1)
    keys = {"keys_strings": list(numbers), "values_int64s": list(numbers.values()), "default_int64": rare}
    number = graph.node("LabelEncoder", x, dtype="int64", domain="ai.onnx.ml", **keys)
    known = graph.constant(np.arange(len(labels))[None], f"{x.name}.labels")
    return graph.cast(graph.node("Equal", number, known, dtype="bool"), "float64")


def _units(graph, column, x, keep):
    """(its values (n, units), whether they are missing (n, 1) or None): float64 values of a column's units."""
    if column.real:
        values = graph.cast(x, "float64")
        empty = graph.isnan(values)
    else:
        hot = _one_hot(graph, column, x)
        empty = graph.node("ReduceSum", hot, graph.shape(1), keepdims=1) < 0.5
        if column.kind == CATEGORY and column.marked:
            return graph.concat([hot, graph.cast(empty, "float64")]), None
        values = graph.columns(hot, 1, 2) if column.kind == FLAG else hot
    fill = graph.constant(np.array([[np.nan] * column.units if keep else column.fill]), f"{x.name}.fill")
    return graph.where(empty, fill, values), None if column.kind == CATEGORY else empty


def table_inputs(graph, preparation: Preparation, dtype: str):
    """(the prepared numbers, as a value; the inputs of the graph, which have numbers of a type).

    The order is that of `Preparation.transform`.
    """
    inputs, keep = [], preparation.missing == KEEP
    reals, flags, marks, categories = (list[Value]() for _ in range(4))
    for column in preparation.columns_:
        x = Value(graph, column.name or f"x{column.place}", dtype if column.numeric else "str")
        inputs.append(graph.info(x, ["N", 1]))
        units, empty = _units(graph, column, x, keep)
        (reals if column.real else flags if column.kind == FLAG else categories).append(units)
        if column.marked and empty is not None:
            marks.append(graph.cast(empty, "float64"))
    return graph.concat([*reals, *flags, *marks, *categories]), inputs
