"""Who is timed: each contender is given a work and its data and returns a function that trains one epoch.

All do the same minibatches in float32: sampled hidden states, sampled visible states, hidden means in the statistics, momentum
and weight decay on the weights. scikit-learn's BernoulliRBM does its own algorithm (persistent chains, no momentum), which is
as many products. What is not installed is left out, with a word.
"""

import numpy as np

from benchmarks.works import DECAY, LEARNING_RATE, MOMENTUM


def fastdbn_epoch(work, X, threads):
    """The public estimator, warm-started; an epoch has its own checks, order and monitors in it."""
    from fastdbn import RBM

    rbm = RBM(
        work.nh,
        visible="bernoulli",
        binarize=0.5,
        k=work.k,
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        batch_size=work.batch,
        n_iter=1,
        warm_start=True,
        random_state=0,
        n_jobs=threads,
    ).fit(X)
    return lambda: rbm.fit(X)


def numpy_epoch(work, X, threads):
    """Plain NumPy with buffers made once."""
    draw = np.random.default_rng(0)
    W = draw.normal(0, 0.01, (work.nv, work.nh)).astype(np.float32)
    b, c = np.zeros(work.nv, np.float32), np.zeros(work.nh, np.float32)
    dW, db, dc = np.zeros_like(W), np.zeros_like(b), np.zeros_like(c)
    up, up_k = (np.empty((work.batch, work.nh), np.float32) for _ in range(2))
    down, u_h, u_v = np.empty((work.batch, work.nv), np.float32), np.empty_like(up), np.empty((work.batch, work.nv), np.float32)
    plus, minus = np.empty_like(W), np.empty_like(W)

    def mean(x, weights, bias, out):
        np.matmul(x, weights, out=out)
        out += bias
        np.negative(out, out=out)
        np.exp(out, out=out)
        out += 1
        np.reciprocal(out, out=out)

    def states(p, u):
        draw.random(dtype=np.float32, out=u)
        return np.less(u, p).astype(np.float32)

    def epoch():
        order = draw.permutation(len(X))
        for start in range(0, len(X) - work.batch + 1, work.batch):
            v = X[order[start : start + work.batch]]
            mean(v, W, c, up)
            h = states(up, u_h)
            for t in range(work.k):
                mean(h, W.T, b, down)
                v_k = states(down, u_v)
                mean(v_k, W, c, up_k)
                if t + 1 < work.k:
                    h = states(up_k, u_h)
            np.matmul(v.T, up, out=plus)
            np.matmul(v_k.T, up_k, out=minus)
            np.subtract(plus, minus, out=plus)
            rate = LEARNING_RATE / work.batch
            np.multiply(dW, MOMENTUM, out=dW)
            plus.__imul__(rate)
            np.add(dW, plus, out=dW)
            np.multiply(W, LEARNING_RATE * DECAY, out=minus)
            np.subtract(dW, minus, out=dW)
            np.add(W, dW, out=W)
            db[:] = MOMENTUM * db + rate * (v.sum(axis=0) - v_k.sum(axis=0))
            dc[:] = MOMENTUM * dc + rate * (up.sum(axis=0) - up_k.sum(axis=0))
            np.add(b, db, out=b)
            np.add(c, dc, out=c)

    epoch()
    return epoch


def torch_epoch(work, X, threads):
    """Hand-written PyTorch, in place where it helps."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    data = torch.from_numpy(X)
    W = torch.randn(work.nv, work.nh) * 0.01
    b, c = torch.zeros(work.nv), torch.zeros(work.nh)
    dW, db, dc = torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)

    @torch.no_grad()
    def epoch():
        order = torch.randperm(len(data))
        for start in range(0, len(data) - work.batch + 1, work.batch):
            v = data[order[start : start + work.batch]]
            up = torch.addmm(c, v, W).sigmoid_()
            h = torch.bernoulli(up)
            for t in range(work.k):
                v_k = torch.bernoulli(torch.addmm(b, h, W.T).sigmoid_())
                up_k = torch.addmm(c, v_k, W).sigmoid_()
                if t + 1 < work.k:
                    h = torch.bernoulli(up_k)
            rate = LEARNING_RATE / work.batch
            dW.addmm_(v.T, up, beta=MOMENTUM, alpha=rate)
            dW.addmm_(v_k.T, up_k, alpha=-rate)
            dW.add_(W, alpha=-LEARNING_RATE * DECAY)
            W.add_(dW)
            db.mul_(MOMENTUM).add_(v.sum(0) - v_k.sum(0), alpha=rate)
            dc.mul_(MOMENTUM).add_(up.sum(0) - up_k.sum(0), alpha=rate)
            b.add_(db)
            c.add_(dc)

    epoch()
    return epoch


def sklearn_epoch(work, X, threads):
    """One epoch of scikit-learn's own algorithm, on float32; PCD-1 whatever k is, so it is left out for larger k."""
    from sklearn.neural_network import BernoulliRBM

    if work.k != 1:
        raise ImportError("scikit-learn has PCD-1 alone")
    rbm = BernoulliRBM(work.nh, learning_rate=LEARNING_RATE, batch_size=work.batch, n_iter=1, random_state=0)
    return lambda: rbm.fit(X)


CONTENDERS = {"fastdbn": fastdbn_epoch, "PyTorch": torch_epoch, "NumPy": numpy_epoch, "scikit-learn": sklearn_epoch}
