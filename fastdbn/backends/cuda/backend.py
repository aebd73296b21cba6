"""The CUDA backend: the protocol's operations on arrays of a GPU, by the kernels of this folder and by cuBLAS."""

import contextlib
import functools

import numpy as np
from numba import cuda

from fastdbn.backends.cpu.backend import CPU, SLOW
from fastdbn.backends.cuda import blas, kernels, loading, sums, tiles
from fastdbn.backends.cuda.device import Device, flat
from fastdbn.backends.cuda.jit import SIMULATED, THREADS, blocks_for
from fastdbn.backends.cuda.loading import Resident, Streamed
from fastdbn.backends.cuda.losses import Loss, Losses
from fastdbn.backends.protocol import Below, Hyper, Params, Phase, Problem, Scales, Source, Units, Weights
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


@functools.cache
def processors():
    """Multiprocessors of the GPU: so many blocks run at once for certain."""
    return 1 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT


def _has_cublas():
    """Whether products are cuBLAS's: in the simulator, and without the library, they are those of tiles.py."""
    return not SIMULATED and blas.library() is not None


class CUDA(Device):
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
        self.precision = precision if _has_cublas() and self.dtype == np.float32 else "float32"

    def single_threaded(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def load(self, source: Source, for_training: bool = False):
        return loading.load(self, source, for_training)

    def states(self, unit: Units, rows: int, units: int, values=None):
        return self.zeros(rows, units) if values is None else self.array(np.ascontiguousarray(values, self.dtype))

    # ---- layers

    def load_rows(self, data, rows, key: Key, out) -> None:
        if isinstance(data, Streamed):
            data.load_rows(rows, key, out)
        elif data.kind == tiles.SAMPLES:
            self.launch(kernels.load_samples(self.real), out.size, data.X, rows.device, key, out)
        else:
            kernel = kernels.load_bits if data.kind == tiles.BITS else kernels.load_values
            self.launch(kernel, out.size, data.X, rows.device, out)

    def is_view(self, data) -> bool:
        return isinstance(data, Resident) and data.kind == tiles.VALUES

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
        given = rows.device if drawn else self._no_rows(), key if drawn else rng.key(0, 0, 0), beta if tempered else bias
        for part, start, stop, number in unit.parts(mean.shape[1]):
            kernel = kernels.activate(part, self.real, drawn, tempered, part.keeps_total and states is not None)
            columns = part.group_size(stop - start), start, stop, number
            self.launch(kernel, mean.size, *columns, bias, mean, mean if states is None else states, *given)

    def _no_rows(self):
        return self.kept("no rows", 1, dtype=np.uint32)

    def conditional(
        self, unit: Units, x, W, bias, mean, states=None, rows=None, key: Key | None = None, transpose: bool = False, beta=None
    ) -> None:
        self.field(x, W, mean, transpose)
        self.activate(unit, bias, mean, states, rows, key, beta)

    def join(self, out, *parts) -> None:
        start = 0
        for x in parts:
            self.launch(kernels.place, x.size, x, out, start)
            start += x.shape[1]

    def assign_where(self, x, mask, values=None) -> None:
        arrays = x, x if values is None else values, mask
        rows = (y if y.ndim > 1 else y.reshape(1, y.size) for y in arrays)
        self.launch(kernels.assign_where(values is None), x.size, *rows)

    def copy(self, x, out, rows=None, places=None) -> None:
        if rows is not None:
            self.launch(kernels.load_values, out.size, x, rows.device, out)
        elif places is not None:
            self.launch(kernels.scatter, x.size, x, places.device, out)
        else:
            out.copy_to_device(x, stream=self.stream)

    def sparsify(self, h, weight, activity, target: float, cost: float, offset=None, share: float = 0.0) -> None:
        weight = flat(self._ones(len(h))) if weight is None else weight
        offset = self.kept("no offset", h.shape[1]) if offset is None else offset
        numbers = (self.real(x) for x in (SLOW, target, cost, share))
        self.launch_blocks(sums.sparsify(self.real), h.shape[1], h, weight, activity, offset, *numbers)

    def shrink(self, W, amount: float) -> None:
        self.launch(kernels.shrink, W.size, flat(W), self.real(amount))

    def scale(self, x, weight, columns: bool = False) -> None:
        self.launch(kernels.scale(columns), x.size, x.reshape(x.size, 1) if x.ndim == 1 else x, weight)

    # ---- the gradient of contrastive divergence

    def _ones(self, n):
        return self.kept("ones", n, make=lambda: self.array(np.ones((1, n), self.dtype)))

    def _sum(self, scale, weight, x, beta, out):
        """out = scale times the sum of the rows of x by their weights + beta out; always in full precision."""
        weight = self._ones(x.shape[0]) if weight is None else weight.reshape(1, x.shape[0])
        self._plain_product(scale, weight, False, x, False, beta, out.reshape(1, out.size))

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
        column, row = (lambda x: x.reshape(x.size, 1)), (lambda x: x.reshape(1, x.size))
        self._plain_product(-1.0, column(centering.v), False, row(gradient.c), False, 1.0, gradient.W)
        self._plain_product(-1.0, column(gradient.b), False, row(centering.h), False, 1.0, gradient.W)
        self.move(params, velocity, gradient, hyper)
        self._plain_product(-1.0, row(centering.h), False, velocity.W, True, 1.0, row(params.b))
        self._plain_product(-1.0, row(centering.v), False, velocity.W, False, 1.0, row(params.c))

    def move(self, params: Params, velocity: Params, gradient: Params, hyper: Hyper) -> None:
        rate, momentum, decay = (self.real(x) for x in hyper[:3])
        for p, v, g, decay_ in zip(params, velocity, gradient, (rate * decay, self.real(0), self.real(0)), strict=True):
            self.launch(kernels.step, p.size, *map(flat, (p, v, g)), rate, momentum, decay_)

    def cd_steps(self, problem: Problem, order, batch_size: int, step: int, epoch: int, hyper: Hyper) -> bool:
        nv, nh = problem.params.W.shape
        rows = max(problem.positive.v.shape[0], problem.negative.v.shape[0])
        units = problem.visible, problem.hidden
        simple = _single(*units) and problem.centering is None
        small = rows <= SUMMED and rows * nv * nh <= PERSISTENT
        if not (simple and small) or isinstance(problem.data, Streamed):
            return False
        key = rng.key(problem.seed, 0, 0)
        hidden, visible, data = (rng.stream(purpose, problem.layer) for purpose in (rng.HIDDEN, rng.VISIBLE, rng.DATA))
        rate, momentum, decay = (self.real(x) for x in hyper[:3])
        noise = key.k0, key.k1, step, epoch, hidden, visible, data
        run = tiles.Run(batch_size, problem.k, *noise, rate, momentum, rate * decay)
        kernel = tiles.steps(*units, self.real, problem.data.kind, problem.persistent)
        blocks = min(processors(), max(tiles.count_tiles(nv, nh), tiles.count_tiles(rows, max(nv, nh))))
        phases = (tiles.Means(phase.v, phase.h) for phase in (problem.positive, problem.negative))
        chains = tiles.Chains(problem.states, problem.work, problem.chain_rows.device)
        self.launch_all(kernel, blocks, problem.data.X, order.device, problem.params, problem.velocity, *phases, chains, run)
        return True

    def anneal(self, chains, number, upper, lower, down) -> np.ndarray | None:
        visible, hidden, W = chains.machine.visible_unit, chains.machine.hidden_unit, chains.params.W
        n, (nv, nh) = len(chains.v), W.shape
        if not _single(visible, hidden) or n * nv * nh > PERSISTENT:
            return None
        key, (_, _, c) = rng.key(chains.seed, 0, 0), chains.params
        keys = tiles.Anneal(key.k0, key.k1, *(rng.stream(rng.ANNEAL, layer) for layer in (3, 4)))
        bias, base = (self.copied(np.asarray(x, np.float64)) for x in (chains.bias, chains.base))
        machine = tiles.Annealed(W, c, bias, base, chains.toward)
        states = tiles.States(chains.v, chains.h, chains.mean, chains.field, chains.who.device)
        parts = self.copied(np.zeros((n, THREADS)))
        buffers = tiles.Buffers(self.empty(nv), self.empty(n), parts)
        blocks = min(processors(), max(n, *(tiles.count_tiles(n, units) for units in (nv, nh))))
        kernel = tiles.anneal(visible, hidden, self.real)
        for start in range(0, len(number), ANNEALED):
            steps = (self.copied(x[start : start + ANNEALED]) for x in (number.astype(np.uint32), upper, lower, down))
            self.launch_all(kernel, blocks, machine, states, tiles.Steps(*steps), buffers, keys)
        return self.to_host(parts).sum(axis=1)

    def threads(self, nv: int, nh: int, rows: int, k: int) -> int:
        return 1

    # ---- numbers for the host

    def _cgf(self, unit, bias, field, W, step, beta, states, out):
        if isinstance(out, np.ndarray):  # a buffer is for units of one part
            out[...] = 0
        for part, start, stop, _ in unit.parts(field.shape[1]):
            counted = part.keeps_total and states is not None
            kernel = sums.cgf(part, beta is not None, step is not None, counted)
            buffer = field if part.group == 1 else self.kept("row", blocks_for(out.size, 1), field.shape[1])
            given = (field if x is None else x for x in (W, step, states))
            columns = part.group_size(stop - start), start, stop
            self.reduce(kernel, out, *columns, field, bias, bias if beta is None else beta, *given, buffer)

    def cgf(self, unit: Units, bias, field, out, beta=None, states=None) -> None:
        self._cgf(unit, bias, field, None, None, beta, states, out.reshape(-1, 1))

    def cgf_shifted(self, unit: Unit, bias, field, W, step, out) -> None:
        self._cgf(unit, bias, field, W, step, None, None, out)

    def base(self, unit: Units, x, out) -> None:
        out[...] = 0
        for part, start, stop, _ in unit.parts(x.shape[1]):
            self.reduce(sums.base(part), out, part.group_size(stop - start), start, stop, x)

    def square_sums(self, x, weight, out) -> None:
        out[...] = 0
        self.reduce(sums.column_squares(weight is not None), out, x, x if weight is None else weight)

    def dot(self, x, y, out) -> None:
        out[...] = 0
        self.reduce(sums.dot, out, x, y.reshape(1, y.size) if y.ndim == 1 else y)

    def norm(self, x) -> float:
        out = np.zeros(min(blocks_for(x.size), 1024))
        self.reduce(sums.square_sums, out, flat(x))
        return float(np.sqrt(out.sum()))

    # ---- back-propagation

    def mask(self, x, rate: float, rows, key: Key, out) -> None:
        self.launch(kernels.mask(self.real), x.size, x, self.real(rate), rows.device, key, out)

    def loss(self, kind: str | Units, output, target, weight, scale: float, delta) -> Loss | float:
        """A `losses.Loss`, which is read when it is asked for."""
        of_rows, losses, total = self.kept("losses", output.shape[0], dtype=np.float64), self._losses, 0.0
        arguments = output, target, weight, self.real(scale), delta, of_rows
        launches: list = []
        if kind == "softmax":
            launches.append((self.launch, kernels.softmax_loss))
        elif isinstance(kind, str):
            launches.append((self.launch_blocks, sums.squared_loss))
        else:
            for part, start, stop, _ in kind.parts(output.shape[1]):
                launches.append((self.launch_blocks, sums.unit_loss(part), part.group_size(stop - start), start, stop))
        for launch, kernel, *columns in launches:
            launch(kernel, output.shape[0], *columns, *arguments)
            slot = losses.next_slot()
            self.launch_blocks(sums.add_up, 1, of_rows, losses.buffer, slot)
            total += Loss(losses, [slot])
        return total

    @functools.cached_property
    def _losses(self):
        return Losses(self)

    def backward_and_step(self, rule: str, hyper, x, delta, weights: Weights, below: Below | None = None) -> None:
        if below is not None:
            self._product(1.0, delta, False, weights.W, True, 0.0, below.delta)
            if below.rate:
                self.mask(below.delta, below.rate, below.rows, below.key, below.delta)
            group = below.unit.group_size(below.delta.shape[1])
            self.launch(kernels.slopes(below.unit), below.delta.size, group, below.mean, below.delta)
        gradient_W, gradient_bias = self.kept("W", *weights.W.shape), self.kept("bias", len(weights.bias))
        self._product(1.0, x, True, delta, False, 0.0, gradient_W)
        self._sum(1.0, None, delta, 0.0, gradient_bias)
        without = hyper._replace(weight_decay=self.real(0))
        for p, gradient, first, second, numbers in (
            (weights.W, gradient_W, weights.first_W, weights.second_W, hyper),
            (weights.bias, gradient_bias, weights.first_bias, weights.second_bias, without),
        ):
            second = first if second is None else second
            self.launch(kernels.move(rule), p.size, *map(flat, (p, gradient, first, second)), numbers)

    def limit_columns(self, W, longest: float, buffer) -> None:
        self.launch_blocks(sums.limit_columns(self.real), W.shape[1], W, self.real(longest))
