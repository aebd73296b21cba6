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


def parameters_of(args, estimator):
    """({parameter: value} of a class of estimators, the same of its RBMs) that the options stand for.

    Raises
    ------
    ValueError
        for options that the class has no parameter for, with the remedy.
    """
    known, name = {field.name for field in fields(estimator)}, estimator.__name__
    own: dict[str, Any] = {}
    layer: dict[str, Any] = {}
    unknown = []
    for option, parameter in OPTIONS.items():
        value = getattr(args, option)
        if value is None:
            continue
        if parameter in known:
            own[parameter] = value
        elif option == "epochs" and "up_down_iter" in known:
            own["up_down_iter"] = value
        elif option in OF_LAYERS:
            layer[OF_LAYERS[option]] = value
        elif option == "layers":
            if len(value) > 1:
                raise ValueError(f"--layers {','.join(map(str, value))}: an RBM has one layer; give --model dbn for several")
            own["n_components"] = value[0]
        else:
            unknown.append(option)
    if args.validation is not None:
        own |= {"early_stopping": True, "validation_fraction": args.validation}
        unknown += [] if "early_stopping" in known else ["validation"]
    if unknown:
        names = ", ".join("--" + option.replace("_", "-") for option in unknown)
        raise ValueError(f"{names}: {name} has no such parameter; leave it out")
    if args.pretrain_epochs is not None:
        if "n_iter" in layer:
            raise ValueError(
                f"--epochs and --pretrain-epochs are the same for {name}, which is not fine-tuned: give only one of them"
            )
        layer["n_iter"] = args.pretrain_epochs
    return own, layer


def make_model(args, task, visible):
    """The estimator that the options describe, not fitted; task is "classify", "regress" or None."""
    estimator = CLASSES[args.model or OF_TASK[task]]
    own, layer = parameters_of(args, estimator)
    own |= {"n_jobs": args.jobs, "device": args.device, "random_state": args.seed, "memory_limit": args.memory_limit}
    layer |= {"visible": visible, "scale": args.scale}
    return RBM(**layer, **own) if estimator is RBM else estimator(rbm=RBM(**layer), **own)
