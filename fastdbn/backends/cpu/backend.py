"""The CPU backend: the protocol's operations on NumPy arrays, by the kernels of kernels.py on the pool of threads."""

import math
from contextlib import AbstractContextManager

import numpy as np

from fastdbn.backends.cpu import (
    anneal,
    backprop,
    backprop_buffers,
    backprop_steps,
    binary,
    blas,
    centre,
    kernels,
    loading,
    missing,
    options,
    pool,
    rounds,
    steps,
    sweeps,
    tempering,
    update,
    workspace,
)
from fastdbn.backends.cpu.half_step import is_fused
from fastdbn.backends.cpu.loading import DENSE, ROWS_TAKEN
from fastdbn.backends.cpu.options import SLOW as SLOW
from fastdbn.backends.cpu.pool import PASS
from fastdbn.backends.ladders import LadderChains, Rounds
from fastdbn.backends.protocol import Backend, Below, Hyper, Network, Params, Phase, Problem, Scales, Source, Units, Weights
from fastdbn.backends.replicas import Replicas
from fastdbn.maths import rng
from fastdbn.maths.rng import Key
from fastdbn.support.stored import Stored
from fastdbn.units.bernoulli import bernoulli
from fastdbn.units.unit import Unit

_NO_ROWS, _NO_KEY = np.empty(0, np.uint32), rng.key(0, 0, 0)
SMALL = 512
"""Numbers of a buffer that need not begin at a line of the cache."""
ANNEALED = 64
"""Steps of annealing in one call, between which Ctrl-C is heard."""


def _layout(W, transpose):
    """W with contiguous rows, and whether the product is then with its transpose."""
    return (W, transpose) if W.flags.c_contiguous else (W.T, not transpose)


class _Shifted:
    """An array whose rows are numbered from `first` on. Rows below have numbers and no memory: nobody may read them."""

    def __init__(self, array, first):
        self.array, interface = array, array.__array_interface__
        begins = interface["data"][0] - first * array.strides[0]
        self.__array_interface__ = {**interface, "data": (begins, False), "shape": (first + len(array), *array.shape[1:])}


def _numbered_from(data, first):
    """Data whose rows are numbered from `first` on."""
    if data.kind == loading.PACKED:
        return data._replace(words=np.asarray(_Shifted(data.words, first)))
    if data.kind != DENSE:
        return data._replace(starts=np.asarray(_Shifted(data.starts, first)))
    return data._replace(values=tuple(np.asarray(_Shifted(x, first)) if x.size else x for x in data.values))


