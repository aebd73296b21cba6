"""Predict the labels or numbers of the rows of a table, as CSV.

examples:
  fastdbn predict model.safetensors titanic.csv --out predictions.csv
  fastdbn predict model.safetensors images.npz --split val
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    common.table_out(parser, "CSV file [stdout]")


def run(args):
    """Predictions, and class probabilities."""
    from fastdbn.cli.results import put_table
    from fastdbn.cli.rows import model_and_rows

    model, X = model_and_rows(args, "predict")
    predicted = model.predict(X)
    if hasattr(model, "predict_proba"):
        header = ["prediction", *(f"probability_{label}" for label in model.classes_)]
        put_table(args.out, header, [predicted, *model.predict_proba(X).T])
    elif predicted.ndim == 1:
        put_table(args.out, ["prediction"], [predicted])
    else:
        put_table(args.out, [f"prediction_{i}" for i in range(predicted.shape[1])], predicted.T)
