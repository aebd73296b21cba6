"""Write the figures of README.md from the results: `python -m benchmarks.readme [--check]`.

It replaces the texts between pairs of marks, from benchmarks/results/*.json. With --check it changes nothing, and exits with 1
if README.md is out of date.
"""

import sys
import textwrap
from pathlib import Path

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import make
from benchmarks.tables import ONE, median, one_thread, ratio

README = Path(__file__).parent.parent / "README.md"
PERFORMANCE = "<!-- performance -->", "<!-- end performance -->"
SPEED = "<!-- speed -->", "<!-- end speed -->"
PACKAGES = {"numpy": "NumPy", "torch": "PyTorch", "scikit-learn": "scikit-learn"}
COLUMNS = ("limit", "fastdbn", "PyTorch", "scikit-learn")


def number(value, digits):
    """A number, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def table(one, two):
    """Markdown: times and ratios on one thread, and the gain of a second thread where that was measured."""
    names = ["work", *COLUMNS, "of limit", "over PyTorch", "over scikit-learn", "2 threads over 1"]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "--:|" * (len(names) - 1)]
    for name, entry in one["works"].items():
        other = two and two["works"].get(name)
        cells = [f"{name}: {entry['description']}"]
        cells += [number(median(entry, who), 1) for who in COLUMNS]
        cells += [number(ratio(entry, who), 2) for who in ("limit", "PyTorch", "scikit-learn")]
        cells += [number(ratio(other, ONE) if other else None, 2)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def measured_with(machine):
    """The processor and the versions of a table, in a line."""
    versions = machine["versions"]
    peers = ", ".join(f"{label} {versions[package]}" for package, label in PACKAGES.items() if versions[package])
    extension = "with" if machine["extension"] else "without"
    return f"**{make(machine)}**, {machine['vectors']}: fastdbn {versions['fastdbn']} {extension} the extension, {peers}."


def on_mnist():
    """A Markdown table of what was reached on MNIST."""
    results = store.read(store.FOLDER / "mnist.json")["results"]

    def figure(name, what):
        value = results[name]["figures"][what]
        return value["mean"] if isinstance(value, dict) else value

    plain, dropped, generative = (f"{figure(name, 'test error, %'):.2f} %" for name in ("backprop", "dropout", "updown"))
    kinds = [(labels, kind) for labels in (1000, 100) for kind in ("pretrained", "random")]
    right = [figure("lowlabel", f"{labels} labels, {kind}, accuracy %") for labels, kind in kinds]
    stochastic, sooner = figure("rbm500-stochastic", "test nats"), figure("speed", "-90 nats, times sooner than PyTorch")
    lines = [
        ("784-500-500-2000-10, pretraining and back-propagation", "test error", plain),
        ("the same with dropout and max-norm", "test error", dropped),
        ("up-down with labels on top", "test error", generative),
        ("pretraining, then 1,000 labels (without pretraining)", "test accuracy", f"{right[0]:.1f} % ({right[1]:.1f} %)"),
        ("pretraining, then 100 labels (without pretraining)", "test accuracy", f"{right[2]:.1f} % ({right[3]:.1f} %)"),
        (
            "RBM of 500 hidden units, stochastically binarised pixels",
            "mean log-likelihood of test rows",
            f"{stochastic:.1f} nats",
        ),
        ("RBM of 500 hidden units, thresholded pixels", "time to -90 nats: PyTorch over fastdbn", f"{sooner:.1f}"),
    ]
    return ["| MNIST | figure | value |", "|---|---|--:|", *("| " + " | ".join(line) + " |" for line in lines)]


def start_up():
    """A Markdown table of the seconds of first commands."""
    seconds = store.read(store.FOLDER / "startup.json")["seconds"]
    lines = [
        ("`fastdbn train`, which compiles its kernels", "fastdbn train, empty cache"),
        ("`fastdbn train`, kernels in the cache", "fastdbn train, warm cache"),
        ("a first `RBM` fit, which compiles its kernels", "first fit, empty cache"),
        ("a first `RBM` fit, kernels in the cache", "first fit, warm cache"),
    ]
    return ["| start-up | seconds |", "|---|--:|", *(f"| {what} | {seconds[name]:.1f} |" for what, name in lines)]


def speed(results):
    """How many times as fast as by PyTorch an RBM trains on sparse binary data, in the slowest work and in the fastest."""
    entries = [entry for one in results for entry in one["works"].values()]
    works = [entry for entry in entries if "CD-" in entry["description"] and "density 0.14" in entry["description"]]
    ratios = [ratio(entry, "PyTorch") for entry in works]
    return f"{min(ratios):.1f} to {max(ratios):.1f} times"


def texts():
    """(marks, the text between them) of each part of README.md that is made from results."""
    paths = one_thread()
    if not paths:
        raise FileNotFoundError("benchmarks/results/throughput-*.json: run python -m benchmarks.throughput first")
    results = [store.read(path) for path in paths]
    first = (
        "The first four columns of numbers are microseconds per sample, on one thread. The limit is the time of the dense matrix "
        "products alone, through NumPy. The next three are fastdbn's samples per second, divided by those of the limit or of the "
        "peer: above 1, fastdbn is faster. There is a table for each kind of processor that was at hand."
    )
    lines = ["", *textwrap.wrap(first, 127, break_on_hyphens=False), ""]
    for path, one in zip(paths, results, strict=True):
        two = store.read(path.with_stem(path.stem.replace("throughput-", "throughput-2-threads-")))
        lines += [*textwrap.wrap(measured_with(one["machine"]), 127, break_on_hyphens=False), "", *table(one, two), ""]
    return (SPEED, speed(results)), (PERFORMANCE, "\n".join([*lines, *on_mnist(), "", *start_up(), ""]))


def main():
    """Rewrite README.md, or check it."""
    parser = Parser(__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where README.md is out of date")
    args = parser.parse_args()
    text = new = README.read_text()
    for (begin, end), made in texts():
        before, mark, rest = new.partition(begin)
        _, last, after = rest.partition(end)
        if not (mark and last):
            sys.exit(f"{README.name} lacks the marks {begin} and {end}")
        new = before + begin + made + end + after
    if not args.check:
        README.write_text(new)
    elif new != text:
        sys.exit(f"{README.name} is out of date: run python -m benchmarks.readme")


if __name__ == "__main__":
    main()
