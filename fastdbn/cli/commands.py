"""What each command does. Results go to stdout, progress and remarks to stderr; heavy imports happen inside the commands."""

import json
import shlex
import sys
import time

from fastdbn.cli.results import check_out, put_table, save_somewhere
from fastdbn.support.report import progress

SPLIT_SEED = 0
"""The seed of the split into training and test rows. It does not depend on the model's seed."""


# ---- training


def _digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    progress("data: 1797 handwritten digits of 8x8 pixels, which scikit-learn carries")
    return None, None, X / 16, y, "classify", "none"


def _column_target(table, args):
    """The values of the target column, and its position."""
    from fastdbn.cli import columns

    if args.target is None and table.image:
        raise ValueError(f"{args.data} holds images and no target: save both as X and y in one .npz file")
    if table.columns.shape[1] == 1:
        raise ValueError(f"{args.data}: {columns.ONE_COLUMN}. Training needs features beside the target")
    if args.target is None:
        raise ValueError("--target is missing: name the column to predict, or its position (-1 is the last)")
    place = columns.position(table, args.target)
    progress(f"target: column {columns.name_of(table, place)}")
    return table.columns[:, place], place


def _training_data(args):
    """The table, the positions of its features, X, y, task and the estimator's scale."""
    import numpy as np

    from fastdbn.cli import columns, tables

    table, found = tables.read_table(args.data, args.header, [args.target] if args.target else ())
    progress(f"{args.data}: {found}")
    keep = list(range(table.columns.shape[1]))
    if table.target is not None and args.target is None:
        values = table.target
    else:
        values, place = _column_target(table, args)
        keep.remove(place)
    kept = {columns.position(table, name, "--keep") for name in args.keep}
    if not table.image and values.ndim == 1:
        for j, why in columns.left_out(table, values, [j for j in keep if j not in kept]).items():
            keep.remove(j)
            option = shlex.join(["--keep", table.names[j] if table.names else str(j)])
            progress(f"left out: column {columns.name_of(table, j)} {why} (unless you give {option})")
    X = columns.features(table, keep)
    if len(X) > 1 and (X == X[0]).all():
        raise ValueError("every feature holds one value alone: there is nothing to learn from")
    y, task, why = columns.target_values(values, args.task)
    rare = task == "classify" and table.names is None and len(y) > 2 and np.sum(y == y[0]) == 1
    if rare and values.dtype == object:
        why += f"; its first label, {str(y[0])!r}, occurs once: give --header if line 1 names the columns"
    progress(f"task: {task} ({why}); {X.shape[0]} rows, {X.shape[1]} features")
    return table, keep, X, y, task, args.scale


def _test_rows(args, keep, task):
    """X and y of the test rows that a .npz file has, or None."""
    from fastdbn.cli import columns, tables

    if args.data is None or args.test_size is not None or not tables.has_split(args.data, "test"):
        return None
    table, found = tables.read_table(args.data, split="test")
    if table.target is None or table.columns.shape[1] <= max(keep):
        return None
    progress(f"test rows: {found}")
    return columns.features(table, keep), columns.target_values(table.target, task)[0]


