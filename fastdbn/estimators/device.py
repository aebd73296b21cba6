"""Where an estimator computes: its backend, and its way to a GPU and back."""

import warnings

from fastdbn.backends import devices
from fastdbn.maths.optim import steps_at_epoch
from fastdbn.support.report import progress


def precision_of(estimator):
    """The precision of products: an RBM's own parameter; for a network the most exact of its layers' precisions.

    Back-propagation, up-down and sampling go through several layers, so they take the most exact.
    """
    if not hasattr(estimator, "_templates"):
        return getattr(estimator, "precision", "float32")
    return most_exact(rbm.precision for rbm in estimator._templates())


def most_exact(precisions):
    """The most exact of several precisions."""
    precisions = list(precisions)
    return next((exact for exact in devices.PRECISIONS if exact in precisions), precisions[0])


def backend_for(estimator):
    """The backend of an estimator's parameters n_jobs, dtype, device and precision."""
    return devices.get_backend(estimator.n_jobs, estimator.dtype, estimator.device, precision_of(estimator))


def announce(estimator, backend):
    """Say at `verbose` which device computes, where that was a choice."""
    device = estimator.device
    if estimator.verbose and device != "cpu":
        lack = devices.lacking_cuda() if backend.name == "cpu" else None
        progress(f"device={device!r}: {backend.name} computes" + (f", because {lack}" if lack else ""))


def warn_of_precision(estimator, backend):
    """A UserWarning where nothing rounds products as the estimator's `precision` says."""
    asked = precision_of(estimator)
    if asked not in ("float32", backend.precision):
        warnings.warn(
            f"precision={asked!r} has no effect with device={estimator.device!r} and dtype={estimator.dtype!r} here: products "
            "are computed in full. Use device='cuda' where there is a GPU and cuBLAS, with dtype float32 or precision='float32'",
            stacklevel=2,
        )


def say_threads(rbm, training, n):
    """Print how many threads train on n rows, and which options keep the fused kernel from training."""
    backend, settings = training.backend, training.settings
    rows = max(min(settings.batch_size, n), settings.chain_rows)
    threads = backend.threads(*rbm.components_.T.shape, rows, steps_at_epoch(settings.k, rbm.n_iter_, "k"))
    few = f" of {backend.n_threads}: more would be slower on minibatches this small" if threads < backend.n_threads else ""
    names = ", ".join(type(option).__name__ for option in training.options if not option.fused)
    slow = f"; one operation at a time, because of {names}" if names else ""
    progress(f"layer {rbm.layer_ + 1}: threads {threads}{few}{slow}")
