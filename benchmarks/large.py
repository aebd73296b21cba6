"""Training on rows that do not fit into memory: `python -m benchmarks.large [--rows 6400000] [--cap 1GB] [--limit 300MB]`.

Rows of 784 zeros and ones, float32, are written to a file. A new process trains a classifier on a memory map of it, pretraining
of three layers and fine-tuning, an epoch each, with `memory_limit`. The system holds this process to `--cap` bytes: all of its
memory, pages of files included, in a control group where the user may make one, else its own data (RLIMIT_DATA). Then the same
network is trained on an array in memory, as long as `--compare` is given, and speeds are compared.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words
from benchmarks.memory import Watch, sizes
from fastdbn.support.checks import bytes_of

NV, BLOCK = 784, 10_000
GROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
LIMITS = "memory.limit_in_bytes", "memory.max"


def write_rows(path, rows):
    """Zeros and ones of density 0.14 as float32, with structure: each row is one of 64 patterns with noise."""
    draw = np.random.default_rng(0)
    patterns = draw.random((64, NV)) < 0.14
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            n = min(BLOCK, rows - start)
            noise = draw.integers(0, 256, (n, NV), dtype=np.uint8) < 8
            (patterns[np.arange(start, start + n) % 64] ^ noise).astype(np.float32).tofile(file)


def train(path, hidden, batch, threads, limit):
    """What a new process does; prints what it used as JSON."""
    from fastdbn import RBM, DBNClassifier

    X = np.memmap(path, np.float32, "r").reshape(-1, NV)
    X = X if limit else np.array(X)
    y = np.arange(len(X)) % 64 % 10
    model = DBNClassifier(
        (hidden,) * 3,
        rbm=RBM(n_iter=1, batch_size=batch),
        max_iter=1,
        batch_size=batch,
        random_state=0,
        n_jobs=threads,
        memory_limit=limit or None,
    )
    watch, began, used = Watch(), time.perf_counter(), time.process_time()
    watch.start()
    model.fit(X, y)
    total, used = time.perf_counter() - began, time.process_time() - used
    watch.done.set()
    watch.join()
    seconds = [rbm.history_["seconds"][0] for rbm in model.dbn_.layers_]
    result = {
        "rows per second": len(X) / total,
        "seconds": total,
        "seconds of a processor": used,
        **{f"seconds of layer {i}": value for i, value in enumerate(seconds, 1)},
        "peak resident, MB": watch.resident["VmRSS"],
        "peak anonymous, MB": watch.anonymous["RssAnon"],
        "VmHWM, MB": sizes()["VmHWM"],
    }
    print(json.dumps(result))


@contextlib.contextmanager
def held_to(cap):
    """(what a new process does first to be held to so many bytes, how, in words)."""
    group = next(filter(None, (_group(root / f"fastdbn-{os.getpid()}", cap) for root in GROUPS)), None)
    if group is None:
        yield lambda: resource.setrlimit(resource.RLIMIT_DATA, (cap, cap)), "RLIMIT_DATA"
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())), "a control group"
    finally:
        group.rmdir()


def _group(folder, cap):
    """A new control group of so many bytes, or None where the user may not make it."""
    try:
        folder.mkdir()
        next(folder / name for name in LIMITS if (folder / name).exists()).write_text(str(cap))
    except (OSError, StopIteration):
        with contextlib.suppress(OSError):
            folder.rmdir()
        return None
    return folder


def main():
    """Write the file, train in the cap and, if asked, without one in memory; print, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--rows", type=int, default=6_400_000)
    parser.add_argument("--hidden", type=int, default=500)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cap", default="1GB", help="what the system holds the process to")
    parser.add_argument("--limit", default="300MB", help="the memory_limit of the fit")
    parser.add_argument("--compare", action="store_true", help="train on an array in memory too")
    parser.add_argument("--folder", help="where the files go, on a disk and not in memory")
    parser.add_argument("--out", default=store.FOLDER / "large.json")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train, args.hidden, args.batch, args.threads, args.limit)
        return
    machine, results = describe(args.threads), {}
    numbers = ["--hidden", str(args.hidden), "--batch", str(args.batch), "--threads", str(args.threads)]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder, held_to(bytes_of(args.cap, "--cap")) as (enter, how):
        line = [sys.executable, "-W", "ignore", "-m", "benchmarks.large", *numbers, "--train"]
        environment = os.environ | {"TMPDIR": folder}

        def run(rows, limit, first=None):
            path = Path(folder) / f"{rows}.bin"
            if not path.exists():
                write_rows(path, rows)
            command = [*line, str(path), "--limit", limit]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, preexec_fn=first)
            return json.loads(done.stdout)

        run(20 * args.batch, args.limit)  # so that kernels are cached
        results["in the cap"] = run(args.rows, args.limit, enter)
        if args.compare:
            results["in memory"] = run(args.rows, "")
    gigabytes = args.rows * NV * 4 / 1e9
    print(
        f"{in_words(machine)}\n{args.rows} rows x {NV}, float32, {gigabytes:.1f} GB, memory-mapped; three layers of {args.hidden}"
    )
    print(f"held to {args.cap} by {how}, memory_limit={args.limit!r}\n")
    for name in results["in the cap"]:
        print(f"{name:<24}" + "".join(f"{result[name]:>14.1f}" for result in results.values()))
    work = {"rows": args.rows, "visible": NV, "hidden": args.hidden, "batch": args.batch, "cap": args.cap, "limit": args.limit}
    store.write(args.out, machine, work=work, results=results)


if __name__ == "__main__":
    main()
