"""PyTorch beside fastdbn on a GPU: CD-1, PCD-1 and annealing by hand, eager and with the minibatch captured as a CUDA graph."""

import itertools


def has_gpu():
    """Whether PyTorch is here and has a GPU."""
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def clock(run):
    """Seconds of run() between two events on the current stream."""
    import torch

    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    run()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3


class Training:
    """CD-1 or PCD-1 of a `cuda.Work` on the rows of X."""

    def __init__(self, work, X):
        import torch

        self.torch, self.work = torch, work
        torch.backends.cuda.matmul.allow_tf32 = work.precision != "float32"
        self.type = torch.bfloat16 if work.precision == "bf16" else torch.float32
        self.X = torch.as_tensor(X, device="cuda").float()
        self.W = 0.01 * torch.randn(work.nv, work.nh, device="cuda")
        self.b, self.c = torch.zeros(work.nv, device="cuda"), torch.zeros(work.nh, device="cuda")
        self.velocity = [torch.zeros_like(x) for x in (self.W, self.b, self.c)]
        self.chain = torch.zeros(work.batch, work.nh, device="cuda")
        self.rows = torch.arange(work.batch, device="cuda") % len(X)

    def minibatch(self):
        """The gradient and the step of the rows in `self.rows`."""
        torch, n = self.torch, self.work.batch
        v, W = self.X[self.rows].to(self.type), self.W.to(self.type)
        h = torch.sigmoid((v @ W).float() + self.c)
        start = self.chain if self.work.persistent else torch.bernoulli(h)
        v_ = torch.bernoulli(torch.sigmoid((start.to(self.type) @ W.T).float() + self.b)).to(self.type)
        h_ = torch.sigmoid((v_ @ W).float() + self.c)
        if self.work.persistent:
            self.chain.copy_(torch.bernoulli(h_))
        gradients = (
            (v.T @ h.to(self.type) - v_.T @ h_.to(self.type)).float() / n - 2e-4 * self.W,
            (v.float() - v_.float()).mean(0),
            (h - h_).mean(0),
        )
        for p, d, g in zip((self.W, self.b, self.c), self.velocity, gradients, strict=True):
            d.mul_(0.9).add_(g, alpha=0.05)
            p.add_(d)

    def captured(self):
        """A function that replays the minibatch as a CUDA graph."""
        torch, side = self.torch, self.torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.minibatch()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.minibatch()
        return graph.replay


def anneal(work, chains, betas):
    """Annealed importance sampling, eager: log Z of an RBM without biases."""
    import torch

    W, v = 0.05 * torch.randn(work.nv, work.nh, device="cuda"), torch.bernoulli(torch.full((chains, work.nv), 0.5, device="cuda"))
    total = torch.zeros(chains, device="cuda")
    for low, high in itertools.pairwise(betas):
        field = v @ W
        total += torch.nn.functional.softplus(high * field).sum(1) - torch.nn.functional.softplus(low * field).sum(1)
        h = torch.bernoulli(torch.sigmoid(high * field))
        v = torch.bernoulli(torch.sigmoid(high * (h @ W.T)))
    return total.logsumexp(0).item()
