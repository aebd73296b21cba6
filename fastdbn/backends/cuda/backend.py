"""The CUDA backend: the protocol's operations on arrays of a GPU, by the kernels of this folder and by cuBLAS."""

import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.backend import CPU, SLOW
from fastdbn.backends.cuda import blas, kernels, loading, losses, sums, tiles
from fastdbn.backends.cuda.device import Device, flat, matrix
from fastdbn.backends.cuda.jit import SIMULATED, THREADS, blocks_for
from fastdbn.backends.cuda.loading import Resident, Streamed
from fastdbn.backends.cuda.losses import Loss
from fastdbn.backends.protocol import Backend, Below, Hyper, Params, Phase, Problem, Scales, Source, Units, Weights
from fastdbn.maths import rng
from fastdbn.maths.rng import Key
from fastdbn.units.unit import Unit

PERSISTENT = 1 << 27
"""Products of fewer multiplications than this are bound by launches: their minibatches go into one kernel."""
SUMMED = 1 << 20
"""Rows that this kernel adds up at most: a float32 sum of many more would lose what each row adds."""
ANNEALED = 1000
"""Steps of annealing in one launch: a display's GPU ends kernels that take seconds."""


def _single(*units):
    """Whether layers are of one type of units that are none of a group, which the kernels of many steps take."""
    return all(isinstance(unit, Unit) and unit.group == 1 for unit in units)


