"""Run the parts and print all figures: `python -m benchmarks.robustness [PART ...] [--count N]`.

Figures go to results/robustness.json after each step. A part goes on where it stopped, if fastdbn's sources are the same, until
it has done its count; `--anew` begins again. Failures are printed and kept. The exit status is 1 if there are any.
"""

import importlib
import sys
import time
import warnings

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words, sources

PARTS = "fuzz", "kills", "inputs", "bounds", "sanitizers", "threads", "processes", "signals", "memory"
"""The names of the parts' files. Each has a `COUNT`, what it counts (`OF`), and `run(first, count)`, which gives (number done,
{figure: number}, [failure]) again and again: the figures are added up."""
WHOLE = ("memory",)
"""Parts that measure one process, and so begin anew where their count was not reached."""


def measure(name, count, found, path):
    """Run a part until it has done its count; its entry of the results file."""
    part = importlib.import_module(f"benchmarks.robustness.{name}")
    count = part.COUNT if count is None else count
    if name in WHOLE and found.get(name, {}).get("done", 0) < count:
        found.pop(name, None)
    entry = found.setdefault(name, {"sources": sources(), "done": 0, "seconds": 0.0, "figures": {}, "failures": []})
    began = time.perf_counter() - entry["seconds"]
    if entry["done"] < count:
        for done, figures, failures in part.run(entry["done"], count - entry["done"]):
            for failure in failures:
                print(f"FAILED: {failure}", flush=True)
            entry["done"] += done
            entry["seconds"] = round(time.perf_counter() - began, 1)
            entry["failures"] += failures
            for key, number in figures.items():
                entry["figures"][key] = entry["figures"].get(key, 0) + number
            store.write(path, describe(None), parts=found)
    return part, entry


def main():
    parser = Parser(__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all", help="[all]")
    parser.add_argument("--count", type=int, help="mutations, kills and so on, in whole steps of a part [each part's own]")
    parser.add_argument("--anew", action="store_true", help="forget what was done")
    parser.add_argument("--out", default=store.FOLDER / "robustness.json")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    found, failed = (store.read(args.out) or {"parts": {}})["parts"], False
    names = PARTS if "all" in args.parts else args.parts
    for name in names:
        if args.anew or found.get(name, {}).get("sources") != sources():
            found.pop(name, None)
    print(f"{in_words(describe(None))}\n")
    for name in names:
        part, entry = measure(name, args.count, found, args.out)
        figures = ", ".join(f"{number:,} {key}" for key, number in entry["figures"].items())
        print(f"{name:<12}{entry['done']:>9,} {part.OF}: {figures}; {len(entry['failures'])} failures", flush=True)
        failed |= bool(entry["failures"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
