"""Remove noise from the rows of a table.

examples:
  fastdbn denoise model.safetensors noisy.npz --out clean.npy
  fastdbn denoise model.safetensors noisy.npz --out clean.png
  fastdbn denoise rbm.safetensors sensors.csv --method sample --steps 20
"""

from fastdbn.cli import options as common

ACROSS, MOST = 10, 50
"""Images in a line of a picture, and the most rows that it shows."""


def options(parser):
    common.model(parser)
    common.data(parser)
    told = "of an RBM or a DBN: a quick guess, means, or draws [mean-field]"
    parser.add_argument("--method", choices=("mean-field", "mean", "sample"), help=told)
    parser.add_argument("--steps", type=common.positive, help="of an RBM or a DBN: passes up and down [1]")
    common.seed(parser, "seed of the draws; an autoencoder and --method mean-field make none [0]")
    common.image_shape(parser)
    told = ".npy or CSV file, or .png for a picture of the first rows above clean ones [CSV to stdout]"
    common.table_out(parser, told, pictures=True)


def run(args):
    """Clean rows as .npy or CSV, in the form of the table that the model was trained on; or as a picture."""
    from fastdbn.cli.results import is_picture, put_picture, put_rows
    from fastdbn.cli.rows import load_model, network_of, rows_for
    from fastdbn.cli.trained import image_shape_of
    from fastdbn.estimators.autoencoder import DBNAutoencoder
    from fastdbn.evaluate.models import dense

    model = load_model(args)
    if isinstance(model, DBNAutoencoder) and (args.method is not None or args.steps is not None):
        raise ValueError("--method and --steps: an autoencoder cleans rows in one pass; leave them out")
    names = getattr(model, "feature_names_in_", None)
    X = rows_for(model, args)[-1]

    def clean(X):
        if isinstance(model, DBNAutoencoder):
            return model.denoise(X)
        network = network_of(args, model, "denoise")
        return network.denoise(X, n_steps=args.steps or 1, method=args.method or "mean-field", random_state=args.seed)

    if is_picture(args.out):
        n, across = shown(X.shape[0])
        given = dense(X[:n])
        shape = image_shape_of(model, args.image_shape)
        put_picture(args.out, model, shape, lambda: lines_of(given, clean(X[:n]), across), across)
    else:
        put_rows(args.out, model, clean(X), names)


def shown(n):
    """(rows that a picture shows of n, images in a line)."""
    across = min(n, ACROSS)
    return min(n - n % across, MOST), across


def lines_of(given, clean, across):
    """Given rows and clean ones, a line of the first above a line of the second."""
    import numpy as np

    return np.stack([X.reshape(-1, across, X.shape[1]) for X in (given, clean)], axis=1).reshape(-1, given.shape[1])
