"""The models that `fastdbn train` makes, and the parameters that its options stand for."""

from dataclasses import fields
from typing import Any

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier

CLASSES: dict[str, Any] = {
    "classifier": DBNClassifier,
    "regressor": DBNRegressor,
    "generative": GenerativeDBNClassifier,
    "autoencoder": DBNAutoencoder,
    "outliers": DBNOutlierDetector,
    "dbn": DBN,
    "rbm": RBM,
}
TASKS = {"classifier": "classify", "generative": "classify", "regressor": "regress"}
"""What the models learn that learn a target."""
OF_TASK = {"classify": "classifier", "regress": "regressor"}
OPTIONS = {
    "layers": "hidden_layer_sizes",
    "epochs": "max_iter",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate_init",
    "dropout": "dropout",
    "class_weight": "class_weight",
    "noise": "noise",
}
"""Options, and the parameters of networks that they stand for."""
OF_LAYERS = {"epochs": "n_iter", "batch_size": "batch_size", "learning_rate": "learning_rate"}
"""Options that are those of the RBMs where a model is not fine-tuned."""


def task_of(model, task):
    """What a target is learned for: "auto", "classify", "regress", or None where a model takes no target."""
    if model is None:
        return task
    if task not in ("auto", TASKS.get(model)):
        raise ValueError(f"--task {task} and --model {model} contradict each other: leave out one of them")
    return TASKS.get(model)


def check_options(args, model):
    """Refuse options that a model, by its name in `CLASSES`, has no parameter for.

    Raises
    ------
    ValueError
        with the remedy.
    """
    estimator = CLASSES[model]
    known, name = {field.name for field in fields(estimator)}, estimator.__name__
    given = [option for option in OPTIONS if getattr(args, option) is not None]
    unknown = [option for option in given if OPTIONS[option] not in known and option not in OF_LAYERS]
    if estimator is RBM:
        unknown = [option for option in unknown if option != "layers"]
        if args.layers is not None and len(args.layers) > 1:
            raise ValueError(f"--layers {','.join(map(str, args.layers))}: an RBM has one layer; give --model dbn for several")
    if args.validation is not None and "early_stopping" not in known:
        unknown.append("validation")
    if unknown:
        names = ", ".join("--" + option.replace("_", "-") for option in unknown)
        raise ValueError(f"{names}: {name} has no such parameter; leave it out")
    if args.pretrain_epochs is not None and args.epochs is not None and known.isdisjoint(("max_iter", "up_down_iter")):
        raise ValueError(f"--epochs and --pretrain-epochs are the same for {name}, which is not fine-tuned: give one of them")


def make_model(args, task, visible):
    """The estimator that the options describe, not fitted; task is "classify", "regress" or None."""
    name = args.model or OF_TASK[task]
    check_options(args, name)
    estimator = CLASSES[name]
    known = {field.name for field in fields(estimator)}
    own = {"n_jobs": args.jobs, "device": args.device, "random_state": args.seed, "memory_limit": args.memory_limit}
    layer = {"visible": visible, "scale": args.scale}
    if args.pretrain_epochs is not None:
        layer["n_iter"] = args.pretrain_epochs
    if args.validation is not None:
        own |= {"early_stopping": True, "validation_fraction": args.validation}
    given = {option: getattr(args, option) for option in OPTIONS if getattr(args, option) is not None}
    sizes = given.pop("layers", (256,)) if estimator is RBM else None
    for option, value in given.items():
        if OPTIONS[option] in known:
            own[OPTIONS[option]] = value
        elif option == "epochs" and "up_down_iter" in known:
            own["up_down_iter"] = value
        else:
            layer[OF_LAYERS[option]] = value
    return RBM(sizes[0], **layer, **own) if sizes else estimator(rbm=RBM(**layer), **own)
