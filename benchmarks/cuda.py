"""The GPU beside PyTorch and the CPU: `python -m benchmarks.cuda`, under 8 minutes; writes results/cuda.json.

First come the two ceilings: the rate of the card's matrix products through cuBLAS, and that of copies in its memory. Then each
work is done by fastdbn on the GPU, by PyTorch eager and with CUDA graphs on the same card, and by fastdbn on this machine's
CPU. Times are medians over rounds between events of the GPU, after a round to warm up; long runs are timed once. Last comes
what rounding does to the likelihood of MNIST. `--tiny` runs every part at sizes for CUDA's simulator (NUMBA_ENABLE_CUDASIM=1);
its figures mean nothing. PyTorch is left out if it has no GPU.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import cuda_torch, store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, version
from fastdbn import RBM, evaluate
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.devices import PRECISIONS, lacking_cuda
from fastdbn.backends.protocol import Params, Source
from fastdbn.maths import rng

BUDGET = 400.0
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
TINY = {"tiny CD-1": Work(6, 5, 4, 2), "tiny PCD-1, bf16": Work(6, 5, 4, 2, True, "bf16")}
REACH = {
    "784-500 batch 100 CD-1": {"PyTorch eager": 3.0, "PyTorch graph": 1.5},
    "784-500 batch 2048 PCD-1": {"PyTorch eager": 2.0},
    "4096-4096 batch 4096 CD-1, tf32": {"products": 0.75},
    "4096-4096 batch 4096 CD-1, bf16": {"products": 0.75},
    "AIS": {"PyTorch eager": 5.0},
}
"""Targets: the time of another over that of fastdbn."""


def wall_clock(run):
    """Seconds of run() by the host's clock."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def clock_of(backend):
    """A clock for what a backend does: events on its stream. For the CPU, and for the simulator, which times no events, the
    host's clock."""
    from fastdbn.backends.cuda.jit import SIMULATED

    if backend.name == "cpu" or SIMULATED:
        return wall_clock
    from numba import cuda

    def clock(run):
        first, last = cuda.event(), cuda.event()
        first.record(backend.stream)
        run()
        last.record(backend.stream)
        last.synchronize()
        return first.elapsed_time(last) / 1e3

    return clock


def median_seconds(run, clock, rounds):
    """The median over rounds of a clock's seconds of run(); one round more to warm up."""
    return statistics.median([clock(run) for _ in range(rounds + 1)][1:])


# ---- training


def run_of(backend, work, X):
    """A training run of a work on a backend, at the beginning of its first epoch."""
    from fastdbn.training.cd import ContrastiveDivergence
    from fastdbn.training.layer import Layer, Settings, State
    from fastdbn.units import get_unit

    W = rng.host_generator(0, 0, rng.stream(rng.INIT)).normal(0, 0.01, (work.nv, work.nh)).astype(np.float32)
    params = Params(W, np.zeros(work.nv, np.float32), np.zeros(work.nh, np.float32))
    state = State(params, Params(*(np.zeros_like(x) for x in params)), None, 0, 0)
    data, unit = backend.load(Source(X), for_training=True), get_unit("bernoulli")
    layer = Layer(unit, unit, data, len(X), None, 0, 0)
    run = ContrastiveDivergence(backend, layer, Settings(1, work.persistent, work.batch, 0.05, 0.9, 2e-4, work.batch), state)
    run.begin_epoch()
    return run


def training_seconds(backend, work, X, rounds):
    """Seconds a minibatch of training."""
    run, order = run_of(backend, work, X), (np.arange(work.batch * work.steps) % len(X)).astype(np.uint32)
    with backend.single_threaded():
        return median_seconds(lambda: run.steps(order), clock_of(backend), rounds) / work.steps


def products_seconds(backend, work, rounds):
    """Seconds of the matrix products alone that a minibatch of CD-1 needs."""
    nv, nh, n = work.nv, work.nh, work.batch
    v, h, W = backend.zeros(n, nv), backend.zeros(n, nh), backend.zeros(nv, nh)

    def run():
        for _ in range(2):
            backend.field(v, W, h)
            backend._product(1.0, v, True, h, False, 0.0, W)
        backend.field(h, W, v, transpose=True)

    return median_seconds(run, clock_of(backend), rounds)