def _split(X, y, task, share):
    """Rows to train on and rows to test on; every class has rows to train on."""
    import numpy as np
    from sklearn.model_selection import train_test_split
    from sklearn.utils import shuffle

    n_test = max(1 if task == "classify" else 2, round(share * len(X)))  # R2 needs two
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
    out = args.out or "model.safetensors"
    if args.data is None and (args.target or args.header is not None or args.keep):
        raise ValueError("--target, --keep and --header need DATA: name a file, or leave them out to train on digits")
    if args.data is not None:
        from fastdbn.cli import tables

        tables.existing(args.data)
    check_out(out, args.force)
    import numpy as np
    from sklearn.metrics import r2_score

    from fastdbn import RBM, DBNClassifier, DBNRegressor
    from fastdbn.backends.devices import get_backend

    get_backend(device=args.device)  # which refuses one that is not here, before any work
    table, keep, X, y, task, scale = _training_data(args) if args.data else _digits()
    given = _test_rows(args, keep, task)
    X_train, X_test, y_train, y_test = (X, given[0], y, given[1]) if given else _split(X, y, task, args.test_size or 0.2)
    options = {"hidden_layer_sizes": args.layers, "max_iter": args.epochs}
    options = {name: value for name, value in options.items() if value is not None}
    pretraining = {} if args.pretrain_epochs is None else {"n_iter": args.pretrain_epochs}
    estimator = DBNClassifier if task == "classify" else DBNRegressor
    rbm, verbose = RBM(scale=scale, **pretraining), 0 if args.quiet else 1
    model = estimator(rbm=rbm, random_state=args.seed, device=args.device, verbose=verbose, **options)
    progress(f"training {estimator.__name__} on {len(X_train)} rows, testing on {len(X_test)}")
    model.fit(X_train, y_train)
    progress(f"the network took data {model.scaling_.words}, for {getattr(model.visible_, 'name', model.visible_)} units")
    if task == "classify":
        print(f"test accuracy: {100 * np.mean(model.predict(X_test) == y_test):.1f} %")
    else:
        print(f"test R2: {r2_score(y_test, model.predict(X_test)):.3f}")
    sys.stdout.flush()
    if table is not None:
        model.left_out_ = tuple(j for j in range(table.columns.shape[1]) if j not in set(keep))
        if table.names is not None:
            model.feature_names_in_ = np.array([table.names[j] for j in keep], dtype=object)
    save_somewhere(model, out)
    progress(f"saved {out}; try next:")
    progress(f"  {shlex.join(['fastdbn', 'info', out])}")
    progress(f"  {shlex.join(['fastdbn', 'sample', out, '-n', '16', '--out', 'samples.npy'])}")
    if args.data is not None:
        header = {None: [], True: ["--header"], False: ["--no-header"]}[args.header]
        progress(f"  {shlex.join(['fastdbn', 'predict', out, args.data, *header])}")
    script = f"import fastdbn; print(fastdbn.load({json.dumps(out)}))"
    progress(f"  {shlex.join(['python', '-c', script])}")


# ---- using a model


def _load(args, *needed):
    """Load a model and check that it has the methods that a command needs."""
    import fastdbn

    model = fastdbn.load(args.model)
    for method in needed:
        if not hasattr(model, method):
            raise ValueError(f"{args.model} holds a {type(model).__name__}, which cannot {method}")
    return model


def _ready(args, method):
    """Check that data and output paths are in order, then load the model."""
    from fastdbn.cli import tables

    tables.existing(args.data)
    check_out(args.out, args.force)
    return _load(args, method)


def _features(model, args):
    """The features that a model takes from a table: by name if both have names, otherwise by position."""
    from fastdbn.cli import columns, tables

    names = vars(model).pop("feature_names_in_", ())  # columns come in the model's order from here on
    split = args.split or ("test" if tables.has_split(args.data, "test") else "train")
    table, found = tables.read_table(args.data, args.header, list(names), True, split)
    progress(f"{args.data}: {found}")
    keep = columns.wanted(table, list(names), model.n_features_in_, getattr(model, "left_out_", ()))
    others = [columns.name_of(table, j) for j in range(table.columns.shape[1]) if j not in set(keep)]
    if others:
        progress(f"columns left out: {columns.listed(others)}")
    if bool(table.names) != bool(len(names)):
        progress(f"columns are taken in their order, because the {'table' if len(names) else 'model'} has no names for them")
    return columns.features(table, keep, needed=True)


def run_predict(args):
    """Predictions, and class probabilities, as CSV."""
    model = _ready(args, "predict")
    X = _features(model, args)
    predicted = model.predict(X)
    if hasattr(model, "predict_proba"):
        header = ["prediction", *(f"probability_{label}" for label in model.classes_)]
        put_table(args.out, header, [predicted, *model.predict_proba(X).T])
    elif predicted.ndim == 1:
        put_table(args.out, ["prediction"], [predicted])
    else:
        put_table(args.out, [f"prediction_{i}" for i in range(predicted.shape[1])], list(predicted.T))


