"""The GPU beside PyTorch and the CPU: `python -m benchmarks.cuda`, under 8 minutes; writes results/cuda.json.

First the two ceilings: the rate of the card's matrix products through cuBLAS and of copies in its memory. Then each work, by
fastdbn on the GPU, by PyTorch eager and with CUDA graphs on the same card, and by fastdbn on this machine's CPU: medians over
rounds, after a round to warm up, between synchronisations. `--tiny` runs every part at sizes for CUDA's simulator
(NUMBA_ENABLE_CUDASIM=1), whose figures mean nothing; PyTorch is left out where it has no GPU.
"""

import argparse
import itertools
import statistics
import time
from typing import NamedTuple

import numpy as np

from benchmarks import store
from benchmarks.machine import describe, version
from fastdbn import RBM, DBNClassifier, evaluate, rng
from fastdbn.backends import Hyper, Params, Source, lacking_cuda

BUDGET = 420.0
"""Seconds after which no further work is begun."""


class Work(NamedTuple):
    """A work of the table: layer sizes, rows a minibatch, minibatches a round."""

    nv: int
    nh: int
    batch: int
    steps: int
    persistent: bool = False
    precision: str = "float32"


WORKS = {
    "784-500 batch 100 CD-1": Work(784, 500, 100, 600),
    "784-500 batch 2048 PCD-1": Work(784, 500, 2048, 60, True),
    "4096-4096 batch 4096 CD-1, tf32": Work(4096, 4096, 4096, 5, False, "tf32"),
    "4096-4096 batch 4096 CD-1, bf16": Work(4096, 4096, 4096, 5, False, "bf16"),
}
TINY = Work(6, 5, 4, 2)


def median_seconds(run, finish, rounds):
    """The median over rounds of the wall time of run() until finish() says that the device is done; one round more to warm up."""
    times = []
    for _ in range(rounds + 1):
        finish()
        start = time.perf_counter()
        run()
        finish()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def problem(backend, work, X):
    """A training problem of a work on a backend, and the order of its rows."""
    from fastdbn.train import Layer, Settings, State, make_problem
    from fastdbn.units import get_unit

    W = rng.host_generator(0, 0, rng.stream(rng.INIT)).normal(0, 0.01, (work.nv, work.nh)).astype(np.float32)
    params = Params(W, np.zeros(work.nv, np.float32), np.zeros(work.nh, np.float32))
    state = State(params, Params(*(np.zeros_like(x) for x in params)), None, 0, 0)
    data, unit = backend.load(Source(X), often=True), get_unit("bernoulli")
    layer = Layer(unit, unit, data, len(X), None, 0, 0)
    return make_problem(backend, layer, state, Settings(1, work.persistent, work.batch, 0.05, 0.9, 2e-4, work.batch, 1))


def fastdbn_seconds(backend, work, X, rounds):
    """Seconds a minibatch of training as `train` calls it."""
    from fastdbn import cd

    given, order = problem(backend, work, X), np.arange(work.batch * work.steps) % len(X)
    order, hyper = backend.array(order.astype(np.uint32)), Hyper(0.05, 0.9, 2e-4)
    finish = (lambda: backend.stream.synchronize()) if backend.name == "cuda" else (lambda: None)
    with backend.single_threaded():
        run = lambda: cd.steps(backend, given, order, None, work.batch, 0, 0, hyper)  # noqa: E731
        return median_seconds(run, finish, rounds) / work.steps


def products_seconds(backend, work, rounds):
    """Seconds of the matrix products alone that a minibatch of CD-1 needs."""
    nv, nh, n = work.nv, work.nh, work.batch
    v, h, W = backend.zeros(n, nv), backend.zeros(n, nh), backend.zeros(nv, nh)

    def run():
        for _ in range(2):
            backend.field(v, W, h)
            backend._product(1.0, v, True, h, False, 0.0, W)
        backend.field(h, W, v, transpose=True)

    return median_seconds(run, backend.stream.synchronize, rounds)


