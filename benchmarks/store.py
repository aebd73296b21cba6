"""Results as JSON files in benchmarks/results/: the figures, and the machine that they were measured on."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def of_core(name, machine):
    """The results file of figures of speed, of which there is one for each kind of processor's core."""
    return FOLDER / f"{name}-{machine['core']}.json"


def read(path):
    """A results file, or None where there is none."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None


def write(path, machine, **parts):
    """Write a results file."""
    Path(path).write_text(json.dumps({"machine": machine, **parts}, indent=1, ensure_ascii=False) + "\n")


def kept(path, machine, part):
    """The entries of a part, if they are from the same machine, versions and sources; else none."""
    before = read(path)
    return before.get(part, {}) if before and before["machine"] == machine else {}


def add(path, machine, part, name, value):
    """Set one entry of a part. The file keeps what is from the same machine, versions and sources, and drops all else."""
    write(path, machine, **{part: kept(path, machine, part) | {name: value}})
