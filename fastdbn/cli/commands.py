"""What each command does. Results go to stdout, progress and remarks to stderr."""

import json
import shlex
import sys
import time
from collections import Counter

import numpy as np

import fastdbn
from fastdbn.backends.devices import get_backend
from fastdbn.cli.results import check_out, put_table, save_somewhere
from fastdbn.cli.rows import digits, rows_for, training_rows
from fastdbn.cli.versions import show_versions
from fastdbn.cli.warmup import warmup
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier, DBNRegressor
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.supervised import Supervised
from fastdbn.support.report import progress
from fastdbn.tables import read
from fastdbn.tables.table import Table

# ---- training


def run_train(args):
    """Train on a table or on the digits, test on held-out rows, save."""
    if args.data is None and (args.target or args.header is not None or args.keep or args.kinds):
        raise ValueError("--target, --keep, --as and --header need DATA: name a file, or leave them out to train on digits")
    if args.data is not None:
        read.existing(args.data)
    check_out(args.out, args.force)
    get_backend(device=args.device)  # which refuses one that is not here, before any work
    rows = training_rows(args) if args.data else digits()
    task = rows.task
    given = {"hidden_layer_sizes": args.layers, "max_iter": args.epochs}
    given = {name: value for name, value in given.items() if value is not None}
    pretraining = {} if args.pretrain_epochs is None else {"n_iter": args.pretrain_epochs}
    rbm = RBM(visible=rows.visible, scale=args.scale if args.data else "none", **pretraining)
    estimator = DBNClassifier if task == "classify" else DBNRegressor
    model = estimator(rbm=rbm, random_state=args.seed, device=args.device, verbose=0 if args.quiet else 1, **given)
    progress(f"training {estimator.__name__} on {len(rows.X)} rows, testing on {len(rows.X_test)}")
    model.fit(rows.X, rows.y)
    progress(f"the network took data {model.scaling_.words}, for {getattr(model.visible_, 'name', model.visible_)} units")
    score = model.score(rows.X_test, rows.y_test)
    print(f"test accuracy: {100 * score:.1f} %" if task == "classify" else f"test R2: {score:.3f}")
    sys.stdout.flush()
    vars(model).update(rows.attributes)
    save_somewhere(model, args.out)
    progress(f"saved {args.out}; try next:")
    samples = "samples.csv" if "preparation_" in rows.attributes else "samples.npy"
    further = [["fastdbn", "info", args.out], ["fastdbn", "sample", args.out, "-n", "16", "--out", samples]]
    if args.data is not None:
        header = {None: [], True: ["--header"], False: ["--no-header"]}[args.header]
        further.append(["fastdbn", "predict", args.out, args.data, *header])
    further.append(["python", "-c", f"import fastdbn; print(fastdbn.load({json.dumps(args.out)}))"])
    for words in further:
        progress(f"  {shlex.join(words)}")


# ---- using a model


def _load(args, method):
    """Check the path of the output, then load a model, which must have the method that a command needs."""
    check_out(args.out, args.force)
    model = fastdbn.load(args.model)
    if not hasattr(model, method):
        raise ValueError(f"{args.model} holds a {type(model).__name__}, which cannot {method}")
    return model


def _load_both(args, method):
    """A model that has a method, and the features that it takes from a table."""
    read.existing(args.data)
    model = _load(args, method)
    X = rows_for(model, args)[-1]
    vars(model).pop("feature_names_in_", None)  # columns come in the model's order
    return model, X


def run_predict(args):
    """Predictions, and class probabilities, as CSV."""
    model, X = _load_both(args, "predict")
    predicted = model.predict(X)
    if hasattr(model, "predict_proba"):
        header = ["prediction", *(f"probability_{label}" for label in model.classes_)]
        put_table(args.out, header, [predicted, *model.predict_proba(X).T])
    elif predicted.ndim == 1:
        put_table(args.out, ["prediction"], [predicted])
    else:
        put_table(args.out, [f"prediction_{i}" for i in range(predicted.shape[1])], predicted.T)


def run_transform(args):
    """Hidden features as CSV or .npy."""
    model, X = _load_both(args, "transform")
    layered = isinstance(model, (DBN, Supervised))
    if not layered and args.layer not in (0, -1):
        raise ValueError(f"--layer {args.layer}: a {type(model).__name__} has one layer")
    H = model.transform(X, args.layer) if layered else model.transform(X)
    put_table(args.out, [f"feature_{i}" for i in range(H.shape[1])], H.T)


