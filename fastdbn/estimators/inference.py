"""What a fitted RBM computes: features, energies, reconstructions and samples, block by block."""

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted, validate_data

from fastdbn.backends.protocol import Params, Source
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.device import backend_for
from fastdbn.inputs import data, ranges
from fastdbn.inputs.data import BLOCK, block_rows
from fastdbn.machine import model
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.report import DataWarning, warn
from fastdbn.training.options import missing_values
from fastdbn.units import get_unit
from fastdbn.units.unit import Unit

MANY = 512
"""Rows for which a copy of the weights in the order that suits products best pays."""
AT_ONCE = 4
"""Blocks that are handled at once where data are read as they lie: the fewer calls, the less often weights are packed."""


READ = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.uint8, np.bool_, np.int64, np.int32))
"""Types of data that the backend reads as they are."""


def _types_for(X):
    """Types to read X in, the one to convert any other to first: float32 for one that it holds exactly, else float64.

    So the same numbers give the same model in any container: columns far from zero keep their digits until they are scaled.
    """
    kind = getattr(X, "dtype", None)
    exact = isinstance(kind, np.dtype) and kind.kind in "iuf" and np.can_cast(kind, np.float32)
    return [np.float32, *READ] if exact else list(READ)


def _has_form(estimator, X):
    """Whether `validate_data` would give X back as it is, if it is finite."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in READ or hasattr(estimator, "feature_names_in_"):
        return False
    return 0 < len(X) <= checks.MOST and X.shape[1] == getattr(estimator, "n_features_in_", None)


def _is_finite(X):
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def checked(estimator, X, reset, may_lack=False, finite=True):
    """X as a finite numeric array or CSR matrix of a type that the backend reads; n_features_in_ set or compared.

    may_lack lets values be missing: NaN in dense arrays, and what the mask of a masked array covers. finite=False leaves the
    check to the caller.
    """
    if not reset and _has_form(estimator, X) and _is_finite(X):  # `validate_data` takes as long as a small network for one row
        return X
    checks.matrix(X)
    X = given = checks.unmasked(X, "X", may_lack)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=_types_for(X),
        ensure_all_finite=False,
    )
    if finite:
        checks.finite(X, may_lack and not sparse.issparse(X), getattr(estimator, "feature_names_in_", None))
    if reset:
        _warn_of_long_integers(given if getattr(given, "dtype", None) == np.uint64 else X)
    return X


def _warn_of_long_integers(X):
    """Say that whole numbers are rounded where float64 does not hold all of them."""
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        most = max(int(values.max()), -int(values.min()))
        if most > 2**53:
            warn(
                f"X has whole numbers as large as {most}; above 2^53 they are rounded to float64, and neighbours become equal: "
                "subtract a constant first",
                DataWarning,
            )


def later_rows(estimator, X, may_lack=False):
    """X, as `checked` gives it, for use by a fitted model: rows are clipped to what the visible units take (`ranges.clipped`).

    One pass over X sees whether it is finite and in range.
    """
    first = _first_of(estimator)
    if _has_form(estimator, X) and first is not None:
        unit, as_given = get_unit(first.visible_), first.scaling_.scale is None and first._threshold() is None
        alike = as_given and isinstance(unit, Unit) and unit.group == 1 and np.isfinite(unit.high)
        if alike and ranges.all_inside(X, unit.low, unit.high):  # so it is finite
            return X
    return clipped(estimator, checked(estimator, X, reset=False, may_lack=may_lack))


def clipped(estimator, X):
    """`ranges.clipped` of rows for a fitted model; a threshold takes any number."""
    first = _first_of(estimator)
    if first is None or first._threshold() is not None:
        return X
    return ranges.clipped(get_unit(first.visible_), first.scaling_, X)


def _first_of(estimator):
    """What has the visible units and the scaling: the lowest layer of a stack, or the estimator itself; None for `BernoulliRBM`,
    which takes any number, as scikit-learn's does."""
    first = estimator.layers_[0] if hasattr(estimator, "layers_") else estimator
    return first if hasattr(first, "scaling_") else None


