"""Time fastdbn on your machine and data, beside scikit-learn and, if installed, PyTorch.

examples:
  fastdbn bench
  fastdbn bench train-images-idx3-ubyte.gz --rounds 5
"""

import time
import warnings

from fastdbn.cli import options as common
from fastdbn.cli.commands import train
from fastdbn.support.report import progress


def options(parser):
    train.about_data(parser)
    parser.add_argument("--rounds", type=common.positive, default=3, help="how often each contender does its work, in turn [3]")
    common.jobs(parser, " of fastdbn and PyTorch")
    common.seed(parser)
    common.json(parser)


def run(args):
    """Median seconds of a fit, and its score, for each work and each contender. Compiling is not counted."""
    from fastdbn.cli.blocks import rows_to_train_on
    from fastdbn.cli.peers import BATCH, EPOCHS, HIDDEN, layer_works, network_works
    from fastdbn.cli.results import put_json, table_lines
    from fastdbn.evaluate.models import dense

    rows = rows_to_train_on(args)
    rows = rows._replace(X=dense(rows.X), X_test=dense(rows.X_test))
    n, width = rows.X.shape
    score = "accuracy" if rows.task == "classify" else "R2"
    works = {
        f"RBM {width}-{HIDDEN}, persistent chains": ("pseudo-likelihood", layer_works(rows.X, args.jobs, args.seed)),
        f"back-propagation {width}-{HIDDEN}-{HIDDEN}": (
            score,
            network_works(rows.X, rows.y, rows.X_test, rows.y_test, rows.task, args.jobs, args.seed),
        ),
    }
    progress(f"{n} rows, minibatches of {BATCH}, {EPOCHS} epochs, {args.rounds} rounds; compiling first, which is not counted")
    found = {}
    for work, (measure, contenders) in works.items():
        seconds, scores = _timed(contenders, args.rounds)
        found[work] = {who: {"seconds": seconds[who], measure: scores[who]} for who in contenders}
    if args.json:
        put_json(found)
        return
    for work, results in found.items():
        measure = [*results["fastdbn"]][1]
        own = results["fastdbn"]["seconds"]
        lines = [
            (who, f"{one['seconds']:.3f}", f"{one['seconds'] / own:.2f}", f"{one[measure]:.4g}") for who, one in results.items()
        ]
        for line in table_lines((work, "seconds", "times fastdbn's", measure), lines):
            print(line)
        print()


def _timed(contenders, rounds):
    """{name: median seconds}, {name: last score} of works that take turns."""
    import numpy as np

    seconds, scores = {who: [] for who in contenders}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that end before they converge
        contenders["fastdbn"]()
        for _ in range(rounds):
            for who, work in contenders.items():
                began = time.perf_counter()
                scores[who] = work()
                seconds[who].append(time.perf_counter() - began)
    return {who: float(np.median(times)) for who, times in seconds.items()}, scores
