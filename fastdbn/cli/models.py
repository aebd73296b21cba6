"""The models that `fastdbn train` makes, and the parameters that its options stand for."""

from dataclasses import fields

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNOutlierDetector, DBNRegressor, GenerativeDBNClassifier

CLASSES = {
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
}
"""Options, and the parameters of networks that they stand for."""


def task_of(model, task):
    """What a target is learned for: "auto", "classify", "regress", or None where a model takes no target."""
    if model is None:
        return task
    if task not in ("auto", TASKS.get(model)):
        raise ValueError(f"--task {task} and --model {model} contradict each other: leave out one of them")
    return TASKS.get(model)


def make_model(args, task, visible, scale):
    """The estimator that the options describe, not fitted; task is "classify", "regress" or None."""
    estimator = CLASSES[args.model or OF_TASK[task]]
    own = {"n_jobs": args.jobs, "device": args.device, "random_state": args.seed}
    layer = {"visible": visible, "scale": scale}
    if args.pretrain_epochs is not None:
        layer["n_iter"] = args.pretrain_epochs
    given = {option: getattr(args, option) for option in OPTIONS if getattr(args, option) is not None}
    if estimator is RBM:
        sizes = given.pop("layers", (256,))
        if len(sizes) > 1:
            raise ValueError(f"--layers {','.join(map(str, sizes))}: an RBM has one layer; give --model dbn for several")
        if "batch_size" in given:
            layer["batch_size"] = given.pop("batch_size")
        _refuse(estimator, given, args.validation)
        return RBM(sizes[0], **layer, **own)
    known = {field.name for field in fields(estimator)}
    unknown = [option for option in given if OPTIONS[option] not in known]
    _refuse(estimator, unknown, None if "early_stopping" in known else args.validation)
    if args.validation is not None:
        own |= {"early_stopping": True, "validation_fraction": args.validation}
    own |= {OPTIONS[option]: value for option, value in given.items()}
    return estimator(rbm=RBM(**layer), **own)


def _refuse(estimator, options, validation):
    """Refuse options that a class has no parameter for."""
    options = [*options, *(() if validation is None else ("validation",))]
    if options:
        names = ", ".join("--" + option.replace("_", "-") for option in options)
        raise ValueError(f"{names}: {estimator.__name__} has no such parameter; leave it out")
