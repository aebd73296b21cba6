"""Do long fits slow down? Time of each of 60 epochs: `python -m benchmarks.long_fits [--data FOLDER] [--works NAME,...]`.

As training converges, weights of inputs that are never on, velocities and moments become subnormal numbers. Many processors
are slow on those. fastdbn flushes them to zero inside its kernels, PyTorch if it is told to (`set_flush_denormal`).
Networks are trained by Adam, RBMs by CD-1 and PCD-1 without weight decay, on the first rows of MNIST (the folder of its four
idx files is --data or FASTDBN_DATA) and on the 8x8 digits, on one thread. Each fit has a process of its own, and contenders take
turns for some rounds. Times are CPU time, so that other processes on the machine count less.

"first" and "last" are medians over five epochs, from the second on and at the end, of medians over rounds. Target: last over
first is at most 1.05 for fastdbn. "subnormal" is the share of such numbers among the weights of the first layer after the fit,
or among the velocities of an RBM. "price" is how much longer arithmetic on such numbers takes on this processor: 1 on AMD's
Zen 4, where nothing slows down, up to 150 on Intel's.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders import LeftOutError, with_fastdbn, with_sklearn
from benchmarks.machine import describe, in_words
from benchmarks.mnist import images
from benchmarks.targets import LAST_OVER_FIRST
from benchmarks.works import Work

RATE, ALPHA = 0.001, 1e-4
"""Adam's step size, and the weight decay of networks."""
ENDS = 5
"""Epochs at either end of which medians are taken."""
WORKS = {
    work.name: work
    for work in (
        Work("mnist", "fine-tune", (784, 500, 500, 10), 100, values="unit", decay=ALPHA),
        Work("digits", "fine-tune", (64, 500, 500, 10), 100, values="unit", decay=ALPHA),
        Work("mnist CD", "cd", (784, 500), 100, decay=0.0),
        Work("mnist PCD", "cd", (784, 500), 100, persistent=True, decay=0.0),
    )
}


def rows_of(work, n, folder):
    """At most n rows of a work's data and their labels. Networks get grey values, RBMs zeros and ones."""
    if work.name == "digits":
        X, y = load_digits(return_X_y=True)
        return (X[:n] / 16).astype(np.float32), y[:n]
    data = images.load(folder)
    X = images.grey(data.X[:n]) if work.task == "fine-tune" else images.thresholded(data.X[:n]).astype(np.float32)
    return X, data.y[:n].astype(np.int64)


def fit_fastdbn(work, X, y, epochs, watch):
    """One fit, which calls `watch` after each epoch; returns the first layer's weights, or an RBM's velocities."""
    options = {"callbacks": [lambda **_: watch()], "warm_start": False, "random_state": 0}
    if work.task == "cd":
        return with_fastdbn.rbm(work, 1).set_params(n_iter=epochs, **options).fit(X)._velocity.W
    adam = {"solver": "adam", "learning_rate_init": RATE, "max_iter": epochs}
    return with_fastdbn.classifier(work, 1).set_params(rbm__binarize=None, **adam, **options).fit(X, y).coefs_[0]


def fit_sklearn(work, X, y, epochs, watch):
    if work.task == "cd":
        return _epochs(with_sklearn.cd(work, X, y, 1), epochs, watch)
    adam = {"solver": "adam", "learning_rate_init": RATE, "alpha": work.decay * work.batch}  # which it divides by the batch
    model, classes = with_sklearn.network(work).set_params(**adam), np.unique(y)
    _epochs(lambda: model.partial_fit(X, y, classes=classes), epochs, watch)
    return model.coefs_[0]


def fit_torch(work, X, y, epochs, watch, flush=False):
    try:
        import torch

        from benchmarks.contenders import with_torch
    except ImportError as error:
        raise LeftOutError("not installed") from error
    if work.task == "cd":
        run = with_torch.cd(work, X, y, 1)
        with_torch.start(1, flush)
        return _epochs(run, epochs, watch)
    with_torch.start(1, flush)
    data, target, net = torch.from_numpy(X), torch.from_numpy(y), with_torch.network(work.sizes)
    adam = torch.optim.Adam(net.parameters(), RATE, weight_decay=work.decay)

    def epoch():
        for rows in torch.randperm(len(data)).split(work.batch):
            adam.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(net(data.index_select(0, rows)), target.index_select(0, rows)).backward()
            adam.step()

    _epochs(epoch, epochs, watch)
    return net[0].weight.detach().numpy()


