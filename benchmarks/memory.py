"""Memory of training on a memory-mapped file: `python -m benchmarks.memory [--rows 1000000] [--hidden 256]`.

Binary rows of 784 bytes are written to a temporary file. A new process trains on them for an epoch, and one of its threads
reads its memory from /proc every few milliseconds. Anonymous memory (RssAnon) is what the program takes; pages of the mapped
file (RssFile) do not count, because the system may drop them. Only Linux tells this.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words
from benchmarks.targets import PEAK_MEMORY
from benchmarks.works import DECAY, MOMENTUM

NV, BLOCK, EVERY = 784, 10_000, 0.005
SIZES = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem")


def write_rows(path, rows):
    """Zeros and ones of density 0.14, a byte each, written block by block."""
    draw = np.random.default_rng(0)
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            noise = draw.integers(0, 256, (min(BLOCK, rows - start), NV), dtype=np.uint8)
            file.write((noise < 0.14 * 256).tobytes())


def sizes():
    """This process's memory in megabytes (of 10^6 bytes) by kind."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) * 1024 / 1e6 for name in SIZES}


class Watch(threading.Thread):
    """Notes the sizes at the moments when anonymous memory and when all resident memory are largest."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.anonymous, self.resident = threading.Event(), sizes(), sizes()

    def run(self):
        while not self.done.wait(EVERY):
            now = sizes()
            self.anonymous = max(self.anonymous, now, key=lambda s: s["RssAnon"])
            self.resident = max(self.resident, now, key=lambda s: s["VmRSS"])


def train(path, hidden, batch, threads):
    """What the new process does; prints what it used as JSON."""
    from fastdbn import RBM

    X = np.memmap(path, np.uint8, "r").reshape(-1, NV)
    imported = sizes()["RssAnon"]
    rbm = RBM(
        hidden,
        visible="bernoulli",
        scale="none",
        binarize=0.5,
        centering=None,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        batch_size=batch,
        n_iter=1,
        random_state=0,
        n_jobs=threads,
    )
    watch = Watch()
    watch.start()
    start = time.perf_counter()
    rbm.fit(X)
    total = time.perf_counter() - start
    watch.done.set()
    watch.join()
    high, top = sizes()["VmHWM"], watch.resident
    result = {
        "anonymous after imports, MB": imported,
        "peak anonymous, MB": watch.anonymous["RssAnon"],
        "VmHWM, MB": high,
        "VmHWM less file pages, MB": high - top["RssFile"] - top["RssShmem"],
        "seconds before the epoch": total - rbm.history_["seconds"][0],
        "seconds of the epoch": rbm.history_["seconds"][0],
    }
    print(json.dumps(result))


def main():
    """Write the file, train twice (the first time on few rows, so that kernels are cached), print, write JSON."""
    parser = Parser(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", help="where the temporary file goes, on a disk and not in memory")
    parser.add_argument("--out", default=store.FOLDER / "memory.json")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train, args.hidden, args.batch, args.threads)
        return
    machine = describe(args.threads)
    numbers = ["--hidden", str(args.hidden), "--batch", str(args.batch), "--threads", str(args.threads)]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for rows in (2 * args.batch, args.rows):
            path = Path(folder) / f"{rows}.bin"
            write_rows(path, rows)
            line = [sys.executable, "-m", "benchmarks.memory", "--train", str(path), *numbers]
            result = json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)
    work = {"rows": args.rows, "visible": NV, "hidden": args.hidden, "batch": args.batch}
    print(in_words(machine) + f"\n{args.rows} rows x {NV}, uint8, memory-mapped; {args.hidden} hidden, batch {args.batch}\n")
    for name, value in result.items():
        missed = name == "peak anonymous, MB" and value >= PEAK_MEMORY
        asked = f"   target < {PEAK_MEMORY:g}{' ✗' * missed}" if name == "peak anonymous, MB" else ""
        print(f"{name:<28}{value:>9.1f}{asked}")
    store.write(args.out, machine, work=work, results=result)


if __name__ == "__main__":
    main()
