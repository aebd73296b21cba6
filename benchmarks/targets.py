"""Targets: samples per second over those of the dense limit, hand-written PyTorch and scikit-learn.

None is no target. Figures are compared as they are measured, without rounding.
"""

RIVALS = ("limit", "PyTorch", "scikit-learn")
PEERS = {
    "W1": (2.4, 3.2),
    "W2": (1.9, 3.7),
    "W3": (2.0, 3.5),
    "W4": (1.5, 2.3),
    "W5": (2.4, None),
    "W6": (4.5, 6.0),
    "W6b": (3.3, 6.0),
    "W7": (1.25, 1.5),
    "W8": (2.2, 3.5),
    "W8r": (1.15, 1.8),
    "W1d": (1.6, None),
    "W1g": (1.2, None),
    "W1p": (2.4, 3.2),
    "text": (None, 4.0),
}
"""Over PyTorch and scikit-learn, on one thread. W1p is W1 with persistent chains, and has the same targets."""
LIMIT = {  # Intel, AMD
    "W1": (2.0, 2.7),
    "W2": (2.0, 2.7),
    "W3": (1.5, 1.5),
    "W4": (2.0, 2.7),
    "W5": (1.8, 2.5),
    "W6": (1.0, 1.3),
    "W6b": (1.0, 1.3),
    "W7": (0.87, 0.97),
    "W8": (1.8, 2.5),
    "W8r": (0.93, 0.93),
    "W1d": (1.3, 1.6),
    "W1g": (0.92, 0.92),
    "W1p": (2.0, 2.7),
    "W1b": (1.3, 1.6),
    "W1n": (1.0, 1.2),
}
"""Of the dense limit, on one thread. The limit itself is 1.3 to 1.5 times as fast on Intel's processors."""
TWO_THREADS = {"W1": 1.3, "W2": 1.3, "W4": 1.3, "W5": 1.3, "W7": 1.6}
"""Two threads over one; never slower on any other work."""
WARM_START, PEAK_MEMORY = 1.0, 400.0
"""Seconds of compile or cache time of a first fit; anonymous megabytes while a million rows are trained."""
LAST_OVER_FIRST = 1.05
"""Time of the last epoch over that of the first, at most, in fits of 60 epochs."""
OPTIONS = dict.fromkeys(("weights of rows", "L1", "max-norm", "sparsity", "missing values"), 1.1)
OPTIONS |= {"fast weights": 1.4, "five temperatures": 5.2}
"""Time of a fit with a training option over that without, at most."""
WHOLE_FIT = {("PyTorch", "whole"): 2.0, ("scikit-learn", "fine-tuning"): 3.0}
"""Seconds of a default fit, or of its fine-tuning, over those of fastdbn, at least."""


def target(work, rival, machine):
    """The ratio asked for on a machine, or None. On more than one thread only "one thread" has targets."""
    if rival == "one thread":
        return TWO_THREADS.get(work, 1.0)
    if machine["threads"] > 1:
        return None
    if rival == "limit":
        return LIMIT[work]["AMD" in machine["cpu"]] if work in LIMIT else None
    return PEERS.get(work, (None, None))[RIVALS.index(rival) - 1]


def mark(value, asked, digits=2):
    """ "2.01 ≥ 1.8", "1.52 < 1.8 ✗", or the value alone; "–" for no value."""
    if value is None:
        return "–"
    if asked is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ≥ {asked:g}" if value >= asked else f"{value:.{digits}f} < {asked:g} ✗"
