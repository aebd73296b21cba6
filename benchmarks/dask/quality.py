"""Averaging of 8 shards against training on one machine, at equal epochs: 784-500, CD-1, binary MNIST.

Measures are of the test rows: their mean pseudo-likelihood, and their log-likelihood by AIS with 100 chains and 1,000 steps.
"""

import dask.array as da

from benchmarks.dask.local import cluster
from benchmarks.mnist import images
from fastdbn import RBM, evaluate
from fastdbn.dask import DaskRBM

SHARDS = 8


def contenders():
    """Name -> estimator without its epochs."""
    alike = {"n_components": 500, "random_state": 0, "visible": "bernoulli"}
    return {
        "one machine, batch 32": RBM(**alike),
        **{f"average, r = {r}": DaskRBM(sync_every=r, n_shards=SHARDS, **alike) for r in (1, 10, 100)},
        **{
            f"average, r = 10, {x} x the rate": DaskRBM(sync_every=10, n_shards=SHARDS, learning_rate=0.05 * x, **alike)
            for x in (2, 4)
        },
        "one machine, batch 256": RBM(batch_size=32 * SHARDS, **alike),
        "one machine, batch 256, 8 x the rate": RBM(batch_size=32 * SHARDS, learning_rate=0.4, **alike),
    }


def run(args, known):
    """(contender, its measures) of those that are not known."""
    data = images.load(args.data)
    X, test = images.thresholded(data.X[: args.rows]), images.thresholded(data.test)
    with cluster(1, processes=False):
        for name, model in contenders().items():
            if name in known:
                continue
            model.set_params(n_iter=args.epochs).fit(da.from_array(X, chunks=1250) if isinstance(model, DaskRBM) else X)
            local = model.to_local() if isinstance(model, DaskRBM) else model
            log_z = evaluate.ais(local, 100, 1000, X=X, random_state=0).log_z
            yield (
                name,
                {
                    "rows": args.rows,
                    "epochs": args.epochs,
                    "pseudo-likelihood": local.score(test),
                    "log-likelihood": float(local.score_samples(test).mean() - log_z),
                    "reconstruction error": float(local.history_["reconstruction_error"][-1]),
                },
            )
