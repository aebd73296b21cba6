"""The CPU backend: the protocol's operations on NumPy arrays, by the kernels of kernels.py on the pool of threads."""

from contextlib import AbstractContextManager

import numpy as np
from scipy import sparse

from fastdbn.backends.cpu import anneal, backprop, binary, blas, center, kernels, loading, pool, steps, update, workspace
from fastdbn.backends.cpu.loading import DENSE, ONES, PACKED, ROWS_TAKEN, SPARSE, Preparation, make_data
from fastdbn.backends.cpu.simd import WORD
from fastdbn.backends.protocol import Centering, Hyper, Params, Phase, Problem, Source, Units, Weights
from fastdbn.maths import rng
from fastdbn.maths.rng import Key
from fastdbn.units.unit import Unit

_READY = (np.float32, np.float64, np.uint8, np.int64, np.int32, np.bool_)
"""Host types that `load_rows` reads as they are; others are converted once."""
_NO_ROWS, _NO_KEY = np.empty(0, np.uint32), rng.key(0, 0, 0)
_DENSE = 32
"""CSR data of fewer ones than one in so many stay lists: a list has 32 bits for each."""
_PACKED = 1 << 24
"""Numbers that are packed at a time; data that are not binary are given up after the first of these that shows it."""
SLOW = 20
"""Minibatches over which the activity of hidden units is averaged (Hinton 2010, section 11)."""
ANNEALED = 64
"""Steps of annealing in one call, between which Ctrl-C is heard."""
_PASS = 4
"""Operations that stand for one element of an elementwise pass, which memory limits, when threads are chosen."""


def _layout(W, transpose):
    """W with contiguous rows, and whether the product is then with its transpose."""
    return (W, transpose) if W.flags.c_contiguous else (W.T, not transpose)


