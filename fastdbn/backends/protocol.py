"""The backend protocol: the operations in which every algorithm is written, and the records that they take.

A backend owns how states and weights are stored. Algorithms pass it the buffers that it made; they never index a state and never
name a matrix product. So a backend may keep states as bits, or weights in two layouts, and needs no training loop of its own.

Shapes: B rows of a minibatch, nv visible units, nh hidden units, W (nv, nh). Every operation writes into buffers that it
is given. A `Key` and the rows' numbers name the noise (maths/rng.py).
"""

import contextlib
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastdbn.backends.ladders import LadderChains, Rounds
from fastdbn.backends.replicas import Replicas
from fastdbn.maths.rng import Key
from fastdbn.units.mixed import Mixed
from fastdbn.units.unit import Unit

Buffer = Any
"""An array of the backend's own. Algorithms may ask for its `len`, the number of its rows, and no more."""
Units = Unit | Mixed
"""The units of a layer: of one type, or a mixed layer, whose parts have columns of their own."""


class Params(NamedTuple):
    """W (nv, nh), visible bias b (nv,), hidden bias c (nh,): parameters, a gradient, or a velocity."""

    W: Buffer
    b: Buffer
    c: Buffer


class Phase(NamedTuple):
    """One phase of the CD gradient: visible states (B, nv), hidden means (B, nh), row weights (B,) or None."""

    v: Buffer
    h: Buffer
    weight: Buffer


Scales = tuple[float, float]
"""What multiplies the statistics of the positive and of the negative phase."""


class Hyper(NamedTuple):
    """The numbers of an SGD step; weight decay (L2) acts on W alone, multiplied by the learning rate."""

    learning_rate: float
    momentum: float
    weight_decay: float


class Centering(NamedTuple):
    """How the gradient is centred: offsets v (nv,) and h (nh,).

    Before the step they move by `slide` towards the means of the minibatch, those of the chains with weight model_share.
    """

    v: Buffer
    h: Buffer
    slide: float
    model_share: float


class Weights(NamedTuple):
    """A layer under back-propagation: W (n_in, n_out), bias (n_out,), and the update rule's state for each number.

    second_W and second_bias are None where the rule keeps one number for each parameter (optim.STATES).
    """

    W: Buffer
    bias: Buffer
    first_W: Buffer
    first_bias: Buffer
    second_W: Buffer
    second_bias: Buffer


class Below(NamedTuple):
    """The layer below one under back-propagation: its units and their means, a buffer for its deltas, and its dropout.

    Where the dropout rate is not 0, the deltas are masked by the noise of the rows' numbers and a key, as `mask` does.
    """

    unit: Unit
    mean: Buffer
    delta: Buffer
    rate: float = 0.0
    rows: Buffer = None
    key: Any = None


class Network(NamedTuple):
    """A network under back-propagation: what backprop.py and a backend's `backprop_steps` work on.

    units are those of the layers' outputs, dropout has the rates of their inputs, loss is a kind that `loss` knows, rule one of
    optim.py. max_norm bounds the norms of incoming weights, unless it is None. seed makes the keys of noise.
    """

    units: list[Unit]
    weights: list[Weights]
    dropout: tuple
    loss: Any
    rule: str
    max_norm: float | None
    batch_size: int
    seed: int


class Source(NamedTuple):
    """How rows of host data become visible states: x -> clip((x - shift) scale), or zeros and ones.

    X is a dense array, a scipy CSR matrix, or rows in a file (`Stored`). shift and scale are None or (nv,). threshold is None, a
    number (1 where the unscaled x exceeds it), or "sample" (1 with probability x, scaled, drawn anew for each epoch).
    """

    X: Any
    shift: Any = None
    scale: Any = None
    clip: bool = False
    threshold: Any = None


class Sparsity(NamedTuple):
    """Hidden units whose mean activity is drawn to a target: the running mean (nh,), the target and the cost.

    share : what of a change of the data's means a centred gradient's offsets give back; 0 where there are none
    """

    activity: Buffer
    target: float
    cost: float
    share: float = 0.0


