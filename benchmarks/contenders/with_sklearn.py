"""scikit-learn: BernoulliRBM and MLPClassifier.

BernoulliRBM always has persistent chains, which need as many products, and has neither momentum nor weight decay. An epoch is
the loop of its `fit` without the new weights that `fit` begins with.
"""

import numpy as np
from sklearn.neural_network import BernoulliRBM, MLPClassifier

from benchmarks.contenders import LeftOutError
from benchmarks.works import MOMENTUM


def cd(work, X, y, threads):
    if work.k != 1:
        raise LeftOutError("PCD-1 alone")
    if work.values == "normal":
        raise LeftOutError("no Gaussian units")
    rbm = BernoulliRBM(work.nh, learning_rate=work.learning_rate, batch_size=work.batch, n_iter=1, random_state=0)
    rbm.fit(X[: 2 * work.batch])
    draw = np.random.RandomState(0)

    def epoch():
        for start in range(0, X.shape[0] - work.batch + 1, work.batch):
            rbm._fit(X[start : start + work.batch], draw)

    return epoch


def network(work):
    """A multi-layer perceptron of the work's layers, trained by SGD."""
    return MLPClassifier(
        work.sizes[1:-1],
        activation="logistic",
        solver="sgd",
        batch_size=work.batch,
        learning_rate_init=work.learning_rate,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        alpha=work.decay,
        random_state=0,
    )


def fine_tune(work, X, y, threads):
    mlp, classes = network(work), np.arange(work.sizes[-1])
    return lambda: mlp.partial_fit(X, y, classes=classes)


def transform(work, X, y, threads):
    rbm = BernoulliRBM(work.nh, batch_size=100, n_iter=1, random_state=0).fit(X[:1000])
    return lambda: rbm.transform(X)


def predict(work, X, y, threads):
    mlp, row = network(work._replace(batch=100)).partial_fit(X, y, classes=np.arange(work.sizes[-1])), X[:1]
    return lambda: [mlp.predict(row) for _ in range(work.rows)]


TASKS = {"cd": cd, "fine-tune": fine_tune, "transform": transform, "predict": predict}