def run_transform(args):
    """Hidden features as CSV or .npy."""
    model = _ready(args, "transform")
    X = _features(model, args)
    from fastdbn import DBN
    from fastdbn.estimators.supervised import Supervised

    layered = isinstance(model, (DBN, Supervised))
    if not layered and args.layer not in (0, -1):
        raise ValueError(f"--layer {args.layer}: a {type(model).__name__} has one layer")
    H = model.transform(X, args.layer) if layered else model.transform(X)
    put_table(args.out, [f"feature_{i}" for i in range(H.shape[1])], list(H.T))


def run_sample(args):
    """New rows as .npy or CSV."""
    check_out(args.out, args.force)
    model = _load(args, "sample")
    names = getattr(model, "feature_names_in_", None)
    X = model.sample(args.n, n_steps=args.steps, random_state=args.seed)
    header = [f"x{i}" for i in range(X.shape[1])] if names is None else list(names)
    put_table(args.out, header, list(X.T))


def run_info(args):
    """A model's class, sizes, units, classes, scaling and training."""
    model = _load(args)
    rows = [("class", type(model).__name__), ("features", model.n_features_in_)]
    dbn = getattr(model, "dbn_", model)
    layers = getattr(dbn, "layers_", None) or ([model] if hasattr(model, "components_") else [])
    if hasattr(model, "coefs_"):
        sizes = [model.n_features_in_, *(len(c) for c in model.intercepts_)]
        parameters = sum(W.size for W in model.coefs_) + sum(c.size for c in model.intercepts_)
    else:
        sizes = [model.n_features_in_, *(rbm.components_.shape[0] for rbm in layers)]
        parameters = sum(rbm.components_.size + sum(rbm.components_.shape) for rbm in layers)
    rows += [("layers", "-".join(map(str, sizes))), ("parameters", parameters)]
    visible = getattr(model, "visible_", getattr(layers[0], "visible_", "bernoulli") if layers else "bernoulli")
    rows.append(("visible units", getattr(visible, "name", visible)))
    scaling = getattr(model, "scaling_", getattr(layers[0], "scaling_", None) if layers else None)
    scaled = scaling is not None and scaling.scale is not None
    rows.append(("scaling", scaling.words if scaled else "none"))
    if hasattr(model, "classes_"):
        shown = ", ".join(map(str, model.classes_[:20])) + (", ..." if len(model.classes_) > 20 else "")
        rows.append(("classes", f"{len(model.classes_)}: {shown}"))
    if getattr(model, "feature_names_in_", None) is not None:
        names = list(model.feature_names_in_)
        rows.append(("feature names", ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")))
    epochs = [getattr(rbm, "n_iter_", None) for rbm in layers]
    if hasattr(model, "coefs_"):
        rows.append(("pretraining", f"{', '.join(map(str, epochs))} epochs" if epochs else "none"))
        loss = model.history_["loss"]
        rows.append(("fine-tuning", f"{model.n_iter_} epochs" + (f", last loss {loss[-1]:.5f}" if len(loss) else "")))
    else:
        rows.append(("epochs", ", ".join(map(str, epochs))))
    for name, value in rows:
        print(f"{name:<14} {value}")


def run_warmup(args):
    """Compile what the estimators need, and print how much was cached already, and where."""
    from fastdbn.cli.warmup import warmup

    options = {name: getattr(args, name) for name in ("dtype", "units", "data") if getattr(args, name) is not None}
    started = time.perf_counter()
    report = warmup(verbose=0 if args.quiet else 1, **options)
    seconds = time.perf_counter() - started
    print(f"{report.compiled} kernels compiled, {report.cached} in the cache already, {seconds:.0f} s; cache: {report.folder}")


def run_versions(args):
    """Versions of everything that computes."""
    from fastdbn.cli.versions import show_versions

    show_versions()
