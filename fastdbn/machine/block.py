"""An RBM on a backend: the operations that training, sampling, imputation, annealing and up-down consist of.

They take and fill buffers of the backend, a block of rows each. `walk` is the one Gibbs step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastdbn.backends.protocol import Backend, Params
from fastdbn.maths import rng
from fastdbn.support.types import Doubles
from fastdbn.units import Mixed
from fastdbn.units.unit import Unit

BLOCK, BLOCK_BYTES = 4096, 1 << 25
"""The most rows handled at a time, and the most bytes of them as dense float64, because a whole matrix would be a large
temporary."""

MOST_COUNTS = 1 << 24
"""The greatest total of a row of counts: float32 holds whole numbers up to it."""


def check_totals(unit: Unit | Mixed, n: int, totals: Any) -> NDArray[Any] | None:
    """Totals of n rows of visible units, (n, 1), or a ValueError; None if none are given."""
    if totals is None:
        return None
    if not unit.keeps_total:
        raise ValueError(f"totals={totals!r} is for visible units that count, and these are {unit.name}")
    values = np.asarray(totals)
    whole = values.shape in ((), (n,)) and values.dtype.kind in "iu"
    if not whole or (values < 0).any() or (values > MOST_COUNTS).any():
        raise ValueError(f"totals={totals!r}: give a whole number from 0 to {MOST_COUNTS}, or {n} of them")
    return np.broadcast_to(values, n)[:, None]


def block_rows(width: int) -> int:
    """Rows of some width that are handled at a time."""
    return max(1, min(BLOCK, BLOCK_BYTES // (8 * max(width, 1))))


def draw_keys(seed: int, number: int = 0) -> Callable[[int, int], Any]:
    """The keys of draw `number` from a fitted model: a function of (purpose, Gibbs step)."""
    return lambda purpose, step: rng.key(seed, step, rng.draw_stream(purpose, number))


class Chain(NamedTuple):
    """Gibbs chains, a row each: states and means of both sides.

    As buffers of `Machine.walk`, v are the visible states that hidden units see. Draws go into v too, or into `drawn` where that
    is given: then it is up to `clamp` to take them to v.
    """

    v: Any
    h: Any
    v_mean: Any
    h_mean: Any
    drawn: Any = None


class BlockMachine:
    """An RBM whose parameters are a backend's arrays. It follows them as training changes them.

    Parameters
    ----------
    backend : Backend
    visible, hidden : Unit
    params : Params
        W, b and c, the backend's.
    down : (n_visible, n_hidden) array of the backend or None
        Weights of the way down, where they are not W.
    """

    lag = 0
    """By how many steps the noise of hidden draws is behind in `sample`."""

    def __init__(self, backend: Backend, visible: Unit | Mixed, hidden: Unit, params: Params, down: Any = None) -> None:
        self.backend, self.visible_unit, self.hidden_unit, self.params = backend, visible, hidden, params
        self.down = params.W if down is None else down
        self.trajectory: list[BlockMachine] = []  # earlier versions, from one without weights
        self.shape = len(params.b), len(params.c)

    @property
    def joint_unit(self) -> Unit | Mixed:
        """The visible units."""
        return self.visible_unit

    def row_numbers(self, rows: slice) -> Any:
        """The numbers of a slice of rows, by which their noise is named."""
        return self.backend.array(np.arange(rows.start, rows.stop, dtype=np.uint32))

    def chain(self, v: Any, drawn: Any = None) -> Chain:
        """Buffers for chains that start at visible states v."""
        b, n, (nv, nh) = self.backend, len(v), self.shape
        return Chain(v, b.states(self.hidden_unit, n, nh), b.zeros(n, nv), b.zeros(n, nh), drawn)

    def new_chain(self, n: int) -> Chain:
        """A chain of n rows, of which nothing is known yet."""
        return self.chain(self.backend.states(self.visible_unit, n, self.shape[0]))

    def begin(self, chain: Chain, rows: Any, keys: Any, key: Any, states: Any, there: bool) -> int:
        """Start a new chain at host states, if `there`, or at draws that know the visible biases alone, and keep totals.

        Returns the half-step that comes next.
        """
        b = self.backend
        b.copy(b.states(self.visible_unit, len(states), states.shape[1], states), chain.v)
        if not there:
            self.start_visible(chain.v_mean, chain.v, rows, key)
        return 0

    def tempered(self, beta: float, base: NDArray[Any]) -> "BlockMachine":
        """The machine whose `walk` at an inverse temperature `beta` above 0 draws from

        p_beta(v), proportional to exp(v.((1 - beta) a + beta b) - sum base(v) + sum_j cgf(beta (c_j + (v W)_j)))

        base : (n_visible,) host array
            The biases a of the machine without weights that beta = 0 stands for.
        """
        return BlockMachine(self.backend, self.visible_unit, self.hidden_unit, self._biased(beta, base), self.down)

    def _biased(self, beta, base):
        bias = self.backend.to_host(self.params.b).astype(np.float64)
        return self.params._replace(b=self.backend.constant(bias + np.asarray(base) * ((1 - beta) / beta)))

    def hidden_given(self, v: Any, mean: Any, states: Any = None, rows: Any = None, key: Any = None, beta: Any = None) -> None:
        """mean = E[h | v], and states drawn where they are given with row numbers and a key."""
        self.backend.conditional(self.hidden_unit, v, self.params.W, self.params.c, mean, states, rows, key, beta=beta)

    def visible_given(self, h: Any, mean: Any, states: Any = None, rows: Any = None, key: Any = None, beta: Any = None) -> None:
        """mean = E[v | h], and states drawn where they are given with row numbers and a key.

        Units that count take their totals from the states, also where these come without a key and nothing is drawn.
        """
        b = self.backend
        b.conditional(self.visible_unit, h, self.down, self.params.b, mean, states, rows, key, transpose=True, beta=beta)

    def walk(
        self,
        chain: Chain,
        rows: Any,
        key: Any,
        first: int,
        last: int,
        *,
        beta: Any = None,
        clamp: Callable[[], object] | None = None,
        has_field: bool = False,
        ends_in_mean: bool = False,
    ) -> None:
        """Gibbs steps of chains, in place. This is the one Gibbs step of the package outside of compiled kernels.

        A Gibbs step t is two half-steps: number 2t draws hidden states given the visible ones, number 2t + 1 visible states given
        the hidden ones. n steps from visible states are the half-steps 0 to 2n. CD-k begins at hidden states: 1 to 2k + 1.

        Parameters
        ----------
        chain : Chain
        rows : (B,) row numbers, the backend's
        key : callable of (purpose, Gibbs step) or None
            The noise's keys. None takes means in place of draws: mean-field.
        first, last : int
            Half-steps, the last one not included.
        beta : (B,) buffer or None
            Inverse temperatures.
        clamp : callable or None
            Called after each visible half-step, to put values back that do not move.
        has_field : bool
            h_mean holds the fields of the first half-step already.
        ends_in_mean : bool
            The last half-step computes means alone, as the gradient needs them.
        """
        for half in range(first, last):
            t, down = divmod(half, 2)
            draws = key is not None and not (ends_in_mean and half + 1 == last)
            if down:
                self._visible_half(chain, rows, key if draws else None, t, beta, clamp)
                continue
            states, who, noise = (chain.h, rows, key(rng.HIDDEN, t)) if draws else (None, None, None)
            if has_field and half == first:
                self.backend.activate(self.hidden_unit, self.params.c, chain.h_mean, states, who, noise, beta)
            else:
                self.hidden_given(chain.v, chain.h_mean, states, who, noise, beta)

    def _visible_half(self, chain, rows, key, t, beta, clamp):
        """One visible half-step; without keys from hidden means to visible means."""
        if key is None:
            self.visible_given(chain.h_mean, chain.v_mean, beta=beta)
        else:
            states = chain.v if chain.drawn is None else chain.drawn
            self.visible_given(chain.h, chain.v_mean, states, rows, key(rng.VISIBLE, t), beta)
        if clamp is not None:
            clamp()

    def start_visible(self, mean: Any, states: Any = None, rows: Any = None, key: Any = None) -> None:
        """Means, and with states draws, of visible units that know their biases alone; mean holds zeros."""
        self.backend.activate(self.visible_unit, self.params.b, mean, states, rows, key)

    def start_hidden(self, mean: Any, states: Any = None, rows: Any = None, key: Any = None) -> None:
        """The same of hidden units."""
        self.backend.activate(self.hidden_unit, self.params.c, mean, states, rows, key)

    def energy_block(self, v: Any, h: Any, out: Doubles) -> None:
        """out (B,) float64 = E(v, h)."""
        b, (W, bias, c) = self.backend, self.params
        part, field = np.empty(len(out)), b.zeros(len(out), self.shape[1])
        b.base(self.visible_unit, v, out)
        b.base(self.hidden_unit, h, part)
        out += part
        b.field(v, W, field)
        for x, y in ((v, bias), (h, c), (h, field)):
            b.dot(x, y, part)
            out -= part

    def free_energy_block(self, v: Any, out: Doubles, field: Any = None) -> None:
        """out (B,) float64 = F(v); field (B, n_hidden) is a buffer."""
        b, (W, bias, c), energy = self.backend, self.params, np.empty(len(out))
        field = b.zeros(len(out), self.shape[1]) if field is None else field
        b.field(v, W, field)
        b.cgf(self.hidden_unit, c, field, out)
        b.base(self.visible_unit, v, energy)
        energy -= out
        b.dot(v, bias, out)
        np.subtract(energy, out, out=out)

    def log_odds_down(self, v: Any, h: Any) -> Doubles:
        """log p(v | h) - log p(h | v), (B,) float64."""
        up = self._log_conditional(self.hidden_unit, h, v, self.params.W, self.params.c, False)
        return self.log_visible(v, h) - up

    def log_visible(self, v: Any, h: Any) -> Doubles:
        """log p(v | h), (B,) float64."""
        return self._log_conditional(self.visible_unit, v, h, self.down, self.params.b, True)

    def _log_conditional(self, unit, x, given, W, bias, transpose):
        """(B,) sum s x - base(x) - cgf(s), s the total input."""
        b, out, part = self.backend, np.zeros(len(x)), np.empty(len(x))
        field = b.zeros(len(x), len(bias))
        b.field(given, W, field, transpose)
        for term in (field, bias):
            b.dot(x, term, part)
            out += part
        b.base(unit, x, part)
        out -= part
        b.cgf(unit, bias, field, part, states=x)
        return out - part

    def blank(self, n: int, totals: Any = None) -> NDArray[Any]:
        """(n, n_visible) host array of zeros, except that the first unit of each part that counts holds the row's total.

        totals is (n,) or (n, parts that count), or one number for all.
        """
        host = np.zeros((n, self.shape[0]), self.backend.dtype)
        starts = [part.start for part in self.visible_unit.parts(self.shape[0]) if part.unit.keeps_total]
        if starts:
            totals = np.asarray(totals)
            host[:, starts] = totals[:, None] if totals.ndim == 1 else totals
        return host
