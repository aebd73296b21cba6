"""The command line: train, predict, transform, sample, info, warmup, versions.

Results go to stdout, progress and remarks to stderr. Exit codes: 0; 1 where the data or the model is at fault; 2 usage.
Heavy imports happen inside of the commands, so that help is quick.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from fastdbn import __version__
from fastdbn.report import progress

SPLIT_SEED = 0
"""The seed of the split into training and test rows, the same whatever the model's seed is."""


class Fault(ValueError):
    """Data, model or files are at fault: a message for the user and exit code 1."""


def _sizes(text):
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give sizes as 256,128")
    return sizes


def _unit(text):
    from fastdbn.units import UNITS

    if text not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r}: give one of {', '.join(UNITS)}")
    return text


def _positive(text):
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give an integer of at least 1")
    return value


def _share(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number between 0 and 1")
    return value


def build_parser():
    """The argument parser of all commands."""
    parser = argparse.ArgumentParser(prog="fastdbn", description="Train and use Deep Belief Networks.")
    parser.add_argument("--version", action="version", version=f"fastdbn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, run, summary, out_help=None, data=True):
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(run=run)
        if out_help:
            command.add_argument("--out", metavar="F", help=out_help)
            command.add_argument("--force", action="store_true", help="replace an existing file")
        if data:
            command.add_argument("--no-header", action="store_true", help="the first line of a CSV file is data")
        return command

    train = add("train", run_train, "Train a network on a table, or on 8x8 digits without one.", "model file [model.safetensors]")
    train.add_argument("data", nargs="?", metavar="DATA", help=".csv, .csv.gz, .npy or .npz (keys X, y)")
    train.add_argument("--target", metavar="COLUMN", help="name or position of the target column; -1 is the last")
    train.add_argument("--task", choices=("auto", "classify", "regress"), default="auto")
    train.add_argument("--layers", type=_sizes, metavar="256,128", help="hidden units of each layer")
    train.add_argument("--scale", choices=("auto", "minmax", "standard", "none"), default="auto", help="scaling of the features")
    train.add_argument("--seed", type=int, default=0, help="seed of the model [0]")
    train.add_argument("--epochs", type=_positive, metavar="N", help="epochs of fine-tuning")
    train.add_argument("--pretrain-epochs", type=_positive, metavar="N", help="epochs of each layer's pretraining")
    train.add_argument("--test-size", type=_share, default=0.2, metavar="SHARE", help="share of rows held out to test [0.2]")
    train.add_argument(
        "--device", choices=("cpu", "cuda", "auto"), default="cpu", help="what computes: the CPU or an NVIDIA GPU [cpu]"
    )
    train.add_argument("--quiet", action="store_true", help="no progress")

    predict = add("predict", run_predict, "Predict the rows of a table, as CSV.", "CSV file [stdout]")
    transform = add("transform", run_transform, "Hidden features of the rows of a table.", "CSV or .npy file [stdout]")
    for command in (predict, transform):
        command.add_argument("model", metavar="MODEL")
        command.add_argument("data", metavar="DATA")
    transform.add_argument("--layer", type=int, default=-1, help="hidden layer, 0 the lowest, -1 the last")

    sample = add("sample", run_sample, "Draw new rows from a network.", ".npy or CSV file [CSV to stdout]", data=False)
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", type=_positive, default=10, metavar="N", help="rows [10]")
    sample.add_argument("--steps", type=_positive, default=1000, help="Gibbs steps [1000]")
    sample.add_argument("--seed", type=int, default=0)

    info = add("info", run_info, "What a model file holds.", data=False)
    info.add_argument("model", metavar="MODEL")
    warm = add("warmup", run_warmup, "Compile all kernels into the disk cache, for later runs to start at once.", data=False)
    warm.add_argument("--dtype", nargs="+", choices=("float32", "float64"), help="precisions of the models [all]")
    warm.add_argument("--units", nargs="+", type=_unit, metavar="UNIT", help="unit types [bernoulli gaussian softmax]")
    kinds = ("float32", "float64", "uint8", "bool", "int64")
    warm.add_argument("--data", nargs="+", choices=kinds, help="types of the data [all]")
    warm.add_argument("--quiet", action="store_true", help="no progress")
    add("versions", run_versions, "Versions of everything that computes.", data=False)
    return parser


# ---- files


def _check_out(path, force):
    """Refuse, before any work, a path that cannot or may not be written."""
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        raise Fault(f"--out {path} is a folder: name a file")
    if path.exists() and not force:
        raise Fault(f"{path} exists and is kept: give --force to replace it, or --out with another name")
    if not path.parent.is_dir():
        raise Fault(f"--out {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise Fault(f"--out {path}: the folder {path.parent} cannot be written")


def _write(path, write):
    """write(file) into a file aside, which then takes the path's place."""
    path = Path(path)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    progress(f"wrote {path}")


def _put_table(path, header, columns):
    """Columns as CSV to a path or stdout, or as .npy."""
    import csv
    import io

    import numpy as np

    if path is not None and Path(path).suffix == ".npy":
        _write(path, lambda file: np.save(file, np.column_stack(columns), allow_pickle=False))
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
    if path is None:
        sys.stdout.write(text.getvalue())
    else:
        _write(path, lambda file: file.write(text.getvalue().encode()))


def _features(model, args):
    """The features that a model wants from a table; by name where both have names."""
    from fastdbn import tables

    table, found = tables.read_table(args.data, args.no_header)
    progress(f"{args.data}: {found}")
    names = getattr(model, "feature_names_in_", None)
    if names is not None and table.names is not None:
        missing = [name for name in names if name not in table.names]
        if missing:
            raise Fault(f"{args.data} lacks the column {missing[0]!r}, which the model was trained on ({len(missing)} lacking)")
        keep = [table.names.index(name) for name in names]
        if len(keep) < len(table.names):
            progress(f"columns left out: {', '.join(name for name in table.names if name not in set(names))}")
    else:
        keep = list(range(table.columns.shape[1]))
        if len(keep) != model.n_features_in_:
            raise Fault(
                f"{args.data} has {len(keep)} columns, the model was trained on {model.n_features_in_} features: "
                "give it those columns alone, without the target"
            )
    return tables.numbers(table, keep)


# ---- commands


def _digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    progress("data: 1797 handwritten digits of 8x8 pixels, which scikit-learn carries")
    return X / 16, y, None, "classify", "none"


def _training_data(args):
    """X, y, feature names, task and the estimator's scale."""
    import numpy as np

    from fastdbn import tables

    table, found = tables.read_table(args.data, args.no_header)
    progress(f"{args.data}: {found}")
    if table.target is not None and args.target is None:
        values, keep = table.target, list(range(table.columns.shape[1]))
        if len(values) != len(table.columns):
            raise Fault(f"{args.data}: y has {len(values)} rows, X has {len(table.columns)}")
    elif args.target is None:
        raise Fault("--target is missing: name the column to predict, or its position (-1 is the last)")
    else:
        position = tables.column_index(table, args.target)
        keep = [j for j in range(table.columns.shape[1]) if j != position]
        values = table.columns[:, position]
    X = tables.numbers(table, keep)
    y, task, why = tables.target_values(values, args.task)
    progress(f"task: {task} ({why}); {X.shape[0]} rows, {X.shape[1]} features")
    scale = args.scale
    if scale == "auto":
        inside = bool((X >= 0).all() and (X <= 1).all())
        pixels = not inside and X.shape[1] >= 16 and bool((X >= 0).all()) and np.array_equal(X, np.round(X))
        scale = "minmax" if pixels else "auto"
        why = "values lie in [0, 1] and are left as they are" if inside else "columns are standardised"
        progress(f"scale: {'whole numbers from 0, as pixels have, are scaled to [0, 1]' if pixels else why}")
    names = None if table.names is None else [table.names[j] for j in keep]
    return X, y, names, task, scale


def run_train(args):
    """Train on a table or on the digits, test on held-out rows, save."""
    out = args.out or "model.safetensors"
    _check_out(out, args.force)
    if args.data is None and (args.target or args.no_header):
        raise Fault("--target and --no-header need DATA: name a file, or leave them out to train on digits")
    import numpy as np
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split

    from fastdbn import DBNClassifier, DBNRegressor
    from fastdbn.backends import get_backend

    get_backend(device=args.device)  # which refuses one that is not here, before any work
    X, y, names, task, scale = _training_data(args) if args.data else _digits()

    counts = np.unique(y, return_counts=True)[1] if task == "classify" else None
    if len(X) < 2:
        raise Fault(f"{args.data} has one row: training needs more")
    n_test = max(1, round(args.test_size * len(X)))
    stratified = counts is not None and counts.min() >= 2 and min(n_test, len(X) - n_test) >= len(counts)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=n_test, random_state=SPLIT_SEED, stratify=y if stratified else None
    )
    options = {"hidden_layer_sizes": args.layers, "max_iter": args.epochs, "pretrain_iter": args.pretrain_epochs}
    options = {name: value for name, value in options.items() if value is not None}
    estimator = DBNClassifier if task == "classify" else DBNRegressor
    model = estimator(scale=scale, random_state=args.seed, device=args.device, verbose=0 if args.quiet else 1, **options)
    progress(f"training {estimator.__name__} on {len(X_train)} rows, testing on {len(X_test)}")
    model.fit(X_train, y_train)
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    if task == "classify":
        print(f"test accuracy: {100 * np.mean(_quiet_predict(model, X_test) == y_test):.1f} %")
    else:
        print(f"test R2: {r2_score(y_test, _quiet_predict(model, X_test)):.3f}")
    sys.stdout.flush()
    model.save(out)
    progress(f"saved {out}; try next:")
    progress(f"  fastdbn info {out}")
    progress(f"  fastdbn sample {out} -n 16 --out samples.npy")
    if names is not None:
        progress(f"  fastdbn predict {out} {args.data}")
    progress(f'  python -c "import fastdbn; print(fastdbn.load({str(out)!r}))"')


def _quiet_predict(model, X):
    """Predictions on a plain array, without scikit-learn's remark that the fit had feature names."""
    names = model.__dict__.pop("feature_names_in_", None)
    try:
        return model.predict(X)
    finally:
        if names is not None:
            model.feature_names_in_ = names


def _load(args, *needed):
    """The model, which must have some methods."""
    import fastdbn

    model = fastdbn.load(args.model)
    for method in needed:
        if not hasattr(model, method):
            raise Fault(f"{args.model} holds a {type(model).__name__}, which cannot {method}")
    return model


def run_predict(args):
    """Predictions, and class probabilities, as CSV."""
    _check_out(args.out, args.force)
    model = _load(args, "predict")
    X = _features(model, args)
    model.__dict__.pop("feature_names_in_", None)  # columns are in the model's order by now
    predicted = model.predict(X)
    if hasattr(model, "predict_proba"):
        header = ["prediction", *(f"probability_{label}" for label in model.classes_)]
        _put_table(args.out, header, [predicted, *model.predict_proba(X).T])
    elif predicted.ndim == 1:
        _put_table(args.out, ["prediction"], [predicted])
    else:
        _put_table(args.out, [f"prediction_{i}" for i in range(predicted.shape[1])], list(predicted.T))


def run_transform(args):
    """Hidden features as CSV or .npy."""
    _check_out(args.out, args.force)
    model = _load(args, "transform")
    X = _features(model, args)
    model.__dict__.pop("feature_names_in_", None)
    from fastdbn import DBN
    from fastdbn.supervised import Supervised

    layered = isinstance(model, (DBN, Supervised))
    if not layered and args.layer not in (0, -1):
        raise Fault(f"--layer {args.layer}: a {type(model).__name__} has one layer")
    H = model.transform(X, args.layer) if layered else model.transform(X)
    _put_table(args.out, [f"feature_{i}" for i in range(H.shape[1])], list(H.T))


def run_sample(args):
    """New rows as .npy or CSV."""
    _check_out(args.out, args.force)
    model = _load(args, "sample")
    names = getattr(model, "feature_names_in_", None)
    X = model.sample(args.n, n_steps=args.steps, random_state=args.seed)
    header = [f"x{i}" for i in range(X.shape[1])] if names is None else list(names)
    _put_table(args.out, header, list(X.T))


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
    rows.append(("scaling", ("to [0, 1], clipped" if scaling.clip else "standardised") if scaled else "none"))
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
        rows.append(("fine-tuning", f"{model.n_iter_} epochs" + (f", last loss {loss[-1]:.5f}" if loss else "")))
    else:
        rows.append(("epochs", ", ".join(map(str, epochs))))
    for name, value in rows:
        print(f"{name:<14} {value}")


def run_warmup(args):
    """Compile what the estimators need; say how much was there already, and where."""
    from fastdbn.warmup import warmup

    options = {name: getattr(args, name) for name in ("dtype", "units", "data") if getattr(args, name) is not None}
    started = time.perf_counter()
    report = warmup(verbose=0 if args.quiet else 1, **options)
    seconds = time.perf_counter() - started
    print(f"{report.compiled} kernels compiled, {report.cached} in the cache already, {seconds:.0f} s; cache: {report.folder}")


def run_versions(args):
    """Versions of everything that computes."""
    from fastdbn.versions import show_versions

    show_versions()


def main(argv=None):
    """Run a command line.

    Parameters
    ----------
    argv : list of str or None
        None takes the process's own.

    Returns
    -------
    int
        0, or 1 where data or model are at fault; argparse exits with 2 for wrong usage.
    """
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has left, as `head` does: no error; stdout must not be flushed again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ArithmeticError, MemoryError) as error:
        print(f"fastdbn: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastdbn: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
