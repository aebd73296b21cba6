"""Score how normal each row of a table is, as CSV: higher is more normal.

examples:
  fastdbn score outliers.safetensors sensors.csv --out scores.csv
  fastdbn score rbm.safetensors sensors.csv --oddest 10
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    parser.add_argument(
        "--oddest", type=common.positive, metavar="N", help="only the N rows with the lowest scores, the lowest first"
    )
    common.table_out(parser, "CSV file [stdout]")


def run(args):
    """Each row's number, from 0, and its score; of an outlier detector also the score less the threshold, and the verdict."""
    import numpy as np

    from fastdbn.cli.results import put_table
    from fastdbn.cli.rows import model_and_rows, network_of

    model, X = model_and_rows(args)
    scores = network_of(args, model, "score_samples").score_samples(X)
    header, columns = ["row", "score"], [np.arange(len(scores)), scores]
    if hasattr(model, "decision_function"):
        above = model.decision_function(X)
        header, columns = [*header, "above_threshold", "outlier"], [*columns, above, above < 0]
    chosen = slice(None) if args.oddest is None else np.argsort(scores, kind="stable")[: args.oddest]
    put_table(args.out, header, [column[chosen] for column in columns])
