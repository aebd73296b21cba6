"""ONNX: a model as one file that runs without fastdbn and without Python (https://onnx.ai).

Names of outputs are those of scikit-learn's converters: `label` and `probabilities` of a classifier, `variable` of a regressor or
transformer, `label` and `scores` of an outlier detector.
"""

import dataclasses
import json
from os import PathLike

import fastdbn
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.table_model import TableModel
from fastdbn.exits.model import Description, describe, is_prepared
from fastdbn.exits.onnx_graph import Graph, Value
from fastdbn.exits.onnx_table import ML_OPSET, table_inputs
from fastdbn.preparation.preparation import Preparation
from fastdbn.support.atomic import replacing

OPSET, IR_VERSION = 17, 8
"""The version of the operators that files use, and of the file format: those of ONNX 1.12, so ONNX Runtime 1.12 or later."""
MOST_BYTES = (1 << 31) - (1 << 20)
"""A file holds less than 2 GiB, a limit of its format (protobuf)."""


def _onnx():
    try:
        from onnx import checker, helper, numpy_helper
    except ImportError as error:
        raise ImportError(f'export_onnx needs the package onnx ({error}): pip install "fastdbn[onnx]"') from error
    return checker, helper, numpy_helper


def _proto(description: Description, preparation: Preparation | None, input_dtype: str):
    """The ONNX model of a description, for rows of numbers or for a table."""
    checker, helper, numpy_helper = _onnx()
    graph, infos = Graph(helper, numpy_helper), []
    if preparation is None:
        rows = Value(graph, "X", input_dtype)
        inputs = [graph.info(rows, ["N", description.n_features])]
    else:
        rows, inputs = table_inputs(graph, preparation, input_dtype)
        for taken in {info.name for info in inputs} & {output.name for output in description.outputs}:
            raise ValueError(
                f"column {taken!r} has the name of an output of the ONNX file: rename it in the table, and fit again"
            )
    values: dict[str | None, Value] = {None: rows}
    for output in description.outputs:
        x = values[output.source]
        for i, stage in enumerate(output.stages):
            arrays = {name: graph.constant(a, f"{output.method}.{i}.{name}") for name, a in stage.arrays.items()}
            x = dataclasses.replace(stage, **arrays).apply(graph, x)
        x = values[output.method] = graph.node("Identity", x, name=output.name)
        one = output.name in ("label", "scores")
        infos.append(graph.info(x, ["N"] if one else ["N", None]))
    infos.sort(key=lambda info: info.name != "label")  # which comes first, as in scikit-learn's converters
    body = helper.make_graph(graph.nodes, description.kind, inputs, infos, list(graph.initializers.values()))
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET), *([helper.make_opsetid("ai.onnx.ml", ML_OPSET)] if preparation else [])],
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


def export_onnx(model: Estimator | TableModel, path: str | PathLike[str], *, input_dtype: str = "float32") -> None:
    """Write a fitted model as an ONNX file, with its scaling, thresholds and preparation of tables inside.

    The file has one input, ``X``, (N, n_features), for any number N of rows. A model of a table, with a `preparation_`, has an
    input (N, 1) for each column, by its name: text, or numbers, of which dates are the days since 1970. The file uses operators
    of opset 17, which ONNX Runtime 1.12 or later runs. Its outputs agree with the model's to about 1e-5. Rows must be finite
    numbers: unlike the model, the file refuses nothing, and it clips values outside the range of the units without a warning.

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
    preparation = model.preparation_ if is_prepared(model) else None
    proto = _proto(describe(model, input_dtype if preparation is None else "float64"), preparation, input_dtype)
    if (size := proto.ByteSize()) > MOST_BYTES:
        raise ValueError(f"the model takes {size:,} bytes, and an ONNX file holds less than 2 GiB: export a smaller network")
    with replacing(path) as aside:
        aside.write_bytes(proto.SerializeToString())