def ceilings(backend, n, rounds):
    """Rates of the card: products in TFLOP/s for each precision, copies in GB/s read and written."""
    from fastdbn.backends.cuda import CUDA

    found = {}
    for precision in ("float32", "tf32", "bf16"):
        b = CUDA(None, "float32", precision)
        A, B, C = (b.zeros(n, n) for _ in range(3))
        found[f"{precision} TFLOP/s"] = 2 * n**3 / median_seconds(lambda: b.field(A, B, C), b.stream.synchronize, rounds) / 1e12  # noqa: B023
    A, B = backend.zeros(n, n), backend.zeros(n, n)
    copy = lambda: B.copy_to_device(A, stream=backend.stream)  # noqa: E731
    found["copy GB/s"] = 8 * n**2 / median_seconds(copy, backend.stream.synchronize, rounds) / 1e9
    return found


class Torch:
    """CD-1 or PCD-1 by hand in PyTorch on the GPU, eager or with its minibatch captured as a CUDA graph."""

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

    def seconds(self, rounds, graph):
        """Seconds a minibatch."""
        torch, one = self.torch, self.minibatch
        if graph:
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(3):
                    self.minibatch()
            torch.cuda.current_stream().wait_stream(side)
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                self.minibatch()
            one = captured.replay

        def run():
            for _ in range(self.work.steps):
                one()

        return median_seconds(run, torch.cuda.synchronize, rounds) / self.work.steps


def torch_anneal(work, chains, betas):
    """Annealed importance sampling by hand in PyTorch, eager: log Z of an RBM without biases."""
    import torch

    W, v = 0.05 * torch.randn(work.nv, work.nh, device="cuda"), torch.bernoulli(torch.full((chains, work.nv), 0.5, device="cuda"))
    total = torch.zeros(chains, device="cuda")
    for low, high in itertools.pairwise(betas):
        field = v @ W
        total += torch.nn.functional.softplus(high * field).sum(1) - torch.nn.functional.softplus(low * field).sum(1)
        h = torch.bernoulli(torch.sigmoid(high * field))
        v = torch.bernoulli(torch.sigmoid(high * (h @ W.T)))
    return total.logsumexp(0).item()


