"""The table of results as Markdown: `python -m benchmarks.mnist table`."""

from benchmarks.machine import in_words

REACH = {
    ("exact16", "centred, test nats"): (">=", -143.5),
    ("exact16", "centred, flipped less plain digits"): ("<=", 1.5),
    ("exact16", "plain-flipped, test nats"): ("<", -175.0),
    ("rbm500", "test nats"): (">=", -86.5),
    ("rbm500", "gap"): ("<", 2.0),
    ("backprop", "test error, %"): ("<=", 1.25),
    ("lowlabel", "1000 labels, pretrained, accuracy %"): (">=", 93.5),
    ("lowlabel", "100 labels, pretrained, accuracy %"): (">=", 82.0),
    ("lowlabel", "1000 labels, gain"): (">=", 3.5),
    ("lowlabel", "100 labels, gain"): (">=", 3.5),
    ("lowlabel", "1000 labels, pseudo-labels, accuracy %"): (">=", 96.0),
    ("lowlabel", "100 labels, pseudo-labels, accuracy %"): (">=", 88.0),
    ("speed", "-100 nats, times sooner than PyTorch"): (">=", 2.0),
    ("speed", "-90 nats, times sooner than PyTorch"): (">=", 2.0),
    ("rbm500-stochastic", "test nats"): (">=", -87.0),
    ("dbn2", "bound, test nats"): (">=", -87.0),
    ("updown", "test error, %"): ("<=", 1.45),
    ("dropout", "test error, %"): ("<=", 1.05),
}
"""What to reach."""
_HOLDS = {">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "<": lambda a, b: a < b}


def _cell(value):
    if isinstance(value, dict):
        spread = f" ± {value['sd']:.2f}" if value.get("sd") else ""
        return f"{value['mean']:.2f}{spread} ({', '.join(f'{x:.2f}' for x in value['seeds'])})"
    return f"{value:.4g}" if abs(value) >= 1000 else f"{value:.2f}"


def _reach(name, what, value):
    if (name, what) not in REACH:
        return ""
    relation, limit = REACH[name, what]
    number = value["mean"] if isinstance(value, dict) else value
    return f"{relation} {limit:g}" + ("" if _HOLDS[relation](number, limit) else " ✗")


def print_table(results):
    """Print what a results file holds: mean ± standard deviation (each seed), and ✗ where the aim is missed."""
    print("| run | figure | value | reach |\n|---|---|---|---|")
    for name, entry in results.items():
        for what, value in entry["figures"].items():
            print(f"| {name} | {what} | {_cell(value)} | {_reach(name, what, value)} |")
    machines = {in_words(entry["machine"]): name for name, entry in results.items()}
    print("\n" + "\n".join(f"{words}." for words in machines))