class Inference(Estimator):
    """The methods of a fitted RBM; `RBM` has the parameters and the training."""

    def _blocks(self, X, threshold=None, write=False):
        """(backend, slice of rows, their visible states) for X in blocks, to be read, or written too where `write` is set.

        Missing values are left out, or filled in by mean field where the way of the model is to sample them.
        """
        if self.missing is not None:
            X, where = missing_values.split(X)
            if where is not None:
                yield from self._filled_blocks(X, where, threshold)
                return
        backend, unit = backend_for(self), get_unit(self.visible_)
        source = backend.load(data.source(X, self.scaling_, threshold))
        n, size = X.shape[0], block_rows(max(X.shape[1], self.components_.shape[0]))
        size *= AT_ONCE if backend.is_view(source) and not write else 1
        room, key = backend.states(unit, min(size, n), X.shape[1]), rng.key(self.seed_, 0, rng.stream(rng.DATA))
        with backend.single_threaded():
            for start in range(0, n, size):
                stop = min(start + size, n)
                if write:
                    v = backend.part(room, 0, stop - start)
                    backend.load_rows(source, backend.array(np.arange(start, stop, dtype=np.uint32)), key, v)
                else:
                    v = backend.view_rows(source, start, stop, key, room)
                yield backend, slice(start, stop), v

    def _filled_blocks(self, X, where, threshold):
        """`_blocks` of rows with missing values, which are zero in X."""
        backend, units = backend_for(self), (get_unit(self.visible_), get_unit(self.hidden_))
        loaded = [backend.load(source) for source in (data.source(X, self.scaling_, threshold), Source(where))]
        n, size = X.shape[0], block_rows(max(X.shape[1], self.components_.shape[0]))
        rooms = backend.states(units[0], min(size, n), X.shape[1]), backend.zeros(min(size, n), X.shape[1])
        params, key = self._params(backend, n), rng.key(self.seed_, 0, rng.stream(rng.DATA))
        with backend.single_threaded():
            for start in range(0, n, size):
                rows = slice(start, min(start + size, n))
                who = backend.array(np.arange(rows.start, rows.stop, dtype=np.uint32))
                v, lost = (backend.part(room, 0, len(who)) for room in rooms)
                for source, out in zip(loaded, (v, lost), strict=True):
                    backend.load_rows(source, who, key, out)
                if self.missing == "drop":
                    backend.assign_where(v, lost)
                else:
                    missing_values.fill_by_mean_field(backend, *units, params, v, lost)
                yield backend, rows, v

    def _downward(self):
        """Weights of the way down, (n_components, n_features): those of the way up but where up-down has untied them."""
        return getattr(self, "generative_components_", self.components_)

    def _params(self, backend, rows=1, down=False):
        """Parameters in the backend's precision, to be read for so many rows; for few the weights are transposed in place."""
        components = self._downward() if down else self.components_
        W = components.T if rows < MANY else np.ascontiguousarray(components.T)
        return Params(*(backend.constant(x) for x in (W, self.intercept_visible_, self.intercept_hidden_)))

    def _threshold(self):
        """How data are binarised outside of training: as in training, but that "sample" keeps the probabilities."""
        return None if self.binarize == "sample" else self.binarize

    def transform(self, X):
        """Means of the hidden units given X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
            With `missing` set, NaN is a value that is missing: of no weight in "drop", filled in by mean field in "sample".

        Returns
        -------
        (n, n_components) array
        """
        check_is_fitted(self)
        return self._means(self._checked(X), self._threshold())

    def _checked(self, X):
        """X to be used by a fitted model, with missing values where they are provided for."""
        return later_rows(self, X, may_lack=self.missing is not None)

    def _means(self, X, threshold, draw=False):
        """Hidden means, or with `draw` hidden states drawn once for each row."""
        out = np.empty((X.shape[0], self.components_.shape[0]), self.dtype)
        hidden = get_unit(self.hidden_)
        key = rng.key(self.seed_, 0, rng.stream(rng.DATA, self.layer_, 1))
        params = None
        for backend, rows, v in self._blocks(X, threshold):
            params, part = params or self._params(backend, len(out)), out[rows]
            mean = backend.onto(part)
            if draw:
                who = backend.array(np.arange(rows.start, rows.stop, dtype=np.uint32))
                h = backend.states(hidden, *part.shape)
                backend.conditional(hidden, v, params.W, params.c, mean, h, who, key)
                backend.fetch(h, part)
            else:
                backend.conditional(hidden, v, params.W, params.c, mean)
                backend.fetch(mean, part)
        return out

    def free_energy(self, X):
        """Free energy F(v) of each row; p(v) is proportional to e^-F(v). Constants of the scaling are left out.

        With ``missing="drop"`` a row with NaN has the free energy of its own machine, over its observed units: rows that lack
        the same values compare, others have another Z. With "sample" rows must be complete.

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        X = later_rows(self, X, may_lack=self.missing == "drop")
        return self._free_energy(X, self._threshold())

    def _free_energy(self, X, threshold):
        out = np.empty(X.shape[0])
        units = get_unit(self.visible_), get_unit(self.hidden_)
        room = params = None
        for backend, rows, v in self._blocks(X, threshold):
            if room is None:
                room, params = backend.zeros(len(v), self.components_.shape[0]), self._params(backend, len(out))
            model.free_energy(backend, *units, params, v, backend.part(room, 0, len(v)), out[rows])
        if self.missing == "drop" and not sparse.issparse(X):
            out -= np.isnan(X) @ missing_values.base_of_zeros(backend, units[0], X.shape[1])
        return out

    def score_samples(self, X):
        """Minus the free energy of each row: log p(v) but for a constant; higher is more normal.

        Returns
        -------
        (n,) float64 array
        """
        return -self.free_energy(X)

    def reconstruct(self, X):
        """Visible means given the hidden means given X, on the scale of X.

        Returns
        -------
        (n, n_features) array
        """
        check_is_fitted(self)
        X = self._checked(X)
        return self._with_totals(self._down(self._means(X, self._threshold())), X)

    def _with_totals(self, out, X):
        """Visible means of one trial, where units are of many, times the totals of the rows of X."""
        for unit, start, stop, _ in get_unit(self.visible_).parts(out.shape[1]):
            if unit.keeps_total:
                out[:, start:stop] *= np.asarray(X[:, start:stop].sum(axis=1)).reshape(-1, 1)
        return out

    def _down(self, H):
        """Visible means given hidden states, on the scale of the user's data."""
        out = np.empty((len(H), self.n_features_in_), self.dtype)
        backend = backend_for(self)
        params = self._params(backend, down=True)
        with backend.single_threaded():
            for start in range(0, len(H), BLOCK):
                h = backend.constant(H[start : start + BLOCK])
                mean = backend.zeros(len(h), out.shape[1])
                backend.conditional(get_unit(self.visible_), h, params.W, params.b, mean, transpose=True)
                backend.fetch(mean, out[start : start + BLOCK])
        return self.scaling_.invert(out)

    def gibbs(self, X, n_steps=1, random_state=None):
        """Draw visible states after Gibbs steps that start at X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_steps : int, default 1
        random_state : None, int, RandomState or Generator
            None goes on with the noise of the model's own seed.

        Returns
        -------
        (n, n_features) array
            On the scale of X.
        """
        check_is_fitted(self)
        checks.integer(n_steps, "n_steps")
        X = later_rows(self, X)
        out = np.empty(X.shape, self.dtype)
        seed, number = self._next_noise(random_state)
        for backend, rows, v in self._blocks(X, self._threshold(), write=True):
            who = backend.array(np.arange(rows.start, rows.stop, dtype=np.uint32))
            self._chain(backend, v, who, n_steps, seed, number)
            backend.fetch(v, out[rows])
        return self.scaling_.invert(out)

    def _stack(self):
        return [self]

    def _chain(self, backend, v, who, n_steps, seed, number):
        """Run visible states through Gibbs steps in place; returns the visible means of the last."""
        params = self._params(backend)
        visible, hidden = get_unit(self.visible_), get_unit(self.hidden_)
        h_mean, v_mean = backend.zeros(len(who), len(params.c)), backend.zeros(len(who), len(params.b))
        h = backend.states(hidden, len(who), len(params.c))
        streams = [rng.draw_stream(purpose, number) for purpose in (rng.HIDDEN, rng.VISIBLE)]
        for t in range(n_steps):
            key_h, key_v = (rng.key(seed, t, stream) for stream in streams)
            backend.conditional(hidden, v, params.W, params.c, h_mean, h, who, key_h)
            backend.conditional(visible, h, params.W, params.b, v_mean, v, who, key_v, transpose=True)
        return v_mean

    def sample(self, n_samples=1, n_steps=1000, random_state=None, mean=False, totals=None):
        """Draw visible states from the model by Gibbs sampling, one chain for each.

        Parameters
        ----------
        n_samples : int, default 1
        n_steps : int, default 1000
            Steps of each chain, from a start that knows the visible biases alone.
        random_state : None, int, RandomState or Generator
            None goes on with the noise of the model's own seed.
        mean : bool, default False
            Return the visible means of the last step, which look smoother, and not the states drawn.
        totals : int, (n_samples,) array or None, default None
            Of replicated softmax units: the sum of each row. None draws from those of the fit data.

        Returns
        -------
        (n_samples, n_features) array
            On the scale of the fit data.
        """
        check_is_fitted(self)
        n = checks.integer(n_samples, "n_samples")
        checks.integer(n_steps, "n_steps")
        checks.flag(mean, "mean")
        checks.room(n * sum(self.components_.shape), "n_samples", n_samples)
        totals = self._totals(n, totals)
        states, means = self._sample(n, n_steps, *self._next_noise(random_state), totals)
        return self.scaling_.invert(means if mean else states)

    def _totals(self, n, totals):
        """`totals` of `sample`, checked: (n, 1), or None."""
        if totals is None:
            return None
        if not get_unit(self.visible_).keeps_total:
            raise ValueError(f"totals={totals!r} is for visible units that count, and these are {get_unit(self.visible_).name}")
        values = np.asarray(totals)
        whole = values.shape in ((), (n,)) and values.dtype.kind in "iu"
        if not whole or (values < 0).any() or (values > ranges.MOST_COUNTS).any():
            raise ValueError(f"totals={totals!r}: give a whole number from 0 to {ranges.MOST_COUNTS}, or {n} of them")
        return np.broadcast_to(values, n)[:, None]

    def _start(self, backend, n, seed, number, totals=None):
        """Visible states that chains may begin at: zeros, but for totals, which a draw keeps."""
        unit, host = get_unit(self.visible_), np.zeros((n, self.n_features_in_), self.dtype)
        if unit.keeps_total:
            draw = rng.host_generator(seed, number, rng.stream(rng.INIT, 0, 4))
            totals = self.totals_[draw.integers(len(self.totals_), size=n)] if totals is None else totals
            starts = [part.start for part in unit.parts(host.shape[1]) if part.unit.keeps_total]
            host[:, starts] = totals
        return backend.states(unit, *host.shape, host)

    def _sample(self, n, n_steps, seed, number, totals=None):
        """(states, means) on the scale of the visible units."""
        backend = backend_for(self)
        params, visible = self._params(backend), get_unit(self.visible_)
        v, mean = self._start(backend, n, seed, number, totals), backend.zeros(n, len(params.b))
        who = backend.array(np.arange(n, dtype=np.uint32))
        key = rng.key(seed, number, rng.stream(rng.INIT, 0, 2))
        with backend.single_threaded():
            backend.activate(visible, params.b, mean, v, who, key)
            mean = self._chain(backend, v, who, n_steps, seed, number)
        return backend.to_host(v), backend.to_host(mean)
