"""Draw new rows from a network.

examples:
  fastdbn sample model.safetensors -n 100 --out samples.csv
  fastdbn sample model.safetensors -n 16 --out digits.png
  fastdbn sample generative.safetensors -n 16 --label 3 --out threes.png
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    parser.add_argument("-n", type=common.positive, default=10, metavar="N", help="rows [10]")
    parser.add_argument("--steps", type=common.positive, help="Gibbs steps [10 for networks, 1000 for RBMs]")
    parser.add_argument("--label", metavar="CLASS", help="rows of this class, of a generative model [of all classes]")
    common.seed(parser)
    common.image_shape(parser)
    common.table_out(parser, ".npy or CSV file, or .png for a picture of their means [CSV to stdout]", pictures=True)


def run(args):
    """New rows as .npy or CSV, in the form of the table that the model was trained on; or as a picture."""
    from fastdbn.cli.results import is_picture, put_picture, put_rows
    from fastdbn.cli.rows import load_model
    from fastdbn.cli.trained import image_shape_of

    model = load_model(args, "sample")
    label = _label(args, model)
    if is_picture(args.out):
        shape = image_shape_of(model, args.image_shape)
        put_picture(args.out, model, shape, lambda: model.sample(args.n, args.steps, args.seed, mean=True, **label))
        return
    X = model.sample(args.n, n_steps=args.steps, random_state=args.seed, **label)
    put_rows(args.out, model, X, getattr(model, "feature_names_in_", None))


def _label(args, model):
    """The argument of `sample` that names a class of the model by its text, if one is asked for."""
    from fastdbn import GenerativeDBNClassifier

    if args.label is None:
        return {}
    if not isinstance(model, GenerativeDBNClassifier):
        raise ValueError(
            f"--label {args.label}: {args.model} holds a {type(model).__name__}, which draws no rows of a class: train one with "
            "--model generative"
        )
    known = {str(name): name for name in model.classes_}
    if args.label not in known:
        raise ValueError(f"--label {args.label}: the classes are {', '.join(known)}")
    return {"label": known[args.label]}
