"""Missing values: learning from rows of which some visible units were not observed.

"drop"    each row is an RBM of its own over its observed units, which shares its weights with the others (Salakhutdinov, Mnih,
          Hinton 2007, section 2). Missing units are zero in both phases, and so add nothing to fields and statistics.
"sample"  one RBM over all units, whose missing ones are hidden. The positive phase draws them by Gibbs steps given the observed
          ones, from chains that go on, one for each row. The gradient tends to that of the marginal log p(observed).
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.machine.block import Chain
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.training.options.option import Option

WAYS = ("drop", "sample")
FIRST = 1 << 19
"""Number of the first Gibbs step of missing values in a stream; those of the chains are below."""
ROUNDS = 20
"""Mean-field rounds for the missing values of rows outside of training."""
_NO_KEY = rng.key(0, 0, 0)


class MissingState(NamedTuple):
    """Buffers: mask (B, nv); for "sample" also states (rows, nv), one for each row, and the chain of B rows, at v."""

    mask: Any
    states: Any = None
    chain: Any = None


class MissingValues(Option):
    def __init__(self, way, steps):
        self.way, self.steps = way, steps

    @classmethod
    def of(cls, rbm, visible, hidden):
        steps = checks.integer(rbm.missing_steps, "missing_steps", most=checks.MOST_STEPS)
        if rbm.missing is None:
            return None
        if not isinstance(rbm.missing, str) or rbm.missing not in WAYS:
            raise ValueError(f"missing={rbm.missing!r}: give None or one of {', '.join(map(repr, WAYS))}")
        if rbm.missing == "drop" and rbm.persistent:
            raise ValueError(
                "missing='drop' makes each row a machine of its own, which no persistent chain can follow: use CD "
                "(persistent=False), or missing='sample'"
            )
        return cls(rbm.missing, steps)

    def applies(self, layer):
        return any(each is not None and each.mask is not None for each in (layer, layer.validation))

    def begin(self, state):
        layer, size = self.training.layer, self.training.settings.batch_size
        n_rows = layer.n_rows + (0 if layer.held_out is None else len(layer.held_out))
        key = rng.key(layer.seed, 0, rng.stream(rng.INIT, layer.number, 3))
        self.buffers = self._buffers(self.training.machine, min(size, layer.n_rows), n_rows, key)
        self.watched = {}

    def _buffers(self, machine, batch, n_rows, key):
        """The `MissingState` of minibatches of some rows, out of n_rows that have chains; these begin at the visible biases."""
        b, nv = machine.backend, machine.shape[0]
        mask = b.zeros(batch, nv)
        if self.way == "drop":
            return MissingState(mask)
        states, v = (b.states(machine.visible_unit, n, nv) for n in (n_rows, batch))
        for start in range(0, n_rows, batch):
            drawn = b.part(states, start, start + batch)
            rows = machine.row_numbers(slice(start, start + len(drawn)))
            machine.start_visible(b.zeros(len(drawn), nv), drawn, rows, key)
        return MissingState(mask, states, machine.chain(v))

    def positive(self, batch):
        mask = self.training.layer.mask
        if mask is None:
            return
        rows = batch.rows
        batch.has_field = self._fill(self.buffers, self.training.machine, mask, *batch.positive[:2], rows, rows, batch.key)
        if self.way == "drop":
            batch.absent = self.training.backend.part(self.buffers.mask, 0, len(batch.rows))

    def _fill(self, buffers, machine, missing, v, field, rows, places, key):
        """Drop what data say is missing of some rows, or fill it in, in place; places are the rows' among the chains.

        Returns whether the field buffer (B, n_hidden) holds the hidden units' fields then.
        """
        b = machine.backend
        mask = b.part(buffers.mask, 0, len(rows))
        b.load_rows(missing, rows, _NO_KEY, mask)
        if self.way == "drop":
            b.assign_where(v, mask)
            return False
        return fill_by_gibbs(machine, buffers, v, mask, field, rows, places, key, self.steps)

    def watch(self, rows, machine, epoch):
        """As in training, by chains of the watched rows' own."""
        layer, n = rows.layer, len(rows.rows)
        if layer.mask is None:
            return

        def key(purpose, gibbs=0):
            number = FIRST + 2 * (gibbs - FIRST) + (purpose == rng.HIDDEN)
            return rng.key(layer.seed, epoch, rng.stream(rng.SCORE, layer.number, number))

        if rows not in self.watched:
            start = rng.key(layer.seed, 0, rng.stream(rng.INIT, layer.number, 4))
            self.watched[rows] = self._buffers(machine, n, n, start)
        field = machine.backend.zeros(n, machine.shape[1])
        self._fill(self.watched[rows], machine, layer.mask, rows.v, field, rows.rows, rows.places, key)
        rows.known = 1 - self.training.backend.to_host(self.watched[rows].mask)
        rows.dropped = self.way == "drop"


def fill_by_gibbs(machine, buffers, v, mask, field, rows, places, key, steps):
    """Draw the missing values of visible states v by Gibbs steps given the observed ones, in place.

    Parameters
    ----------
    machine : BlockMachine
    buffers : MissingState
    v, mask : (B, nv) buffers
    field : (B, n_hidden) buffer
    rows, places : (B,) the rows' numbers in the data and among the chains, the backend's
    key : (purpose, Gibbs step) -> Key
    steps : int

    Returns
    -------
    bool : whether the field buffer holds the hidden units' fields of v
    """
    b, (W, bias, c) = machine.backend, machine.params
    drawn, *others = (b.part(x, 0, len(rows)) for x in buffers.chain[:4])
    h, _, h_mean = others
    b.copy(buffers.states, drawn, rows=places)
    fill = functools.partial(b.assign_where, v, mask, drawn)
    fill()
    b.field(v, W, field)
    follows = True
    for t in range(FIRST, FIRST + steps):
        b.copy(field, h_mean)
        b.activate(machine.hidden_unit, c, h_mean, h, rows, key(rng.HIDDEN, t))
        follows = b.redraw(machine.visible_unit, h, W, bias, mask, rows, key(rng.VISIBLE, t), v, field)
        if not follows:
            machine.walk(Chain(v, *others, drawn), rows, key, 2 * t + 1, 2 * (FIRST + steps), clamp=fill)
            break
    b.copy(v, buffers.states, places=places)
    return follows


def fill_by_mean_field(machine, v, mask):
    """Fill in missing values by mean field, in place: each layer's means given the other's, `ROUNDS` times (Peterson and
    Anderson 1987)."""
    h_mean, v_mean = (machine.backend.zeros(len(v), n) for n in reversed(machine.shape))
    machine.start_visible(v_mean)
    fill = functools.partial(machine.backend.assign_where, v, mask, v_mean)
    fill()
    machine.walk(Chain(v, None, v_mean, h_mean), None, None, 0, 2 * ROUNDS, clamp=fill)


def split(X):
    """(values with zeros for what is missing, where it is missing) of checked data; where is None if nothing is."""
    if sparse.issparse(X) or X.dtype.kind != "f":
        return X, None
    mask = np.isnan(X)
    return (np.where(mask, X.dtype.type(0), X), mask) if mask.any() else (X, None)


def base_of_zeros(backend, visible, nv):
    """(nv,) the base measure's energy of each visible unit when it is missing and stands at zero."""
    energy, out = np.empty(nv), np.empty(1)
    for unit, start, stop, _ in visible.parts(nv):
        backend.base(unit, backend.states(unit, 1, stop - start), out)
        energy[start:stop] = out / (stop - start)
    return energy
