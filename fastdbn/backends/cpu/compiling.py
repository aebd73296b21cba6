"""Says once, on stderr, that kernels are being compiled, for how long, and where later runs find them.

It is said before the first kernel that takes seconds; the environment variable FASTDBN_QUIET=1 keeps it from being said.
"""

import os

from fastdbn.support.report import progress

SECONDS = {"pack": 40, "cd_steps": 30, "backward_and_step": 10, "anneal": 8, "conditional": 5}
"""What a run has to compile from a kernel on where this is the first that it lacks, by the function that makes the kernel: a fit
of an RBM begins by packing, back-propagation by the way back. Other kernels take about a second or less."""
_said = False


def keep_quiet():
    """Say nothing in this process."""
    global _said
    _said = True


def announce(kernel, folder):
    """Say that a kernel, a Python function, is about to be compiled; folder is where it is kept, or None."""
    seconds = SECONDS.get(kernel.__qualname__.split(".")[0])
    if seconds is None or _said or os.environ.get("FASTDBN_QUIET") == "1":
        return
    keep_quiet()
    later = f"later runs load them from {folder}" if folder else "no folder can keep them: set FASTDBN_CACHE_DIR to one that can"
    progress(f"fastdbn: compiling kernels, about {seconds} s; {later}")