def run_sample(args):
    """New rows as .npy or CSV, as the table that the model was trained on has them."""
    model = _load(args, "sample")
    X = model.sample(args.n, n_steps=args.steps, random_state=args.seed)
    if hasattr(model, "preparation_"):
        drawn = model.preparation_.inverse_table(X)
        put_table(
            args.out, drawn.names or [f"x{j}" for j in model.preparation_.places], [drawn.cells(j) for j in range(drawn.width)]
        )
    else:
        put_table(args.out, getattr(model, "feature_names_in_", [f"x{i}" for i in range(X.shape[1])]), X.T)


def run_impute(args):
    """A table with its missing values filled in, as CSV; what it has is left as it is."""
    read.existing(args.data)
    check_out(args.out, args.force)
    model = fastdbn.load(args.model)
    network = model if hasattr(model, "impute") else getattr(model, "dbn_", None)
    if network is None:
        raise ValueError(f"{args.model} holds a {type(model).__name__} without pretrained layers, which cannot impute")
    found, places, X = rows_for(model, args, lacking=True)
    vars(model).pop("feature_names_in_", None)
    filled = network.impute(X, n_steps=args.steps, method=args.method, random_state=args.seed)
    prepared = hasattr(model, "preparation_")
    new = model.preparation_.inverse_table(filled, missing=False) if prepared else Table(filled)
    columns = [found.cells(j) for j in range(found.width)]
    for i, j in enumerate(places):
        lacking = np.equal(columns[j], None)
        columns[j][lacking] = new.cells(i)[lacking]
    put_table(args.out, found.names or [f"x{j}" for j in range(found.width)], columns)


def run_info(args):
    """A model's class, sizes, units, classes, scaling and training."""
    model = fastdbn.load(args.model)
    network = hasattr(model, "coefs_")
    layers = getattr(getattr(model, "dbn_", model), "layers_", [] if network else [model])
    weights = model.coefs_ if network else [rbm.components_.T for rbm in layers]
    parameters = sum(W.size + (W.shape[1] if network else sum(W.shape)) for W in weights)
    bottom = model if hasattr(model, "visible_") else layers[0]
    visible, scaling = getattr(bottom, "visible_", "bernoulli"), getattr(bottom, "scaling_", None)
    rows = [
        ("class", type(model).__name__),
        ("features", model.n_features_in_),
        ("layers", "-".join(str(n) for n in (model.n_features_in_, *(W.shape[1] for W in weights)))),
        ("parameters", parameters),
        ("visible units", getattr(visible, "name", visible)),
        ("scaling", "none" if scaling is None or scaling.scale is None else scaling.words),
    ]
    if hasattr(model, "classes_"):
        rows.append(("classes", f"{len(model.classes_)}: {_first(model.classes_, 20)}"))
    if hasattr(model, "feature_names_in_"):
        rows.append(("feature names", _first(model.feature_names_in_, 10)))
    if hasattr(model, "preparation_"):
        kinds = Counter(column.kind for column in model.preparation_.columns_)
        counted = ", ".join(f"{count} {kind}{'s' * (count > 1)}".replace("ys", "ies") for kind, count in kinds.items())
        rows.append(("columns", f"{counted}: {_first(model.preparation_.names or model.preparation_.places, 10)}"))
    epochs = ", ".join(str(rbm.n_iter_) for rbm in layers)
    if network:
        loss = model.history_["loss"]
        rows.append(("pretraining", f"{epochs} epochs" if layers else "none"))
        rows.append(("fine-tuning", f"{model.n_iter_} epochs" + (f", last loss {loss[-1]:.5f}" if len(loss) else "")))
    else:
        rows.append(("epochs", epochs))
    for name, value in rows:
        print(f"{name:<14} {value}")


def _first(values, n):
    """The first n of some values, in words."""
    return ", ".join(map(str, values[:n])) + (", ..." if len(values) > n else "")


def run_warmup(args):
    """Compile what the estimators need, and print how much was cached already, and where."""
    options = {name: getattr(args, name) for name in ("dtype", "units", "data") if getattr(args, name) is not None}
    started = time.perf_counter()
    report = warmup(verbose=0 if args.quiet else 1, **options)
    seconds = time.perf_counter() - started
    print(f"{report.compiled} kernels compiled, {report.cached} in the cache already, {seconds:.0f} s; cache: {report.folder}")


def run_versions(args):
    """Versions of everything that computes."""
    show_versions()