class FastWeights(NamedTuple):
    """What persistent chains run at, parameters plus fast weights; the fast weights, their learning rate, and what they keep."""

    params: Params
    fast: Params
    learning_rate: float
    kept: float


class Problem(NamedTuple):
    """A CD training problem: what cd.py and a backend's `cd_steps` work on.

    positive and negative are the buffers of both phases. states (the larger of batch and chains, nh) are the chains' hidden
    states, which persist where `persistent` is set; work their visible means; chain_rows their numbers. seed and layer are those
    of all noise. What options add: weights, a host array for the rows of the data; l1 and max_norm, 0 for none; and records.
    """

    visible: Unit
    hidden: Unit
    layer: int
    seed: int
    data: Any
    params: Params
    velocity: Params
    positive: Phase
    negative: Phase
    states: Buffer
    work: Buffer
    chain_rows: Buffer
    k: int
    persistent: bool
    centering: Centering | None = None
    weights: Any = None
    l1: float = 0.0
    max_norm: float = 0.0
    sparsity: Sparsity | None = None
    fast: FastWeights | None = None
    tempering: Any = None  # exchanges.Tempering

    @property
    def is_plain(self):
        """Whether no training option changes the gradient or the step."""
        options = self.l1, self.max_norm, self.centering, self.sparsity, self.fast, self.tempering
        return self.weights is None and not any(options)