class CPU(Backend):
    """Operations on NumPy arrays; see `fastdbn.backends.protocol.Backend` for what each does.

    Parameters
    ----------
    n_jobs : int or None
        threads; None and -1 take the processors that the process may use, -2 all but one of them, and so on as in joblib.
    dtype : "float32" or "float64"
    """

    name = "cpu"
    precision = "float32"

    def __init__(self, n_jobs: int | None = None, dtype: str = "float32") -> None:
        self.n_threads = pool.count_threads(n_jobs)
        if str(dtype) not in ("float32", "float64"):
            raise ValueError(f"dtype={dtype!r}: give 'float32' or 'float64'")
        self.dtype = np.dtype(str(dtype))
        self._blas = blas.addresses(self.dtype)
        self._workspace: tuple | None = None
        self._network: tuple | None = None
        self._replicas: tuple | None = None

    def single_threaded(self) -> AbstractContextManager:
        return blas.single_threaded()

    def _run(self, kernel, n_blocks, work, *arguments):
        pool.run(self.n_threads, kernel, n_blocks, work, *arguments)

    def load(self, source: Source, for_training: bool = False, first: int = 0):
        data = self._load(source, for_training)
        return data if first == 0 else _numbered_from(data, first)

    def _load(self, source, for_training):
        if isinstance(source.X, Stored):
            return self._load_stored(source)
        return loading.load(source, self.dtype, for_training, self._run)

    def _load_stored(self, source):
        """Rows in a file, read where they lie. Those that may be packed are packed already."""
        if not source.X.packed:
            return loading.load(source._replace(X=source.X.mapped), self.dtype, False, self._run)
        nothing = loading.Preparation(np.empty(0), np.empty(0), False, 0, 0.0)
        return loading.make_data(loading.PACKED, nothing, words=source.X.mapped)

    def array(self, values) -> np.ndarray:
        values = np.asarray(values)
        out = workspace.aligned(values.shape, self.dtype if values.dtype.kind == "f" else values.dtype)
        out[...] = values
        return out

    def zeros(self, *shape: int) -> np.ndarray:
        small = math.prod(shape) <= SMALL  # where making it takes longer than what lines of the cache save
        return np.zeros(shape, self.dtype) if small else workspace.aligned(shape, self.dtype)

    def constant(self, values) -> np.ndarray:
        # kernels would be compiled once more for arrays that may not be written, which those of fitted models are
        return loading.writable(np.asarray(values, self.dtype))

    def to_host(self, x) -> np.ndarray:
        return np.array(x)

    def onto(self, out) -> np.ndarray:
        return out if out.dtype == self.dtype and out.flags.c_contiguous else np.empty(out.shape, self.dtype)

    def fetch(self, x, out) -> None:
        if x is not out:
            out[...] = x

    def load_rows(self, data, rows, key: Key, out) -> None:
        self._run(loading.load_rows, -(-len(rows) // ROWS_TAKEN), PASS * out.size, data, rows, key, out)

    def is_view(self, data) -> bool:
        X, done = self._values(data), data.preparation
        return bool(data.kind == DENSE and X.size and X.flags.c_contiguous and not (len(done.scale) or done.clip or done.mode))

    def _values(self, data):
        return data.values[loading.TYPES.index(self.dtype)]

    def view_rows(self, data, start: int, stop: int, key: Key, buffer):
        if self.is_view(data):
            return self._values(data)[start:stop]
        out = buffer[: stop - start]
        self.load_rows(data, np.arange(start, stop, dtype=np.uint32), key, out)
        return out

    def field(self, x, W, out, transpose: bool = False) -> None:
        W, transpose = _layout(W, transpose)
        blocks = kernels.blocks_of(*out.shape, False)
        arguments = *kernels.field_at(self._blas, x, W, out), 1, x, W, transpose, self.zeros(0), out
        self._run(kernels.conditional(bernoulli), blocks, 2 * out.size * x.shape[1], *arguments, *(None,) * 4, False)

    def activate(self, unit: Units, bias, mean, states=None, rows=None, key: Key | None = None, beta=None) -> None:
        for part, *columns in unit.parts(mean.shape[1]):
            n, drawn = columns[1] - columns[0], states if part.keeps_total or key is not None else None
            blocks, work = kernels.count_blocks(len(mean), n, part.group != 1), 4 * PASS * len(mean) * n
            arguments = part.group_size(n), tuple(columns), bias, mean, drawn, rows, key, beta
            self._run(kernels.activate(part), blocks, work, *arguments)

    def conditional(
        self, unit: Units, x, W, bias, mean, states=None, rows=None, key: Key | None = None, transpose: bool = False, beta=None
    ) -> None:
        if not isinstance(unit, Unit):
            super().conditional(unit, x, W, bias, mean, states, rows, key, transpose, beta)
            return
        W, transpose = _layout(W, transpose)
        blocks = kernels.blocks_of(*mean.shape, unit.group != 1)
        group = unit.group_size(mean.shape[1])
        work = 2 * mean.size * (x.shape[1] + 2 * PASS)
        arguments = *kernels.field_at(self._blas, x, W, mean), group, x, W, transpose, bias, mean, states, rows, key, beta, True
        self._run(kernels.conditional(unit), blocks, work, *arguments)

    def join(self, out, *parts) -> None:
        start = 0
        for x in parts:
            out[:, start : start + x.shape[1]] = x
            start += x.shape[1]

    def redraw(self, unit: Units, h, W, bias, mask, rows, key: Key, v, field) -> bool:
        return missing.redraw(self._run, unit, h, W, bias, mask, rows, key, v, field)

    def assign_where(self, x, mask, values=None) -> None:
        missing.assign_where(self._run, x, mask, values)

    def copy(self, x, out, rows=None, places=None) -> None:
        if rows is not None:
            np.take(x, rows, axis=0, out=out, mode="clip")
        else:
            out[... if places is None else places] = x

    def sparsify(self, h, weight, activity, target: float, cost: float, offset=None, share: float = 0.0) -> None:
        real, total = self.dtype.type, len(h) if weight is None else weight.sum()
        weight, offset = (self.zeros(0) if x is None else x for x in (weight, offset))
        numbers = weight, real(total), activity, real(target), real(cost), offset, real(share)
        self._run(options.sparsify_columns, binary.count_words(h.shape[1]), 4 * PASS * h.size, h, *numbers)

    def shrink(self, W, amount: float) -> None:
        self._run(options.shrink, len(W), PASS * W.size, W, self.dtype.type(amount))

    def scale(self, x, weight, columns: bool = False) -> None:
        if columns:
            np.multiply(x, weight, out=x)
        else:
            kernels.scale_rows(x.reshape(len(x), -1), weight)

    def square_sums(self, x, weight, out) -> None:
        rows = (x,) if weight is None else (weight, x)
        np.einsum("ij,ij->j" if weight is None else "i,ij,ij->j", *rows, x, out=out, dtype=np.float64)

    def move(self, params: Params, velocity: Params, gradient: Params, hyper: Hyper) -> None:
        rate, momentum, decay = (self.dtype.type(number) for number in hyper[:3])
        for name, *arrays in zip(Params._fields, params, velocity, gradient, strict=True):
            p, v, g = (np.atleast_2d(x) for x in arrays)
            decay_ = rate * decay if name == "W" else self.dtype.type(0)
            self._run(update.move, len(p), 3 * PASS * p.size, p, v, g, rate, momentum, decay_)

    def statistics(self, positive: Phase, negative: Phase, scales: Scales, out: Params) -> None:
        for x in out:
            x[...] = 0
        if scales[0] == 0:  # the step writes the scale of the other phase as a multiple of this one
            positive, scales = Phase(positive.v[:0], positive.h[:0], None), (scales[1], scales[1])
        spare = Params(*map(np.zeros_like, out))  # takes the step, which nobody asked for
        self._update(spare, out, positive, negative, (*scales, 0.0, 0.0), scales)

    def update(
        self, params: Params, velocity: Params, positive, negative, scales: Scales, hyper: Hyper, centering=None, mean_weight=1.0
    ) -> None:
        rate, weight = hyper.learning_rate, mean_weight or 1.0
        slide: tuple[float, ...] = (0.0, 0.0, 0.0)
        if centering is not None:
            moved = centering.slide if mean_weight > 0 else 0.0
            shares = (1 - centering.model_share) * scales[0], centering.model_share * scales[1]
            slide = moved, *(moved * share / weight for share in shares)
        numbers = rate * scales[0], rate * scales[1], hyper.momentum, rate * hyper.weight_decay
        self._update(params, velocity, positive, negative, numbers, scales, slide, centering)

    def _update(self, params, out, positive, negative, numbers, scales, slide=(0.0, 0.0, 0.0), centering=None):
        real, (nv, nh), ratio = self.dtype.type, out.W.shape, scales[1] / scales[0] if scales[0] else 1.0
        slide = centre.Slide(centering is not None, *map(real, slide))
        step = update.Step(*map(real, (*numbers[:2], ratio, *numbers[2:])), slide, real(0), real(0))
        offsets = centre.make_centre(nv, nh, self.dtype, None if centering is None else (centering.v, centering.h))
        work, phases = 2 * out.W.size * (len(positive.v) + len(negative.v)), (positive, negative)
        self._run(update.begin, 1, work, *phases, step, offsets)
        self._run(update.multiply, binary.count_parts(nv), work, self._blas, params, out, *phases, step)
        self._run(update.update, binary.count_parts(nh), work, params, out, *phases, step, offsets)
        self._run(update.finish, 1, work, params, out, step, offsets)

    def cgf(self, unit: Units, bias, field, out, beta=None, states=None) -> None:
        out[:] = 0
        for part, *columns in unit.parts(field.shape[1]):
            n, totals = columns[1] - columns[0], states if part.keeps_total else None
            arguments = part.group_size(n), tuple(columns), field, bias, totals, out, beta
            self._run(kernels.cgf(part), len(out), 4 * PASS * len(out) * n, *arguments)

    def cgf_shifted(self, unit: Unit, bias, field, W, step, out) -> None:
        kernel, group = kernels.cgf_shifted(unit), unit.group_size(field.shape[1])
        work = 4 * PASS * field.size * len(W)
        self._run(kernel, len(out), work, group, field, bias, np.ascontiguousarray(W), step, out)

    def base(self, unit: Units, x, out) -> None:
        out[:] = 0
        for part, *columns in unit.parts(x.shape[1]):
            n = columns[1] - columns[0]
            self._run(kernels.base(part), len(out), PASS * len(out) * n, part.group_size(n), tuple(columns), x, out)

    def dot(self, x, y, out) -> None:
        kernel = kernels.dot if y.ndim == 1 else kernels.dot_rows
        self._run(kernel, len(out), PASS * x.size, x, y, out)

    def norm(self, x) -> float:
        return float(np.sqrt(kernels.square_sum(x.reshape(-1))))

    def mask(self, x, rate: float, rows, key: Key, out) -> None:
        blocks = kernels.blocks_of(*out.shape, False)
        self._run(backprop.mask, blocks, 2 * PASS * x.size, x, self.dtype.type(rate), rows, key, out)

    def loss(self, kind: str | Units, output, target, weight, scale: float, delta) -> float:
        if not isinstance(kind, str):
            sums = np.zeros(len(output))
            for part, *columns in kind.parts(output.shape[1]):
                n = columns[1] - columns[0]
                arguments = part.group_size(n), tuple(columns), output, target, weight, self.dtype.type(scale), delta, sums
                self._run(backprop.unit_loss(part), len(sums), 8 * PASS * len(sums) * n, *arguments)
            return float(sums.sum())
        kernel = {"softmax": backprop.softmax_loss, "squared": backprop.squared_loss}[kind]
        return kernel(output, target, weight, self.dtype.type(scale), delta)

    def backward_and_step(self, rule: str, hyper, x, delta, weights: Weights, below: Below | None = None) -> None:
        unit, mean, deltas, rate, rows, key = below or (None, None, None, 0.0, None, None)
        rows, key = (_NO_ROWS, _NO_KEY) if rows is None else (rows, key)
        n_in, real, whole = len(weights.W), self.dtype.type, unit is not None and unit.group != 1
        blocks, group = 1 if whole else binary.count_parts(n_in), 1 if unit is None else unit.group_size(n_in)
        work = 2 * weights.W.size * (len(x) * (1 if unit is None else 2) + 2 * PASS)
        hypers = hyper, hyper._replace(weight_decay=real(0))
        kernel = backprop.backward_and_step(rule, unit)
        self._run(kernel, blocks, work, group, x, delta, weights, *hypers, mean, deltas, real(rate), rows, key)

    def backprop_steps(self, network: Network, data, rows, target, weight, hypers, epoch: int, step: int) -> np.ndarray | None:
        loss = network.loss if isinstance(network.loss, str) else tuple(part.unit for part in network.loss.parts(0))
        kinds = tuple(dict.fromkeys(network.units))
        if self._network is None or self._network[0] is not network:
            self._network = network, backprop_buffers.make_buffers(network, kinds, self.n_threads)
        target = np.empty((0, 0), self.dtype) if target is None else target
        losses, seed, stream = np.zeros(len(rows)), rng.key(network.seed, 0, 0), rng.stream(rng.DATA)
        run = backprop_steps.Run(rows, network.batch_size, seed, stream, epoch, step, hypers, target, weight, losses)
        kernel = backprop_steps.backprop_steps(network.rule, kinds, loss)
        pool.team(self._network_threads(network), kernel, self._blas, data, self._network[1], run)
        return losses

    def _network_threads(self, network: Network) -> int:
        if network.batch_size < backprop_steps.FEWEST_ROWS:
            return 1
        work = sum(6.0 * w.W.size * network.batch_size for w in network.weights)
        return max(1, min(self.n_threads, int(work // pool.WORK_PER_THREAD)))

    def limit_columns(self, W, longest: float, buffer) -> None:
        backprop.limit_columns(W, self.dtype.type(longest), buffer)

    def cd_steps(self, problem: Problem, order, batch_size: int, step: int, epoch: int, hyper: Hyper) -> bool:
        if not (is_fused(problem.visible) and is_fused(problem.hidden)):
            return False
        centering, params, (nv, nh) = problem.centering, problem.params, problem.params.W.shape
        data, hidden, visible = (rng.stream(purpose, problem.layer) for purpose in (rng.DATA, rng.HIDDEN, rng.VISIBLE))
        run = steps.Run(
            *(order, batch_size, problem.k, problem.persistent, rng.key(problem.seed, 0, 0), step, epoch),
            *(data, hidden, visible, float(hyper.momentum), float(hyper.learning_rate * hyper.weight_decay)),
            *(centering is not None, options.numbers_of(problem, order, batch_size, hyper)),
        )
        n_threads = self.threads(nv, nh, max(len(problem.positive.v), len(problem.negative.v)), problem.k)
        if self._workspace is None or self._workspace[0] is not params.W or len(self._workspace[1].packed) < n_threads:
            self._workspace = params.W, workspace.make_workspace(problem, n_threads)
        rungs = tempering.rungs_of(problem, step, len(run.numbers), n_threads)
        pool.team(
            n_threads,
            *(steps.cd_steps(problem.visible, problem.hidden), self._blas),
            *((problem.visible.group_size(nv), problem.hidden.group_size(nh)), problem.data, params, problem.velocity),
            (centering.v, centering.h) if centering else (self.zeros(0),) * 2,
            *(problem.chain_rows, self._workspace[1], run, options.extras_of(problem, order, hyper, rungs)),
        )
        tempering.count_exchanges(problem, rungs)
        return True

    def anneal(self, chains, number, upper, lower, down) -> np.ndarray | None:
        visible, hidden, (W, _, c) = chains.machine.visible_unit, chains.machine.hidden_unit, chains.params
        if not (is_fused(visible) and is_fused(hidden)):
            return None
        n, (nv, nh) = len(chains.v), W.shape
        v, h = (
            anneal.Layer(
                *(unit.group_size(len(bias)), bias, weights, field, binary.make_states(states, n), np.zeros(n, np.bool_)),
                rng.stream(rng.ANNEAL, stream),
            )
            for unit, bias, weights, field, states, stream in (
                (visible, chains.params.b, chains.back, chains.mean, chains.v, 4),
                (hidden, c, W, chains.field, chains.h, 3),
            )
        )
        total, beta, kernel = np.zeros(n), np.empty(n, self.dtype), anneal.anneal(visible, hidden)
        seed = rng.key(chains.seed, 0, 0)
        threads = max(1, min(self.n_threads, int(4.0 * n * nv * nh // pool.WORK_PER_THREAD), binary.count_words(nh)))
        for start in range(0, len(number), ANNEALED):
            part = slice(start, start + ANNEALED)
            bias = self.constant(chains.bias_at(np.where(down[part] > 0, down[part], 1.0)[:, None]))
            run = anneal.Steps(number[part].astype(np.uint32), upper[part], lower[part], down[part], bias)
            drop, along = np.empty((2, len(bias), n))
            pool.team(threads, kernel, self._blas, v, h, chains.toward, chains.who, seed, beta, run, drop, along)
            for weight in drop + (upper - lower)[part, None] * along:
                total += weight
        return total

    def tempered_sweeps(self, replicas: Replicas, first: int, number, logs) -> np.ndarray | None:
        work = 2.0 * replicas.v.size * len(replicas.c)
        if not (is_fused(replicas.visible) and is_fused(replicas.hidden)):
            return None
        if self.n_threads > 1 and work >= 2 * pool.WORK_PER_THREAD:
            return None
        if self._replicas is None or self._replicas[0] is not replicas:
            self._replicas = replicas, *sweeps.arguments(replicas, *_layout(replicas.W, False))
        _, model, places, noise = self._replicas
        run = sweeps.Sweeps(first, number, logs, np.empty(logs.shape), *noise)
        sweeps.sweeps(replicas.visible, replicas.hidden)(self._blas, model, places, run)
        return run.odds

    def ladder_rounds(self, chains: LadderChains, run: Rounds, logs, kept=None) -> np.ndarray | None:
        return rounds.run(self.n_threads, self._blas, chains, run, logs, kept)

    def threads(self, nv: int, nh: int, rows: int, k: int) -> int:
        work = 2.0 * rows * nv * nh * (3 + 2 * k)
        return max(1, min(self.n_threads, int(work // pool.WORK_PER_THREAD)))
