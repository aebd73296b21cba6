"""Clean the rows of a table of noise.

examples:
  fastdbn denoise model.safetensors noisy.npz --out clean.npy
  fastdbn denoise rbm.safetensors sensors.csv --method sample --steps 20
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    told = "of an RBM or a DBN: a quick guess, means, or draws [mean-field]"
    parser.add_argument("--method", choices=("mean-field", "mean", "sample"), default="mean-field", help=told)
    parser.add_argument("--steps", type=common.positive, default=1, help="of an RBM or a DBN: passes up and down [1]")
    common.seed(parser)
    common.out(parser, ".npy or CSV file [CSV to stdout]")


def run(args):
    """Clean rows as .npy or CSV, in the form of the table that the model was trained on."""
    from fastdbn.cli.results import put_rows
    from fastdbn.cli.rows import load_model, network_of, rows_for
    from fastdbn.estimators.autoencoder import DBNAutoencoder
    from fastdbn.tables.read import existing

    existing(args.data)
    model = load_model(args)
    names = getattr(model, "feature_names_in_", None)
    X = rows_for(model, args)[-1]
    if isinstance(model, DBNAutoencoder):
        clean = model.denoise(X)
    else:
        network = network_of(args, model, "denoise")
        clean = network.denoise(X, n_steps=args.steps, method=args.method, random_state=args.seed)
    put_rows(args.out, model, clean, names)
