"""The Restricted Boltzmann Machine as mathematics: two unit types, W, b and c, bound to a backend.

    E(v, h) = sum base(v) + sum base(h) - b.v - c.h - v W h
    F(v)    = sum base(v) - b.v - sum_j cgf(c_j + (v W)_j)          p(v) = e^-F(v) / Z
    E[h | v] = mean(c + v W),   E[v | h] = mean(b + W h)

(Smolensky 1986; Welling, Rosen-Zvi, Hinton 2004.)

The methods take and return host arrays. block.py has the operations on the backend's buffers, which algorithms use.
"""

import functools
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastdbn.backends import devices
from fastdbn.backends.protocol import Backend, Params
from fastdbn.machine.block import BlockMachine, Chain, block_rows, check_totals, draw_keys
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import Array, Device, Doubles, DType, Precision, Seed
from fastdbn.units import Mixed, check_groups, get_unit, visible_unit
from fastdbn.units.unit import Unit

UnitLike = str | Unit
VisibleUnits = UnitLike | Sequence[tuple[UnitLike, slice]]
"""A unit type, or those of a mixed layer, each with its columns."""
MANY = 512
"""With at least so many rows, a contiguous copy of the weights pays."""


class Machine(BlockMachine):
    """A Restricted Boltzmann Machine of any two unit types, with given parameters.

    Parameters
    ----------
    W : (n_visible, n_hidden) array
    b : (n_visible,) array
        Biases of the visible units.
    c : (n_hidden,) array
        Biases of the hidden units.
    visible : str, Unit or list, default "bernoulli"
        Visible units, as for `RBM`; a list of (unit, slice of columns) is a mixed layer.
    hidden : str or Unit, default "bernoulli"
    W_down : (n_visible, n_hidden) array or None, default None
        Weights of the way down, where they differ from those of the way up, as in a network after up-down. Energies are those
        of W.
    n_jobs, device, precision, dtype
        What computes, as for `RBM`.

    Attributes
    ----------
    params : Params
        W, b and c, arrays of the backend, which nobody writes.
    visible_unit, hidden_unit : Unit
    shape : (int, int)
        Visible and hidden units.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import Machine
    >>> machine = Machine(np.eye(2), np.zeros(2), np.zeros(2))
    >>> machine.energy([[1, 0]], [[1, 1]])
    array([-1.])
    >>> machine.hidden([[1, 0]]).round(2)
    array([[0.73, 0.5 ]], dtype=float32)
    """

    def __init__(
        self,
        W: ArrayLike,
        b: ArrayLike,
        c: ArrayLike,
        visible: VisibleUnits = "bernoulli",
        hidden: UnitLike = "bernoulli",
        *,
        W_down: ArrayLike | None = None,
        n_jobs: int | None = None,
        device: Device = "cpu",
        precision: Precision = "float32",
        dtype: DType = "float32",
    ) -> None:
        backend = devices.get_backend(n_jobs, dtype, device, precision)
        W, b, c = (_finite(x, name, n, backend, True) for x, name, n in ((W, "W", 2), (b, "b", 1), (c, "c", 1)))
        if (len(b), len(c)) != W.shape:
            raise ValueError(f"W of shape {W.shape}, {len(b)} b and {len(c)} c: W needs a row for each b and a column for each c")
        unit, hidden = visible_unit(visible, len(b)), get_unit(hidden, "hidden")
        check_groups(hidden, len(c), "hidden")
        if W_down is not None:
            W_down = _finite(W_down, "W_down", 2, backend, True)
            if W_down.shape != W.shape:
                raise ValueError(f"W_down has shape {W_down.shape}: give that of W, {W.shape}")
        self._bind(backend, unit, hidden, Params(W, b, c), W_down)

    @classmethod
    def of_host(
        cls, backend: Backend, visible: Unit | Mixed, hidden: Unit, params: Params, W_down: NDArray[Any] | None = None
    ) -> Self:
        """The machine of host arrays that nobody writes: the backend may share their memory."""
        machine = cls.__new__(cls)
        machine._bind(backend, visible, hidden, params, W_down)
        return machine

    def _bind(self, backend, visible, hidden, params, W_down):
        down = None if W_down is None else backend.constant(W_down)
        super().__init__(backend, visible, hidden, Params(*(backend.constant(x) for x in params)), down)
        self._host = params.W, W_down

    def in_rows(self, n: int = MANY) -> BlockMachine:
        """The machine for a call on n rows. For many rows its weights are a contiguous copy, which is made here."""
        if n < MANY:
            return self
        W, down = (None if x is None else self.backend.constant(np.ascontiguousarray(x)) for x in self._host)
        return BlockMachine(self.backend, self.visible_unit, self.hidden_unit, self.params._replace(W=W), down)

    def energy(self, v: ArrayLike, h: ArrayLike) -> Doubles:
        """E(v, h) of each pair of rows.

        Parameters
        ----------
        v : (n, n_visible) array
        h : (n, n_hidden) array
            States, taken as they are: nothing checks that the units have such values.

        Returns
        -------
        (n,) float64 array
        """
        v, h = self._rows(v, "v", 0), self._rows(h, "h", 1)
        if len(v) != len(h):
            raise ValueError(f"v has {len(v)} rows and h has {len(h)}: give a row of h for each row of v")
        out = np.empty(len(v))
        for rows in self._blocks(len(v)):
            self.energy_block(self._states(v[rows], 0), self._states(h[rows], 1), out[rows])
        return out

    def free_energy(self, v: ArrayLike) -> Doubles:
        """F(v) of each row: p(v) is proportional to e^-F(v).

        Parameters
        ----------
        v : (n, n_visible) array

        Returns
        -------
        (n,) float64 array
        """
        v = self._rows(v, "v", 0)
        out = np.empty(len(v))
        for rows in self._blocks(len(v)):
            self.free_energy_block(self._states(v[rows], 0), out[rows])
        return out

    def hidden(self, v: ArrayLike, *, draw: bool = False, random_state: Seed = None) -> Array:
        """Means of the hidden units given visible states, or draws of them.

        Parameters
        ----------
        v : (n, n_visible) array
        draw : bool, default False
            Return states drawn, not means.
        random_state : None, int, RandomState or Generator, default None
            Of the draws.

        Returns
        -------
        (n, n_hidden) array
        """
        return self._given(self._rows(v, "v", 0), 1, draw, random_state)

    def visible(self, h: ArrayLike, *, draw: bool = False, random_state: Seed = None, totals: ArrayLike | None = None) -> Array:
        """Means of the visible units given hidden states, or draws of them.

        Parameters
        ----------
        h : (n, n_hidden) array
        draw, random_state
            As for `hidden`.
        totals : int, (n,) array or None, default None
            For units that count: the sum of each row. None means one trial a row.

        Returns
        -------
        (n, n_visible) array
        """
        h = self._rows(h, "h", 1)
        totals = check_totals(self.visible_unit, len(h), totals)
        start = self.blank(len(h), 1 if totals is None else totals) if self.visible_unit.keeps_total else None
        return self._given(h, 0, draw, random_state, start)

    def gibbs(
        self,
        v: ArrayLike,
        n_steps: int = 1,
        *,
        clamp: ArrayLike | None = None,
        beta: ArrayLike | None = None,
        random_state: Seed = None,
        first_step: int = 0,
    ) -> Chain:
        """Run Gibbs chains from visible states: draw the hidden units, then the visible ones, again and again.

        Parameters
        ----------
        v : (n, n_visible) array
            One chain starts at each row.
        n_steps : int, default 1
        clamp : (n, n_visible) or (n_visible,) bool array or None, default None
            True where a unit keeps the value that it has in v. A softmax group is clamped whole.
        beta : float, (n,) array or None, default None
            Inverse temperature of each chain; None is 1.
        random_state : None, int, RandomState or Generator, default None
        first_step : int, default 0
            Number of the first step's noise. Chains that go on with the same seed take the number of steps made so far: then two
            calls of 5 steps give what one of 10 gives.

        Returns
        -------
        Chain
            v, the visible states after the last step, h, the hidden states that they were drawn from, and the means of both,
            v_mean and h_mean.
        """
        v, n_steps = self._rows(v, "v", 0), checks.integer(n_steps, "n_steps")
        first, seed = checks.integer(first_step, "first_step", 0), rng.seed_of(random_state)
        mask, n = None if clamp is None else self._mask(clamp, v.shape), len(v)
        if beta is not None:
            betas = np.asarray(beta, np.float64)
            if betas.shape not in ((), (n,)) or not (np.isfinite(betas) & (betas >= 0)).all():
                raise ValueError(f"beta={checks.shown(beta)}: give a finite number of at least 0, or {n} of them")
            beta = np.broadcast_to(betas, n).copy()  # a number read n times is another type to the compiler
        dtype, (nv, nh), backend = self.backend.dtype, self.shape, self.backend
        out = Chain(*(np.empty((n, width), dtype) for width in (nv, nh, nv, nh)))
        for rows in self._blocks(n):
            who, states = self.row_numbers(rows), v[rows]
            chain = self.chain(self._states(states, 0))
            put_back = None
            if mask is not None:
                put_back = functools.partial(backend.assign_where, chain.v, backend.array(mask[rows]), self._states(states, 0))
            at = None if beta is None else backend.constant(beta[rows])
            self.walk(chain, who, draw_keys(seed), 2 * first, 2 * (first + n_steps), beta=at, clamp=put_back)
            for part, whole in zip(chain, out, strict=True):
                if whole is not None:
                    whole[rows] = backend.to_host(part)
        return out

    # ---- helpers of the public methods

    def _rows(self, x, name, side):
        """States as a host array, a row each, of the right width."""
        x = _finite(x, name, 2, self.backend)
        if x.shape[1] != self.shape[side]:
            raise ValueError(f"{name} has {x.shape[1]} columns: give {self.shape[side]}, one for each unit")
        return x

    def _mask(self, clamp, shape):
        """`clamp` of `gibbs`, checked, of the shape of the states."""
        mask = np.asarray(clamp)
        if mask.dtype != np.bool_ or mask.shape not in (shape, shape[1:]):
            raise ValueError(f"clamp of type {mask.dtype} and shape {mask.shape}: give booleans of shape {shape} or {shape[1:]}")
        mask = np.broadcast_to(mask, shape)
        for unit, start, stop, _ in self.visible_unit.parts(shape[1]):
            part = mask[:, start:stop]
            if unit.keeps_total and part.any():
                raise ValueError("clamp: units that count cannot be clamped, because a draw moves counts between them")
            if unit.group != 1:
                groups = part.reshape(len(part), -1, unit.group_size(stop - start))
                if (groups.any(axis=2) != groups.all(axis=2)).any():
                    raise ValueError(f"clamp: {unit.name} units are clamped by whole groups")
        return mask

    def _states(self, x, side):
        return self.backend.states((self.visible_unit, self.hidden_unit)[side], *x.shape, x)

    def _blocks(self, n):
        """Slices of n rows, handled one after another."""
        size = block_rows(max(self.shape))
        with self.backend.single_threaded():
            for start in range(0, n, size):
                yield slice(start, min(start + size, n))

    def _given(self, x, side, draw, random_state, start=None):
        """Means or draws of one side given rows of the other; start are visible states that hold totals."""
        unit, given, purpose = (
            (self.visible_unit, self.visible_given, rng.VISIBLE)
            if side == 0
            else (self.hidden_unit, self.hidden_given, rng.HIDDEN)
        )
        out, b = np.empty((len(x), self.shape[side]), self.backend.dtype), self.backend
        key = draw_keys(rng.seed_of(random_state))(purpose, 0) if checks.flag(draw, "draw") else None
        for rows in self._blocks(len(x)):
            mean, n = b.zeros(rows.stop - rows.start, out.shape[1]), rows.stop - rows.start
            states = self._states(start[rows], side) if start is not None else b.states(unit, n, out.shape[1]) if draw else None
            given(self._states(x[rows], 1 - side), mean, states, self.row_numbers(rows) if draw else None, key)
            b.fetch(states if draw else mean, out[rows])
        return out


def _finite(x, name, n, backend, copied=False):
    """A host array of n dimensions in a backend's precision, which holds its numbers; a copy where the user's may change."""
    x = np.asarray(x)
    if x.dtype.kind in "biuf" and x.ndim == n:
        with np.errstate(over="ignore"):
            x = x.astype(backend.dtype, copy=copied)
        if np.isfinite(x).all():
            return x
    raise ValueError(f"{name}: give a {'matrix' if n == 2 else 'vector'} of finite numbers, which {backend.dtype} holds")
