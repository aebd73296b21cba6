"""Compute the hidden features of the rows of a table.

examples:
  fastdbn transform model.safetensors titanic.csv --out features.npy
  fastdbn transform model.safetensors titanic.csv --layer 0 --out lowest.csv
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    parser.add_argument("--layer", type=int, default=-1, help="hidden layer, 0 the lowest, -1 the last")
    common.table_out(parser, "CSV or .npy file [stdout]")


def run(args):
    """Hidden features as CSV or .npy."""
    from fastdbn.cli.results import put_table
    from fastdbn.cli.rows import model_and_rows
    from fastdbn.estimators.dbn import DBN
    from fastdbn.estimators.supervised import Supervised

    model, X = model_and_rows(args, "transform")
    layered = isinstance(model, (DBN, Supervised))
    if not layered and args.layer not in (0, -1):
        raise ValueError(f"--layer {args.layer}: this {type(model).__name__} has one layer")
    H = model.transform(X, args.layer) if layered else model.transform(X)
    put_table(args.out, [f"feature_{i}" for i in range(H.shape[1])], H.T)
