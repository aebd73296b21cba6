"""The package rbms, by the step of its training loop. The loop itself writes a file after each step, which is left out.

Its step draws the chain's hidden states once more than needed, and scales the gradient to length one, for which it computes
its norm. Its centred gradient, the default, is turned off.
"""

import numpy as np
import torch
from rbms.bernoulli_bernoulli.classes import BBRBM
from rbms.dataset.dataset_class import RBMDataset
from rbms.training.pcd import fit_batch_pcd
from scipy import sparse

from benchmarks.contenders import LeftOutError
from benchmarks.contenders.with_torch import start
from benchmarks.works import MOMENTUM


def cd(work, X, y, threads):
    if work.values == "normal":
        raise LeftOutError("no Gaussian units")
    if sparse.issparse(X):
        raise LeftOutError("no sparse data")
    start(threads)
    ones = np.ones(len(X), np.float32)
    data = RBMDataset(X, y, ones, y.astype(str), work.name, is_binary=True, device="cpu")
    rbm = BBRBM.init_parameters(work.nh, data, "cpu", torch.float32)
    rbm.init_grad()
    optimiser = torch.optim.SGD(rbm.parameters(), work.learning_rate, momentum=MOMENTUM, weight_decay=work.decay, maximize=True)
    kept = {"chains": rbm.init_chains(work.batch)}

    @torch.no_grad()
    def epoch():
        order = torch.randperm(len(data))
        for begin in range(0, len(data) - work.batch + 1, work.batch):
            rows = order[begin : begin + work.batch]
            batch = data.data[rows], data.weights[rows]
            chains = kept["chains"] if work.persistent else rbm.init_chains(work.batch, weights=batch[1], start_v=batch[0])
            kept["chains"], _ = fit_batch_pcd(batch, chains, rbm, gibbs_steps=work.k, beta=1.0, centered=False)
            optimiser.step()

    return epoch


TASKS = {"cd": cd}
