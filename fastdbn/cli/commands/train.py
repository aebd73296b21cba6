"""Train a model on a table and test it on held-out rows. Without DATA it learns 8x8 digits.

examples:
  fastdbn train
  fastdbn train titanic.csv --target survived --report titanic.html
  fastdbn train train-images-idx3-ubyte.gz        (labels and test images are found beside it)
  fastdbn train --config run.toml                (lines such as target = "price", layers = [128, 64], quiet = true)
  fastdbn train FOLDER --target label --memory-limit 1GB       (files of numbers that may be larger than memory)
  fastdbn train sensors.csv --model outliers --out outliers.safetensors
  fastdbn train images.npz --model autoencoder --layers 512 --noise salt-and-pepper --out clean.safetensors
  fastdbn train houses.csv --target price --as zip=category --as notes=drop --out price.safetensors
  fastdbn train houses.csv --target price --checkpoint run --resume      (goes on after a crash; begins anew without a checkpoint)
"""

import json
import shlex
import sys
import time
import warnings

from fastdbn.cli import config
from fastdbn.cli import options as common
from fastdbn.support.report import FitWarning, progress

FORMATS = (
    ".csv, .tsv, .parquet, .feather, .npy, .npz or .h5 (X and y, or train_images and train_labels), idx, .svmlight, or a folder"
)


MODELS = "classifier", "regressor", "generative", "autoencoder", "outliers", "dbn", "rbm"
MOST_SECONDS = 60
"""If fine-tuning took longer, it is not repeated without pretraining."""


def about_data(parser):
    """What says which rows and columns to learn from, and to test on; the group of these options is returned."""
    parser.add_argument("data", nargs="?", metavar="DATA", help=f"{FORMATS}; also gzipped [8x8 digits]")
    config.option(parser)
    group = parser.add_argument_group("data")
    option = group.add_argument
    option("--target", metavar="COLUMN", help="name or position of the target column; -1 is the last")
    option("--labels", metavar="FILE", help="file of the labels or targets: idx, .npy or CSV")
    option("--test", metavar="FILE", help="file of rows to test on, with the columns of DATA")
    option("--test-size", type=common.share, metavar="SHARE", help="share of the rows to hold out and test on [0.2]")
    option("--rows", type=common.positive, metavar="N", help="train on at most N rows, drawn at random [all]")
    option(
        "--groups",
        metavar="COLUMN",
        help="column of groups, such as patients: all rows of a group are trained on, or all are tested on",
    )
    option(
        "--keep", action="append", default=[], metavar="COLUMN", help="use a column that would be left out; repeat it for several"
    )
    told = "take a column for a number, flag, category or date, or drop it; repeat it for several"
    option("--as", action="append", default=[], metavar="COLUMN=KIND", dest="kinds", help=told)
    told = "whether to predict classes or numbers [as the target looks]"
    option("--task", choices=("auto", "classify", "regress"), default="auto", help=told)
    common.header(group)
    parser.set_defaults(memory_limit=None)
    return group


def scale(group):
    """--scale."""
    told = "scaling of the features [auto: as the data need]"
    group.add_argument("--scale", choices=("auto", "minmax", "standard", "none"), default="auto", help=told)


