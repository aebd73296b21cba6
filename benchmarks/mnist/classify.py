"""The rows of the table that are errors on the test set: pretraining and back-propagation, few labels, up-down, dropout.

Pretraining follows Hinton and Salakhutdinov 2006: CD-1 in batches of 100, rate 0.1, weight cost 2e-4, momentum 0.5 and from
the sixth epoch 0.9, 50 epochs a layer; pixels and hidden units are drawn from their probabilities, anew in every epoch.
"""

import numpy as np

from benchmarks.mnist import images
from fastdbn import DBN, RBM, DBNClassifier, GenerativeDBNClassifier

SIZES, BATCH, PRETRAIN, TOP, DROPOUT = (500, 500, 2000), 100, 50, 30, 30
UP_DOWN = {"epochs": 60, "rate of the greedy top": 0.5, "rate of the top": 0.3, "rate": 0.02, "gibbs": (1, 1, 3)}
"""Rates fall to 0; Gibbs steps of the top grow in the thirds of the run (Hinton, Osindero, Teh 2006 took 3, 6, 10).

Tried on validation rows: rates 0.2, 0.5 and 1 of the greedy top (at 1 it saturates); in up-down the same rate for the top and
the layers under it, 0.02, 0.1 and 0.3, and 0.3 or 0.2 with momentum 0.9 for the top and 0.02 under it; grey pixels instead of
drawn ones.
"""
WARM_UP = [0.1] * 3
"""Rates of the top's first epochs, without which it saturates at higher ones."""


def pretrain(run, X, seed, sizes=SIZES, epochs=PRETRAIN, **options):
    """A DBN trained layer by layer on grey images, each layer a stage that all experiments share."""
    layers, below, stages = [], X, run.stages.beside("pretraining")
    common = {"visible": "bernoulli", "scale": "none", "binarize": "sample", "centering": None}
    common |= {"learning_rate": 0.1, "batch_size": BATCH}
    for i, size in enumerate(sizes):
        rbm = RBM(size, **(common | options), random_state=seed + 1000 * i, n_jobs=run.threads)
        layers.append(stages.train(f"layer{i + 1}-{size}-seed{seed}", rbm, epochs, below))
        below = layers[-1].transform(below)
    return DBN.stack(layers)


def falling(top, epochs):
    """A rate that falls in a line to 0, as a list, which a model file can hold."""
    return [top * (1 - epoch / epochs) for epoch in range(epochs)]


def wrong(model, X, y):
    """Percent of rows whose label is not the one predicted."""
    return 100 * float(np.mean(model.predict(X) != y))


def fine_tuned(run, name, X, y, test, test_y, seed, epochs, every=1, sizes=SIZES, rate=1e-3, weights=None, **options):
    """A network after back-propagation; its curve has the error on `test` after every so many epochs."""
    # a callable is called with the network fitted so far; predicting after each epoch costs little
    rbm = None if isinstance(options.get("pretrain"), DBN) else RBM(visible="bernoulli", scale="none")
    model = DBNClassifier(
        sizes,
        rbm=rbm,
        **{"alpha": 0.0, "dropout": 0.0, "batch_size": BATCH} | options,
        learning_rate_init=falling(rate, epochs),
        random_state=seed,
        n_jobs=run.threads,
    )

    def watch(model, epoch):
        return {} if epoch % every else {"error": wrong(model, test, test_y)}

    return run.stages.train(name, model, epochs, X, y, watch, parameter="max_iter", sample_weight=weights)


def fine_tune(run, name, X, y, test, test_y, *args, **options):
    """Percent of errors on `test` after back-propagation."""
    return wrong(fine_tuned(run, name, X, y, test, test_y, *args, **options), test, test_y)


def data(run):
    """(X, y, test, test_y): the test set is the held-out end of the training set where settings are being chosen."""
    x, y = images.grey(run.images.X), run.images.y
    if run.validate:
        return x[: -images.HELD_OUT], y[: -images.HELD_OUT], x[-images.HELD_OUT :], y[-images.HELD_OUT :]
    return x, y, images.grey(run.images.test), run.images.test_y


def over_seeds(errors):
    """Mean, standard deviation and each seed's value."""
    spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
    return {"mean": float(np.mean(errors)), "sd": spread, "seeds": [float(e) for e in errors]}


