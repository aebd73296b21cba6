"""Write the performance section of README.md from the results: `python -m benchmarks.readme [--check]`.

It replaces the text between the two marks, from benchmarks/results/*.json. With --check it changes nothing, and exits with 1
if README.md is out of date.
"""

import argparse
import sys
import textwrap
from pathlib import Path

from benchmarks import store
from benchmarks.tables import ONE, median, ratio

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- performance -->", "<!-- end performance -->"
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


def on_mnist():
    """What was reached on MNIST, in words."""
    results = store.read(store.FOLDER / "mnist.json")["results"]

    def figure(name, what):
        value = results[name]["figures"][what]
        return value["mean"] if isinstance(value, dict) else value

    plain, dropped, generative = (figure(name, "test error, %") for name in ("backprop", "dropout", "updown"))
    stochastic, sooner = figure("rbm500-stochastic", "test nats"), figure("speed", "-90 nats, times sooner than PyTorch")
    kinds = [(labels, kind) for kind in ("pretrained", "random") for labels in (1000, 100)]
    right = [figure("lowlabel", f"{labels} labels, {kind}, accuracy %") for labels, kind in kinds]
    return (
        f"On MNIST: {plain:.2f} % errors after pretraining and back-propagation, {dropped:.2f} % with dropout and max-norm "
        f"(784-500-500-2000-10), {generative:.2f} % after up-down with labels on top; {right[0]:.1f} and {right[1]:.1f} % right "
        f"with 1,000 and 100 labels, where random weights give {right[2]:.1f} and {right[3]:.1f} %; {stochastic:.1f} nats for an "
        f"RBM of 500 hidden units on stochastically binarised pixels; -90 nats on thresholded ones {sooner:.1f} times sooner "
        "than PyTorch."
    )


def section():
    """The text between the marks."""
    one, two = (store.read(store.FOLDER / f"throughput{end}.json") for end in ("", "-2-threads"))
    if one is None:
        raise FileNotFoundError("benchmarks/results/throughput.json: run python -m benchmarks.throughput first")
    machine, versions = one["machine"], one["machine"]["versions"]
    peers = ", ".join(f"{label} {versions[package]}" for package, label in PACKAGES.items() if versions[package])
    first = (
        f"{machine['cpu']}, {machine['vectors']}, one thread; fastdbn {versions['fastdbn']} "
        f"{'with' if machine['extension'] else 'without'} the extension, {peers}. Microseconds per sample; the limit is the time "
        "of the dense matrix products alone through NumPy; ratios are of samples per second."
    )
    words = [textwrap.wrap(text, 127, break_on_hyphens=False) for text in (first, on_mnist())]
    return "\n".join([BEGIN, *words[0], "", *table(one, two), "", *words[1], END])


def main():
    """Rewrite README.md, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where README.md is out of date")
    args = parser.parse_args()
    text = README.read_text()
    start, end = text.find(BEGIN), text.find(END)
    if not 0 <= start < end:
        sys.exit(f"{README.name} lacks the marks {BEGIN} and {END}")
    new = text[:start] + section() + text[end + len(END) :]
    if not args.check:
        README.write_text(new)
    elif new != text:
        sys.exit(f"the performance section of {README.name} is out of date: run python -m benchmarks.readme")


if __name__ == "__main__":
    main()