def options(parser):
    scale(about_data(parser))
    option = parser.add_argument_group("model").add_argument
    told = "what to train [classifier or regressor, as the target is]; autoencoder, outliers, dbn and rbm learn without a target"
    option("--model", choices=MODELS, help=told)
    option("--layers", type=common.sizes, metavar="256,128", help="hidden units of each layer [256,256; autoencoder: 256,32]")
    told = "epochs of fine-tuning [60; regressor: 100]; of the RBMs or of up-down where nothing is fine-tuned"
    option("--epochs", type=common.positive, metavar="N", help=told)
    told = "epochs of each layer's pretraining [20, or more on few rows]"
    option("--pretrain-epochs", type=common.positive, metavar="N", help=told)
    of = "of fine-tuning, or of the RBMs without it"
    option("--batch-size", type=common.positive, metavar="N", help=f"rows of a minibatch {of} [32]")
    option("--learning-rate", type=common.above_zero, metavar="R", help=f"learning rate {of}")
    option("--dropout", type=common.share, metavar="SHARE", help="share of hidden units that fine-tuning drops")
    option("--class-weight", choices=("balanced",), help="give rare classes as much weight as frequent ones")
    noises = ("masking", "salt-and-pepper", "gaussian")
    option("--noise", choices=noises, help="noise that an autoencoder learns to remove, for `fastdbn denoise`")
    option(
        "--validation",
        type=common.share,
        metavar="SHARE",
        help="share of rows to hold out: fine-tuning keeps the epoch that predicts them best",
    )
    group = parser.add_argument_group("run")
    option = group.add_argument
    common.seed(group, "seed of the model [0]")
    common.jobs(group)
    option("--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what computes: the CPU or an NVIDIA GPU [cpu]")
    told = "read DATA, a file or a folder of numbers, block by block, with at most SIZE of it in memory, such as 1GB"
    option("--memory-limit", type=common.memory, metavar="SIZE", help=told)
    option("--checkpoint", metavar="DIR", help="write a checkpoint into this folder after each epoch")
    option("--resume", action="store_true", help="go on from the last checkpoint in that folder, if there is one")
    group = parser.add_argument_group("output")
    option = group.add_argument
    common.out(group, "model file [model.safetensors]", "model.safetensors", common.MODEL)
    option("--report", metavar="F", help="also write a page about the model, such as report.html")
    common.json(group)
    common.image_shape(group)
    common.quiet(group)
    option("--verbose", action="store_true", help="print a line for each epoch")


def run(args):
    """Train, test on held-out rows, save."""
    import numpy as np

    from fastdbn.backends.devices import get_backend
    from fastdbn.callbacks import ProgressBar
    from fastdbn.cli.ahead import compiled_ahead
    from fastdbn.cli.blocks import rows_to_train_on
    from fastdbn.cli.checkpoints import checkpointed
    from fastdbn.cli.models import CLASSES, make_model, parameters_of, task_of
    from fastdbn.cli.results import needs_matplotlib, put_json, put_report, save_somewhere
    from fastdbn.cli.rows import check_paths, check_shape
    from fastdbn.estimators.table_model import Prepared
    from fastdbn.tables.read import hash_of, read_with

    check_paths(args)
    if args.resume and args.checkpoint is None:
        raise ValueError("--resume needs --checkpoint DIR, the folder of the checkpoint that it goes on from")
    if args.quiet and args.verbose:
        raise ValueError("--quiet and --verbose contradict each other: leave out one of them")
    if args.report is not None:
        needs_matplotlib()
    get_backend(device=args.device)  # which refuses one that is not here, before any work
    args.task = task_of(args.model, args.task)
    if args.model is not None:
        parameters_of(args, CLASSES[args.model])  # which refuses what does not suit, before any work
    rows = rows_to_train_on(args, unlabelled=True)
    # before the fit, while the files are what was read
    notes = {} if args.data is None else {"data_hash_": hash_of(*read_with(args.data, args.labels, args.test))}
    image = args.image_shape is None and rows.table is not None and rows.table.image
    if image and (image[0] != image[1] if len(image) == 2 else image[2:] == (3,)):  # square ones are found
        args.image_shape, args.words = image, (*args.words, "--image-shape", ",".join(map(str, image)))
    check_shape(args.image_shape, rows.X.shape[1])
    model = make_model(args, rows.task, rows.visible)
    if np.ma.isMaskedArray(rows.y):
        model.set_params(unlabelled=np.nan)
    tuned = []  # seconds of each epoch of fine-tuning

    def timed(layer, metrics, **_):
        if layer == "fine-tuning":
            tuned.append(metrics["seconds"])

    callbacks = [timed] if args.quiet or args.verbose else [timed, ProgressBar()]
    if "preparation_" in rows.attributes:
        callbacks.append(Prepared(rows.attributes["preparation_"]))
    model.set_params(verbose=int(args.verbose), callbacks=callbacks)
    progress(f"training {type(model).__name__} on {rows.X.shape[0]} rows, testing on {rows.X_test.shape[0]}")
    began = time.perf_counter()
    with compiled_ahead(model, rows.X, rows.y), checkpointed(model, args) as resume:
        model.fit(rows.X, rows.y, resume=resume)
    seconds = time.perf_counter() - began
    model.set_params(callbacks=None)
    first = model.layers_[0] if hasattr(model, "layers_") else model
    progress(f"visible units: {getattr(first.visible_, 'name', first.visible_)}; data {first.scaling_.words}")
    given = rows.attributes | notes | {"command_": args.words}
    vars(model).update(given)
    save_somewhere(model, args.out)
    form = _form(model, args.image_shape)
    for name in given:
        delattr(model, name)  # the rows here are features already
    progress("testing, beside simple models")
    scores, bought = _scores(model, rows, float(np.median(tuned)) * model.n_iter_ if tuned else 0.0)
    if args.json:
        put_json({"model": args.out, "seconds": round(seconds, 3), "scores": scores.found})
    else:
        _say(model, rows, scores, bought)
    if args.report is not None:
        vars(model).update(given)
        put_report(args.report, model, rows, args.image_shape)
    progress(f"saved {args.out}; try next:")
    for words in _further(args, model, form):
        progress(f"  {shlex.join(words)}")


