"""Missing values: learning from rows of which some visible units were not observed.

"drop"    each row is an RBM of its own over its observed units, which shares its weights with the others (Salakhutdinov, Mnih,
          Hinton 2007, section 2): units that are missing are zero in both phases, and so add nothing to fields and statistics.
"sample"  one RBM over all units, whose missing ones are hidden: the positive phase draws them by Gibbs steps given the observed
          ones, from chains that go on, one for each row. The gradient tends to that of the marginal log p(observed).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from fastdbn.maths import rng
from fastdbn.support import checks

WAYS = ("drop", "sample")
FIRST = 1 << 19
"""Number of the first Gibbs step of missing values in a stream; those of the chains are below."""
ROUNDS = 20
"""Mean-field rounds for the missing values of rows outside of training."""
_NO_KEY = rng.key(0, 0, 0)


class Absence(NamedTuple):
    """What is missing in a layer's data: the way and its Gibbs steps, the backend's data that are 1 where a value is lost,
    and their rows."""

    way: str
    steps: int
    lost: Any
    n_rows: int


class Gaps(NamedTuple):
    """An `Absence` and buffers: lost (B, nv); for "sample" states (rows, nv), one chain a row, and room h, h_mean, v, v_mean."""

    absence: Absence
    lost: Any
    states: Any = None
    h: Any = None
    h_mean: Any = None
    v: Any = None
    v_mean: Any = None


def check(way, steps, persistent):
    """The parameters `missing` and `missing_steps`, and whether they go with the rest."""
    checks.integer(steps, "missing_steps", most=checks.MOST_STEPS)
    if way is None:
        return
    if not isinstance(way, str) or way not in WAYS:
        raise ValueError(f"missing={way!r}: give None or one of {', '.join(map(repr, WAYS))}")
    if way == "drop" and persistent:
        raise ValueError(
            "missing='drop' makes each row a machine of its own, which no persistent chain can follow: use CD "
            "(persistent=False), or missing='sample'"
        )


def split(X):
    """(X with zeros where values are missing, True there); (X, None) where none is missing."""
    if sparse.issparse(X) or X.dtype.kind != "f":
        return X, None
    lost = np.isnan(X)
    return (np.where(lost, X.dtype.type(0), X), lost) if lost.any() else (X, None)


def make_gaps(backend, visible, hidden, absence, params, batch, n_rows, key):
    """The `Gaps` of minibatches of `batch` rows, out of n_rows that have chains; these begin at the visible biases alone."""
    nv, nh = len(params.b), len(params.c)
    lost = backend.zeros(batch, nv)
    if absence.way == "drop":
        return Gaps(absence, lost)
    states, room = backend.states(visible, n_rows, nv), backend.zeros(batch, nv)
    v = backend.states(visible, batch, nv)
    for start in range(0, n_rows, batch):
        rows = np.arange(start, min(start + batch, n_rows), dtype=np.uint32)
        part = backend.zeros(len(rows), nv)
        backend.activate(visible, params.b, part, backend.part(states, start, start + len(rows)), backend.array(rows), key)
    return Gaps(absence, lost, states, backend.states(hidden, batch, nh), backend.zeros(batch, nh), v, room)


def complete(backend, visible, hidden, params, gaps, v, rows, places, key):
    """Take the missing values of some rows of the data out of the way, in place.

    Parameters
    ----------
    v : (B, nv) visible states, as `take` gives them
    rows, places : (B,) the rows' numbers in the data and among the chains, the backend's
    key : (purpose, Gibbs step) -> Key

    Returns
    -------
    (B, nv) buffer or None
        of "drop" what says where it is lost, which belongs over the chain's visible states too.
    """
    n = len(rows)
    lost = backend.part(gaps.lost, 0, n)
    backend.load_rows(gaps.absence.lost, rows, _NO_KEY, lost)
    if gaps.absence.way == "drop":
        backend.assign_where(v, lost)
        return lost
    h, h_mean, drawn, mean = (backend.part(x, 0, n) for x in (gaps.h, gaps.h_mean, gaps.v, gaps.v_mean))
    backend.gather(gaps.states, places, drawn)
    backend.assign_where(v, lost, drawn)
    for t in range(gaps.absence.steps):
        backend.conditional(hidden, v, params.W, params.c, h_mean, h, rows, key(rng.HIDDEN, FIRST + t))
        backend.conditional(visible, h, params.W, params.b, mean, drawn, rows, key(rng.VISIBLE, FIRST + t), transpose=True)
        backend.assign_where(v, lost, drawn)
    backend.scatter(v, places, gaps.states)
    return None


def settle(backend, visible, hidden, params, v, lost):
    """Fill in missing values by mean field, in place: each layer's means given the other's, `ROUNDS` times (Peterson and
    Anderson 1987)."""
    h, mean = backend.zeros(len(v), len(params.c)), backend.zeros(len(v), len(params.b))
    backend.activate(visible, params.b, mean)
    for _ in range(ROUNDS):
        backend.assign_where(v, lost, mean)
        backend.conditional(hidden, v, params.W, params.c, h)
        backend.conditional(visible, h, params.W, params.b, mean, transpose=True)
    backend.assign_where(v, lost, mean)


def base_of_zeros(backend, visible, nv):
    """(nv,) the base measure's energy of each visible unit when it is missing and stands at zero."""
    energy, out = np.empty(nv), np.empty(1)
    for unit, start, stop, _ in visible.parts(nv):
        backend.base(unit, backend.states(unit, 1, stop - start), out)
        energy[start:stop] = out / (stop - start)
    return energy
