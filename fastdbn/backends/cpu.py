"""The CPU backend: the protocol's operations on NumPy arrays, by the kernels of cpu_kernels.py on the pool of threads."""

import numpy as np
from scipy import sparse

from fastdbn import rng
from fastdbn.backends import blas, cpu_kernels, cpu_network, cpu_steps, cpu_update, pool
from fastdbn.backends.cpu_kernels import COLUMNS, ROWS_TAKEN, Dense, Preparation, Sparse

_READY = (np.float32, np.float64, np.uint8, np.int64, np.int32, np.bool_)
"""Host types that `take` reads as they are; others are converted once."""
_NO_ROWS, _NO_KEY = np.empty(0, np.uint32), rng.key(0, 0, 0)
_PASS = 4
"""Operations that stand for one element of an elementwise pass, which memory limits, when threads are chosen."""


def _layout(W, transpose):
    """W with contiguous rows, and whether the product is then with its transpose."""
    return (W, transpose) if W.flags.c_contiguous else (W.T, not transpose)


class CPU:
    """Operations on NumPy arrays; see `fastdbn.backends.Backend` for what each does.

    Parameters
    ----------
    n_jobs : int or None
        threads; None and -1 take the processors that the process may use.
    dtype : "float32" or "float64"
    """

    name = "cpu"
    single_threaded = staticmethod(blas.single_threaded)

    def __init__(self, n_jobs=None, dtype="float32"):
        if n_jobs is not None and (not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0):
            raise ValueError(f"n_jobs={n_jobs!r}: give None for all processors, or a number of threads of at least 1")
        if str(dtype) not in ("float32", "float64"):
            raise ValueError(f"dtype={dtype!r}: give 'float32' or 'float64'")
        self.dtype = np.dtype(str(dtype))
        self.n_threads = int(n_jobs) if n_jobs is not None and n_jobs > 0 else pool.available_threads()
        self._blas = blas.addresses(self.dtype)

    def _run(self, kernel, n_blocks, work, *arguments):
        pool.run(self.n_threads, kernel, n_blocks, work, *arguments)

    def load(self, source):
        empty = np.empty(0)
        scaled = source.scale is not None
        mode = 2 if source.threshold == "sample" else int(source.threshold is not None)
        preparation = Preparation(
            np.asarray(source.shift, np.float64) if scaled else empty,
            np.asarray(source.scale, np.float64) if scaled else empty,
            bool(source.clip),
            mode,
            self.dtype.type(source.threshold if mode == 1 else 0),
        )
        X = source.X
        if sparse.issparse(X):
            values = X.data if X.data.dtype in _READY else X.data.astype(self.dtype)
            return Sparse(values, X.indices, X.indptr.astype(np.int64, copy=False), preparation)
        X = X if X.dtype in _READY else X.astype(self.dtype)
        return Dense(np.asarray(X), preparation)

    def array(self, values):
        values = np.asarray(values)
        return np.array(values, self.dtype if values.dtype.kind == "f" else values.dtype, order="C")

    def zeros(self, *shape):
        return np.zeros(shape, self.dtype)

    def constant(self, values):
        return np.asarray(values, self.dtype)

    def states(self, unit, rows, units, values=None):
        return np.zeros((rows, units), self.dtype) if values is None else self.array(values)

    def to_host(self, x):
        return np.array(x)

    def fetch(self, x, out):
        if x is not out:
            out[...] = x

    def onto(self, out):
        return out if out.dtype == self.dtype and out.flags.c_contiguous else np.zeros(out.shape, self.dtype)

    def part(self, x, start, stop):
        return x[start:stop]

    def take(self, data, rows, key, out):
        kernel = cpu_kernels.take_sparse if isinstance(data, Sparse) else cpu_kernels.take_dense
        self._run(kernel, -(-len(rows) // ROWS_TAKEN), _PASS * out.size, data, rows, key, out)

    def window(self, data, start, stop):
        if isinstance(data, Sparse) or len(data.preparation.scale) or data.preparation.mode:
            return None
        X = data.X
        # of read-only arrays kernels would be compiled anew
        return X[start:stop] if X.dtype == self.dtype and X.flags.c_contiguous and X.flags.writeable else None

    def field(self, x, W, out, transpose=False):
        W, transpose = _layout(W, transpose)
        blocks = cpu_kernels.count_blocks(*out.shape, False)
        self._run(cpu_kernels.field, blocks, 2 * out.size * x.shape[1], self._blas, x, W, transpose, out)

    def activate(self, unit, bias, mean, states=None, rows=None, key=None):
        blocks = cpu_kernels.count_blocks(*mean.shape, unit.group != 1)
        group = unit.group_size(mean.shape[1])
        self._run(cpu_kernels.activate(unit), blocks, 4 * _PASS * mean.size, group, bias, mean, states, rows, key)

    def conditional(self, unit, x, W, bias, mean, states=None, rows=None, key=None, transpose=False):
        W, transpose = _layout(W, transpose)
        blocks = cpu_kernels.count_blocks(*mean.shape, unit.group != 1)
        group = unit.group_size(mean.shape[1])
        work = 2 * mean.size * (x.shape[1] + 2 * _PASS)
        kernel = cpu_kernels.conditional(unit)
        self._run(kernel, blocks, work, self._blas, group, x, W, transpose, bias, mean, states, rows, key)

    def scale_rows(self, x, weight):
        cpu_kernels.scale_rows(x, weight)

    def _statistics_work(self, out, plus, minus):
        return 2 * out.W.size * (len(plus.v) + len(minus.v)), cpu_kernels.count_blocks(1, out.W.shape[0], False)

    def statistics(self, plus, minus, plus_scale, minus_scale, out):
        work, blocks = self._statistics_work(out, plus, minus)
        real = self.dtype.type
        kernel = cpu_update.statistics
        self._run(kernel, blocks, work, self._blas, plus, minus, real(plus_scale), real(minus_scale), out)

    def update(self, params, velocity, plus, minus, plus_scale, minus_scale, hyper):
        work, blocks = self._statistics_work(params, plus, minus)
        rate = hyper.learning_rate
        numbers = (rate * plus_scale, rate * minus_scale, hyper.momentum, rate * hyper.weight_decay)
        numbers = (self.dtype.type(x) for x in numbers)
        self._run(cpu_update.update, blocks, work, self._blas, params, velocity, plus, minus, *numbers)

    def cgf(self, unit, bias, field, out):
        kernel, group = cpu_kernels.cgf(unit), unit.group_size(field.shape[1])
        self._run(kernel, len(out), 4 * _PASS * field.size, group, field, bias, out)

    def base(self, unit, x, out):
        kernel, group = cpu_kernels.base(unit), unit.group_size(x.shape[1])
        self._run(kernel, len(out), _PASS * x.size, group, x, out)

    def dot(self, x, y, out):
        kernel = cpu_kernels.dot if y.ndim == 1 else cpu_kernels.dot_rows
        self._run(kernel, len(out), _PASS * x.size, x, y, out)

    def norm(self, x):
        return float(np.sqrt(cpu_kernels.square_sum(x.reshape(-1))))

    def mask(self, x, rate, rows, key, out):
        blocks = cpu_kernels.count_blocks(*out.shape, False)
        self._run(cpu_network.mask, blocks, 2 * _PASS * x.size, x, self.dtype.type(rate), rows, key, out)

    def loss(self, kind, output, target, weight, scale, delta):
        kernel = {"softmax": cpu_network.softmax_loss, "squared": cpu_network.squared_loss}[kind]
        return kernel(output, target, weight, self.dtype.type(scale), delta)

    def descend(self, rule, hyper, x, delta, weights, unit=None, mean=None, below=None, rate=0.0, rows=_NO_ROWS, key=_NO_KEY):
        n_in = len(weights.W)
        group = 1 if unit is None else unit.group_size(n_in)
        blocks = cpu_kernels.count_blocks(1, n_in, unit is not None and unit.group != 1)
        work = 2 * weights.W.size * (len(x) * (1 if unit is None else 2) + 2 * _PASS)
        bias_hyper, rate = hyper._replace(weight_decay=self.dtype.type(0)), self.dtype.type(rate)
        kernel = cpu_network.descend(rule, unit)
        self._run(kernel, blocks, work, group, x, delta, weights, hyper, bias_hyper, mean, below, rate, rows, key)

    def limit_columns(self, W, longest, room):
        cpu_network.limit_columns(W, self.dtype.type(longest), room)

    def cd_steps(self, problem, order, batch_size, step, epoch, hyper):
        nv, nh = problem.params.W.shape
        rows = max(batch_size, len(problem.chain_rows) if problem.persistent else 0)
        splits = self.n_threads > 1 and max(nv, nh) > COLUMNS and 2 * rows * nv * nh >= 2 * pool.WORK_PER_THREAD
        if splits or isinstance(problem.data, Sparse):
            return False
        keys = {name: rng.stream(purpose, problem.layer) for name, purpose in _STREAMS.items()}
        run = cpu_steps.Run(
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
        )
        cpu_steps.cd_steps(problem.visible, problem.hidden)(
            self._blas,
            problem.visible.group_size(nv),
            problem.hidden.group_size(nh),
            problem.data,
            problem.params,
            problem.velocity,
            problem.plus,
            problem.minus,
            problem.states,
            problem.work,
            problem.chain_rows,
            run,
        )
        return True


_STREAMS = {"data": rng.DATA, "hidden": rng.HIDDEN, "visible": rng.VISIBLE}
