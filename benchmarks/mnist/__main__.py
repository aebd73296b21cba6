"""The literature's MNIST tables: `python -m benchmarks.mnist NAME [--folder F]`.

Every stage writes its model and its curve to the folder after each epoch, and goes on from there when the command is run
again. Results, with seeds, seconds and the machine, go to benchmarks/results/mnist.json. With --validate the last 10,000
training rows take the place of the test set. Settings were chosen on these rows.
"""

import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from benchmarks.mnist import classify, images, likelihood, speed
from benchmarks.mnist.stages import Stages
from benchmarks.mnist.table import print_table

EXPERIMENTS = {
    run.__name__.replace("_", "-"): run
    for run in (
        likelihood.exact16,
        likelihood.rbm500,
        classify.backprop,
        classify.lowlabel,
        speed.speed,
        likelihood.rbm500_stochastic,
        likelihood.dbn2,
        classify.updown,
        classify.dropout,
    )
}
"""In the order of the table."""


class Run(NamedTuple):
    """What an experiment gets: images, the place of its stages, threads, seeds, and whether settings are being chosen."""

    images: images.Images
    stages: Stages
    threads: int | None
    seeds: int
    validate: bool


def main():
    """Run an experiment, print its figures, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("name", choices=[*EXPERIMENTS, "table"])
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--folder", default="mnist-runs", help="where models and curves are kept [mnist-runs]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--validate", action="store_true", help="the end of the training rows is the test set")
    parser.add_argument("--out", default=store.FOLDER / "mnist.json")
    args = parser.parse_args()
    if args.name == "table":
        print_table(store.read(args.out)["results"])
        return
    started = time.perf_counter()
    stages = Stages(Path(args.folder), args.name, "-validate" if args.validate else "")
    results = EXPERIMENTS[args.name](Run(images.load(args.data), stages, args.threads, args.seeds, args.validate))
    for what, value in results.items():
        print(f"{args.name}: {what}: {value}")
    if not args.validate:
        entry = {"figures": results, "seconds": time.perf_counter() - started, "machine": describe(args.threads)}
        store.add(args.out, {}, "results", args.name, entry)


if __name__ == "__main__":
    main()
