"""Eight threads fit, predict, sample and save at once; each result has the bits that it has alone."""

import itertools
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone

from fastdbn import DBN, RBM, DBNClassifier, load
from fastdbn.backends.cpu import backprop_steps, pool

COUNT, OF, THREADS, STEP = 8000, "fits and predictions in 8 threads", 8, 800
X = (np.random.default_rng(0).random((60, 70)) < 0.3).astype(np.float32)
Y = X[:, 0].astype(int)
MODELS = (
    RBM(9, n_iter=1, batch_size=20, random_state=0, n_jobs=2),
    DBN((9, 5), rbm=RBM(n_iter=1, batch_size=20), random_state=0, n_jobs=1),
    DBNClassifier((9,), rbm=RBM(n_iter=1, batch_size=20), batch_size=20, max_iter=1, random_state=0, n_jobs=2),
)
FITTED = [clone(model).fit(X, Y) for model in MODELS]


def fit(i):
    model = clone(MODELS[i]).fit(X, Y)
    return model.transform(X).tobytes()


def use(i):
    model = FITTED[i]
    return (model.predict_proba(X) if hasattr(model, "predict") else model.transform(X)).tobytes()


def keep(i):
    """Save a model that others use, and read it back."""
    with tempfile.TemporaryDirectory() as folder:
        FITTED[i].save(Path(folder) / "model")
        return load(Path(folder) / "model").transform(X).tobytes()


def sample(i):
    return FITTED[i].dbn_.sample(2, 2, 0).tobytes() if hasattr(FITTED[i], "predict") else FITTED[i].sample(2, 2, 0).tobytes()


DEEDS = [(deed, i) for deed in (fit, use, use, use, sample, keep) for i in range(len(MODELS))]


def run(first, count):
    """All threads take deeds from one list, so that a slow one holds no other up."""
    pool.WORK_PER_THREAD = backprop_steps.FEWEST_ROWS = 1  # so that these small works are shared out too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = [deed(i) for deed, i in DEEDS]
        for start in range(first, first + count, STEP):
            numbers, failures, done = itertools.count(), [], [0] * THREADS

            def work(me, start=start, numbers=numbers, failures=failures, done=done):
                draw = np.random.default_rng([start, me])
                while next(numbers) < STEP:
                    at = int(draw.integers(len(DEEDS)))
                    deed, i = DEEDS[at]
                    try:
                        if deed(i) != alone[at]:
                            failures.append(f"{deed.__name__} of {type(MODELS[i]).__name__} has other bits beside other threads")
                    except BaseException as error:
                        failures.append(f"{deed.__name__} of {type(MODELS[i]).__name__}: {error!r:.200}")
                    done[me] += 1

            threads = [threading.Thread(target=work, args=(me,), daemon=True) for me in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(600)
            hung = sum(thread.is_alive() for thread in threads)
            yield sum(done), {}, failures + [f"{hung} threads hang"] * (hung > 0)
