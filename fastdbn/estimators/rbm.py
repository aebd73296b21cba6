"""The Restricted Boltzmann Machine as a scikit-learn estimator, for any pair of unit types."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

from numpy.typing import ArrayLike

from fastdbn.callbacks.callback import Callbacks
from fastdbn.estimators import loaded
from fastdbn.estimators.parameters import EpochPart
from fastdbn.estimators.trained_rbm import TrainedRBM
from fastdbn.files.entries import SEED, count, history, unit
from fastdbn.files.state import Maybe, Tensor, fields
from fastdbn.machine.machine import UnitLike, VisibleUnits
from fastdbn.support.types import Bytes, Device, DType, PerEpoch, Precision, Rows, Seed
from fastdbn.training.monitors import MONITORS


@dataclass(eq=False, repr=False)
class RBM(TrainedRBM):
    """Restricted Boltzmann Machine trained by contrastive divergence.

    Parameters
    ----------
    n_components : int, default 256
        Number of hidden units.
    visible : str, Unit or list, default "auto"
        Type of the visible units: "bernoulli", "gaussian", "gaussian-variance", "spin", "softmax", "softmax:K" (groups of K
        columns), "binomial:N" (values 0 to N), "rectified", "noisy-relu", "replicated-softmax" (word counts), or a
        `fastdbn.Unit`. docs/units.md has a table. A list of (unit, slice of columns) makes a mixed layer. "auto" takes
        Bernoulli units for data in [0, 1] and for pixels, which it divides by 255 or by their greatest value. It takes
        Gaussian units on standardised columns for all other data, and for columns that hardly vary; docs/units.md has the
        rule.
    hidden : str or Unit, default "bernoulli"
        Type of the hidden units.
    scale : {"auto", "minmax", "standard", "none"}, default "auto"
        Scaling of X inside the estimator. "auto" standardises columns for Gaussian units that ``visible="auto"`` has chosen or
        that are part of a mixed layer, and divides pixels. It leaves all other data as they are. "minmax" also clips later
        values to the range of the fit data.
    k : int, callable or list, default 1
        Gibbs steps in each minibatch (CD-k, PCD-k). A list or a callable of the epoch (from 0) is a schedule, whose values are
        rounded. So k may grow with the weights (Salakhutdinov and Murray 2008 go from 1 to 25).
    persistent : bool, default False
        True lets chains go on from minibatch to minibatch (PCD, Tieleman 2008): for likelihoods, samples and outliers. False
        begins them at the data (CD): for features.
    n_chains : int or None, default None
        Number of persistent chains. None is 100, or the batch size if that is more.
    learning_rate : float, callable, list, "auto" or None, default None
        Step size for the mean gradient of a minibatch. A list or a callable of the epoch (from 0) is a schedule. None falls
        linearly to 0 over the epochs of a fit, from the customary rate of the units, which is the smaller rate of the two sides:
        0.05 for Bernoulli and softmax, 0.02 for spin, 0.05 / N for binomial, 0.005 for unbounded units, 0.001 for word counts.
        In the upper layers of a network, CD between Bernoulli units begins at 0.2 if the fit has at most 60 epochs, unless they
        learn labels too; with n > 256 units below, at 51.2 / n, but not under 0.05. `partial_fit` stays at the customary rate.
        "auto" begins at it and is steered every few thousand rows, so that |dW| / |W| approaches 1e-3 (Hinton 2010, section 7).
        ``history_["learning_rate"]`` has the rate of each epoch.
    momentum : float, callable, list or None, default None
        A list or a callable of the epoch is a schedule. None is 0.5 for five epochs, then 0.9 (Hinton 2010); 0 if `persistent`.
    weight_decay : float, callable or list, default 2e-4
        L2 penalty on the weights, not on the biases.
    clip_norm : float, default 10.0
        For "gaussian-variance" units: largest norm of the gradient of all parameters. The gradient is a mean over the
        minibatch (Liao et al. 2022).
    variance_rate : float, default 0.1
        For "gaussian-variance" units: learning rate of the log variances, as a fraction of `learning_rate`.
    batch_size : int, default 32
        Rows of a minibatch.
    n_iter : int or None, default None
        Epochs. None is 20, or more on few rows: as many as make 2,000 minibatches (20,000 if `persistent`), but at most 400.
    binarize : None, float, "sample" or "mean", default None
        None lets Bernoulli units learn from zeros and ones, drawn anew in each epoch with the values in [0, 1] as probabilities;
        all else takes the values as they are. "mean" learns from the values themselves. A number is a threshold on the scale of
        X: values above it become 1, the others 0. "sample" draws in fine-tuning too. With a threshold or "sample",
        ``visible="auto"`` takes Bernoulli units.
    centering : {"auto", "data", "enhanced"} or None, default "auto"
        Subtract offsets from the states before the gradient. Learning then no longer depends on which of its values a unit
        calls 1, and is better where units are mostly on. The offsets of "data" follow the means of the minibatches (Melchior,
        Fischer, Wiskott 2016). Those of "enhanced" follow the middle between the means of data and of chains, which gives the
        enhanced gradient (Cho, Raiko, Ilin 2011). The initial biases are those of a centred machine. The fitted biases are
        those of the plain machine. "auto" is "data", but None for word counts, learned variances, ``missing="drop"`` and labels.
    l1 : float, callable or list, default 0.0
        L1 penalty on the weights, not on the biases. It is a soft threshold after each step, so weights of little use become
        exactly zero.
    max_norm : float or None, default None
        Largest norm of a hidden unit's incoming weights.
    sparsity_target : float or None, default None
        Mean activity that hidden units should have, 0.01 to 0.1 for sparse ones (Hinton 2010, section 11). Their running mean
        over some 20 minibatches, less the target, times `sparsity_cost`, joins the gradient of their input.
    sparsity_cost : float, default 0.1
        Strength of the pull towards `sparsity_target`.
    fast_learning_rate : float or None, default None
        Learning rate of fast weights. Persistent chains run at the sum of the weights and the fast weights (Tieleman and
        Hinton 2009).
    temperatures : int, sequence of float or None, default None
        Parallel tempering of persistent chains. An int is a number of inverse temperatures, evenly from 1 to 0. A sequence
        gives the inverse temperatures, falling from 1. Each of `n_chains` chains runs at all of them, and the gradient takes
        the states at 1. ``history_["swap_rate"]`` should stay above 0.2.
    trajectory : float or None, default None
        Trajectory tempering of persistent chains: they exchange states with chains of frozen machines, which are earlier
        versions of the model, at most 64. One more is frozen when the rate of exchanges with the last one falls under this
        number; 0.25 is a good one. ``history_`` then has ``log_z`` and log-likelihoods.
    validation_fraction : float, default 0.0
        Fraction of rows held out for monitoring (chosen by the seed). Their value range is still used to choose the unit type
        and the scaling.
    early_stopping : bool, default False
        End the fit when the `monitor` has not got better by more than `tol` in `n_iter_no_change` epochs in which it was
        measured, and keep the parameters of the best epoch. `partial_fit` makes its one pass in any case.
    monitor : str or None, default None
        The entry of `history_` that early stopping watches: "pseudo_likelihood" (higher is better), "reconstruction_error",
        "update_ratio" (lower is better), "free_energy_gap", "dead_units", "saturated_units" (best before training: the latest
        epoch within `tol` of the lowest is kept), with `trajectory` "log_likelihood" (higher is better), or a likelihood or
        error with "validation_" before it. None is "validation_log_likelihood" with `trajectory`, else
        "validation_pseudo_likelihood" for visible units of two values, else "validation_reconstruction_error".
    n_iter_no_change : int, default 10
        Epochs without an improvement after which early stopping ends the fit.
    tol : float or None, default None
        Smallest improvement that counts for early stopping. None depends on the measure: 1e-4 for reconstruction errors, 1e-3
        nats for pseudo-likelihoods, 0.05 nats for log-likelihoods, 1e-5 for the update ratio, 1 nat for the gap, 0.01 for
        fractions of units.
    monitor_interval : int, default 5
        Epochs between two measures of likelihoods, the baseline error and the chains. They are measured in the last epoch of a
        fit too, and in every epoch if early stopping reads a likelihood.
    missing : {"drop", "sample"} or None, default None
        What NaN means in dense data. None: NaN is an error. "drop": each row is a machine of its own over its observed units,
        and all rows share their weights (Salakhutdinov, Mnih, Hinton 2007). This is for CD only. "sample": missing units are
        hidden units. In the positive phase Gibbs steps draw them given the observed ones, from one chain for each row. The
        chains begin anew with each call of a fit and hold as many numbers as X. A softmax group is missing as a whole.
    missing_steps : int, default 1
        Gibbs steps of the missing values in each minibatch, for ``missing="sample"``.
    n_jobs : int or None, default None
        Number of threads. None and -1 use all processors, -2 all but one, and so on. The result does not depend on it.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        "cuda" computes on an NVIDIA GPU and needs ``pip install "fastdbn[cuda]"``. "auto" uses a GPU if there is one.
    precision : {"float32", "tf32", "bf16"}, default "float32"
        Precision to which products on a GPU round their factors. Parameters and sums stay float32. It acts on large layers;
        products of small layers, of float64 numbers and on the CPU are always computed in full. A fit warns if it has no
        effect.
    dtype : {"float32", "float64"}, default "float32"
        Precision of parameters and results.
    random_state : None, int, RandomState or Generator, default None
        Source of the 64-bit seed. An int gives the same bits in every fit; None draws a new seed.
    verbose : int, default 0
        1 prints a line for each epoch to stderr.
    callbacks : list of callbacks or None, default None
        Objects of `fastdbn.callbacks` or your own, or callables, which are called after each epoch with the keywords estimator,
        layer (the stage), epoch (from 1) and metrics (a dict). One that raises StopIteration ends the stage. docs/callbacks.md
        says more.
    warm_start : bool, default False
        Go on from the last fit: complete it if it was interrupted, otherwise train `n_iter` more epochs. ``n_components``, the
        units, ``scale``, ``dtype`` and a numeric ``random_state`` must be the same as before.
    shuffle : bool, default True
        Whether each epoch has the rows in an order of its own. False takes them as they come.
    memory_limit : int, str or None, default None
        Bytes of rows in memory at a time, an integer or a text such as "500MB"; weights and the program come on top. Rows are
        then shuffled in two levels: blocks of rows, and the rows within a window of blocks. None shuffles them as a whole, so
        rows that do not fit into memory are read from all over the disk. docs/large-data.md says more.

    Attributes
    ----------
    components_ : (n_components, n_features) array
        Weights, C-contiguous. Fitted arrays are read-only: assign another array to change one.
    intercept_hidden_ : (n_components,) array
    intercept_visible_ : (n_features,) array
    visible_, hidden_ : str or Unit
        Types of the units, as they were chosen.
    totals_ : (m, 1) float64 array
        For word counts: totals of some of the fit rows, from which `sample` draws. A mixed layer has a column for each part of
        counts.
    scaling_ : Scaling
        Shift and scale that are applied to X first.
    n_iter_ : int
        Epochs trained.
    history_ : dict of arrays
        One number for each epoch, NaN if not measured. docs/training.md says which values are healthy.
        ``reconstruction_error`` (mean squared, through the hidden means), ``pseudo_likelihood`` (nats; two-valued visible
        units), both also with ``validation_`` in front; ``baseline_error`` (that of the column means); ``free_energy_gap``
        (mean free energy of rows held out, less that of rows trained on); with `trajectory` ``log_z``, ``log_likelihood`` and
        ``validation_log_likelihood`` (nats, estimates); ``update_ratio`` (|last step of W| / |W|);
        ``hidden_activity`` (mean); ``hidden_spread`` (deviation of the hidden means over rows); ``dead_units`` and
        ``saturated_units`` (fraction of hidden units with a mean activity below 1 % or above 99 %); ``learning_rate``;
        ``effective_chains`` (independent draws that persistent chains are worth); ``swap_rate``; ``seconds``.
    variance_ : (n_features,) array
        Learned variance of each feature given the hidden units, in the units of X; for "gaussian-variance" only. `scaling_`
        divides by their square roots, so all other attributes are those of a machine of variance one.
    seed_ : int
        The 64-bit seed.

    References
    ----------
    Hinton 2002, "Training products of experts by minimizing contrastive divergence"; Tieleman 2008, "Training restricted
    Boltzmann machines using approximations to the likelihood gradient"; Hinton 2010, "A practical guide to training RBMs".

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import RBM
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> RBM(8, n_iter=2, random_state=0).fit_transform(X).shape
    (200, 8)
    """

    _saved = fields(
        components_=Tensor("n_hidden", "n_features"),
        intercept_hidden_=Tensor("n_hidden"),
        intercept_visible_=Tensor("n_features"),
        generative_components_=Maybe(Tensor("n_hidden", "n_features")),
        visible_=unit("n_features"),
        hidden_=unit("n_hidden"),
        scaling_=loaded.SCALING,
        totals_=Maybe(Tensor(None, None, dtype="float64", holds=loaded.TOTALS)),
        seed_=SEED,
        n_iter_=count("n_epochs"),
        history_=history("n_epochs", MONITORS),
        **dict.fromkeys(("layer_", "_step", "_draws"), count()),
        _velocity=loaded.PARAMS,
        _chains=loaded.CHAINS,
        _extras=loaded.EXTRAS,
        _best=Maybe(loaded.STATE, None),
    )
    _check_loaded = loaded.check_rbm

    n_components: int = 256
    _: KW_ONLY
    visible: VisibleUnits = "auto"
    hidden: UnitLike = "bernoulli"
    scale: Literal["auto", "minmax", "standard", "none"] = "auto"
    k: PerEpoch = 1
    persistent: bool = False
    n_chains: int | None = None
    learning_rate: PerEpoch | Literal["auto"] | None = None
    momentum: PerEpoch | None = None
    weight_decay: PerEpoch = 2e-4
    clip_norm: float = 10.0
    variance_rate: float = 0.1
    batch_size: int = 32
    n_iter: int | None = None
    binarize: float | Literal["sample", "mean"] | None = None
    centering: Literal["auto", "data", "enhanced"] | None = "auto"
    l1: PerEpoch = 0.0
    max_norm: float | None = None
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1
    fast_learning_rate: float | None = None
    temperatures: int | Sequence[float] | None = None
    trajectory: float | None = None
    validation_fraction: float = 0.0
    early_stopping: bool = False
    monitor: str | None = None
    n_iter_no_change: int = 10
    tol: float | None = None
    monitor_interval: int = 5
    missing: Literal["drop", "sample"] | None = None
    missing_steps: int = 1
    n_jobs: int | None = None
    device: Device = "cpu"
    precision: Precision = "float32"
    dtype: DType = "float32"
    random_state: Seed = None
    verbose: int = 0
    callbacks: Callbacks | None = None
    warm_start: bool = False
    shuffle: bool = True
    memory_limit: Bytes | None = None

    # ---- training

    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None, *, epoch: int | None = None, first_row: int = 0
    ) -> Self:
        """Make one pass over X, from where training stands. The first call fixes unit types, scaling and initial biases.

        So the first batch must show how the columns vary. Give it some hundred rows, or scale X yourself and set
        ``scale="none"``, or begin by `fit` with ``n_iter=0`` on all rows. A column that is constant in the first batch causes a
        `DataWarning`. Errors are those of `fit`.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
        y : ignored
        sample_weight : (n,) array or None, default None
            Weights of the rows.
        epoch : int or None, default None
            The epoch, from 0, that X is a part of: the last one, to go on with it, or the next. Schedules read it. None makes
            each call an epoch of its own.
        first_row : int, default 0
            The number of the first row of X among the rows of that epoch, by which its noise is keyed. With ``shuffle=False``,
            learning rates of your own and blocks of whole minibatches, one call for each block gives the bits of one epoch of
            `fit`. docs/large-data.md has the loop.

        Returns
        -------
        self
        """
        return self._fit(X, sample_weight, EpochPart(epoch, first_row))
