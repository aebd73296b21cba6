"""What each command does. Results go to stdout, progress and remarks to stderr."""

import json
import shlex
import sys
import time

import numpy as np

import fastdbn
from fastdbn.backends.devices import get_backend
from fastdbn.cli import table, tables
from fastdbn.cli.results import check_out, put_table, save_somewhere
from fastdbn.cli.target import target_values
from fastdbn.cli.versions import show_versions
from fastdbn.cli.warmup import warmup
from fastdbn.estimators.dbn import DBN
from fastdbn.estimators.finetune import DBNClassifier, DBNRegressor
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.supervised import Supervised
from fastdbn.support.report import progress

SPLIT_SEED = 0
"""The seed of the split into training and test rows. It does not depend on the model's seed."""


# ---- training


def _digits():
    """The same as `_training_data` gives, of digits that are scaled already."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    progress("data: 1797 handwritten digits of 8x8 pixels, which scikit-learn carries")
    return _split(X / 16, y, "classify", None), "classify", {}


def _target(found, args):
    """The values of the target, and its position if it is a column."""
    if found.target is not None and args.target is None:
        return found.target, None
    if args.target is None and found.image:
        raise ValueError(f"{args.data} holds images and no target: save both as X and y in one .npz file")
    if found.width == 1:
        raise ValueError(f"{args.data}: {table.ONE_COLUMN}. Training needs features beside the target")
    if args.target is None:
        raise ValueError("--target is missing: name the column to predict, or its position (-1 is the last)")
    place = table.position(found.names, found.width, args.target)
    progress(f"target: column {found.name(place)}")
    return found.column(place), place


def _training_data(args):
    """(X to train on, X to test on, y to train on, y to test on), the task, and attributes that say what the features are."""
    found, said = tables.read_table(args.data, args.header, [args.target] if args.target else (), target=args.target)
    progress(f"{args.data}: {said}")
    values, place = _target(found, args)
    keep = [j for j in range(found.width) if j != place]
    kept = {table.position(found.names, found.width, name, "--keep") for name in args.keep}
    if not found.image and values.ndim == 1:
        for j, why in table.left_out(found, values, [j for j in keep if j not in kept]).items():
            keep.remove(j)
            option = shlex.join(["--keep", found.names[j] if found.names else str(j)])
            progress(f"left out: column {found.name(j)} {why} (unless you give {option})")
    X = table.features(found, keep)
    if len(X) > 1 and (X == X[0]).all():
        raise ValueError("every feature holds one value alone: there is nothing to learn from")
    y, task, why = target_values(values, args.task)
    rare = task == "classify" and found.names is None and len(y) > 2 and np.sum(y == y[0]) == 1
    if rare and values.dtype == object:
        why += f"; its first label, {str(y[0])!r}, occurs once: give --header if line 1 names the columns"
    progress(f"task: {task} ({why}); {X.shape[0]} rows, {X.shape[1]} features")
    attributes = {"left_out_": tuple(j for j in range(found.width) if j not in set(keep))}
    if found.names is not None:
        attributes["feature_names_in_"] = np.array([found.names[j] for j in keep], dtype=object)
    del found  # its memory is free for the copies of the split
    test = _test_rows(args, keep, task)
    return (X, test[0], y, test[1]) if test else _split(X, y, task, args.test_size), task, attributes


def _test_rows(args, keep, task):
    """X and y of the test rows that a .npz file has, or None."""
    if args.test_size is not None or not tables.has_split(args.data, "test"):
        return None
    found, said = tables.read_table(args.data, split="test")
    if found.target is None or found.width <= max(keep):
        return None
    progress(f"test rows: {said}")
    return table.features(found, keep), target_values(found.target, task)[0]


def _split(X, y, task, share):
    """Rows to train on and rows to test on; every class has rows to train on."""
    from sklearn.model_selection import train_test_split
    from sklearn.utils import shuffle

    n_test = max(1 if task == "classify" else 2, round((share or 0.2) * len(X)))  # R2 needs two
    if len(X) - n_test < 2:
        raise ValueError(f"training and testing need more rows than {len(X)}")
    strata = None
    if task == "classify":
        _, first, counts = np.unique(y, return_index=True, return_counts=True)
        if counts.min() < 2 or min(n_test, len(X) - n_test) < len(counts):
            test = shuffle(np.setdiff1d(np.arange(len(X)), first), random_state=SPLIT_SEED)[:n_test]
            if not len(test):
                raise ValueError("every class has one row alone: there is none to test on")
            train = np.setdiff1d(np.arange(len(X)), test)
            return X[train], X[test], y[train], y[test]
        strata = y
    return train_test_split(X, y, test_size=n_test, random_state=SPLIT_SEED, stratify=strata)


def run_train(args):
    """Train on a table or on the digits, test on held-out rows, save."""
    if args.data is None and (args.target or args.header is not None or args.keep):
        raise ValueError("--target, --keep and --header need DATA: name a file, or leave them out to train on digits")
    if args.data is not None:
        tables.existing(args.data)
    check_out(args.out, args.force)
    get_backend(device=args.device)  # which refuses one that is not here, before any work
    (X_train, X_test, y_train, y_test), task, attributes = _training_data(args) if args.data else _digits()
    given = {"hidden_layer_sizes": args.layers, "max_iter": args.epochs}
    given = {name: value for name, value in given.items() if value is not None}
    pretraining = {} if args.pretrain_epochs is None else {"n_iter": args.pretrain_epochs}
    rbm = RBM(scale=args.scale if args.data else "none", **pretraining)
    estimator = DBNClassifier if task == "classify" else DBNRegressor
    model = estimator(rbm=rbm, random_state=args.seed, device=args.device, verbose=0 if args.quiet else 1, **given)
    progress(f"training {estimator.__name__} on {len(X_train)} rows, testing on {len(X_test)}")
    model.fit(X_train, y_train)
    progress(f"the network took data {model.scaling_.words}, for {getattr(model.visible_, 'name', model.visible_)} units")
    score = model.score(X_test, y_test)
    print(f"test accuracy: {100 * score:.1f} %" if task == "classify" else f"test R2: {score:.3f}")
    sys.stdout.flush()
    vars(model).update(attributes)
    save_somewhere(model, args.out)
    progress(f"saved {args.out}; try next:")
    further = [["fastdbn", "info", args.out], ["fastdbn", "sample", args.out, "-n", "16", "--out", "samples.npy"]]
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
    """A model that has a method, and the features that it takes from a table: by name if both have names, else by position."""
    tables.existing(args.data)
    model = _load(args, method)
    names = list(vars(model).pop("feature_names_in_", ()))  # columns come in the model's order from here on
    split = args.split or ("test" if tables.has_split(args.data, "test") else "train")
    found, said = tables.read_table(args.data, args.header, names, True, split)
    progress(f"{args.data}: {said}")
    keep = table.wanted(found, names, model.n_features_in_, getattr(model, "left_out_", ()))
    others = [found.name(j) for j in range(found.width) if j not in set(keep)]
    if others:
        progress(f"columns left out: {table.listed(others)}")
    if bool(found.names) != bool(names):
        progress(f"columns are taken in their order, because the {'table' if names else 'model'} has no names for them")
    return model, table.features(found, keep, needed=True)


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
    """New rows as .npy or CSV."""
    model = _load(args, "sample")
    X = model.sample(args.n, n_steps=args.steps, random_state=args.seed)
    put_table(args.out, getattr(model, "feature_names_in_", [f"x{i}" for i in range(X.shape[1])]), X.T)


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
