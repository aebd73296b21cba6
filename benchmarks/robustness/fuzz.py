"""Mutated model and checkpoint files are refused by name, give the same weights, or describe a model that works."""

import collections

from tests import fuzz_files

COUNT, OF, STEP = 1_000_000, "mutated files", 5000


def run(first, count):
    found, failures = collections.Counter(), []
    for i, (seed, name, what, result, detail) in enumerate(fuzz_files.run(first, count), 1):
        found[result] += 1
        failures += [f"seed {seed}, {name}, {what}: {detail}"] * (result == "FAILED")
        if i % STEP == 0 or i == count:
            yield found.total(), found, failures
            found, failures = collections.Counter(), []
