"""The peer of "speed to quality": a PCD-k RBM with centred gradients by hand in PyTorch, in place and into given buffers.

The update is that of fastdbn's centring (Melchior, Fischer, Wiskott 2016), so that it gains as much from an epoch.
"""

import torch


class TorchRBM:
    """nv-nh, binary units; `epoch` trains on rows of zeros and ones once.

    Parameters
    ----------
    X : (n, nv) uint8 array
    nh, batch, k, threads, seed : int
    centred : bool
    """

    def __init__(self, X, nh, batch, k, centred, threads, seed):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as fastdbn flushes them
        self.data, self.batch, self.k, self.centred = torch.from_numpy(X).float(), batch, k, centred
        nv = X.shape[1]
        mean = (self.data.sum(0) + 0.5) / (len(X) + 1)
        self.W, self.b, self.c = torch.randn(nv, nh) * 0.01, torch.logit(mean), torch.zeros(nh)
        self.mu, self.la = self.data.mean(0), torch.full((nh,), 0.5)
        self.v0, self.v, self.noise_v = (torch.empty(batch, nv) for _ in range(3))
        self.up, self.mean, self.noise_h = (torch.empty(batch, nh) for _ in range(3))
        self.h = (torch.rand(batch, nh) < 0.5).float()
        self.dW = torch.empty(nv, nh)

    @torch.no_grad()
    def epoch(self, rate):
        """One pass over the rows in a new order."""
        W, dW, n = self.W, self.dW, self.batch
        order = torch.randperm(len(self.data))
        for begin in range(0, len(order) - n + 1, n):
            torch.index_select(self.data, 0, order[begin : begin + n], out=self.v0)
            torch.addmm(self.c, self.v0, W, out=self.up).sigmoid_()
            for _ in range(self.k):
                torch.addmm(self.b, self.h, W.T, out=self.v).sigmoid_()
                torch.lt(self.noise_v.uniform_(), self.v, out=self.v)
                torch.addmm(self.c, self.v, W, out=self.mean).sigmoid_()
                torch.lt(self.noise_h.uniform_(), self.mean, out=self.h)
            data_v, data_h = self.v0.mean(0), self.up.mean(0)
            dv, dh = data_v - self.v.mean(0), data_h - self.mean.mean(0)
            torch.mm(self.v0.T, self.up, out=dW)
            dW.addmm_(self.v.T, self.mean, beta=rate / n, alpha=-rate / n)
            if self.centred:
                self.mu.lerp_(data_v, 0.01)
                self.la.lerp_(data_h, 0.01)
                dW.addr_(self.mu, dh, alpha=-rate).addr_(dv, self.la, alpha=-rate)
                self.b.add_(dv, alpha=rate).addmv_(dW, self.la, alpha=-1)
                self.c.add_(dh, alpha=rate).addmv_(dW.T, self.mu, alpha=-1)
            else:
                self.b.add_(dv, alpha=rate)
                self.c.add_(dh, alpha=rate)
            W.add_(dW)
