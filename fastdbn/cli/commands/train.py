"""Train a network on a table, or on 8x8 digits without one.

examples:
  fastdbn train
  fastdbn train titanic.csv --target survived --report titanic.html
  fastdbn train train-images-idx3-ubyte.gz        (labels and test images are found beside it)
  fastdbn train houses.csv --target price --as zip=category --as notes=drop --out price.safetensors
"""

import json
import shlex
import sys

from fastdbn.cli import options as common
from fastdbn.support.report import progress

FORMATS = ".csv, .tsv, .parquet, .feather, .npy, .npz (X and y, or train_images and train_labels), idx, .svmlight"


def options(parser):
    option = parser.add_argument
    option("data", nargs="?", metavar="DATA", help=f"{FORMATS}; also gzipped")
    option("--target", metavar="COLUMN", help="name or position of the target column; -1 is the last")
    option("--labels", metavar="FILE", help="file of the labels or targets: idx, .npy or CSV")
    option("--keep", action="append", default=[], metavar="COLUMN", help="use a column that would be left out; may be repeated")
    told = "take a column for a number, flag, category or date, or drop it; may be repeated"
    option("--as", action="append", default=[], metavar="COLUMN=KIND", dest="kinds", help=told)
    option("--task", choices=("auto", "classify", "regress"), default="auto")
    option("--layers", type=common.sizes, metavar="256,128", help="hidden units of each layer")
    option("--scale", choices=("auto", "minmax", "standard", "none"), default="auto", help="scaling of the features")
    common.seed(parser, "seed of the model [0]")
    option("--epochs", type=common.positive, metavar="N", help="epochs of fine-tuning")
    option("--pretrain-epochs", type=common.positive, metavar="N", help="epochs of each layer's pretraining")
    option("--test-size", type=common.share, metavar="SHARE", help="share of rows held out to test [0.2]")
    option("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what computes: the CPU or an NVIDIA GPU [cpu]")
    common.header(parser)
    common.out(parser, "model file [model.safetensors]", "model.safetensors")
    parser.add_argument("--report", metavar="F", help="write a page about the model, such as report.html")
    common.quiet(parser)


def run(args):
    """Train, test on held-out rows, save."""
    from fastdbn import RBM, DBNClassifier, DBNRegressor
    from fastdbn.backends.devices import get_backend
    from fastdbn.cli.reports import columns_of, write
    from fastdbn.cli.results import check_out, needs_matplotlib, save_somewhere
    from fastdbn.cli.rows import digits, training_rows
    from fastdbn.tables.read import existing

    if args.data is None and (args.target or args.labels or args.header is not None or args.keep or args.kinds):
        raise ValueError("--target, --labels, --keep, --as and --header need DATA: name a file, or train on digits without them")
    if args.data is not None:
        existing(args.data)
    check_out(args.out, args.force)
    if args.report is not None:
        needs_matplotlib()
        check_out(args.report, args.force, "--report")
    get_backend(device=args.device)  # which refuses one that is not here, before any work
    rows = training_rows(args) if args.data else digits()
    given = {"hidden_layer_sizes": args.layers, "max_iter": args.epochs}
    given = {name: value for name, value in given.items() if value is not None}
    pretraining = {} if args.pretrain_epochs is None else {"n_iter": args.pretrain_epochs}
    rbm = RBM(visible=rows.visible, scale=args.scale if args.data else "none", **pretraining)
    estimator = DBNClassifier if rows.task == "classify" else DBNRegressor
    model = estimator(rbm=rbm, random_state=args.seed, device=args.device, verbose=0 if args.quiet else 1, **given)
    progress(f"training {estimator.__name__} on {rows.X.shape[0]} rows, testing on {rows.X_test.shape[0]}")
    model.fit(rows.X, rows.y)
    progress(f"the network took data {model.scaling_.words}, for {getattr(model.visible_, 'name', model.visible_)} units")
    score = model.score(rows.X_test, rows.y_test)
    print(f"test accuracy: {100 * score:.1f} %" if rows.task == "classify" else f"test R2: {score:.3f}")
    sys.stdout.flush()
    vars(model).update(rows.attributes | {"command_": args.words})
    save_somewhere(model, args.out)
    if args.report is not None:
        write(args.report, model, rows, columns_of(args.data, args.header) if args.data else None)
    progress(f"saved {args.out}; try next:")
    for words in _further(args, "samples.csv" if "preparation_" in rows.attributes else "samples.npy"):
        progress(f"  {shlex.join(words)}")


def _further(args, samples):
    """Commands to try next."""
    yield "fastdbn", "info", args.out
    yield "fastdbn", "sample", args.out, "-n", "16", "--out", samples
    if args.report is None:
        yield "fastdbn", "report", args.out
    if args.data is not None:
        yield "fastdbn", "predict", args.out, args.data, *{None: (), True: ("--header",), False: ("--no-header",)}[args.header]
    yield "python", "-c", f"import fastdbn; print(fastdbn.load({json.dumps(args.out)}))"
