"""Fits are killed by SIGKILL at random moments, go on from their checkpoints, and end with the bits of a fit that was not."""

from tests import kill_fits

COUNT, OF, STEP = 500, "kills", 20


def run(first, count):
    for seed in range(first, first + count, STEP):
        kills, complete, wrong = kill_fits.kill(STEP, list(kill_fits.MODELS), seed)
        yield kills, {"fits completed": complete}, [f"seed {seed}: other bits of {name}" for name in wrong]
