"""All figures of benchmarks/results/dask.json in words, and the model of cost for 64 machines."""

from benchmarks.dask import model
from benchmarks.dask.timing import LAYERS
from benchmarks.machine import in_words

MACHINES = 64
RATE = 1e12
"""Operations a second of a machine of some ten cores; the machine measured here has a figure for one core."""
LINKS = {"10 Gb/s": 1.25e9, "100 Gb/s": 12.5e9}


def print_table(found):
    """Print what there is."""
    print(in_words(found["machine"]))
    for part, entries in found.items():
        if part == "machine":
            continue
        print(f"\n{part}")
        for name, value in entries.items():
            figures = ", ".join(f"{key} {x:.4g}" if isinstance(x, float) else f"{key} {x}" for key, x in value.items())
            print(f"  {name}: {figures}")
    if "costs" in found.get("time", {}):
        print_model(found["time"]["costs"])


def print_model(costs):
    """The model for `MACHINES`, a shard on each, with the measured latency and overhead."""
    print(f"\nmodel, {MACHINES} machines of {RATE:.0e} operations a second, a shard each\n")
    print(
        "| layer | round | computing, s | " + " | ".join(f"{link}: s, share of communication, speed-up" for link in LINKS) + " |"
    )
    print("|---" * (3 + len(LINKS)) + "|")
    for layer, sizes in LAYERS.items():
        for kind, minibatches in (("average", 10), ("average", 100), ("average", 1000), ("gradient", 2), ("gradient", 32)):
            what = model.of_layer(*sizes, kind, 32 * minibatches, MACHINES, MACHINES)
            words = f"average, r = {minibatches}" if kind == "average" else f"gradient, batch {32 * minibatches * MACHINES:,}"
            cells = []
            for bandwidth in LINKS.values():
                computing, whole = model.seconds(model.Costs(costs["latency"], costs["overhead"], bandwidth, RATE), what)
                cells.append(f"{whole:.3g}, {1 - computing / whole:.0%}, {MACHINES * computing / whole:.1f}")
            print(f"| {layer} | {words} | {computing:.3g} | " + " | ".join(cells) + " |")
