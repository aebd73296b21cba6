"""The backend protocol: the operations in which every algorithm is written, and the records that they take.

A backend owns how states and weights are stored. The algorithms (training/) never index a state and never name a matrix product;
they pass buffers that the backend made back to the backend. So a backend may keep binary states as bits, or weights in two
layouts or on another device, without a second training loop.

Of a buffer they may ask `len`, its rows, and no more.

Where a visible `Unit` is named, a `units.Mixed` may stand, whose parts have columns of their own.

Shapes: B rows of a minibatch, nv visible units, nh hidden units, W (nv, nh). Every operation writes into buffers that it
is given. Noise is named by a `Key` and the rows' numbers (fastdbn/rng.py).
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from fastdbn.maths.rng import Key
from fastdbn.units.unit import Unit


class Params(NamedTuple):
    """W (nv, nh), visible bias b (nv,), hidden bias c (nh,): parameters, a gradient, or a velocity; the backend's arrays."""

    W: Any
    b: Any
    c: Any


class Phase(NamedTuple):
    """One phase of the CD gradient: visible states (B, nv), hidden means (B, nh), row weights (B,) or None."""

    v: Any
    h: Any
    weight: Any


class Hyper(NamedTuple):
    """What an SGD step needs: learning rate, momentum, and weight decay (L2, inside the learning rate) of W alone."""

    learning_rate: float
    momentum: float
    weight_decay: float


class Centering(NamedTuple):
    """How the gradient is centred: offsets v (nv,) and h (nh,), the backend's arrays.

    Before the step they move by `slide` towards the means of the minibatch, those of the chains with weight model_share.
    """

    v: Any
    h: Any
    slide: float
    model_share: float


class Weights(NamedTuple):
    """A layer under back-propagation: W (n_in, n_out), bias (n_out,), and what the update rule keeps for each of their numbers.

    second_W and second_bias are None where the rule keeps one number alone (optim.STATES).
    """

    W: Any
    bias: Any
    first_W: Any
    first_bias: Any
    second_W: Any
    second_bias: Any


class Source(NamedTuple):
    """How rows of host data become visible states: x -> clip((x - shift) scale), or zeros and ones.

    X is a dense array or a scipy CSR matrix; shift and scale are None or (nv,); threshold is None, a number (1 where x as it is
    exceeds it, without scaling) or "sample" (1 with probability x, scaled, drawn anew for each epoch).
    """

    X: Any
    shift: Any = None
    scale: Any = None
    clip: bool = False
    threshold: Any = None


