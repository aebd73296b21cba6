"""Fill in the missing values of a table.

examples:
  fastdbn impute model.safetensors titanic.csv --out complete.csv
  fastdbn impute model.safetensors titanic.csv --method sample --seed 3
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    methods, told = ("mean", "sample", "mean-field"), "means, draws, or a quick guess [mean]"
    parser.add_argument("--method", choices=methods, default="mean", help=told)
    parser.add_argument("--steps", type=common.positive, default=100, help="Gibbs steps of each row [100]")
    common.seed(parser, "seed of the draws; --method mean-field makes none [0]")
    common.table_out(parser, "CSV file [stdout]")


def run(args):
    """The table with its missing values filled in, as CSV; what it has is left as it is."""
    import numpy as np
    from scipy import sparse

    from fastdbn.cli.results import put_table
    from fastdbn.cli.rows import load_model, network_of, rows_for
    from fastdbn.tables.table import Table

    model = load_model(args)
    network = network_of(args, model, "impute")
    found, places, X = rows_for(model, args, lacking=True)
    if sparse.issparse(X):
        raise ValueError(f"{args.data} is a sparse matrix, which lacks no values: there is nothing to fill in")
    filled = network.impute(X, n_steps=args.steps, method=args.method, random_state=args.seed)
    prepared = hasattr(model, "preparation_")
    new = model.preparation_.inverse_table(filled, missing=False) if prepared else Table(filled)
    columns = [found.cells(j) for j in range(found.width)]
    for i, j in enumerate(places):
        lacking = np.equal(columns[j], None)
        columns[j][lacking] = new.cells(i)[lacking]
    put_table(args.out, found.names or [f"x{j}" for j in range(found.width)], columns)
