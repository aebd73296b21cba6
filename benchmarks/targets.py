"""The targets of issue 3: samples per second over those of the dense limit, hand-written PyTorch and scikit-learn.

None is no target. Figures are compared as they are measured, without rounding.
"""

RIVALS = ("limit", "PyTorch", "scikit-learn")
RATIOS = {
    "W1": (1.8, 2.4, 3.2),
    "W2": (1.7, 1.9, 3.7),
    "W3": (1.5, 2.0, 3.5),
    "W4": (1.4, 1.5, 2.3),
    "W5": (1.7, 2.4, None),
    "W6": (1.2, 4.5, 6.0),
    "W6b": (1.0, 3.3, 6.0),
    "W7": (0.9, 1.25, 1.5),
    "W8": (1.8, 2.2, 3.5),
    "W8r": (0.92, 1.15, 1.8),
    "W1d": (1.25, 1.6, None),
    "W1g": (0.92, 1.2, None),
    "W1p": (1.8, 2.4, 3.2),
    "text": (None, None, 4.0),
}
"""On one thread. W1p is W1 with persistent chains, and has the same targets."""
TWO_THREADS = {"W1": 1.3, "W2": 1.3, "W4": 1.3, "W5": 1.3}
"""Two threads over one; never slower on any other work."""
WARM_START, PEAK_MEMORY = 1.0, 400.0
"""Seconds of compile or cache time of a first fit; anonymous megabytes while a million rows are trained."""
LAST_OVER_FIRST = 1.1
"""Time of the last epoch over that of the first, at most, in fits of 60 epochs."""


def target(work, rival, threads=1):
    """The ratio asked for, or None. On more than one thread only "one thread" has targets."""
    if rival == "one thread":
        return TWO_THREADS.get(work, 1.0) if work in RATIOS else None
    return dict(zip(RIVALS, RATIOS.get(work, (None,) * 3), strict=True))[rival] if threads == 1 else None


def mark(value, asked, digits=2):
    """ "2.01 ≥ 1.8", "1.52 < 1.8 ✗", or the value alone; "–" for no value."""
    if value is None:
        return "–"
    if asked is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ≥ {asked:g}" if value >= asked else f"{value:.{digits}f} < {asked:g} ✗"
