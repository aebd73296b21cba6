"""The performance section of README.md, from the results: `python -m benchmarks.readme [--check]`.

Rewrites what stands between the two marks from benchmarks/results/*.json; with --check it changes nothing and exits with 1 where
README.md says anything else.
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
    return "\n".join([BEGIN, *textwrap.wrap(first, 127), "", *table(one, two), END])


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
