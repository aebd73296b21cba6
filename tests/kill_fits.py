"""Kill fits and go on from their checkpoints: ``python -m tests.kill_fits --count 100``.

Each fit runs in a process of its own, which gets SIGKILL at a random moment; the next process goes on by ``resume="last"``. The
bits of a complete fit are compared with those of a fit that nobody killed. The exit status is 1 if they ever differ.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.base import clone

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier
from fastdbn.callbacks import Checkpoint, EarlyStopping
from tests.learnt import learnt

LAYER = RBM(n_iter=3, batch_size=8)
NETWORK = {"rbm": LAYER, "max_iter": 4, "batch_size": 8, "random_state": 0}
CHAINS = {"persistent": True, "n_chains": 3, "sparsity_target": 0.2, "learning_rate": "auto"}
MODELS = {
    "rbm": RBM(5, n_iter=6, batch_size=8, random_state=0),
    "chains": RBM(5, n_iter=6, batch_size=8, random_state=0, **CHAINS),
    "dbn": DBN((5, 4, 3), rbm=LAYER, random_state=0),
    "outliers": DBNOutlierDetector((5, 4), rbm=LAYER, random_state=0),
    "generative": GenerativeDBNClassifier((5, 4), rbm=LAYER, up_down_iter=4, random_state=0),
    "classifier": DBNClassifier((5, 4), dropout=0.3, **NETWORK),
    "best": DBNClassifier((5,), early_stopping=True, n_iter_no_change=3, learning_rate_init=0.3, **NETWORK | {"max_iter": 20}),
    "regressor": DBNRegressor((5,), **NETWORK),
    "autoencoder": DBNAutoencoder((5, 4), noise="masking", **NETWORK),
    "stopping": RBM(5, n_iter=20, batch_size=8, learning_rate=0.5, random_state=0),
}
STOP = EarlyStopping("reconstruction_error", n_iter_no_change=3, tol=0.0)
DRAW = np.random.default_rng(0)
X = (DRAW.random((40, 6)) < np.where(DRAW.random((40, 1)) < 0.5, 0.2, 0.8)).astype(np.float32)
Y = (X.sum(axis=1) > 3).astype(int)


def fitted(name, folder=None):
    """A fit; with a folder, one that goes on from the checkpoints there."""
    callbacks = [STOP] if name == "stopping" else []
    model = clone(MODELS[name]).set_params(callbacks=callbacks if folder is None else [*callbacks, Checkpoint(folder)])
    return model.fit(X, Y, resume=None if folder is None else "last")


def _child(name, folder, pipe):
    pipe.send(learnt(fitted(name, folder)))


def one_try(name, folder, seconds):
    """What a fit has learnt in a process that is killed after some seconds; None if it was killed."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(False)
    process = context.Process(target=_child, args=(name, folder, there))
    process.start()
    there.close()
    result = None
    try:
        if here.poll(seconds):
            result = here.recv()
    except EOFError:  # the process ended without a result
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"a fit of {name} failed, its exit code is {process.exitcode}") from None
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return result


def kill(count, names, seed):
    """Kill fits of some models `count` times; returns (kills, complete fits, names of those whose bits differ)."""
    draw, kills, complete, wrong = np.random.default_rng(seed), 0, 0, []
    whole, seconds = {}, {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            fitted(name, folder)  # which compiles
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            fitted(name, folder)
            seconds[name] = time.perf_counter() - started
        whole[name] = learnt(fitted(name))
    while kills < count:
        name = names[complete % len(names)]
        with tempfile.TemporaryDirectory() as folder:
            result, tries = None, 0
            while result is None:
                patience = draw.uniform(0, seconds[name]) if kills < count and tries < 20 else 600
                result, tries = one_try(name, folder, patience), tries + 1
                kills += result is None
            complete += 1
            if result != whole[name]:
                wrong.append(name)
    return kills, complete, wrong


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="kills [100]")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), help="models [all]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [0]")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")  # these fits are too short to learn
    kills, complete, wrong = kill(args.count, args.only, args.seed)
    print(f"{kills} kills, {complete} fits completed from their checkpoints, {len(wrong)} with other bits {' '.join(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