def _epochs(run, epochs, watch):
    for _ in range(epochs):
        run()
        watch()


CONTENDERS = {
    "fastdbn": fit_fastdbn,
    "scikit-learn": fit_sklearn,
    "PyTorch": fit_torch,
    "PyTorch, flushing": partial(fit_torch, flush=True),
}


def subnormal(x):
    """The share of subnormal numbers. It looks at bits, because the thread's mode may hide them from comparisons."""
    word, mantissa = (np.uint32, 23) if x.itemsize == 4 else (np.uint64, 52)
    bits = np.ascontiguousarray(x).view(word) << word(1)
    return float(np.mean((bits != 0) & (bits >> word(mantissa + 1) == 0)))


def price():
    """How many times as long as on other numbers additions and products take on subnormals."""
    times = []
    for size in (np.float32(1), np.float32(1e-40)):
        x, y = np.full(10_000, size), np.empty(10_000, np.float32)
        runs = []
        for _ in range(101):
            start = time.perf_counter()
            np.multiply(x, np.float32(0.9), out=y)
            np.add(x, y, out=y)
            runs.append(time.perf_counter() - start)
        times.append(statistics.median(runs))
    return times[1] / times[0]


def measure(name, work, epochs, n, folder):
    """(microseconds of CPU time a row of each epoch, share of subnormals or None) of one fit."""
    X, y = rows_of(work, n, folder)
    times = []
    with threadpool_limits(1, user_api="blas"):
        CONTENDERS[name](work, X[: 2 * work.batch], y[: 2 * work.batch], 1, lambda: None)  # loads what there is to load
        times.append(time.process_time())
        weights = CONTENDERS[name](work, X, y, epochs, lambda: times.append(time.process_time()))
    return [float(t) for t in np.diff(times) / len(X) * 1e6], None if weights is None else subnormal(weights)


def ends(rounds):
    """Microseconds a row at first and at last."""
    middle = np.median(rounds, axis=0)
    return float(np.median(middle[1 : 1 + ENDS])), float(np.median(middle[-ENDS:]))


def cells(name, entry):
    """A line of the table."""
    first, last = ends(entry["us"])
    mark = " ✗" * (name == "fastdbn" and last / first > LAST_OVER_FIRST)
    share = "–" if entry["subnormal"] is None else f"{100 * entry['subnormal']:.1f} %"
    return [name, f"{first:.1f}", f"{last:.1f}", f"{last / first:.2f}{mark}", share]


def line(cells, markdown):
    return (
        "| " + " | ".join(cells) + " |" if markdown else f"{cells[0]:<12}{cells[1]:<20}" + "".join(f"{c:>12}" for c in cells[2:])
    )


def main():
    """Run, print the table, write JSON after each work."""
    parser = Parser(__doc__)
    parser.add_argument("--works", default=",".join(WORKS), help="some of " + ", ".join(WORKS))
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="print Markdown, to be pasted")
    parser.add_argument("--out", help="JSON file; benchmarks/results/long_fits-CORE.json by default")
    args = parser.parse_args()
    unknown = [name for name in args.works.split(",") if name not in WORKS]
    if unknown:
        parser.error(f"no work {', '.join(unknown)}: give some of {', '.join(WORKS)}")
    machine, cost = describe(1), price()
    print(in_words(machine) + f"\nmicroseconds of CPU time a row, medians of {args.rounds} rounds; price {cost:.1f}\n")
    print(line(["work", "who", "first", "last", "last/first", "subnormal"], args.markdown))
    if args.markdown:
        print("|---" * 6 + "|")
    for name in args.works.split(","):
        work, found = WORKS[name], {}
        for _ in range(args.rounds):
            for who in CONTENDERS:
                with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                    try:
                        us, share = alone.submit(measure, who, work, args.epochs, args.rows, args.data).result()
                    except LeftOutError:
                        continue
                found.setdefault(who, {"us": []})["us"].append(us)
                found[who]["subnormal"] = share
        for who, entry in found.items():
            print(line([name, *cells(who, entry)], args.markdown), flush=True)
        about = {"work": work._asdict(), "epochs": args.epochs, "rows": args.rows, "price": cost}
        store.add(args.out or store.of_core("long_fits", machine), machine, "works", name, about | {"contenders": found})


if __name__ == "__main__":
    main()