def _scores(model, rows, seconds):
    """The scores beside baselines, and what pretraining was worth: a line, or None for models that are not fine-tuned.

    seconds is what fine-tuning took.
    """
    import numpy as np
    from sklearn.base import clone

    from fastdbn import DBNClassifier, DBNRegressor
    from fastdbn.cli.target import labelled
    from fastdbn.evaluate.scores import scores_of

    known = slice(None) if rows.y is None else labelled(rows.y)
    given = model, rows.X[known], None if rows.y is None else np.ma.getdata(rows.y)[known], rows.X_test, rows.y_test
    if not isinstance(model, (DBNClassifier, DBNRegressor)):
        return scores_of(*given), None
    if seconds > MOST_SECONDS:
        return scores_of(*given), f"not compared with a network without pretraining, which would take {seconds:.0f} s"
    plain = clone(model).set_params(pretrain=False, verbose=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # the fit that the user asked for has warned
            plain.fit(rows.X, rows.y)
    except ArithmeticError:
        return scores_of(*given), "not compared with a network without pretraining, whose training diverged"
    scores = scores_of(*given, {"the same without pretraining": plain})
    (measure, of_model), of_plain = next(iter(next(iter(scores.found.values())).items())), [*scores.found.values()][1]
    gain, unit = of_model - of_plain[measure], "points of accuracy" if measure == "accuracy" else measure
    words = f"{100 * gain:+.1f}" if measure == "accuracy" else f"{gain:+.3f}"
    return scores, f"pretraining brought {words} {unit} on these {rows.X_test.shape[0]} rows"


def _say(model, rows, scores, bought):
    """Print the scores on stdout: the first one in a line of its own, then the table."""
    from fastdbn.cli.results import table_lines

    measure, value = next(iter(next(iter(scores.found.values())).items()))
    print(f"test accuracy: {100 * value:.1f} %" if measure == "accuracy" else f"test {measure}: {value:.3f}")
    for line in table_lines(*scores.table()):
        print(line)
    if bought is not None:
        print(bought)
    sys.stdout.flush()


def _form(model, image_shape):
    """The ending of the file that shows rows best: a picture where they are images and there is matplotlib."""
    if hasattr(model, "preparation_"):
        return ".csv"
    try:
        from fastdbn.plot.images import shape_of
    except ImportError:
        return ".npy"
    return ".npy" if shape_of(model, image_shape) is None else ".png"


def _further(args, model, form):
    """Commands to try next; form is the ending of files of rows."""
    header = {None: (), True: ("--header",), False: ("--no-header",)}[args.header]
    yield "fastdbn", "info", args.out
    if getattr(model, "noise", None) is not None:
        if args.data is not None:
            yield "fastdbn", "denoise", args.out, args.data, *header, "--out", f"denoised{form}"
    elif hasattr(model, "sample"):
        yield "fastdbn", "sample", args.out, "-n", "16", "--out", f"samples{form}"
    if args.report is None:
        yield "fastdbn", "report", args.out
    if args.data is not None:
        use = "predict" if hasattr(model, "predict_proba") or hasattr(model, "target_mean_") else "score"
        yield "fastdbn", use, args.out, args.data, *header
    yield "python", "-c", f"import fastdbn; print(fastdbn.load({json.dumps(args.out)}))"