class CPU:
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

    def single_threaded(self) -> AbstractContextManager:
        return blas.single_threaded()

    def _run(self, kernel, n_blocks, work, *arguments):
        pool.run(self.n_threads, kernel, n_blocks, work, *arguments)

    def load(self, source: Source, for_training: bool = False):
        X, empty, scaled = source.X, np.empty(0), source.scale is not None
        is_sparse = sparse.issparse(X)
        values = np.asarray(X.data if is_sparse else X)
        values = values if values.dtype in _READY else values.astype(self.dtype)
        mode = 2 if source.threshold == "sample" else int(source.threshold is not None)
        threshold = float(source.threshold if mode == 1 else 0)
        preparation = Preparation(
            np.asarray(source.shift, np.float64) if scaled else empty,
            np.asarray(source.scale, np.float64) if scaled else empty,
            bool(source.clip),
            mode,
            float(np.float32(threshold)) if values.dtype == np.float32 else threshold,  # as NumPy compares
        )
        if is_sparse:
            data = make_data(SPARSE, preparation, values.reshape(1, -1), X.indices, X.indptr)
        else:
            data = make_data(DENSE, preparation, values)
        return self._pack(data, X.shape) if for_training and mode != 2 else data

    def _pack(self, data, shape):
        """Data in packed form if they are zeros and ones once they are prepared; else as they are."""
        rows, units = shape
        if data.kind == SPARSE and len(data.columns) * _DENSE < rows * units and self._are_ones(data):
            return data._replace(kind=ONES)
        most, across, like = max(ROWS_TAKEN, _PACKED // units), -(-units // WORD), np.empty(units, self.dtype)
        words = np.empty((min(most, rows), across), np.uint64)
        for start in range(0, rows, most):
            if start == most:  # words for all of them once the first have shown that they are binary
                first, words = words, np.empty((rows, across), np.uint64)
                words[:most] = first
            part = words[start : start + most]
            blocks = -(-len(part) // ROWS_TAKEN)
            found = np.zeros(blocks, np.uint8)
            self._run(loading.pack, blocks, _PASS * len(part) * units, data, start, _NO_KEY, like, part, found)
            if found.any():
                return data
        return make_data(PACKED, data.preparation, words=words)

    @staticmethod
    def _are_ones(data):
        """Whether CSR data are ones, each column once in its row, with nothing done to them."""
        done = data.preparation
        kept = not len(done.scale) and (done.mode == 0 or 0 <= done.threshold < 1)
        return kept and all((x == 1).all() for x in data.values) and loading.distinct(data.columns, data.starts)

    def array(self, values) -> np.ndarray:
        values = np.asarray(values)
        return np.array(values, self.dtype if values.dtype.kind == "f" else values.dtype, order="C")

    def zeros(self, *shape: int) -> np.ndarray:
        return np.zeros(shape, self.dtype)

    def constant(self, values) -> np.ndarray:
        return np.asarray(values, self.dtype)

    def states(self, unit: Units, rows: int, units: int, values=None) -> np.ndarray:
        return np.zeros((rows, units), self.dtype) if values is None else self.array(values)

    def to_host(self, x) -> np.ndarray:
        return np.array(x)

    def onto(self, out) -> np.ndarray:
        return out if out.dtype == self.dtype and out.flags.c_contiguous else np.empty(out.shape, self.dtype)

    def fetch(self, x, out) -> None:
        if x is not out:
            out[...] = x

    def part(self, x, start: int, stop: int):
        return x[start:stop]

    def load_rows(self, data, rows, key: Key, out) -> None:
        self._run(loading.load_rows, -(-len(rows) // ROWS_TAKEN), _PASS * out.size, data, rows, key, out)

    def is_view(self, data) -> bool:
        X, done = self._values(data), data.preparation
        return bool(data.kind == DENSE and X.size and X.flags.c_contiguous and not (len(done.scale) or done.clip or done.mode))

    def _values(self, data):
        return data.values[loading.TYPES.index(self.dtype.type)]

    def view_rows(self, data, start: int, stop: int, key: Key, buffer):
        if self.is_view(data):
            return self._values(data)[start:stop]
        out = buffer[: stop - start]
        self.load_rows(data, np.arange(start, stop, dtype=np.uint32), key, out)
        return out

    def field(self, x, W, out, transpose: bool = False) -> None:
        W, transpose = _layout(W, transpose)
        blocks = kernels.count_blocks(*out.shape, False)
        self._run(kernels.field, blocks, 2 * out.size * x.shape[1], self._blas, x, W, transpose, out)

    def activate(self, unit: Units, bias, mean, states=None, rows=None, key: Key | None = None, beta=None) -> None:
        for part, *columns in unit.parts(mean.shape[1]):
            n, drawn = columns[1] - columns[0], states if part.keeps_total or key is not None else None
            blocks, work = kernels.count_blocks(len(mean), n, part.group != 1), 4 * _PASS * len(mean) * n
            arguments = part.group_size(n), tuple(columns), bias, mean, drawn, rows, key, beta
            self._run(kernels.activate(part), blocks, work, *arguments)

    def conditional(
        self, unit: Units, x, W, bias, mean, states=None, rows=None, key: Key | None = None, transpose: bool = False, beta=None
    ) -> None:
        if not isinstance(unit, Unit):
            self.field(x, W, mean, transpose)
            self.activate(unit, bias, mean, states, rows, key, beta)
            return
        W, transpose = _layout(W, transpose)
        blocks = kernels.count_blocks(*mean.shape, unit.group != 1)
        group = unit.group_size(mean.shape[1])
        work = 2 * mean.size * (x.shape[1] + 2 * _PASS)
        kernel = kernels.conditional(unit)
        self._run(kernel, blocks, work, self._blas, group, x, W, transpose, bias, mean, states, rows, key, beta)

    def join(self, out, *parts) -> None:
        start = 0
        for x in parts:
            out[:, start : start + x.shape[1]] = x
            start += x.shape[1]

    def assign_where(self, x, mask, values=None) -> None:
        np.copyto(x, 0 if values is None else values, where=mask if mask.dtype == np.bool_ else mask != 0)

    def copy(self, x, out, rows=None, places=None) -> None:
        if rows is not None:
            np.take(x, rows, axis=0, out=out, mode="clip")
        else:
            out[... if places is None else places] = x

    def sparsify(self, h, weight, activity, target: float, cost: float, offset=None, share: float = 0.0) -> None:
        mean = h.mean(axis=0) if weight is None else np.average(h, axis=0, weights=weight)
        activity += (mean - activity) / SLOW
        pull = cost * (target - activity)
        h += pull
        if offset is not None:
            offset -= share * pull

    def shrink(self, W, amount: float) -> None:
        self._run(update.shrink, len(W), _PASS * W.size, W, self.dtype.type(amount))

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
            self._run(update.move, len(p), 3 * _PASS * p.size, p, v, g, rate, momentum, decay_)

    def statistics(self, positive: Phase, negative: Phase, positive_scale: float, negative_scale: float, out: Params) -> None:
        for x in out:
            x[...] = 0
        spare = Params(*(np.zeros_like(x) for x in out))  # what moves by the gradient, if only that is wanted
        self._update(spare, out, positive, negative, (positive_scale, negative_scale), 0.0, 0.0)

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
        rate, slide = hyper.learning_rate, center.Slide(False, 0.0, 0.0, 0.0)
        if centering is not None:
            moved = centering.slide if mean_weight > 0 else 0.0
            shares = (1 - centering.model_share) * positive_scale, centering.model_share * negative_scale
            slide = center.Slide(True, moved, *(moved * share / (mean_weight or 1.0) for share in shares))
        scales = rate * positive_scale, rate * negative_scale
        self._update(params, velocity, positive, negative, scales, hyper.momentum, rate * hyper.weight_decay, centering, slide)

    def _update(self, params, out, positive, negative, scales, momentum, decay, centering=None, slide=(False, 0.0, 0.0, 0.0)):
        real, (nv, nh) = self.dtype.type, out.W.shape
        scales, momentum, decay = tuple(real(x) for x in scales), real(momentum), real(decay)
        slide = center.Slide(slide[0], *(real(x) for x in slide[1:]))
        centre = center.make_centre(nv, nh, self.dtype, centering and centering[:2])
        work, phases = 2 * out.W.size * (len(positive.v) + len(negative.v)), (positive, negative)
        rows, columns = binary.count_parts(nv), binary.count_parts(nh)
        self._run(update.begin, 1, work, *phases, scales, centre, slide)
        self._run(update.multiply, rows, work, self._blas, params, out, *phases, scales, momentum, decay, slide.on)
        self._run(update.update, columns, work, params, out, *phases, scales, momentum, decay, centre, slide)
        self._run(update.finish, 1, work, params, out, momentum, centre, slide.on)

    def cgf(self, unit: Units, bias, field, out, beta=None, states=None) -> None:
        out[:] = 0
        for part, *columns in unit.parts(field.shape[1]):
            n, totals = columns[1] - columns[0], states if part.keeps_total else None
            arguments = part.group_size(n), tuple(columns), field, bias, totals, out, beta
            self._run(kernels.cgf(part), len(out), 4 * _PASS * len(out) * n, *arguments)

    def cgf_shifted(self, unit: Unit, bias, field, W, step, out) -> None:
        kernel, group = kernels.cgf_shifted(unit), unit.group_size(field.shape[1])
        work = 4 * _PASS * field.size * len(W)
        self._run(kernel, len(out), work, group, field, bias, np.ascontiguousarray(W), step, out)

    def base(self, unit: Units, x, out) -> None:
        out[:] = 0
        for part, *columns in unit.parts(x.shape[1]):
            n = columns[1] - columns[0]
            self._run(kernels.base(part), len(out), _PASS * len(out) * n, part.group_size(n), tuple(columns), x, out)

    def dot(self, x, y, out) -> None:
        kernel = kernels.dot if y.ndim == 1 else kernels.dot_rows
        self._run(kernel, len(out), _PASS * x.size, x, y, out)

    def norm(self, x) -> float:
        return float(np.sqrt(kernels.square_sum(x.reshape(-1))))

    def mask(self, x, rate: float, rows, key: Key, out) -> None:
        blocks = kernels.count_blocks(*out.shape, False)
        self._run(backprop.mask, blocks, 2 * _PASS * x.size, x, self.dtype.type(rate), rows, key, out)

    def loss(self, kind: str | Units, output, target, weight, scale: float, delta) -> float:
        if not isinstance(kind, str):
            sums = np.zeros(len(output))
            for part, *columns in kind.parts(output.shape[1]):
                n = columns[1] - columns[0]
                arguments = part.group_size(n), tuple(columns), output, target, weight, self.dtype.type(scale), delta, sums
                self._run(backprop.unit_loss(part), len(sums), 8 * _PASS * len(sums) * n, *arguments)
            return float(sums.sum())
        kernel = {"softmax": backprop.softmax_loss, "squared": backprop.squared_loss}[kind]
        return kernel(output, target, weight, self.dtype.type(scale), delta)

    def backward_and_step(
        self,
        rule: str,
        hyper,
        x,
        delta,
        weights: Weights,
        unit: Unit | None = None,
        mean=None,
        below=None,
        rate: float = 0.0,
        rows=_NO_ROWS,
        key: Key = _NO_KEY,
    ) -> None:
        n_in = len(weights.W)
        whole = unit is not None and unit.group != 1
        group = 1 if unit is None else unit.group_size(n_in)
        blocks = 1 if whole else binary.count_parts(n_in)
        work = 2 * weights.W.size * (len(x) * (1 if unit is None else 2) + 2 * _PASS)
        bias_hyper, rate = hyper._replace(weight_decay=self.dtype.type(0)), self.dtype.type(rate)
        kernel = backprop.backward_and_step(rule, unit)
        self._run(kernel, blocks, work, group, x, delta, weights, hyper, bias_hyper, mean, below, rate, rows, key)

    def limit_columns(self, W, longest: float, buffer) -> None:
        backprop.limit_columns(W, self.dtype.type(longest), buffer)

    def cd_steps(self, problem: Problem, order, batch_size: int, step: int, epoch: int, hyper: Hyper) -> bool:
        if not (steps.is_fused(problem.visible) and steps.is_fused(problem.hidden)):
            return False
        keys = {name: rng.stream(purpose, problem.layer) for name, purpose in _STREAMS.items()}
        centering = problem.centering
        run = steps.Run(
            order,
            batch_size,
            problem.k,
            problem.persistent,
            rng.key(problem.seed, 0, 0),
            step,
            epoch,
            **keys,
            learning_rate=float(hyper.learning_rate),
            momentum=float(hyper.momentum),
            weight_decay=float(hyper.weight_decay),
            slide=float(centering.slide) if centering else 0.0,
            model_share=float(centering.model_share) if centering else 0.0,
        )
        if self._workspace is None or self._workspace[0] is not problem.params.W:
            self._workspace = (
                problem.params.W,
                workspace.make_workspace(problem, min(self.n_threads, binary.count_words(len(problem.params.c)))),
            )
        (nv, nh), rows = problem.params.W.shape, max(len(problem.positive.v), len(problem.negative.v))
        pool.team(
            self.threads(nv, nh, rows, problem.k),
            steps.cd_steps(problem.visible, problem.hidden),
            self._blas,
            problem.visible.group_size(problem.params.W.shape[0]),
            problem.hidden.group_size(problem.params.W.shape[1]),
            problem.data,
            problem.params,
            problem.velocity,
            (centering.v, centering.h) if centering else (np.empty(0, self.dtype),) * 2,
            problem.chain_rows,
            self._workspace[1],
            run,
        )
        return True

    def anneal(self, chains, number, upper, lower, down) -> np.ndarray | None:
        visible, hidden, (W, _, c) = chains.machine.visible, chains.machine.hidden, chains.params
        if not (steps.is_fused(visible) and steps.is_fused(hidden)):
            return None
        n, (nv, nh) = len(chains.v), W.shape
        v, h = (
            anneal.Layer(
                unit.group_size(len(bias)),
                bias,
                weights,
                field,
                binary.make_states(states, n),
                np.zeros(n, np.bool_),
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

    def threads(self, nv: int, nh: int, rows: int, k: int) -> int:
        work = 2.0 * rows * nv * nh * (3 + 2 * k)
        return max(1, min(self.n_threads, int(work // pool.WORK_PER_THREAD), binary.count_words(nh)))


_STREAMS = {"data": rng.DATA, "hidden": rng.HIDDEN, "visible": rng.VISIBLE}
