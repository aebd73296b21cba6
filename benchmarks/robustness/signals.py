"""Ctrl-C at random moments of every stage: a model can be used or says that it is not fitted, and a file is whole.

A timer raises KeyboardInterrupt in a fit, with its pretraining and fine-tuning, in transform, sampling and saving. After that the
model is as before, or goes on to the bits of one fit. A file that was being saved holds the old model or the new one.
"""

import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import test_interrupt
from sklearn.exceptions import NotFittedError

from fastdbn import load

COUNT, OF, STEP = 2000, "interrupts", 100
NAMES = [name for name in test_interrupt.MODELS if name != "given"]
X, Y = test_interrupt.X, test_interrupt.Y


def interrupted(deed, seconds):
    """Run a deed that is interrupted after so many seconds; whether it was."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        deed()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


def duration(deed):
    began = time.perf_counter()
    deed()
    return time.perf_counter() - began


def of_fit(name, moment, folder):
    """Interrupt a fit: what is left is used or says what it lacks, and is completed to the bits of one fit."""
    whole = test_interrupt.model_of(name)
    seconds = duration(lambda: whole.fit(X, Y))
    model = test_interrupt.model_of(name)
    before = test_interrupt.learnt(model)
    hit = interrupted(lambda: model.fit(X, Y), max(1e-6, moment * seconds))
    left = test_interrupt.learnt(model)
    if hit and left not in (before, test_interrupt.learnt(whole)):  # else it was interrupted after its end
        test_interrupt.usable(model, folder / "usable")
        assert test_interrupt.completed(model) == test_interrupt.learnt(whole), "a completed fit has other bits"
    elif hit and left == before:
        try:
            model.transform(X)
        except NotFittedError:
            return hit
        raise AssertionError("a model that was never fitted transforms")
    return hit


def of_use(name, moment, folder):
    """Interrupt a transform, and what else the model does: it then does it as if nothing had been."""
    model = test_interrupt.model_of(name).fit(X, Y)
    deeds = [lambda: model.transform(X)]
    generates = hasattr(model, "sample") and getattr(model, "dbn_", model) is not None
    deeds += [lambda: model.sample(3, 2, 0)] if generates else []
    for deed in deeds:
        expected = deed()
        hit = interrupted(deed, max(1e-6, moment * duration(deed)))
        assert np.array_equal(deed(), expected), "a result differs after an interrupt"
    return hit


def of_save(name, moment, folder):
    """Interrupt a save over another model's file: it is one or the other, and nothing else is left in the folder."""
    path = folder / "model"
    old, new = (test_interrupt.model_of(name).set_params(random_state=seed).fit(X, Y) for seed in (0, 1))
    old.save(path)
    hit = interrupted(lambda: new.save(path), max(1e-6, moment * duration(lambda: new.save(folder / "other"))))
    found = load(path).transform(X).tobytes()
    assert found in (old.transform(X).tobytes(), new.transform(X).tobytes()), "a saved model is neither the old nor the new one"
    load(path)
    new.save(path)
    assert sorted(os.listdir(folder)) == ["model", "other"], f"left behind: {os.listdir(folder)}"
    return hit


def run(first, count):
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for name in NAMES:
        of_use(name, 2.0, None)  # compiles
    for start in range(first, first + count, STEP):
        figures, failures = {}, []
        for number in range(start, start + STEP):
            draw = np.random.default_rng(number)
            deed, name = draw.choice([of_fit, of_fit, of_use, of_save]), str(draw.choice(NAMES))
            with tempfile.TemporaryDirectory() as folder:
                try:
                    hit = deed(name, draw.random(), Path(folder))
                    figures[deed.__name__[3:]] = figures.get(deed.__name__[3:], 0) + int(hit)
                except Exception as error:
                    failures.append(f"{deed.__name__} of {name}, {number}: {error!r:.300}")
        yield STEP, figures, failures
