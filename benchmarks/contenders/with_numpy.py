"""Plain NumPy, written by hand with buffers made once; SciPy multiplies sparse rows."""

import numpy as np
from scipy import sparse

from benchmarks.works import MOMENTUM


def sigmoid(x):
    """In place; four times faster than scipy.special.expit. Where exp overflows, the result is 0 as it should be."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


def cd(work, X, y, threads):
    draw, rate = np.random.default_rng(0), work.learning_rate / work.batch
    decay, gaussian = work.learning_rate * work.decay, work.values == "normal"
    W = draw.normal(0, 0.01, (work.nv, work.nh)).astype(np.float32)
    b, c = np.zeros(work.nv, np.float32), np.zeros(work.nh, np.float32)
    dW, db, dc = np.zeros_like(W), np.zeros_like(b), np.zeros_like(c)
    up, up_k, h = (np.zeros((work.batch, work.nh), np.float32) for _ in range(3))
    v0, v, noise_v = (np.empty((work.batch, work.nv), np.float32) for _ in range(3))
    noise_h, plus, minus = np.empty_like(up), np.empty_like(W), np.empty_like(W)

    def hidden(x, out):
        np.matmul(x, W, out=out)
        out += c
        sigmoid(out)

    def draw_hidden(mean):
        draw.random(dtype=np.float32, out=noise_h)
        np.less(noise_h, mean, out=h)

    def draw_visible():
        np.matmul(h, W.T, out=v)
        v.__iadd__(b)
        if gaussian:
            draw.standard_normal(dtype=np.float32, out=noise_v)
            v.__iadd__(noise_v)
        else:
            sigmoid(v)
            draw.random(dtype=np.float32, out=noise_v)
            np.less(noise_v, v, out=v)

    def positive(rows):
        """Hidden means of a minibatch, and its part of the step: dense data."""
        np.take(X, rows, axis=0, out=v0)
        hidden(v0, up)
        np.matmul(v0.T, up, out=plus)
        plus.__imul__(rate)
        return v0.sum(axis=0), lambda: np.add(dW, plus, out=dW)

    def positive_sparse(rows):
        """The same for sparse data: of the columns that occur alone."""
        some = X[rows]
        up[:] = some @ W + c
        sigmoid(up)
        columns = np.unique(some.indices)
        part = rate * (some[:, columns].T @ up)
        sums = np.bincount(some.indices, minlength=work.nv).astype(np.float32)
        return sums, lambda: dW.__setitem__(columns, dW[columns] + part)

    first = positive_sparse if sparse.issparse(X) else positive

    @np.errstate(over="ignore")
    def epoch():
        order = draw.permutation(X.shape[0])
        for start in range(0, X.shape[0] - work.batch + 1, work.batch):
            sums, add_positive = first(order[start : start + work.batch])
            if not work.persistent:
                draw_hidden(up)
            for t in range(work.k):
                draw_visible()
                hidden(v, up_k)
                if work.persistent or t + 1 < work.k:
                    draw_hidden(up_k)
            np.matmul(v.T, up_k, out=minus)
            minus.__imul__(rate)
            dW.__imul__(MOMENTUM)
            np.subtract(dW, minus, out=dW)
            add_positive()
            np.multiply(W, decay, out=minus)
            np.subtract(dW, minus, out=dW)
            np.add(W, dW, out=W)
            db[:] = MOMENTUM * db + rate * (sums - v.sum(axis=0))
            dc[:] = MOMENTUM * dc + rate * (up.sum(axis=0) - up_k.sum(axis=0))
            np.add(b, db, out=b)
            np.add(c, dc, out=c)

    return epoch


def transform(work, X, y, threads):
    draw = np.random.default_rng(0)
    W, c = draw.normal(0, 0.01, (work.nv, work.nh)).astype(np.float32), np.zeros(work.nh, np.float32)

    def run():
        out = np.empty((len(X), work.nh), np.float32)
        for start in range(0, len(X), 1000):  # a block stays in the cache for the sigmoid
            block = out[start : start + 1000]
            np.matmul(X[start : start + 1000], W, out=block)
            block += c
            sigmoid(block)
        return out

    return run


TASKS = {"cd": cd, "transform": transform}
