"""Training on a Dask cluster of this machine: `python -m benchmarks.dask PART [--data FOLDER]`.

kills     workers are killed at random moments; fits must keep their bits, and never wait long
quality   averaging of 8 shards against training on one machine, at equal epochs, on MNIST
time      rounds of two layer sizes: measured, the share that is no computing, and what the model of cost says
scaling   rows a second of one to four worker processes
table     print all figures, and the model for 64 machines

Results go to benchmarks/results/dask.json. A part that is there, from the same machine and sources, goes on where it ended.
"""

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.dask import kills, quality, table, timing
from benchmarks.machine import describe

PARTS = {"kills": kills.run, "quality": quality.run, "time": timing.run, "scaling": timing.scaling}


def main():
    """Run a part, or print the table."""
    parser = Parser(__doc__)
    parser.add_argument("part", choices=[*PARTS, "table"])
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument("--count", type=int, default=100, help="workers to kill [100]")
    parser.add_argument(
        "--pause", type=float, default=5.0, help="mean seconds between two kills, more than a worker needs to start [5]"
    )
    parser.add_argument("--workers", type=int, default=3, help="worker processes of kills [3]")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of MNIST [10000]")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of quality [10]")
    parser.add_argument("--out", default=store.FOLDER / "dask.json")
    args = parser.parse_args()
    if args.part == "table":
        table.print_table(store.read(args.out))
        return
    machine = describe(1)
    for name, value in PARTS[args.part](args, store.kept(args.out, machine, args.part)):
        print(f"{args.part}: {name}: {value}", flush=True)
        store.add(args.out, machine, args.part, name, value)


if __name__ == "__main__":
    main()
