"""The rows of the table that are log-likelihoods in nats per image, exact or by annealed importance sampling.

RBMs train by PCD-1 with as many chains as rows of a minibatch and centred gradients (Melchior, Fischer, Wiskott 2016): batch
100, no weight decay, no momentum. AIS runs 100 chains over the 14,500 temperatures of Salakhutdinov and Murray 2008, or more.
"""

import numpy as np

from benchmarks.mnist import images
from benchmarks.mnist.classify import falling
from fastdbn import DBN, RBM, evaluate

PCD = {"visible": "bernoulli", "scale": "none", "persistent": True, "batch_size": 100, "weight_decay": 0.0, "momentum": 0.0}
DRAWS = 3
"""Binarisations of the pixels that the second layer of a DBN learns from."""
QUICK = 1000
"""Temperatures of the AIS that watches training."""
LONG = 145_000
"""Temperatures for models whose chains mix slowly: ten times the published ones, in the same proportions."""


def binarised(run, how):
    """(training rows, test rows) of zeros and ones; "stochastic" training rows stay grey, for the fit draws them anew."""
    X, test = run.images.X, run.images.test
    if run.validate:
        X, test = X[: -images.HELD_OUT], X[-images.HELD_OUT :]
    if how == "stochastic":
        return images.grey(X), images.drawn(test)
    return images.thresholded(X), images.thresholded(test)


def exact16(run):
    """784-16, thresholded, exact: centred and plain, on digits and on their negatives."""
    X, test = binarised(run, "thresholded")
    results = {}
    for flipped in (False, True):
        rows, held = (1 - X, 1 - test) if flipped else (X, test)
        for centring in ("data", None):
            values = []
            name = f"{'centred' if centring else 'plain'}{'-flipped' if flipped else ''}"
            for seed in range(run.seeds):
                rbm = RBM(16, **PCD, centering=centring, learning_rate=0.01, random_state=seed, n_jobs=run.threads)
                rbm = run.stages.train(f"{name}-seed{seed}", rbm, 50, rows)
                values.append(float(np.mean(-rbm.free_energy(held)) - evaluate.log_z(rbm)))
            results[f"{name}, test nats"] = {"mean": float(np.mean(values)), "seeds": values}
    results["centred, flipped less plain digits"] = abs(
        results["centred-flipped, test nats"]["mean"] - results["centred, test nats"]["mean"]
    )
    return results


def _watch(X, held, every):
    """Figures for the curve: a quick AIS of the test rows in some epochs."""

    def watch(rbm, epoch):
        if epoch % every:
            return {}
        found = evaluate.ais(rbm, n_steps=QUICK, X=X[:10_000], random_state=epoch)
        return {"test nats, quick": float(np.mean(-rbm.free_energy(held)) - found.log_z)}

    return watch


def measured(rbm, X, held, binary_train, n_steps=None):
    """AIS both ways of one RBM, and the mean log-likelihood of test and training rows."""
    forward = evaluate.ais(rbm, n_steps=n_steps, X=X, random_state=0)
    reverse = evaluate.reverse_ais(rbm, n_steps=n_steps, X=X, random_state=0)
    return {
        "log Z": forward.log_z,
        "log Z, standard error": forward.std_error,
        "effective samples": forward.ess,
        "log Z, reverse (a diagnostic)": reverse.log_z,
        "gap": reverse.log_z - forward.log_z,
        "test nats": float(np.mean(-rbm.free_energy(held)) - forward.log_z),
        "train nats": float(np.mean(-rbm.free_energy(binary_train)) - forward.log_z),
    }


def rbm500(run):
    """784-500, thresholded, AIS and its reverse: on the published schedule 5 of 100 chains would count, so `LONG` is taken."""
    X, held = binarised(run, "thresholded")
    epochs = 100
    rbm = RBM(500, **PCD, centering="data", learning_rate=falling(0.05, epochs), random_state=0, n_jobs=run.threads)
    rbm = run.stages.train("rbm500", rbm, epochs, X, watch=_watch(X, held, 10))
    return measured(rbm, X, held, X, LONG) | {"seconds": run.stages.seconds("rbm500")}


def rbm500_stochastic(run):
    """784-500 on pixels drawn anew in every epoch, tested on pixels drawn once.

    Tried on validation rows: PCD-1, PCD-5 and PCD-10.
    """
    X, held = binarised(run, "stochastic")
    epochs = 200
    options = PCD | {"binarize": "sample", "k": 10}
    rbm = RBM(500, **options, centering="data", learning_rate=falling(0.05, epochs), random_state=0, n_jobs=run.threads)
    rbm = run.stages.train("rbm500-stochastic", rbm, epochs, X, watch=_watch(X, held, 10))
    return measured(rbm, X, held, images.drawn(run.images.X[: len(X)])) | {"seconds": run.stages.seconds("rbm500-stochastic")}


def tied(rbm, below, X):
    """An RBM on the hidden states X of another, begun at that one's weights, transposed, and its biases.

    It gives the states the distribution that the RBM below implies, so that the bound of the two is the likelihood of the first
    (Hinton, Osindero, Teh 2006, section 4). Hidden units beyond the first's visible ones keep their small weights.
    """
    rbm.set_params(n_iter=0).fit(X)
    n = below.n_features_in_
    rbm.components_ = np.concatenate([below.components_.T, rbm.components_[n:]])
    rbm.intercept_hidden_ = np.concatenate([below.intercept_visible_, rbm.intercept_hidden_[n:]])
    rbm.intercept_visible_ = below.intercept_hidden_
    return rbm


def dbn2(run):
    """A DBN 500-2000 on the RBM of `rbm500-stochastic`: the variational bound and its importance-weighted tightening.

    The second layer begins at the first's weights and learns from hidden states of the first given drawn pixels, as the bound has
    them. Its settings were not tuned.
    """
    X, held = binarised(run, "stochastic")
    first = run.stages.beside("rbm500-stochastic").fitted("rbm500-stochastic")
    pixels = run.images.X[: len(X)]
    H = np.concatenate([first.transform(images.drawn(pixels, seed)) for seed in range(1, 1 + DRAWS)])
    epochs = 60 // DRAWS
    options = PCD | {"binarize": "sample", "k": 5, "random_state": 1, "n_jobs": run.threads}
    second = RBM(2000, **options, centering="data", learning_rate=falling(0.01, epochs))
    second = run.stages.train("layer2", tied(second, first, H), epochs, H)
    dbn = DBN.stack([first, second])
    top = evaluate.ais(second, schedule="sm2008", X=H, random_state=0)
    found = evaluate.dbn_bound(dbn, held, top.log_z, n_samples=50, random_state=0)
    return {
        "log Z of the top": top.log_z,
        "log Z, standard error": top.std_error,
        "effective samples": top.ess,
        "bound, test nats": float(np.mean(found.bound)),
        "tightened, test nats": float(np.mean(found.tightened)),
    }