class Problem(NamedTuple):
    """A CD training problem: what cd.py and a backend's `cd_steps` work on. Buffers are the backend's.

    positive and negative are the buffers of both phases; states (the larger of batch and chains, nh) the chain's hidden states,
    which persist where `persistent` is set; work the visible means; chain_rows the chains' numbers. seed, layer and the
    minibatch's number make the keys of all noise.
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
    states: Any
    work: Any
    chain_rows: Any
    k: int
    persistent: bool
    centering: Centering | None = None


class Backend(Protocol):
    """What a backend must do.

    A backend may also have

        cd_steps(problem, order, batch_size, step, epoch, hyper) -> bool

    which runs whole minibatches, those of the rows in `order`, in one compiled call and returns True, or returns False
    where it would not gain; cd.py then composes the operations. By test both give the same. So it may have

        anneal(chains, number, upper, lower, down) -> log weights (B,) or None

    for the steps of `ais.Chains.anneal`.
    """

    name: str
    n_threads: int

    def threads(self, nv: int, nh: int, rows: int, k: int) -> int:
        """Threads that share the CD-k minibatches of so many rows: no more than gain by it."""

    def load(self, source: Source, for_training: bool = False) -> Any:
        """Host data in the backend's form; `load_rows` reads it. for_training: each row is read many times, so packing pays."""

    def array(self, values: np.ndarray) -> Any:
        """A copy of a host array (parameters, row numbers, weights) in the backend's form."""

    def constant(self, values: np.ndarray) -> Any:
        """The same to be read alone: it may share the host array's memory."""

    def zeros(self, *shape: int) -> Any:
        """A buffer of zeros."""

    def states(self, unit: Unit, rows: int, units: int, values: np.ndarray | None = None) -> Any:
        """A buffer for states of a unit type, holding host values where they are given."""

    def to_host(self, x: Any) -> np.ndarray:
        """A host array of a buffer's values."""

    def onto(self, out: np.ndarray) -> Any:
        """A buffer of the shape of a host array that `fetch` will copy into it; it may be that array."""

    def fetch(self, x: Any, out: np.ndarray) -> None:
        """Copy a buffer's values into a host array."""

    def part(self, x: Any, start: int, stop: int) -> Any:
        """Rows start to stop (or to the end) of a buffer, sharing its memory."""

    def take(self, data: Any, rows: Any, key: Key, out: Any) -> None:
        """out = the given rows of the data, binarised as the source says."""

    def is_view(self, data: Any) -> bool:
        """Whether data are visible states as they lie."""

    def view_rows(self, data: Any, start: int, stop: int, key: Key, buffer: Any) -> Any:
        """Rows start to stop of the data as read-only visible states: the data if `is_view`, else a copy in the buffer."""

    def field(self, x: Any, W: Any, out: Any, transpose: bool = False) -> None:
        """out = x W, or x W' where transposed."""

    def activate(
        self, unit: Unit, bias: Any, mean: Any, states: Any = None, rows: Any = None, key: Any = None, beta: Any = None
    ) -> None:
        """mean holds fields and receives the means given field + bias; states, if given, receives draws from them.

        Of units that keep their total, states hold it, as the sums of their rows, and go on to do so; means are of so many
        trials, or of one where there are no states. Without a key the states are read for that alone.

        beta (B,), a buffer: inverse temperatures; each row's field + bias is multiplied by its own first.
        """

    def conditional(
        self,
        unit: Unit,
        x: Any,
        W: Any,
        bias: Any,
        mean: Any,
        states: Any = None,
        rows: Any = None,
        key: Any = None,
        transpose: bool = False,
        beta: Any = None,
    ) -> None:
        """`field` into mean and `activate` in one pass: a layer's means and draws given the states x of the other."""

    def join(self, out: Any, *parts: Any) -> None:
        """out = matrices side by side, column after column."""

    def assign_where(self, x: Any, mask: Any, values: Any = None) -> None:
        """x = values, or 0 for None, where the mask is not zero: booleans or numbers, one for each number or each row (B, 1)."""

    def gather(self, x: Any, rows: Any, out: Any) -> None:
        """out = the given rows of a buffer."""

    def scatter(self, x: Any, rows: Any, out: Any) -> None:
        """The given rows of out, each named once, = x."""

    def copy(self, x: Any, out: Any) -> None:
        """out = x, a buffer of the same shape."""

    def sparsify(
        self, h: Any, weight: Any, activity: Any, target: float, cost: float, offset: Any = None, share: float = 0.0
    ) -> None:
        """Let hidden means h (B, nh) pull their gradient to a target activity.

        The running mean (nh,) of the rows, by their weights (B,) or None, moves by a 20th into activity; then
        cost (target - activity) joins each row of h (Hinton 2010, section 11). A share of it is taken from offset (nh,).
        """

    def shrink(self, W: Any, amount: float) -> None:
        """Move each weight by so much towards zero, and no further: the soft threshold of an L1 penalty."""

    def scale_rows(self, x: Any, weight: Any) -> None:
        """Multiply each row of x, or each number of a vector, by its weight."""

    def scale_columns(self, x: Any, weight: Any) -> None:
        """Multiply each column of x by its weight."""

    def square_sums(self, x: Any, weight: Any, out: Any) -> None:
        """out (n,), a host array = the columns' sums of squares, rows weighted where weight is not None; float64."""

    def statistics(self, positive: Phase, negative: Phase, positive_scale: float, negative_scale: float, out: Params) -> None:
        """out = positive_scale (v'h, sum v, sum h) - negative_scale those of the other phase; rows of h are weighted already."""

    def update(
        self,
        params: Params,
        velocity: Params,
        positive: Phase,
        negative: Phase,
        positive_scale: float,
        negative_scale: float,
        hyper: Hyper,
        centering: Centering | None = None,
        mean_weight: float = 1.0,
    ) -> None:
        """`statistics` and the step in one pass: velocity = momentum velocity + rate (gradient - decay W); params += velocity.

        Centred, once the offsets have moved, with d the gradient of b and c: the gradient of W is less v d_c' + d_b h', and b
        and c then move by -velocity_W h and -velocity_W' v beside their own velocity, so that they stay those of a plain
        machine (Melchior, Fischer, Wiskott 2016). mean_weight is that of the rows.
        """

    def move(self, params: Params, velocity: Params, gradient: Params, hyper: Hyper) -> None:
        """The step alone: velocity = momentum velocity + rate (gradient - decay W); params += velocity. The gradient is spent."""

    def cgf(self, unit: Unit, bias: Any, field: Any, out: Any, beta: Any = None, states: Any = None) -> None:
        """out (B,), a host array = the rows' sums of the log normaliser at field + bias; float64. beta as in `activate`.

        states, if given, hold the totals of units that keep them; else the log normaliser is that of one trial.
        """

    def cgf_shifted(self, unit: Unit, bias: Any, field: Any, W: Any, step: Any, out: Any) -> None:
        """out (B, n), a host array or a buffer = `cgf` at field + step[r, i] W[i], for each of n rows of weights; step (B, n)."""

    def base(self, unit: Unit, x: Any, out: Any) -> None:
        """out (B,), a host array = the rows' sums of the base measure's energy of states; float64."""

    def dot(self, x: Any, y: Any, out: Any) -> None:
        """out (B,), a host array = each row of x times the vector y, or the same row of the matrix y; summed in float64."""

    def norm(self, x: Any) -> float:
        """The Euclidean norm of a buffer; NaN or infinite where it holds such."""

    def mask(self, x: Any, rate: float, rows: Any, key: Key, out: Any) -> None:
        """out = x with each unit dropped with probability rate, and those kept scaled by 1 / (1 - rate)."""

    def loss(self, kind: Any, output: Any, target: Any, weight: Any, scale: float, delta: Any) -> float:
        """The weighted sum of the loss of linear outputs; delta = scale times its derivative; it may be the output itself.

        Kinds: "softmax", of class numbers; "squared"; or a unit, the loss of which is -log p(target | s = output).
        """

    def backward_and_step(
        self,
        rule: str,
        hyper: Any,
        x: Any,
        delta: Any,
        weights: Weights,
        unit: Unit | None = None,
        mean: Any = None,
        below: Any = None,
        rate: float = 0.0,
        rows: Any = ...,
        key: Key = ...,
    ) -> None:
        """The way back through a layer of inputs x, and its step by a rule of optim.py with weight decay on W alone.

        With a unit, that of the layer below: below = (delta W'), W as it was before the step, masked as `mask` does where rate
        is not 0, times the unit's slope at its means. The step follows the gradients W: x' delta, bias: column sums of delta.
        """

    def limit_columns(self, W: Any, longest: float, buffer: Any) -> None:
        """Scale down each column of W whose norm is above `longest` (max-norm); buffer has one number for each column."""