def minibatches(work, devices, rounds):
    """One row of the table: seconds a minibatch by everybody."""
    from fastdbn.backends.cpu import CPU
    from fastdbn.backends.cuda import CUDA

    X = (np.random.default_rng(0).random((max(work.batch, min(work.batch * work.steps, 60000)), work.nv)) < 0.14).astype(np.uint8)
    gpu = CUDA(None, "float32", work.precision)
    found = {"fastdbn": fastdbn_seconds(gpu, work, X, rounds), "products": products_seconds(gpu, work, rounds)}
    if devices.torch:
        found["PyTorch eager"] = Torch(work, X).seconds(rounds, False)
        found["PyTorch graph"] = Torch(work, X).seconds(rounds, True)
    found["fastdbn, CPU"] = fastdbn_seconds(
        CPU(), work._replace(steps=max(1, min(work.steps, 10**9 // work.nv // work.nh // work.batch))), X, 1
    )
    return found


def annealing(work, chains, n_steps, devices):
    """Seconds of a whole AIS run."""
    X = (np.random.default_rng(0).random((256, work.nv)) < 0.14).astype(np.float32)
    model, found = RBM(work.nh, n_iter=1, random_state=0).fit(X), {}
    for device in ("cuda", "cpu"):
        model.to_device(device)
        run = lambda: evaluate.ais(model, X=X, n_chains=chains, n_steps=n_steps, random_state=0)  # noqa: E731
        run() if n_steps < 100 else evaluate.ais(model, X=X, n_chains=chains, n_steps=20, random_state=0)  # compiles
        start = time.perf_counter()
        run()
        found["fastdbn" if device == "cuda" else "fastdbn, CPU"] = time.perf_counter() - start
    if devices.torch:
        betas = np.linspace(0, 1, n_steps + 1)
        torch_anneal(work, chains, betas[:20])
        start = time.perf_counter()
        torch_anneal(work, chains, betas)
        found["PyTorch eager"] = time.perf_counter() - start
    return found


def classifier(sizes, X, y, X_test, y_test, epochs):
    """Seconds and test accuracy of pretraining and back-propagation on either device."""
    found = {}
    for device in ("cuda", "cpu"):
        model = DBNClassifier(sizes, pretrain_iter=epochs, max_iter=epochs, batch_size=100, device=device, random_state=0)
        start = time.perf_counter()
        model.fit(X, y)
        found["fastdbn" if device == "cuda" else "fastdbn, CPU"] = time.perf_counter() - start
        found[f"accuracy, {device}"] = float(model.score(X_test, y_test))
    return found


class Devices(NamedTuple):
    """What takes part beside fastdbn."""

    torch: bool


def _torch_has_gpu():
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def _images(tiny):
    """Training and test images in [0, 1] with labels: MNIST where it is at hand, else the 8x8 digits."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    if tiny:
        return X[:24, 20:26], y[:24] % 2, X[24:32, 20:26], y[24:32] % 2
    try:
        from benchmarks.mnist import images

        X, y, X_test, y_test = images.load()
        return images.grey(X), y, images.grey(X_test), y_test
    except Exception as error:
        print(f"MNIST is not at hand ({error}): the 8x8 digits take its place")
        return X[:1500], y[:1500], X[1500:], y[1500:]


def main(arguments=None):
    """Run, print, write; arguments are those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to prove the command in CUDA's simulator")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", help="JSON file; benchmarks/results/cuda.json by default")
    args = parser.parse_args(arguments)
    if lacking_cuda():
        parser.error(lacking_cuda())
    from numba import cuda

    from fastdbn.backends.cuda import CUDA
    from fastdbn.backends.cuda_blas import library
    from fastdbn.backends.cuda_jit import SIMULATED

    if SIMULATED and not args.tiny:
        parser.error("NUMBA_ENABLE_CUDASIM=1 simulates a GPU: give --tiny")
    out = args.out or store.FOLDER / ("cuda-tiny.json" if args.tiny else "cuda.json")
    rounds, began, devices = 1 if args.tiny else args.rounds, time.perf_counter(), Devices(_torch_has_gpu())
    machine = describe(None) | {
        "gpu": "simulator" if SIMULATED else cuda.get_current_device().name,
        "numba-cuda": version("numba-cuda"),
        "cuBLAS": library() is not None,
    }
    image = _images(args.tiny)
    parts = {"ceilings": lambda: ceilings(CUDA(), 4 if args.tiny else 8192, rounds)}
    for name, work in ({"tiny": TINY} if args.tiny else WORKS).items():
        parts[name] = lambda work=work: minibatches(work, devices, rounds)
    size, chains, n_steps = (TINY, 3, 4) if args.tiny else (WORKS["784-500 batch 100 CD-1"], 100, 14_500)
    parts[f"AIS, {size.nv}-{size.nh}, {chains} chains x {n_steps} steps"] = lambda: annealing(size, chains, n_steps, devices)
    sizes = (5,) if args.tiny else (500, 500, 2000)
    name = f"DBN {'-'.join(map(str, (image[0].shape[1], *sizes)))}, pretraining and back-propagation, wall time"
    parts[name] = lambda: classifier(sizes, *image, 1 if args.tiny else 3)
    results = {}
    for name, run in parts.items():
        if time.perf_counter() - began > BUDGET:
            print(f"{name}: left out, the time is spent")
            continue
        results[name] = run()
        print(name + ": " + ", ".join(f"{who} {value:.4g}" for who, value in results[name].items()), flush=True)
        store.write(out, machine, works=results)


if __name__ == "__main__":
    main()
