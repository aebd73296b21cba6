"""Hashes of results, to be compared between threads, kernels and processors: `python -m benchmarks.hashes`.

Each case is one small computation. It runs on 1, 2, 3 and 8 threads, and by composed operations in place of the fused kernels.
Where this installation has shipped kernels that fit, a second process compiles its own instead. All should give the same hash.

The record of each processor stays in the file, so a run on another make says which cases differ. Two should agree where both
take the same shipped kernels and no product goes through BLAS, whose sums differ between processors.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe, in_words, make
from fastdbn import RBM, DBNClassifier, evaluate
from fastdbn.backends.cpu import backprop_steps, jit, pool, shipped, target
from fastdbn.backends.cpu.backend import CPU

ROWS, WIDTH, HIDDEN = 600, 400, 300
THREADS = 1, 2, 3, 8


def data():
    """Binary and real rows, groups of four with one 1 each, and classes."""
    draw = np.random.default_rng(0)
    groups = np.eye(4, dtype=np.float32)[draw.integers(0, 4, (ROWS, WIDTH // 4))].reshape(ROWS, WIDTH)
    return {
        "binary": (draw.random((ROWS, WIDTH)) < 0.15).astype(np.float32),
        "real": draw.normal(size=(ROWS, WIDTH)).astype(np.float32),
        "groups": groups,
        "classes": draw.integers(0, 5, ROWS),
    }


def weights(rbm):
    return rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_


def layer(kind, **options):
    """A case: the parameters of a fitted RBM."""
    given = {"n_iter": 2, "batch_size": 100, "random_state": 0} | options
    return lambda given_data, n_jobs: weights(RBM(HIDDEN, n_jobs=n_jobs, **given).fit(given_data[kind]))


def network(given, n_jobs):
    """A classifier's weights, and what it predicts."""
    model = DBNClassifier((HIDDEN, 150), rbm=RBM(n_iter=1), max_iter=2, n_jobs=n_jobs, random_state=0)
    model.fit(given["binary"], given["classes"])
    return *model.coefs_, model.predict_proba(given["binary"])


def features(given, n_jobs):
    return (RBM(HIDDEN, n_iter=1, n_jobs=n_jobs, random_state=0).fit(given["binary"]).transform(given["binary"]),)


def normaliser(given, n_jobs):
    rbm = RBM(40, n_iter=1, n_jobs=n_jobs, random_state=0).fit(given["binary"])
    return (np.array(evaluate.ais(rbm, n_chains=64, n_steps=50, exact=False, random_state=0).log_z),)


CASES = {
    "RBM": layer("binary"),
    "RBM, persistent chains": layer("binary", persistent=True),
    "RBM, chains at five temperatures": layer("binary", persistent=True, temperatures=5),
    "RBM, fast weights": layer("binary", persistent=True, fast_learning_rate=0.05),
    "RBM, Gaussian visible units": layer("real", visible="gaussian"),
    "RBM, softmax visible units": layer("groups", visible="softmax:4"),
    "RBM, L1, max-norm and sparsity": layer("binary", l1=1e-4, max_norm=2.0, sparsity_target=0.1, sparsity_cost=0.1),
    "DBNClassifier": network,
    "RBM.transform": features,
    "AIS": normaliser,
}


def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)).hexdigest()[:16]


def hashes():
    """{case: {way: hash}} of this process."""
    given, found = data(), {}
    for name, case in CASES.items():
        found[name] = {f"{n} thread{'s' * (n > 1)}": digest(case(given, n)) for n in THREADS}
        fused = CPU.cd_steps, CPU.backprop_steps, CPU.anneal
        CPU.cd_steps, CPU.backprop_steps, CPU.anneal = (lambda *_: False), (lambda *_: None), (lambda *_: None)
        try:
            found[name]["composed"] = digest(case(given, 1))
        finally:
            CPU.cd_steps, CPU.backprop_steps, CPU.anneal = fused
    return found


def of_own_kernels():
    """The hashes of a process that may not use shipped kernels."""
    command = [sys.executable, "-m", "benchmarks.hashes", "--print"]
    settings = os.environ | {"FASTDBN_NO_SHIPPED": "1"}
    return json.loads(subprocess.run(command, env=settings, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main():
    """Run, print, compare with the records of other processors, and write this one's."""
    parser = Parser(__doc__)
    parser.add_argument("--print", action="store_true", help="print this process's hashes as JSON and write nothing")
    parser.add_argument("--out", default=store.FOLDER / "hashes.json")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    pool.WORK_PER_THREAD = backprop_steps.FEWEST_ROWS = 1  # so that these small works are shared out too
    found = hashes()
    if args.print:
        print(json.dumps(found))
        return
    kernels = f"shipped, {target.level()}" if shipped.names() else "compiled here"
    compiled, cached = jit.count_kernels()
    if shipped.names():
        for name, ways in of_own_kernels().items():
            found[name] |= {f"compiled here, {way}": value for way, value in ways.items()}
    machine = describe(None)
    print(f"{in_words(machine)}\nkernels: {kernels} ({compiled} compiled, {cached} read)\n")
    records = (store.read(args.out) or {"records": {}})["records"]
    for name, ways in found.items():
        expected = ways["1 thread"]
        wrong = [way for way, value in ways.items() if value != expected]
        said = f"DIFFERS: {', '.join(wrong)}" if wrong else f"equal in all {len(ways)} ways"
        print(f"{name:<34}{expected}  {said}")
        for other, record in records.items():
            if other != make(machine) and record["hashes"].get(name) != expected:
                print(f"{'':<34}{record['hashes'].get(name)}  {other}, {record['kernels']}")
    records[make(machine)] = {"kernels": kernels, "hashes": {name: ways["1 thread"] for name, ways in found.items()}}
    store.write(args.out, machine, records=records)


if __name__ == "__main__":
    main()