def backprop(run):
    """784-500-500-2000-10: pretraining, then cross-entropy by back-propagation, with the estimator's own dropout of 0.2.

    Tried on validation rows: Adam at 3e-4, 1e-3 and 3e-3, SGD at 0.1, without dropout and with it.
    """
    X, y, test, test_y = data(run)
    errors = []
    for seed in range(run.seeds):
        dbn = pretrain(run, X, seed)
        errors.append(fine_tune(run, f"network-seed{seed}", X, y, test, test_y, seed, 20, pretrain=dbn, dropout=0.2))
    return {"test error, %": over_seeds(errors)}


LOW_LABEL = {"pretrained": (0.3, 0.6, 0.6, 0.6), "random": (0.2, 0.5, 0.5, 0.5)}
"""Dropout of inputs and hidden units, the best of those tried for each kind of start."""
PSEUDO = {100: (3, 10_000), 1000: (2, 20_000)}
"""By number of labels: rounds of pseudo-labels, and rows without a label in each. On validation rows every round gained."""
PSEUDO_EPOCHS, PSEUDO_DROPOUT = 5, (0.2, 0.5, 0.5, 0.5)
GENERATIVE = {"top": 500, "rows": 20_000, "epochs": 20, "rate": 0.3}
"""The top RBM with labels: its units, rows without a label, and epochs. Labelled rows are repeated until they are a third."""


def lowlabel(run):
    """1,000 and 100 labels, 784-500-500-2000-10: pretrained on all images against random weights, mean over draws of the labels;
    then the rows without labels too, by pseudo-labels and by the generative network.

    Tried on validation rows: 784-1024-10, pretrained and random; dropout of the inputs 0.2 to 0.4 and of hidden units 0.5 to
    0.7, for random weights 0 and 0.2 too. Generative: labelled rows once (with 100 labels 32 %), 20 and 100 times (82 and 84 %).
    """
    X, y, test, test_y = data(run)
    dbn = pretrain(run, X, 0)
    results = {}
    for labels, epochs in ((1000, 200), (100, 400)):
        for kind, start in (("pretrained", dbn), ("random", False)):
            accuracies = []
            for seed in range(run.seeds):
                rows = balanced(y, labels, seed)
                name = f"{labels}-{kind}-seed{seed}"
                rows_of = X[rows], y[rows], test, test_y
                error = fine_tune(run, name, *rows_of, seed, epochs, every=20, pretrain=start, dropout=LOW_LABEL[kind])
                accuracies.append(100 - error)
            results[f"{labels} labels, {kind}, accuracy %"] = over_seeds(accuracies)
        for way in (pseudo_labels, generative):
            accuracies = [100 - way(run, dbn, X, y, test, test_y, labels, seed) for seed in range(run.seeds)]
            results[f"{labels} labels, {way.__name__.replace('_', '-')}, accuracy %"] = over_seeds(accuracies)
        pretrained, random = (results[f"{labels} labels, {kind}, accuracy %"]["mean"] for kind in ("pretrained", "random"))
        results[f"{labels} labels, gain"] = pretrained - random
    return results