class Backend(Protocol):
    """What a backend must do; mypy compares every backend with it.

    Operations with a text here are made of others. A backend that can do one in less work has its own. `cd_steps`, `anneal`,
    `tempered_sweeps` and `ladder_rounds` are shortcuts: a backend that has none says so by False or None, and the algorithms then
    compose the other operations, with the same results.
    """

    name: str
    n_threads: int
    dtype: np.dtype
    precision: str
    """What products of float32 numbers round their factors to."""

    def threads(self, nv: int, nh: int, rows: int, k: int) -> int:
        """The number of threads that share CD-k minibatches of so many rows: only as many as make it faster."""
        return 1

    def single_threaded(self) -> contextlib.AbstractContextManager:
        """Libraries that the backend calls stay on one thread inside this context; it may be nested."""
        return contextlib.nullcontext()

    # ---- memory

    def load(self, source: Source, for_training: bool = False, first: int = 0) -> Any:
        """Host data for `load_rows`, whose rows are numbered from `first` on. for_training: packing pays."""

    def array(self, values: np.ndarray) -> Buffer:
        """A copy of a host array (parameters, row numbers, weights) in the backend's form."""

    def constant(self, values: np.ndarray) -> Buffer:
        """The same, but nobody writes it, because it may share the host array's memory."""

    def zeros(self, *shape: int) -> Buffer:
        """A buffer of zeros."""

    def states(self, unit: Units, rows: int, units: int, values: np.ndarray | None = None) -> Buffer:
        """A buffer for states of a unit type, holding host values where they are given."""
        return self.zeros(rows, units) if values is None else self.array(np.asarray(values, self.dtype))

    def to_host(self, x: Buffer) -> np.ndarray:
        """A host array of a buffer's values."""

    def onto(self, out: np.ndarray) -> Buffer:
        """A buffer of the shape of a host array that `fetch` will copy into it; it may be that array."""

    def fetch(self, x: Buffer, out: np.ndarray) -> None:
        """Copy a buffer's values into a host array."""
        out[...] = self.to_host(x)

    def part(self, x: Buffer, start: int, stop: int) -> Buffer:
        """Rows start to stop (or to the end) of a buffer, sharing its memory."""
        return x[start:stop]

    def load_rows(self, data: Any, rows: Buffer, key: Key, out: Buffer) -> None:
        """out = the given rows of the data, prepared as the source says."""

    def is_view(self, data: Any) -> bool:
        """Whether the data are visible states as they are, so that `view_rows` copies nothing."""

    def view_rows(self, data: Any, start: int, stop: int, key: Key, buffer: Buffer) -> Buffer:
        """Rows start to stop of the data as read-only visible states: the data if `is_view`, else a copy in the buffer."""

    def copy(self, x: Buffer, out: Buffer, rows: Buffer = None, places: Buffer = None) -> None:
        """out = x, or the given rows of x; with `places` into those rows of out, each named once, and not with `rows`."""

    def join(self, out: Buffer, *parts: Buffer) -> None:
        """out = matrices side by side, column after column."""

    def assign_where(self, x: Buffer, mask: Buffer, values: Buffer = None) -> None:
        """x = values, or 0 for None, where the mask is not zero: booleans or numbers, one for each number or each row (B, 1)."""

    def scale(self, x: Buffer, weight: Buffer, columns: bool = False) -> None:
        """Multiply each row of x, or each number of a vector, by its weight; with `columns` each column."""

    # ---- layers

    def field(self, x: Buffer, W: Buffer, out: Buffer, transpose: bool = False) -> None:
        """out = x W, or x W' where transposed."""

    def activate(
        self, unit: Units, bias: Buffer, mean: Buffer, states=None, rows=None, key: Key | None = None, beta=None
    ) -> None:
        """mean holds fields and receives the means given field + bias; states, if given, receives draws from them.

        For count units the row sums of `states` give the number of trials, and sampling keeps them. Pass states without a key
        for means scaled by those totals without sampling. Without states, means are per trial.

        beta (B,): inverse temperatures; each row's field + bias is multiplied by its own first.
        """

    def conditional(
        self,
        unit: Units,
        x: Buffer,
        W: Buffer,
        bias: Buffer,
        mean: Buffer,
        states: Buffer = None,
        rows: Buffer = None,
        key: Key | None = None,
        transpose: bool = False,
        beta: Buffer = None,
    ) -> None:
        """`field` into mean and `activate` in one pass: a layer's means and draws given the states x of the other."""
        self.field(x, W, mean, transpose)
        self.activate(unit, bias, mean, states, rows, key, beta)

    def redraw(
        self, unit: Units, h: Buffer, W: Buffer, bias: Buffer, mask: Buffer, rows, key: Key, v: Buffer, field: Buffer
    ) -> bool:
        """Draw the states v that a mask names given those of the hidden units, whose fields follow; False where not done."""
        return False

    # ---- the step of contrastive divergence

    def statistics(self, positive: Phase, negative: Phase, scales: Scales, out: Params) -> None:
        """out = (v'h, sum v, sum h) of the positive phase - those of the negative one, times their scales.

        The rows of h are weighted already.
        """

    def update(
        self, params: Params, velocity: Params, positive, negative, scales: Scales, hyper: Hyper, centering=None, mean_weight=1.0
    ) -> None:
        """`statistics` and the step in one pass: velocity = momentum velocity + rate (gradient - decay W); params += velocity.

        Centred, once the offsets have moved, with d the gradient of b and c: the gradient of W is less v d_c' + d_b h', and b
        and c then move by -velocity_W h and -velocity_W' v beside their own velocity, so that they stay those of a plain
        machine (Melchior, Fischer, Wiskott 2016). centering is a `Centering` or None, mean_weight that of the rows.
        """

    def move(self, params: Params, velocity: Params, gradient: Params, hyper: Hyper) -> None:
        """The step alone: velocity = momentum velocity + rate (gradient - decay W); params += velocity. The gradient is spent."""

    def cd_steps(self, problem: Problem, order: Buffer, batch_size: int, step: int, epoch: int, hyper: Hyper) -> bool:
        """Train on whole minibatches, those of the rows in `order`, in one compiled call; False where that is not done."""
        return False

    def sparsify(self, h: Buffer, weight: Buffer, activity: Buffer, target: float, cost: float, offset=None, share=0.0) -> None:
        """Change hidden means h (B, nh) so that their gradient pulls activity to a target.

        A 20th of the rows' mean, by their weights (B,) or None, enters the running mean activity (nh,); then
        cost (target - activity) is added to each row of h (Hinton 2010, section 11). A share of it is taken from offset (nh,).
        """

    def shrink(self, W: Buffer, amount: float) -> None:
        """Move each weight by so much towards zero, and no further: the soft threshold of an L1 penalty."""

    def limit_columns(self, W: Buffer, longest: float, buffer: Buffer) -> None:
        """Scale down each column of W whose norm is above `longest` (max-norm); buffer has one number for each column."""

    # ---- numbers for the host: `out` is a host array, and sums are in float64

    def cgf(self, unit: Units, bias: Buffer, field: Buffer, out: np.ndarray, beta: Buffer = None, states: Buffer = None) -> None:
        """out (B,) = the rows' sums of the log normaliser at field + bias; beta as in `activate`.

        For count units `states`, if given, hold the trials; else the log normaliser is that of one.
        """

    def cgf_shifted(self, unit: Unit, bias: Buffer, field: Buffer, W: Buffer, step: Buffer, out: Any) -> None:
        """out (B, n), a host array or a buffer = `cgf` at field + step[r, i] W[i], for each of n rows of weights; step (B, n)."""

    def base(self, unit: Units, x: Buffer, out: np.ndarray) -> None:
        """out (B,) = the rows' sums of the base measure's energy of states."""

    def dot(self, x: Buffer, y: Buffer, out: np.ndarray) -> None:
        """out (B,) = each row of x times the vector y, or the same row of the matrix y."""

    def square_sums(self, x: Buffer, weight: Buffer, out: np.ndarray) -> None:
        """out (n,) = the columns' sums of squares, rows weighted where weight is not None."""

    def norm(self, x: Buffer) -> float:
        """The Euclidean norm of a buffer; NaN or infinite where it holds such."""

    def anneal(self, chains: Any, number: Any, upper: Any, lower: Any, down: Any) -> np.ndarray | None:
        """The log weights (B,) of the steps of `ais.Chains.anneal` in one compiled call; None where that is not done."""
        return None

    def tempered_sweeps(self, replicas: Replicas, first: int, steps: np.ndarray, logs: np.ndarray) -> np.ndarray | None:
        """Sweeps of `Tempering` in one compiled call, and their log odds (replicas.py); None where that is not done."""
        return None

    def ladder_rounds(self, chains: LadderChains, rounds: Rounds, logs: np.ndarray, kept=None) -> np.ndarray | None:
        """Rounds of `Ladder` in one compiled call, and what they return (ladders.py); None where that is not done."""
        return None

    # ---- back-propagation

    def mask(self, x: Buffer, rate: float, rows: Buffer, key: Key, out: Buffer) -> None:
        """out = x with each unit dropped with probability rate, and those kept scaled by 1 / (1 - rate)."""

    def loss(self, kind: str | Units, output: Buffer, target: Buffer, weight: Buffer, scale: float, delta: Buffer) -> Any:
        """The weighted sum of the loss of linear outputs, a number; delta, which may be the output = scale times its derivative.

        Kinds: "softmax", of class numbers; "squared"; or units, whose loss is -log p(target | s = output).
        """

    def backward_and_step(
        self, rule: str, hyper: Any, x: Buffer, delta: Buffer, weights: Weights, below: Below | None = None
    ) -> None:
        """The way back through a layer of inputs x, and its step by a rule of optim.py with weight decay on W alone.

        With a layer below: its deltas = (delta W'), W as it was before the step, masked, times the unit's slope at its means.
        The step follows the gradients W: x' delta, bias: column sums of delta.
        """

    def backprop_steps(self, network: Network, data: Any, rows, target, weight, hypers, epoch: int, step: int) -> Any:
        """The losses (rows,) of rows, whose minibatches are trained on in one compiled call; None if this is not done.

        A target of None are the inputs. hypers (minibatches, 8) has a `StepHyper` for each; step is the number of the first.
        """
        return None
