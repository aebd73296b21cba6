"""The package learnergy, by its `fit`: autograd through free energies, and a pseudo-likelihood of each minibatch."""

import torch
from learnergy.models.bernoulli import RBM
from scipy import sparse

from benchmarks.contenders import LeftOutError
from benchmarks.contenders.with_torch import start
from benchmarks.works import MOMENTUM


def cd(work, X, y, threads):
    if work.values == "normal":
        raise LeftOutError("does not draw Gaussian units")
    if work.persistent:
        raise LeftOutError("no persistent chains")
    if sparse.issparse(X):
        raise LeftOutError("no sparse data")
    start(threads)
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    rbm = RBM(work.nv, work.nh, steps=work.k, learning_rate=work.learning_rate, momentum=MOMENTUM, decay=work.decay)
    return lambda: rbm.fit(data, batch_size=work.batch, epochs=1)


TASKS = {"cd": cd}
