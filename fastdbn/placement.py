"""Where an estimator computes: its backend, its way to a GPU and back, and what is left when the GPU's memory does not do."""

import contextlib
import copy
import functools

from fastdbn import backends
from fastdbn.report import progress


def precision_of(estimator):
    """The precision of products: an RBM's own parameter, or a network's by `rbm_params`; of a tuple the first layer's."""
    further = getattr(estimator, "rbm_params", None) or {}
    precision = getattr(estimator, "precision", further.get("precision", "float32"))
    return precision[0] if isinstance(precision, tuple) and precision else precision


def backend_for(estimator):
    """The backend of an estimator's parameters n_jobs, dtype, device and precision."""
    return backends.get_backend(estimator.n_jobs, estimator.dtype, estimator.device, precision_of(estimator))


def announce(estimator, backend):
    """Say at `verbose` which device computes, where that was a choice."""
    device = estimator.device
    if estimator.verbose and device != "cpu":
        lack = backends.lacking_cuda() if backend.name == "cpu" else None
        progress(f"device={device!r}: {backend.name} computes" + (f", for {lack}" if lack else ""))


def _remembered(estimator):
    """Attributes as they are; fitted layers are copied one level down, for training gives their attributes new values."""
    return {
        name: [copy.copy(part) for part in value] if name == "layers_" else copy.copy(value) if name == "dbn_" else value
        for name, value in vars(estimator).items()
    }


@contextlib.contextmanager
def unchanged_without_memory(estimator):
    """Leave an estimator as it was where there is no memory for what it was to do."""
    before = _remembered(estimator)
    try:
        yield
    except MemoryError:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def all_or_nothing(method):
    """A method that trains, which leaves the estimator as it was where memory is lacking."""

    @functools.wraps(method)
    def run(self, *arguments, **options):
        with unchanged_without_memory(self):
            return method(self, *arguments, **options)

    return run
