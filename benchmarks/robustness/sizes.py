"""Small works at sizes around those of words, vectors, tables and blocks: what bounds checks and sanitizers look at.

`python -m benchmarks.robustness.sizes --first 0 --count 10` runs some of them, each with random sizes, and prints how many.
"""

import sys
import warnings

import numpy as np
from scipy import sparse

from benchmarks.arguments import Parser
from fastdbn import RBM, DBNClassifier, evaluate
from fastdbn.backends.cpu import backprop_steps, pool

SIZES = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 320, 513]


def work(seed):
    """One fit, and what is done with it."""
    draw = np.random.default_rng(seed)
    rows, visible, hidden, upper, batch = (int(x) for x in draw.choice(SIZES, 5))
    X = (draw.random((rows, visible)) < draw.choice([0.02, 0.1, 0.5, 0.95])).astype(np.float32)
    given = sparse.csr_matrix(X) if seed % 3 == 2 else X
    n_jobs = int(draw.integers(1, 4))
    if seed % 2:
        sizes, y = (hidden, upper), np.arange(rows) % min(rows, 3)
        layer = RBM(visible="bernoulli", n_iter=1, batch_size=batch)
        options = {"rbm": layer, "batch_size": batch, "max_iter": 1, "n_jobs": n_jobs, "random_state": 0}
        if len(np.unique(y)) < 2:
            return
        DBNClassifier(sizes, dropout=0.2, **options).fit(given, y).predict_proba(given[: max(1, rows // 2)])
        return
    options = {"persistent": bool(seed % 4), "n_chains": upper, "k": 1 + seed % 3} if seed % 8 > 1 else {}
    rbm = RBM(hidden, visible="bernoulli", n_iter=2, batch_size=batch, n_jobs=n_jobs, random_state=0, **options).fit(given)
    rbm.transform(given[: max(1, rows // 2)])
    rbm.sample(3, 2, 0)
    if seed % 16 == 0:
        evaluate.ais(rbm, n_chains=5, n_steps=3, exact=False, random_state=0)


def main():
    parser = Parser(__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    pool.WORK_PER_THREAD = backprop_steps.FEWEST_ROWS = 1  # so that these small works are shared out too
    for seed in range(args.first, args.first + args.count):
        print(seed, flush=True)
        work(seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
