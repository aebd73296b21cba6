"""The contenders: fastdbn, the same work by hand in NumPy and PyTorch, and libraries that do such work.

A contender is a file with a table `TASKS`: for a task it has a function of (work, X, y, threads) that prepares everything and
returns a function without arguments, which does the task once over X: an epoch, a transform, `rows` predictions.

All train on the same minibatches in float32: sampled hidden states, sampled visible states, hidden means in the statistics,
momentum and weight decay on the weights. The files of libraries say what they do differently by design.
"""

import importlib

CONTENDERS = {
    "fastdbn": "with_fastdbn",
    "PyTorch": "with_torch",
    "NumPy": "with_numpy",
    "scikit-learn": "with_sklearn",
    "rbms": "with_rbms",
    "learnergy": "with_learnergy",
}
SHARE = {"rbms": 4, "learnergy": 4}
"""These train on a quarter of the rows, because they are slow and their time is proportional to the rows."""


class LeftOutError(Exception):
    """A contender does not take part; the message is a word about why."""


def prepare(name, work, X, y, threads):
    """A contender's function for a work, warmed up, and the number of samples it handles in a call.

    Raises
    ------
    LeftOutError
        if it is not installed or has no such task.
    """
    try:
        module = importlib.import_module(f"benchmarks.contenders.{CONTENDERS[name]}")
    except ImportError as error:
        raise LeftOutError("not installed") from error
    if work.task not in module.TASKS:
        raise LeftOutError(f"no {work.task} that does the same")
    rows = max(work.rows // SHARE.get(name, 1), min(work.rows, 2 * work.batch))
    run = module.TASKS[work.task](work, X[:rows], y[:rows], threads)
    run()
    return run, rows * getattr(module, "EPOCHS", {}).get(work.task, 1)
