"""Search the settings that matter for some minutes, train with the best ones, and say what that gained.

examples:
  fastdbn tune --minutes 2
  fastdbn tune titanic.csv --target survived --minutes 10 --out tuned.safetensors
"""

import sys
import time

from fastdbn.cli import options as common
from fastdbn.cli.commands import train
from fastdbn.support.report import progress


def options(parser):
    train.scale(train.about_data(parser))
    told = "minutes of the search, without compiling [5]; two fits on all training rows follow, and it says how long they take"
    parser.add_argument("--minutes", type=common.above_zero, default=5.0, metavar="M", help=told)
    common.seed(parser, "seed of the models and of the search [0]")
    common.jobs(parser)
    common.out(parser, "model file [tuned.safetensors]", "tuned.safetensors", common.MODEL)
    common.quiet(parser)


def run(args):
    """Search on rows held out of the training rows, train the best settings on all of these, and compare on the test rows."""
    from sklearn.base import clone

    from fastdbn import RBM, DBNClassifier, DBNRegressor
    from fastdbn.callbacks import ProgressBar
    from fastdbn.cli.blocks import rows_to_train_on
    from fastdbn.cli.results import save_somewhere
    from fastdbn.cli.rows import check_paths
    from fastdbn.cli.split import split
    from fastdbn.cli.tuning import epochs_of, first_fit, search

    check_paths(args)
    rows = rows_to_train_on(args, searches=True)
    rows = rows._replace(X=rows.X[:])  # in memory
    estimator = DBNClassifier if rows.task == "classify" else DBNRegressor
    rbm = RBM(visible=rows.visible, scale=args.scale)
    default = estimator(rbm=rbm, random_state=args.seed, n_jobs=args.jobs, callbacks=None if args.quiet else [ProgressBar()])
    train, valid = split(len(rows.y), rows.y, rows.task, None, rows.groups)
    progress(f"searching for {args.minutes:g} minutes, by the scores of {len(valid)} rows held out; first the defaults:")
    began, seconds = time.perf_counter(), 60 * args.minutes
    fitted, few, of_fit = first_fit(default, rows.X, rows.y, train, rows.task, seconds)
    left = seconds - (time.perf_counter() - began)
    settings, (n, first, best) = search(fitted, rows.X, rows.y, few, valid, left, of_fit, args.seed, progress)
    passes = [n * epochs_of(default, n) for n in (len(rows.y), len(few))]
    minutes = of_fit / 60 * passes[0] / passes[1]
    took, others = (time.perf_counter() - began) / 60, "and with the best settings" if settings else "which no setting surpassed"
    progress(
        f"the search took {took:.1f} minutes; training on all {len(rows.y)} rows with the defaults, about {minutes:.1f} minutes, "
        f"{others}"
    )
    plain = clone(default).fit(rows.X, rows.y)
    model = clone(default).set_params(**settings).fit(rows.X, rows.y) if settings else plain
    measure = "accuracy" if rows.task == "classify" else "R2"
    tuned, before = model.score(rows.X_test, rows.y_test), plain.score(rows.X_test, rows.y_test)
    print(f"test {measure}: {tuned:.4f} tuned, {before:.4f} with the defaults ({rows.X_test.shape[0]} rows)")
    learnt = f"; models of {len(few)} rows" if len(few) < len(train) else ""
    print(f"rows held out: {best:.4f} tuned, {first:.4f} with the defaults; {n} setting{'s' * (n != 1)} tried{learnt}")
    for name, value in settings.items():
        print(f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}")
    sys.stdout.flush()
    model.set_params(callbacks=None)
    vars(model).update(rows.attributes)
    save_somewhere(model, args.out)
    progress(f"saved {args.out}")
