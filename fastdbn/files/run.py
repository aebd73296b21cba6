"""What training needs to go on, in a model file: the stages of a fit that was interrupted, and the optimizer of a network."""

import reprlib

import numpy as np

from fastdbn.estimators.interrupt import Run
from fastdbn.estimators.supervised import FINE_TUNING
from fastdbn.estimators.wake_sleep import UP_DOWN
from fastdbn.files.entries import count, entry, tensor, whole
from fastdbn.maths.optim import STATES, Optimizer


def put_run(estimator, state):
    """The run of an estimator that was interrupted, or that a callback saves, goes into its state."""
    run = vars(estimator).get("_run")
    if run and hasattr(estimator, "warm_start"):
        state["run"] = {"begun": [[stage, *epochs] for stage, epochs in run.begun.items()], "done": list(run.done)}


def get_run(estimator, state):
    """Give an estimator the run that a later fit completes."""
    if "run" not in state:
        return
    record = entry(state, "run", dict)
    begun = {_stage(stage): (whole(start, "run"), whole(n_iter, "run")) for stage, start, n_iter in entry(record, "begun", list)}
    estimator._run = Run(0, begun, tuple(_stage(stage) for stage in entry(record, "done", list)))


def _stage(value):
    """The name of a stage: the number of a layer, or what callbacks are told."""
    if isinstance(value, str) and value not in (UP_DOWN, FINE_TUNING):
        raise ValueError(f"run: {reprlib.repr(value)} is no stage of a fit")
    return value if isinstance(value, str) else whole(value, "run")


def put_optimizer(network, tensors, state):
    """The states of a network's update rule go into tensors, its name and steps into state."""
    optimizer = network._optimizer
    if optimizer is None:
        return
    state["optimizer"] = {"solver": optimizer.solver, "steps": optimizer.steps}
    for i, layer in enumerate(optimizer.states):
        tensors |= {f"optimizer.{i}.{j}": np.asarray(x, network.dtype) for j, x in enumerate(layer)}


def get_optimizer(network, tensors, state):
    """Give a network its update rule's state; None is that of a rule which has not begun."""
    network._optimizer = None
    if "optimizer" not in state:
        return
    record = entry(state, "optimizer", dict)
    solver = entry(record, "solver", str)
    if solver not in STATES:
        raise ValueError(f"optimizer: solver={reprlib.repr(solver)} is none of {', '.join(STATES)}")
    states = []
    for i, (W, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        shapes = (W.shape, bias.shape) * STATES[solver]
        states.append(tuple(tensor(tensors, f"optimizer.{i}.{j}", shape, network.dtype) for j, shape in enumerate(shapes)))
    if solver == "adam" and any((x < 0).any() for layer in states for x in layer[2:]):
        raise ValueError("optimizer: second moments are negative")
    network._optimizer = Optimizer(solver, count(record, "steps"), states)
