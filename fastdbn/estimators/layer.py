"""What a fitted RBM computes from checked rows, block by block. RBM, networks and `evaluate` share it.

Functions take the RBM, for its scaling and missing values, and a machine, which a network may have on another backend. None is
the RBM's own machine.
"""

import functools

import numpy as np
from scipy import sparse

from fastdbn.backends.protocol import Source
from fastdbn.estimators.rows import threshold_of
from fastdbn.inputs import data
from fastdbn.machine.block import block_rows
from fastdbn.maths import rng
from fastdbn.support.results import array_for
from fastdbn.support.stored import Stored, store
from fastdbn.training.cd import ContrastiveDivergence
from fastdbn.training.holdout import hold_out, weights_of_known
from fastdbn.training.layer import Layer
from fastdbn.training.options import missing_values
from fastdbn.training.options.learned_variances import base_scaling
from fastdbn.training.order import shuffle_of
from fastdbn.units import get_unit

AT_ONCE = 4
"""Blocks that are handled in one call if data are read in place, because fewer calls pack weights less often."""


def visible_blocks(rbm, X, machine=None, write=False):
    """(slice of rows, their visible states) for X in blocks: read-only, or writable if `write` is set.

    Missing values are left out, or filled in by mean field where the model samples them.
    """
    machine, mask = rbm.machine_ if machine is None else machine, None
    if rbm.missing is not None:
        X, mask = missing_values.split(X)
    backend, (n, width), key = machine.backend, X.shape, rng.key(rbm.seed_, 0, rng.stream(rng.DATA))
    source, size = backend.load(data.source(X, rbm.scaling_, threshold_of(rbm))), block_rows(max(machine.shape))
    if mask is not None:
        write, filling = True, machine.in_rows(n)
        of_mask, lacking = backend.load(Source(mask)), backend.zeros(min(size, n), width)
    size *= AT_ONCE if backend.is_view(source) and not write else 1
    buffer = backend.states(machine.visible_unit, min(size, n), width)
    with backend.single_threaded():
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            if isinstance(X, Stored):
                X.release()
            if not write:
                yield rows, backend.view_rows(source, start, rows.stop, key, buffer)
                continue
            v, numbers = backend.part(buffer, 0, rows.stop - start), machine.row_numbers(rows)
            backend.load_rows(source, numbers, key, v)
            if mask is not None:
                missing = backend.part(lacking, 0, rows.stop - start)
                backend.load_rows(of_mask, numbers, key, missing)
                if rbm.missing == "drop":
                    backend.assign_where(v, missing)
                else:
                    missing_values.fill_by_mean_field(filling, v, missing)
            yield rows, v


def completed(rbm, X):
    """Checked rows with their missing values as the RBM takes them, on the scale of X.

    "sample" has conditional means there, by mean field; "drop" what adds nothing to the hidden units' fields.

    Raises
    ------
    ValueError
        for data that a threshold binarises, because means cannot be compared with it.
    """
    if rbm.missing is None or (mask := missing_values.split(X)[1]) is None:
        return X
    if (threshold := threshold_of(rbm)) is not None:
        raise ValueError(
            f"binarize={threshold!r} with missing values: give rows that are binarised, such as "
            f"np.where(np.isnan(X), X, X > {threshold!r}), and binarize=None"
        )
    states = np.empty(X.shape, rbm.dtype)
    for rows, v in visible_blocks(rbm, X):
        rbm.machine_.backend.fetch(v, states[rows])
    return np.where(mask, rbm.scaling_.invert(states), X).astype(X.dtype)


def hidden_given_rows(rbm, X, machine=None, key=None, out=None):
    """Hidden means given the rows of X; with a key, hidden states drawn once for each row. They are in `out`, if given."""
    machine = rbm.machine_ if machine is None else machine
    out = array_for(out, (X.shape[0], machine.shape[1]), machine.backend.dtype, X)
    for _ in hidden_blocks(rbm, X, machine, key, lambda rows: np.asarray(out[rows])):
        pass
    return out


def hidden_blocks(rbm, X, machine, key, part_of):
    """Write the same block by block into the arrays that `part_of` gives for slices of rows, and yield each of them."""
    backend, many = machine.backend, None
    for rows, v in visible_blocks(rbm, X, machine):
        many, part = many or machine.in_rows(X.shape[0]), part_of(rows)
        mean = backend.onto(part)
        if key is None:
            many.hidden_given(v, mean)
            backend.fetch(mean, part)
        else:
            h = backend.states(machine.hidden_unit, *part.shape)
            many.hidden_given(v, mean, h, machine.row_numbers(rows), key)
            backend.fetch(h, part)
        yield part