def pseudo_labels(run, dbn, X, y, test, test_y, labels, seed):
    """Percent of errors of a network that learns, round by round, the labels that the one before finds (Lee 2013).

    The first is the pretrained one of `lowlabel`. A label that is found weighs the square of its probability. Every round begins
    with the pretrained weights.
    """
    known, (rounds, n) = balanced(y, labels, seed), PSEUDO[labels]
    teacher, draw = run.stages.fitted(f"{labels}-pretrained-seed{seed}"), np.random.default_rng(seed)
    repeated = np.repeat(known, n // (10 * labels))
    for number in range(rounds):
        some = draw.permutation(len(X))[:n]
        found = teacher.predict_proba(X[some])
        rows, of_rows = np.r_[some, repeated], np.r_[found.argmax(axis=1), y[repeated]]
        options = {"weights": np.r_[found.max(axis=1) ** 2, np.ones(len(repeated))], "pretrain": dbn, "dropout": PSEUDO_DROPOUT}
        name = f"{labels}-pseudo-seed{seed}-round{number + 1}"
        teacher = fine_tuned(run, name, X[rows], of_rows, test, test_y, seed, PSEUDO_EPOCHS, **options)
    return wrong(teacher, test, test_y)


def generative(run, dbn, X, y, test, test_y, labels, seed):
    """Percent of errors of the exact posterior of a top RBM on two pretrained layers; most of its rows have no label."""
    known, n, below = balanced(y, labels, seed), GENERATIVE["rows"], DBN.stack(dbn.layers_[:2])
    rows = np.r_[np.random.default_rng(seed).permutation(len(X))[:n], np.repeat(known, n // (2 * labels))]
    of_rows = np.r_[np.full(n, -1), y[rows[n:]]]
    rates = WARM_UP + falling(GENERATIVE["rate"], GENERATIVE["epochs"] - len(WARM_UP))
    rbm = RBM(visible="bernoulli", scale="none", batch_size=BATCH, n_iter=0)
    common = {"n_gibbs": 1, "up_down_learning_rate": rates, "unlabelled": -1, "random_state": seed, "n_jobs": run.threads}
    top = GenerativeDBNClassifier(GENERATIVE["top"], rbm=rbm, **common)
    name = f"{labels}-generative-seed{seed}"
    top = run.stages.train(name, top, GENERATIVE["epochs"], below.transform(X[rows]), of_rows, parameter="up_down_iter")
    return wrong(top, below.transform(test), test_y)


def balanced(y, n, seed):
    """n rows, as many of each class, drawn by a seed."""
    draw = np.random.default_rng(seed)
    return np.sort(np.concatenate([draw.choice(np.flatnonzero(y == c), n // 10, replace=False) for c in range(10)]))


def updown(run):
    """784-500-500-2000 with labels on the top RBM, greedy and then up-down: errors of the exact posterior of the labels."""
    X, y, test, test_y = data(run)
    greedy, errors, epochs = [], [], UP_DOWN["epochs"]

    def watch(model, epoch):
        return {"error": wrong(model, test, test_y)}

    for seed in range(run.seeds):
        below = pretrain(run, X, seed, SIZES[:-1])
        common = {"random_state": seed, "n_jobs": run.threads}
        rates = WARM_UP + falling(UP_DOWN["rate of the greedy top"], TOP - len(WARM_UP))
        # with nothing under the top, up-down is CD of an RBM with labels
        rbm = RBM(visible="bernoulli", scale="none", batch_size=BATCH, n_iter=0)
        top = GenerativeDBNClassifier(SIZES[-1:], rbm=rbm, n_gibbs=1, up_down_learning_rate=rates, **common)
        top = run.stages.train(f"top-seed{seed}", top, TOP, below.transform(X), y, parameter="up_down_iter")
        network = GenerativeDBNClassifier.stack([*below.layers_, top])
        greedy.append(wrong(network, test, test_y))
        gibbs = [UP_DOWN["gibbs"][3 * epoch // epochs] for epoch in range(epochs)]
        network.set_params(
            n_gibbs=gibbs,
            up_down_learning_rate=falling(UP_DOWN["rate"], epochs),
            up_down_top_learning_rate=falling(UP_DOWN["rate of the top"], epochs),
            **common,
        )
        network = run.stages.train(f"network-seed{seed}", network, epochs, X, y, watch, parameter="up_down_iter")
        errors.append(wrong(network, test, test_y))
    return {"test error, %": over_seeds(errors), "test error before up-down, %": over_seeds(greedy)}


def dropout(run):
    """784-500-500-2000-10: pretraining, then dropout 0.1 of the inputs and 0.2 of the hidden units, and max-norm 10.

    Tried on validation rows: max-norm 4, which is below the norm of most pretrained units, and 10. Dropout of 0.2 and 0.5
    (Srivastava et al. 2014) takes many more epochs.
    """
    X, y, test, test_y = data(run)
    errors = []
    for seed in range(run.seeds):
        dbn = pretrain(run, X, seed)
        rates = {"dropout": (0.1, 0.2, 0.2, 0.2), "max_norm": 10.0}
        errors.append(fine_tune(run, f"dropout-seed{seed}", X, y, test, test_y, seed, DROPOUT, pretrain=dbn, **rates))
    return {"test error, %": over_seeds(errors)}
