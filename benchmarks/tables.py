"""Tables of throughput: `python -m benchmarks.tables [FILE...]` prints result files as Markdown.

Times are microseconds per sample, medians over rounds ± half the range; ratios are of the medians, beside the target where
there is one, with ✗ where it is missed.
"""

import statistics

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import in_words
from benchmarks.targets import RIVALS, mark, target

ONE = "one thread"
"""fastdbn on one thread, in a run on several."""


def median(entry, who):
    """Median time of a contender, or None where it was left out."""
    return statistics.median(entry["us"][who]) if who in entry["us"] else None


def ratio(entry, rival):
    """How many times faster than a rival fastdbn is, or None."""
    other = median(entry, rival)
    return None if other is None else other / median(entry, "fastdbn")


def time_cell(entry, who):
    """ "28.0 ±3%"."""
    if who not in entry["us"]:
        return "–"
    middle, times = median(entry, who), entry["us"][who]
    return f"{middle:.{1 if middle < 1000 else 0}f} ±{100 * (max(times) - min(times)) / 2 / middle:.0f}%"


def head(threads):
    """Column names."""
    names = ["work", "limit", *CONTENDERS, "of limit", "over PyTorch", "over scikit-learn"]
    return [*names, ONE, f"{threads} threads over one"] if threads > 1 else names


def row(name, entry, machine):
    """Cells of a work."""
    cells = [name, *(time_cell(entry, who) for who in ("limit", *CONTENDERS))]
    cells += [mark(ratio(entry, rival), target(name, rival, machine)) for rival in RIVALS]
    if machine["threads"] > 1:
        cells += [time_cell(entry, ONE), mark(ratio(entry, ONE), target(name, ONE, machine))]
    return cells


def one_thread():
    """The result files of one thread, one for each kind of core."""
    return sorted(path for path in store.FOLDER.glob("throughput-*.json") if path.stem.count("-") == 1)


def widths(threads):
    """Of the columns in a terminal: times need less room than ratios with targets."""
    return [5 if name == "work" else 19 if "over" in name or "of limit" in name else 13 for name in head(threads)]


def line(cells, threads, markdown):
    """One line of a table, for a terminal or in Markdown."""
    if markdown:
        return "| " + " | ".join(cells) + " |"
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths(threads), strict=True))


def top(threads, markdown):
    """The head as it is printed."""
    first = line(head(threads), threads, markdown)
    return first + "\n|" + "---|" * len(head(threads)) if markdown else first


def notes(works):
    """What the works are, and who was left out of which, as lines."""
    lines = [f"{name}: {entry['description']}" for name, entry in works.items()]
    words = {}
    for name, entry in works.items():
        for who, word in entry["left_out"].items():
            words.setdefault(f"{who} left out, {word}", []).append(name)
    return lines + [f"{word}: {', '.join(names)}" for word, names in words.items()]


def main():
    """Print result files as Markdown."""
    parser = Parser(__doc__)
    parser.add_argument("files", nargs="*", help="by default those of all processors, on one thread")
    for path in parser.parse_args().files or one_thread():
        results = store.read(path)
        if results is None:
            parser.error(f"{path} does not exist: run python -m benchmarks.throughput first")
        threads = results["machine"]["threads"]
        print(in_words(results["machine"]) + "\n\n" + top(threads, True))
        for name, entry in results["works"].items():
            print(line(row(name, entry, results["machine"]), threads, True))
        print("\n" + "\n".join(f"- {note}" for note in notes(results["works"])))


if __name__ == "__main__":
    main()