@functools.singledispatch
def states_above(X, rbm, key=None):
    """What the layer above an RBM learns from: `hidden_given_rows` of X, in a file if X lies in one or memory is limited."""
    if not isinstance(X, Stored) and rbm.memory_limit is None:
        return hidden_given_rows(rbm, X, key=key)
    room = np.empty((min(AT_ONCE * block_rows(1), X.shape[0]), rbm.machine_.shape[1]), rbm.machine_.backend.dtype)
    blocks = hidden_blocks(rbm, X, rbm.machine_, key, lambda rows: room[: rows.stop - rows.start])
    return store(blocks, packs=False, reads_ahead=False)


def up(layers, machines, X, out=None):
    """Hidden means of the last of some layers, block by block through all of them. They are in `out`, if that is given."""
    out = array_for(out, (X.shape[0], machines[-1].shape[1]), machines[-1].backend.dtype, X)
    size = block_rows(max(X.shape[1], *(machine.shape[1] for machine in machines)))
    for start in range(0, X.shape[0], size):
        part = X[start : start + size]
        for rbm, machine in zip(layers[:-1], machines[:-1], strict=True):
            part = hidden_given_rows(rbm, part, machine)
        hidden_given_rows(layers[-1], part, machines[-1], out=out[start : start + size])
    return out


def with_totals(unit, means, X):
    """Visible means of one trial, where units count, times the totals of the rows of X."""
    for part, start, stop, _ in unit.parts(means.shape[1]):
        if part.keeps_total:
            means[:, start:stop] *= np.asarray(X[:, start:stop].sum(axis=1)).reshape(-1, 1)
    return means


def free_energies(rbm, X, machine=None):
    """F(v) of each row, (n,) float64; with missing="drop" that of its own machine, over its observed units."""
    machine, out = rbm.machine_ if machine is None else machine, np.empty(X.shape[0])
    backend, many, field = machine.backend, None, None
    for rows, v in visible_blocks(rbm, X, machine):
        if many is None:
            many, field = machine.in_rows(len(out)), backend.zeros(len(v), machine.shape[1])
        many.free_energy_block(v, out[rows], backend.part(field, 0, len(v)))
    if rbm.missing == "drop" and not sparse.issparse(X):
        out -= np.isnan(X) @ missing_values.base_of_zeros(backend, machine.visible_unit, X.shape[1])
    return out


def start_states(rbm, machine, n, seed, number, totals=None):
    """Host visible states at which chains begin: zeros; units that count hold totals, by default those of fit rows."""
    if machine.visible_unit.keeps_total and totals is None:
        draw = rng.host_generator(seed, number, rng.stream(rng.INIT, 0, 4))
        totals = rbm.totals_[draw.integers(len(rbm.totals_), size=n)]
    return machine.blank(n, totals)


def numbered_from(values, first):
    """Host values of rows that are numbered from `first` on: those of rows below are zeros. None stays None."""
    return values if values is None or not first else np.concatenate([np.zeros((first, *values.shape[1:]), values.dtype), values])


def split_rows(rbm, n, weights):
    """(rows trained on, rows held out, weights whose mean over the former is 1) of n rows; None where there are none."""
    if not rbm.validation_fraction:
        return None, None, weights
    rows, held_out = hold_out(rbm.seed_, n, rbm.validation_fraction)
    if weights is not None:
        weights = weights / weights_of_known(rbm.seed_, n, rbm.validation_fraction, weights)[rows].mean()
    return rows, held_out, weights


def data_layer(rbm, backend, X, weights, threshold, validation=None, first=0):
    """The `Layer` that an RBM trains: rows X, of which some are held out and some values may be missing; validation are rows that
    are watched instead, or None. Rows are numbered from `first` on."""
    n, mask = X.shape[0], None
    if validation is not None:
        validation = data_layer(rbm, backend, validation, None, threshold)
    rows, held_out, weights = split_rows(rbm, n, weights)
    if first:
        rows = np.arange(n, dtype=np.uint32) if rows is None else rows
        rows, held_out = rows + np.uint32(first), None if held_out is None else held_out + np.uint32(first)
        weights = numbered_from(weights, first)
    if rbm.missing is not None:
        X, mask = missing_values.split(X)
        mask = None if mask is None else backend.load(Source(mask), True, first)
    found = data.training_source(X, base_scaling(rbm.scaling_, rbm._extras), threshold)
    shuffle, stored = shuffle_of(rbm, X.shape[1]), found.X if isinstance(found.X, Stored) else None
    units, n_rows = (get_unit(rbm.visible_), get_unit(rbm.hidden_)), n if rows is None else len(rows)
    source, numbers = backend.load(found, True, first), (rbm.layer_, rbm.seed_)
    return Layer(*units, source, n_rows, weights, *numbers, rows, held_out, mask, validation, shuffle, stored)


@functools.singledispatch
def run_of(X, rbm, backend, weights, threshold, validation, settings, state, last, first=0):
    """The run of contrastive divergence that trains an RBM on checked rows X; arguments as of `data_layer` and of the run."""
    layer = data_layer(rbm, backend, X, weights, threshold, validation, first)
    return ContrastiveDivergence(backend, layer, settings, state, last)