def _pieces(x, width):
    """Pieces of so many columns at most that the rows of x are cut into."""
    return x.shape[0] * -(-x.shape[1] // width)


@functools.cache
def processors():
    """Multiprocessors of the GPU: so many blocks run at once for certain."""
    return 1 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT


def _has_cublas():
    """Whether products are cuBLAS's: in the simulator, and without the library, they are those of tiles.py."""
    return not SIMULATED and blas.library() is not None


class CUDA(Device, Backend):
    """Operations on arrays of the current GPU; see `fastdbn.backends.protocol.Backend` for what each does.

    Parameters
    ----------
    n_jobs : int or None
        threads of the host, which prepare data.
    dtype : "float32" or "float64"
    precision : "float32", "tf32" or "bf16"
        what products round their factors to, if they are cuBLAS's and in float32; sums are in float32, and parameters stay as
        they are.
    """

    name = "cuda"
    n_threads = 1

    def __init__(self, n_jobs: int | None = None, dtype: str = "float32", precision: str = "float32") -> None:
        self.host = CPU(n_jobs, dtype)
        super().__init__(self.host.dtype)
        self._losses: tuple = None, losses.SLOTS
        self.precision = precision if _has_cublas() and self.dtype == np.float32 else "float32"

    def load(self, source: Source, for_training: bool = False, first: int = 0):
        if first:
            raise ValueError(f"first_row={first}: a GPU numbers the rows of each call from 0. Use device='cpu', or leave it out")
        return loading.load(self, source, for_training)

    # ---- layers

    def load_rows(self, data, rows, key: Key, out) -> None:
        if isinstance(data, Streamed):
            data.load_rows(rows, key, out)
        else:
            formula, width = kernels.LOADS[data.kind]
            self.each(formula, _pieces(out, width), data.X, rows.device, key, out, draws=True)

    def is_view(self, data) -> bool:
        return isinstance(data, Resident) and data.kind == kernels.VALUES

    def view_rows(self, data, start: int, stop: int, key: Key, buffer):
        if self.is_view(data):
            return data.X[start:stop]
        out = buffer[: stop - start]
        self.load_rows(data, self.array(np.arange(start, stop, dtype=np.uint32)), key, out)
        return out

    def _product(self, alpha, A, turn_A, B, turn_B, beta, C, precision=None):
        """C = alpha op(A) op(B) + beta C."""
        if _has_cublas():
            blas.multiply(int(self.stream), precision or self.precision, alpha, A, turn_A, B, turn_B, beta, C)
        else:
            real, blocks = self.real, tiles.count_tiles(*C.shape)
            self.launch_blocks(tiles.product(real), blocks, real(alpha), A, turn_A, B, turn_B, real(beta), C)

    def _plain_product(self, *arguments):
        """The same in full precision."""
        self._product(*arguments, precision="float32")

    def field(self, x, W, out, transpose: bool = False) -> None:
        self._product(1.0, x, False, W, transpose, 0.0, out)

    def activate(self, unit: Units, bias, mean, states=None, rows=None, key: Key | None = None, beta=None) -> None:
        drawn, tempered = states is not None and key is not None, beta is not None
        noise = (rows.device, key) if drawn else (self.kept("no rows", 1, dtype=np.uint32), rng.key(0, 0, 0))
        for part, start, stop, number in unit.parts(mean.shape[1]):
            formula = kernels.activate(part, drawn, tempered, part.keeps_total and states is not None)
            width = kernels.QUAD if part.group == 1 else part.group_size(stop - start)
            given = bias, mean, mean if states is None else states, *noise, beta if tempered else bias
            self.each(formula, mean.shape[0] * -(-(stop - start) // width), width, start, stop, number, *given, draws=True)

    def join(self, out, *parts) -> None:
        start = 0
        for x in parts:
            self.each(kernels.place, x.size, x, out, start)
            start += x.shape[1]

    def assign_where(self, x, mask, values=None) -> None:
        arrays = map(matrix, (x, x if values is None else values, mask))
        self.each(kernels.assign_where, x.size, *arrays, values is None)

    def copy(self, x, out, rows=None, places=None) -> None:
        if rows is not None:
            self.each(kernels.gather, out.size, x, rows.device, out)
        elif places is not None:
            self.each(kernels.scatter, x.size, x, places.device, out)
        else:
            out.copy_to_device(x, stream=self.stream)

    def sparsify(self, h, weight, activity, target: float, cost: float, offset=None, share: float = 0.0) -> None:
        weight = self._weights(weight, h)
        offset = self.kept("no offset", h.shape[1]) if offset is None else offset
        numbers = (self.real(x) for x in (SLOW, target, cost, share))
        self.launch_blocks(sums.sparsify(self.real), h.shape[1], h, weight, activity, offset, *numbers)

    def shrink(self, W, amount: float) -> None:
        self.each(kernels.shrink, W.size, flat(W), self.real(amount))

    def scale(self, x, weight, columns: bool = False) -> None:
        self.each(kernels.scale, x.size, x.reshape(x.size, 1) if x.ndim == 1 else x, weight, columns)

    # ---- the gradient of contrastive divergence

    def _weights(self, weight, x):
        """The weights of the rows of x, ones for None."""
        n = x.shape[0]
        return self.kept("ones", n, make=lambda: self.array(np.ones(n, self.dtype))) if weight is None else weight

    def _sum(self, scale, weight, x, beta, out):
        """out = scale times the sum of the rows of x by their weights + beta out; always in full precision."""
        self._plain_product(scale, matrix(self._weights(weight, x)), False, x, False, beta, matrix(out))

    def statistics(self, positive: Phase, negative: Phase, scales: Scales, out: Params) -> None:
        for phase, scale, beta in ((positive, scales[0], 0.0), (negative, -scales[1], 1.0)):
            self._product(scale, phase.v, True, phase.h, False, beta, out.W)
            self._sum(scale, phase.weight, phase.v, beta, out.b)
            self._sum(scale, None, phase.h, beta, out.c)

    def update(
        self, params: Params, velocity: Params, positive, negative, scales: Scales, hyper: Hyper, centering=None, mean_weight=1.0
    ) -> None:
        gradient = Params(*(self.kept(f"gradient {i}", *x.shape) for i, x in enumerate(params)))
        self.statistics(positive, negative, scales, gradient)
        if centering is None:
            self.move(params, velocity, gradient, hyper)
            return
        slide = centering.slide if mean_weight > 0 else 0.0
        model, data = slide * centering.model_share * scales[1], slide * (1 - centering.model_share) * scales[0]
        model, data = model / (mean_weight or 1.0), data / (mean_weight or 1.0)
        for offset, layer in ((centering.v, "v"), (centering.h, "h")):
            for phase, share, kept in ((positive, data, 1.0 - slide), (negative, model, 1.0)):
                self._sum(share, phase.weight if layer == "v" else None, getattr(phase, layer), kept, offset)
        v, h = map(matrix, (centering.v, centering.h))
        self._plain_product(-1.0, v, True, matrix(gradient.c), False, 1.0, gradient.W)
        self._plain_product(-1.0, matrix(gradient.b), True, h, False, 1.0, gradient.W)
        self.move(params, velocity, gradient, hyper)
        self._plain_product(-1.0, h, False, velocity.W, True, 1.0, matrix(params.b))
        self._plain_product(-1.0, v, False, velocity.W, False, 1.0, matrix(params.c))

    def move(self, params: Params, velocity: Params, gradient: Params, hyper: Hyper) -> None:
        rate, momentum, decay = (self.real(x) for x in hyper[:3])
        for p, v, g, decay_ in zip(params, velocity, gradient, (rate * decay, self.real(0), self.real(0)), strict=True):
            self.each(kernels.step, p.size, *map(flat, (p, v, g)), rate, momentum, decay_)

    def cd_steps(self, problem: Problem, order, batch_size: int, step: int, epoch: int, hyper: Hyper) -> bool:
        nv, nh = problem.params.W.shape
        rows = max(problem.positive.v.shape[0], problem.negative.v.shape[0])
        units = problem.visible, problem.hidden
        simple = _single(*units) and problem.is_plain
        small = rows <= SUMMED and rows * nv * nh <= PERSISTENT
        if not (simple and small) or isinstance(problem.data, Streamed):
            return False
        hidden, visible, data = (rng.stream(purpose, problem.layer) for purpose in (rng.HIDDEN, rng.VISIBLE, rng.DATA))
        rate, momentum, decay = (self.real(x) for x in hyper[:3])
        numbers = step, epoch, hidden, visible, data, rate, momentum, rate * decay
        run = tiles.Run(batch_size, problem.k, rng.key(problem.seed, 0, 0), *numbers)
        kernel = tiles.steps(*units, self.real, problem.data.kind, problem.persistent)
        blocks = min(processors(), max(tiles.count_tiles(nv, nh), tiles.count_tiles(rows, max(nv, nh))))
        phases, chains = (problem.positive[:2], problem.negative[:2]), (problem.states, problem.work, problem.chain_rows.device)
        self.launch_all(kernel, blocks, problem.data.X, order.device, problem.params, problem.velocity, *phases, chains, run)
        return True

    def anneal(self, chains, number, upper, lower, down) -> np.ndarray | None:
        visible, hidden, W = chains.machine.visible_unit, chains.machine.hidden_unit, chains.params.W
        n, (nv, nh) = len(chains.v), W.shape
        if not _single(visible, hidden) or n * nv * nh > PERSISTENT:
            return None
        parts, beta, seed = self.copied(np.zeros((n, THREADS))), self.empty(n), rng.key(chains.seed, 0, 0)
        states = chains.v, chains.h, chains.mean, chains.field, chains.who.device, beta, parts
        blocks = min(processors(), max(n, *(tiles.count_tiles(n, units) for units in (nv, nh))))
        kernel = tiles.anneal(visible, hidden, self.real)
        for start in range(0, len(number), ANNEALED):
            some = slice(start, start + ANNEALED)
            bias = self.constant(chains.bias_at(np.where(down[some] > 0, down[some], 1.0)[:, None]))
            steps = *(self.copied(x[some]) for x in (number.astype(np.uint32), upper, lower, down)), bias
            self.launch_all(kernel, blocks, chains.params, chains.toward, states, steps, seed)
        return self.to_host(parts).sum(axis=1)

    # ---- numbers for the host

    def _cgf(self, unit, bias, field, W, step, beta, states, out):
        if isinstance(out, np.ndarray):  # a buffer is for units of one part
            out[...] = 0
        for part, start, stop, _ in unit.parts(field.shape[1]):
            counted = part.keeps_total and states is not None
            formula = sums.cgf(part, beta is not None, step is not None, counted)
            buffer = field if part.group == 1 else self.kept("row", blocks_for(out.size, 1), field.shape[1])
            given = (field if x is None else x for x in (W, step, states))
            columns = part.group_size(stop - start), start, stop
            self.reduce(formula, out, *columns, field, bias, bias if beta is None else beta, *given, buffer)

    def cgf(self, unit: Units, bias, field, out, beta=None, states=None) -> None:
        self._cgf(unit, bias, field, None, None, beta, states, out)

    def cgf_shifted(self, unit: Unit, bias, field, W, step, out) -> None:
        self._cgf(unit, bias, field, W, step, None, None, out)

    def base(self, unit: Units, x, out) -> None:
        out[...] = 0
        for part, start, stop, _ in unit.parts(x.shape[1]):
            self.reduce(sums.base(part), out, part.group_size(stop - start), start, stop, x)

    def square_sums(self, x, weight, out) -> None:
        out[...] = 0
        self.reduce(sums.square_sums, out, x, self._weights(weight, x))

    def dot(self, x, y, out) -> None:
        out[...] = 0
        self.reduce(sums.dot, out, x, matrix(y))

    def norm(self, x) -> float:
        out = np.empty(matrix(x).shape[0])
        self.dot(matrix(x), x, out)
        return float(np.sqrt(out.sum()))

    # ---- back-propagation

    def mask(self, x, rate: float, rows, key: Key, out) -> None:
        self.each(kernels.mask, _pieces(out, kernels.QUAD), x, self.real(rate), rows.device, key, out, draws=True)

    def loss(self, kind: str | Units, output, target, weight, scale: float, delta) -> Loss | float:
        """A `losses.Loss`, which is read when it is asked for."""
        of_rows, places = self.kept("losses", output.shape[0], dtype=np.float64), []
        formulas: list[tuple] = []
        if isinstance(kind, str):
            formulas.append((sums.LOSSES[kind],))
        else:
            for part, start, stop, _ in kind.parts(output.shape[1]):
                formulas.append((sums.unit_loss(part), part.group_size(stop - start), start, stop))
        for formula, *columns in formulas:
            self.reduce(formula, of_rows, *columns, output, target, weight, self.real(scale), delta)
            buffer, slot = self._place()
            self.launch_blocks(sums.add_up, 1, of_rows, buffer, slot)
            places.append((buffer, slot))
        return Loss(self, places)

    def _place(self):
        """Where the next loss goes: a buffer, and its place there."""
        buffer, used = self._losses
        if used == losses.SLOTS:
            buffer, used = self.empty(losses.SLOTS, dtype=np.float64), 0
        self._losses = buffer, used + 1
        return buffer, used

    def backward_and_step(self, rule: str, hyper, x, delta, weights: Weights, below: Below | None = None) -> None:
        if below is not None:
            self._product(1.0, delta, False, weights.W, True, 0.0, below.delta)
            if below.rate:
                self.mask(below.delta, below.rate, below.rows, below.key, below.delta)
            group = below.unit.group_size(below.delta.shape[1])
            self.each(kernels.slopes(below.unit), below.delta.size // group, group, below.mean, below.delta)
        gradient_W, gradient_bias = self.kept("W", *weights.W.shape), self.kept("bias", len(weights.bias))
        self._product(1.0, x, True, delta, False, 0.0, gradient_W)
        self._sum(1.0, None, delta, 0.0, gradient_bias)
        without = hyper._replace(weight_decay=self.real(0))
        for p, gradient, first, second, numbers in (
            (weights.W, gradient_W, weights.first_W, weights.second_W, hyper),
            (weights.bias, gradient_bias, weights.first_bias, weights.second_bias, without),
        ):
            second = first if second is None else second
            self.each(kernels.move(rule), p.size, *map(flat, (p, gradient, first, second)), numbers)

    def limit_columns(self, W, longest: float, buffer) -> None:
        self.launch_blocks(sums.limit_columns(self.real), W.shape[1], W, self.real(longest))
