"""Whole default fits: `python -m benchmarks.whole_fits [--data FOLDER] [--threads 2] [--rounds 3]`.

`DBNClassifier()` learns the first 10,000 rows of MNIST: two layers by CD-1, then back-propagation by Adam with dropout. PyTorch
does the same by hand, with its best settings: fused Adam, and subnormal numbers flushed to zero. It has neither centred gradients
nor monitors, and draws the states that the second layer learns from once, so it does less. scikit-learn's MLPClassifier does the
fine-tuning alone, without dropout. All have the same layers, minibatches and epochs.

Each fit has a process of its own, which fits some rows first, so that code is loaded. Contenders take turns. Times are seconds on
the clock, medians over rounds. "accuracy" is on the test rows.
"""

import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders import LeftOutError
from benchmarks.machine import describe, in_words
from benchmarks.mnist import images
from benchmarks.targets import WHOLE_FIT, mark
from benchmarks.works import Work
from fastdbn import RBM, DBNClassifier
from fastdbn.callbacks import Callback

DEFAULT = DBNClassifier()
SIZES = (784, *DEFAULT.hidden_layer_sizes, 10)
LAYER_EPOCHS = 20
"""Of a layer, by default, on 10,000 rows."""
STAGES = ("pretraining", "fine-tuning")
RATE = 0.005
"""Adam's first step size, by default; it falls linearly to 0."""


class Clock(Callback):
    """Seconds of pretraining and of fine-tuning."""

    def on_fit_begin(self, estimator, resumed):
        self.times = [time.perf_counter()]

    def on_stage_begin(self, estimator, stage, epoch, n_epochs, n_rows):
        if stage == "fine-tuning":
            self.times.append(time.perf_counter())

    def on_fit_end(self, estimator, complete):
        self.times.append(time.perf_counter())


def fit_fastdbn(X, y, epochs, threads):
    """(seconds of pretraining, seconds of fine-tuning, the model's `predict`)."""
    clock = Clock()
    layers = RBM(n_iter=min(epochs, LAYER_EPOCHS))
    model = DBNClassifier(rbm=layers, max_iter=epochs, callbacks=[clock], random_state=0, n_jobs=threads).fit(X, y)
    return *np.diff(clock.times), model.predict


def fit_torch(X, y, epochs, threads):
    try:
        import torch

        from benchmarks.contenders import with_torch
    except ImportError as error:
        raise LeftOutError("not installed") from error
    with_torch.start(threads)
    start, states, net = time.perf_counter(), (torch.rand(X.shape) < torch.from_numpy(X)).float(), with_torch.network(SIZES)
    for i, sizes in enumerate(pairwise(SIZES[:-1])):
        train = with_torch.cd(Work("", "cd", sizes, DEFAULT.batch_size), states.numpy(), y, threads)
        for _ in range(min(epochs, LAYER_EPOCHS)):
            train()
        W, c = train.parameters
        net[2 * i].weight.data, net[2 * i].bias.data = W.T.contiguous(), c
        states = (torch.rand(len(X), sizes[1]) < torch.addmm(c, states, W).sigmoid()).float()
    middle = time.perf_counter()
    _fine_tune_torch(torch, net, torch.from_numpy(X), torch.from_numpy(y), epochs)
    return middle - start, time.perf_counter() - middle, lambda X: net.eval()(torch.from_numpy(X)).argmax(1).numpy()


def _fine_tune_torch(torch, net, data, target, epochs):
    """Adam with the default rates, weight decay and dropout."""
    batch, decay = DEFAULT.batch_size, DEFAULT.alpha / DEFAULT.batch_size
    drop, n_steps = torch.nn.Dropout(DEFAULT.dropout), epochs * -(-len(data) // batch)
    for i in range(1, len(net), 2):
        net[i] = torch.nn.Sequential(net[i], drop)
    adam = torch.optim.Adam(net.parameters(), RATE, weight_decay=decay, fused=True)
    falling = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, n_steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(batch):
            adam.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(net(data.index_select(0, rows)), target.index_select(0, rows)).backward()
            adam.step()
            falling.step()


def fit_sklearn(X, y, epochs, threads):
    model = MLPClassifier(
        SIZES[1:-1],
        activation="logistic",
        batch_size=DEFAULT.batch_size,
        learning_rate_init=0.001,
        alpha=DEFAULT.alpha,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(X, y)
    return None, time.perf_counter() - start, model.predict


CONTENDERS = {"fastdbn": fit_fastdbn, "PyTorch": fit_torch, "scikit-learn": fit_sklearn}


def measure(name, n, epochs, threads, folder):
    """(seconds of pretraining or None, seconds of fine-tuning, accuracy) of one fit."""
    data = images.load(folder)
    X, y = images.grey(data.X[:n]), data.y[:n].astype(np.int64)
    with threadpool_limits(threads, user_api="blas"):
        warnings.simplefilter("ignore")  # the first fit is too short to learn, and scikit-learn asks for more epochs
        CONTENDERS[name](X[:200], y[:200], 1, threads)  # loads what there is to load
        pretraining, fine_tuning, predict = CONTENDERS[name](X, y, epochs, threads)
        right = np.mean(predict(images.grey(data.test)) == data.test_y)
    return pretraining, fine_tuning, float(right)


def middle(runs, part):
    """The median of a part over rounds, or None."""
    return None if runs[0][part] is None else statistics.median(run[part] for run in runs)


def lines(found, threads):
    """A Markdown table: seconds, accuracy, and how many times sooner fastdbn is."""
    names = ["who", *STAGES, "whole", "accuracy", "fine-tuning over fastdbn's", "whole over fastdbn's"]
    out = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    own = [middle(found["fastdbn"], part) for part in (0, 1)]
    for who, runs in found.items():
        pretraining, fine_tuning, right = (middle(runs, part) for part in range(3))
        whole = None if pretraining is None else pretraining + fine_tuning
        seconds = ["–" if s is None else f"{s:.1f}" for s in (pretraining, fine_tuning, whole)]
        ratios = {"fine-tuning": fine_tuning / own[1], "whole": None if whole is None else whole / sum(own)}
        asked = {part: WHOLE_FIT.get((who, part)) if threads == 1 else None for part in ratios}
        cells = [who, *seconds, f"{right:.4f}", *(mark(ratio, asked[part]) for part, ratio in ratios.items())]
        out.append("| " + " | ".join(cells) + " |")
    return out


def main():
    """Run, print the table, write JSON after each round."""
    parser = Parser(__doc__)
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=DEFAULT.max_iter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", help="JSON file; benchmarks/results/whole_fits-CORE.json by default")
    args = parser.parse_args()
    machine, found = describe(args.threads), {}
    print(in_words(machine) + "\n")
    for _ in range(args.rounds):
        for who in CONTENDERS:
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                try:
                    run = alone.submit(measure, who, args.rows, args.epochs, args.threads, args.data).result()
                except LeftOutError:
                    continue
            found.setdefault(who, []).append(run)
        about = {"rows": args.rows, "epochs": args.epochs, "columns": [*STAGES, "accuracy"]}
        store.add(
            args.out or store.of_core("whole_fits", machine), machine, "threads", str(args.threads), about | {"contenders": found}
        )
    print("\n".join(lines(found, args.threads)))


if __name__ == "__main__":
    main()