def minibatches(work, rounds):
    """One row of the table: seconds a minibatch by everybody."""
    from fastdbn.backends.cuda.backend import CUDA

    X = (np.random.default_rng(0).random((max(work.batch, min(work.batch * work.steps, 60000)), work.nv)) < 0.14).astype(np.uint8)
    gpu = CUDA(None, "float32", work.precision)
    found = {"fastdbn": training_seconds(gpu, work, X, rounds), "products": products_seconds(gpu, work, rounds)}
    if cuda_torch.has_gpu():
        peer = cuda_torch.Training(work, X)
        for name, one in (("PyTorch eager", peer.minibatch), ("PyTorch graph", peer.captured())):
            run = lambda one=one: [one() for _ in range(work.steps)]  # noqa: E731
            found[name] = median_seconds(run, cuda_torch.clock, rounds) / work.steps
    few = max(1, min(work.steps, 10**9 // work.nv // work.nh // work.batch))
    return found | {"fastdbn, CPU": training_seconds(CPU(), work._replace(steps=few), X, 1)}


def ceilings(n, rounds):
    """Rates of the card: products in TFLOP/s for each precision, copies in GB/s read and written."""
    from fastdbn.backends.cuda.backend import CUDA

    found = {}
    for precision in PRECISIONS:
        b = CUDA(None, "float32", precision)
        A, B, C = (b.zeros(n, n) for _ in range(3))
        seconds = median_seconds(lambda b=b, given=(A, B, C): b.field(*given), clock_of(b), rounds)
        found[f"{precision} TFLOP/s"] = 2 * n**3 / seconds / 1e12
    seconds = median_seconds(lambda: b.copy(A, C), clock_of(b), rounds)
    return found | {"copy GB/s": 8 * n**2 / seconds / 1e9}


# ---- whole runs


def annealing(work, chains, n_steps):
    """Seconds of a whole AIS run. On the CPU a tenth of the steps is timed."""
    X = (np.random.default_rng(0).random((256, work.nv)) < 0.14).astype(np.float32)
    model, found = RBM(work.nh, n_iter=1, random_state=0).fit(X), {}
    for name, device, share in (("fastdbn", "cuda", 1), ("fastdbn, CPU", "cpu", 10)):
        model.to_device(device)
        steps = max(1, n_steps // share)
        run = lambda n: evaluate.ais(model, X=X, n_chains=chains, n_steps=n, random_state=0)  # noqa: E731
        run(min(steps, 20))  # compiles
        found[name] = wall_clock(lambda steps=steps, run=run: run(steps)) * n_steps / steps
    if cuda_torch.has_gpu():
        betas = np.linspace(0, 1, n_steps + 1)
        cuda_torch.anneal(work, chains, betas[:20])
        found["PyTorch eager"] = wall_clock(lambda: cuda_torch.anneal(work, chains, betas))
    return found


def command(X, y, layers, epochs):
    """Wall seconds and test accuracy of `fastdbn train` on either device, start-up and compilation included."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "data.npz"), X=X, y=y)
        for name, device in (("fastdbn", "cuda"), ("fastdbn, CPU", "cpu")):
            line = [
                sys.executable,
                "-m",
                "fastdbn.cli.main",
                "train",
                Path(folder, "data.npz"),
                "--out",
                Path(folder, "model"),
                "--force",
            ]
            options = {"layers": ",".join(map(str, layers)), "epochs": epochs, "pretrain-epochs": epochs, "device": device}
            line += [word for option, value in options.items() for word in (f"--{option}", value)]
            start = time.perf_counter()
            done = subprocess.run([*map(str, line)], capture_output=True, text=True)
            found[name] = time.perf_counter() - start
            if done.returncode:
                raise RuntimeError(done.stderr)
            found[f"accuracy in %, {device}"] = float(re.search(r"accuracy: ([\d.]+)", done.stdout)[1])
    return found


def quality(X, test, n_hidden, batch_size, epochs, chains, n_steps):
    """Mean log-likelihood of test rows in nats, by AIS in full precision, of RBMs that were trained in each precision.

    Minibatches are large enough for cuBLAS to multiply: products of smaller ones are not rounded.
    """
    found, given = {}, {"batch_size": batch_size, "n_iter": epochs, "random_state": 0}
    for name, device, precision in (*((p, "cuda", p) for p in PRECISIONS), ("CPU", "cpu", "float32")):
        model = RBM(n_hidden, device=device, precision=precision, **given).fit(X)
        model.set_params(precision="float32")
        model.to_device()
        log_z = evaluate.ais(model, X=X, n_chains=chains, n_steps=n_steps, random_state=0).log_z
        found[name] = float(evaluate.log_likelihood(model, test, log_z).mean())
    return found


# ---- the command


def images(tiny):
    """Training and test images as uint8, with labels: MNIST where it is at hand, else, and where `tiny`, 8x8 digits."""
    from benchmarks.mnist import images as mnist

    try:
        if not tiny:
            return mnist.load()
    except FileNotFoundError as error:
        print(f"the 8x8 digits take MNIST's place: {error}")
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X * 15).astype(np.uint8)
    if tiny:
        X, y = X[:24, 20:26], y[:24] % 2
    n = len(X) * 3 // 4
    return mnist.Images(X[:n], y[:n], X[n:], y[n:])


def parts(tiny, rounds):
    """What is measured, in order: functions by name."""
    from benchmarks.mnist.images import thresholded

    data, works = images(tiny), TINY if tiny else WORKS
    found = {"ceilings": lambda: ceilings(4 if tiny else 8192, rounds)}
    for name, work in works.items():
        found[name] = lambda work=work: minibatches(work, rounds)
    first, (chains, n_steps) = next(iter(works.values())), (3, 10) if tiny else (100, 14_500)
    found[f"AIS, {first.nv}-{first.nh}, {chains} chains x {n_steps} steps"] = lambda: annealing(first, chains, n_steps)
    layers, epochs = ((5,), 1) if tiny else ((500, 500, 2000), 3)
    name = f"`fastdbn train`, {'-'.join(map(str, (data.X.shape[1], *layers)))}, {epochs} epochs, whole command"
    found[name] = lambda: command(np.r_[data.X, data.test], np.r_[data.y, data.test_y], layers, epochs)
    sizes = (5, 8, 1, 3, 4) if tiny else (500, 512, 10, 100, 2000)
    found["test log-likelihood in nats by AIS"] = lambda: quality(thresholded(data.X), thresholded(data.test), *sizes)
    return found


def show(name, found):
    """One part's figures as a line, beside their targets."""
    print(name + ": " + ", ".join(f"{who} {value:.4g}" for who, value in found.items()), flush=True)
    for who, least in REACH.get(name.split(",")[0] if name.startswith("AIS") else name, {}).items():
        if who in found:
            ratio = found[who] / found["fastdbn"]
            print(f"    {who} over fastdbn: {ratio:.2f}, asked for {least}{'' if ratio >= least else ' ✗'}", flush=True)


def main(arguments=None):
    """Run, print, write; arguments are those of the command line."""
    parser = Parser(__doc__)
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to prove the command in CUDA's simulator")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", help="JSON file; benchmarks/results/cuda.json by default")
    args = parser.parse_args(arguments)
    if lacking_cuda():
        parser.error(lacking_cuda())
    from numba import cuda

    from fastdbn.backends.cuda.blas import library
    from fastdbn.backends.cuda.jit import SIMULATED

    if SIMULATED and not args.tiny:
        parser.error("NUMBA_ENABLE_CUDASIM=1 simulates a GPU: give --tiny")
    out, began = args.out or store.FOLDER / ("cuda-tiny.json" if args.tiny else "cuda.json"), time.perf_counter()
    machine = describe(None) | {
        "gpu": "simulator" if SIMULATED else str(cuda.get_current_device().name),
        "numba-cuda": version("numba-cuda"),
        "cuBLAS": library() is not None,
    }
    results = {}
    for name, run in parts(args.tiny, 1 if args.tiny else args.rounds).items():
        if time.perf_counter() - began > BUDGET:
            print(f"{name}: left out, the time is spent")
            continue
        results[name] = run()
        show(name, results[name])
        store.write(out, machine, works=results)


if __name__ == "__main__":
    main()
