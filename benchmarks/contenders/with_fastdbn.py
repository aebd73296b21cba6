"""fastdbn's public estimators, warm-started: their checks, order and monitors are timed too.

An RBM trains EPOCHS epochs in each call. A real fit checks and packs its data once for tens of epochs, and the loops of the
peers do not do that at all.
"""

import numpy as np

from benchmarks.works import MOMENTUM
from fastdbn import RBM, DBNClassifier

EPOCHS = {"cd": 3}
"""Passes over the data in a call of a task; one for the others."""


def units(work):
    """How the estimators are told what the data are, and that they train as the peers do."""
    visible = "gaussian" if work.values == "normal" else "bernoulli"
    binarize = 0.5 if work.values in ("binary", "csr") else "mean"
    return {"visible": visible, "scale": "none", "binarize": binarize, "centering": None}


def rbm(work, threads):
    """The estimator of a CD work."""
    return RBM(
        work.nh,
        **units(work),
        k=work.k,
        persistent=work.persistent,
        learning_rate=work.learning_rate,
        momentum=MOMENTUM,
        weight_decay=work.decay,
        batch_size=min(work.batch, work.rows),
        n_iter=EPOCHS["cd"],
        warm_start=True,
        random_state=0,
        n_jobs=threads,
    )


def classifier(work, threads):
    """The estimator of a fine-tuning work: a plain network, no dropout."""
    return DBNClassifier(
        work.sizes[1:-1],
        rbm=RBM(**units(work)),
        pretrain=False,
        solver="sgd",
        learning_rate_init=work.learning_rate,
        momentum=MOMENTUM,
        alpha=work.decay * work.batch,  # which is divided by the batch
        dropout=0.0,
        batch_size=work.batch,
        random_state=0,
        n_jobs=threads,
    )


def cd(work, X, y, threads):
    model = rbm(work, threads)
    return lambda: model.fit(X)


def fine_tune(work, X, y, threads):
    model, classes = classifier(work, threads), np.arange(work.sizes[-1])
    return lambda: model.partial_fit(X, y, classes=classes)


def transform(work, X, y, threads):
    model = rbm(work._replace(batch=100), threads).fit(X[:1000])
    return lambda: model.transform(X)


def predict(work, X, y, threads):
    model = classifier(work._replace(batch=100), threads).partial_fit(X, y, classes=np.arange(work.sizes[-1]))
    row = X[:1]
    return lambda: [model.predict(row) for _ in range(work.rows)]


TASKS = {"cd": cd, "fine-tune": fine_tune, "transform": transform, "predict": predict}
