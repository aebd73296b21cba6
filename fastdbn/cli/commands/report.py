"""Write an HTML page about a model: scores, curves, filters, samples, data and settings.

examples:
  fastdbn report model.safetensors
  fastdbn report price.safetensors houses.csv --out houses.html
  fastdbn report rbm.safetensors faces.npz --image-shape 40,30
"""

from fastdbn.cli import options as common
from fastdbn.support.report import progress


def options(parser):
    common.model(parser)
    parser.add_argument("data", nargs="?", metavar="DATA", help="data file [that of the training]")
    parser.add_argument("--target", metavar="COLUMN", help="name or position of the target column [that of the training]")
    parser.add_argument("--split", choices=("train", "val", "test"), help="rows of a file that has such sets [test]")
    common.header(parser)
    common.image_shape(parser)
    common.out(parser, "HTML file [report.html]", "report.html", common.PAGE)


def run(args):
    """Load a model and rows, and write the page. If the file is that of the training, the scores are of the rows held out."""
    from fastdbn.cli.blocks import rows_to_train_on
    from fastdbn.cli.results import needs_matplotlib, put_report
    from fastdbn.cli.rows import Rows, labelled_rows, learns_target, load_model
    from fastdbn.cli.trained import image_shape_of, is_of_training, training_of

    needs_matplotlib()
    model = load_model(args)
    told = training_of(model)
    if told is None and args.data is None:
        raise ValueError("DATA is missing: only `fastdbn train` notes in a model which file it was trained on. Name a file")
    if told is not None and is_of_training(model, told, args.data):
        if args.target is not None or args.split is not None or args.header is not None:
            raise ValueError("--target, --split and --header are for another file than that of the training: leave them out")
        rows = rows_to_train_on(told, unlabelled=True)
    else:
        found, X, y = labelled_rows(model, args, told and told.target)
        if y is None and learns_target(model):
            progress("no scores, because the file has no target that is known: name its column by --target")
        rows = Rows(X, y, None, None, None, {}, found)
    put_report(args.out, model, rows, image_shape_of(model, args.image_shape))
