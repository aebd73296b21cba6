"""Imputation and denoising by RBM and DBN: chains whose observed visible units are clamped, and chains that begin at rows.

    RBM   h ~ p(h | v),  v_missing ~ p(v_missing | h),  again and again
    DBN   v_missing ~ p(v_missing | h1);  a proposal h' ~ q(h | v), drawn by an up-pass, is taken with probability
          min(1, w(h') / w(h)),   w(h) = p(v, h) / q(h | v)

Both leave p(v_missing | v_observed) invariant, so their draws approach it as steps are added. The up-pass q replaces the DBN's
posterior, which cannot be drawn from, and the weights w correct for that (Hastings 1970; the ratio is that of the variational
bound in Salakhutdinov and Murray 2008). The first quarter of a DBN's steps takes every proposal, so that chains come near from
any start.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import validate_data

from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import visible_blocks
from fastdbn.estimators.rows import clipped, later_rows
from fastdbn.estimators.stack import Stack
from fastdbn.machine.passes import Passes, level_keys
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import Array, Rows, Seed

METHODS = ("mean", "sample", "mean-field")


class Average:
    """The mean of visible means over the last half of some steps, on the host."""

    def __init__(self, backend, n_steps):
        self.backend, self.first, self.count, self.total = backend, n_steps // 2, n_steps - n_steps // 2, 0.0

    def add(self, step, mean):
        if step >= self.first:
            self.total = self.total + self.backend.to_host(mean).astype(np.float64)

    def value(self):
        return self.total / self.count


class Imputation(Stack):
    """`impute` and `denoise`. A DBN has `_log_weight`, the logarithm of its weight w."""

    def impute(
        self,
        X: ArrayLike,
        mask: ArrayLike | None = None,
        n_steps: int = 100,
        method: Literal["mean", "sample", "mean-field"] = "mean",
        random_state: Seed = None,
    ) -> Array:
        """Fill in missing values from the model's distribution given the observed ones.

        Parameters
        ----------
        X : (n, n_features) array
            NaN is missing, and so is what the mask of a masked array covers.
        mask : (n, n_features) or (n_features,) bool array or None, default None
            True marks further missing values, whatever X holds there.
        n_steps : int, default 100
            Steps of each row's chain, or passes of mean-field.
        method : {"mean", "sample", "mean-field"}, default "mean"
            "mean" estimates the expectation given the observed values: it averages the visible means over the last half of a
            chain. "sample" is the last draw of a chain whose distribution is that given the observed values. "mean-field"
            passes means up and down without noise. It is quick and deterministic, but not an expectation under the model.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.

        Returns
        -------
        (n, n_features) array
            X with its missing values filled in, on the scale of X. If one value of a softmax group is missing, the whole group
            is filled in.

        Raises
        ------
        ValueError
            for bad parameters, a mask of another shape, or infinite values.

        Examples
        --------
        >>> import numpy as np
        >>> from fastdbn import RBM
        >>> X = np.repeat([[0, 0, 0, 0], [1, 1, 1, 1]], 50, axis=0).astype(np.float32)
        >>> rbm = RBM(8, n_iter=300, random_state=0).fit(X)
        >>> rbm.impute([[1, 1, np.nan, np.nan]], random_state=0).round().tolist()
        [[1.0, 1.0, 1.0, 1.0]]
        """
        check_is_fitted(self)
        X = checks.unmasked(X, "X", may_lack=True)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], ensure_all_finite=False)
        checks.finite(X, self, allow_nan=True)
        missing = np.isnan(X)
        if mask is not None:
            mask = np.asarray(checks.unmasked(mask, "mask"))
            if mask.dtype != np.bool_ or mask.shape not in (X.shape, X.shape[1:]):
                raise ValueError(
                    f"mask of type {mask.dtype} and shape {mask.shape}: give booleans of shape {X.shape} or {X.shape[1:]}, True "
                    "where a value is missing"
                )
            missing |= mask
        for unit, start, stop, _ in self._machines()[0].visible_unit.parts(X.shape[1]):
            if unit.keeps_total and missing[:, start:stop].any():
                raise ValueError(f"visible={unit.name!r}: counts cannot be imputed, because the total of a row is not known")
            if unit.group != 1:
                size = unit.group_size(stop - start)
                groups = missing[:, start:stop].reshape(len(X), -1, size).any(axis=2)
                missing[:, start:stop] = np.repeat(groups, size, axis=1)
        X = clipped(self, np.where(missing, np.nan, X).astype(X.dtype, copy=False))
        filled = self._fill(np.where(missing, X.dtype.type(0), X), ~missing, n_steps, method, random_state)
        return np.where(missing, filled, X).astype(self.dtype)

    def denoise(
        self, X: Rows, n_steps: int = 1, method: Literal["mean", "sample", "mean-field"] = "mean-field", random_state: Seed = None
    ) -> Array:
        """Clean rows: passes up and down all layers, which begin at the rows and keep no value fixed.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_steps : int, default 1
            Number of passes. Each pass moves a row nearer to what is probable under the model, and further from what it was.
        method : {"mean", "sample", "mean-field"}, default "mean-field"
            "mean-field" passes on means; one step is `reconstruct`. "sample" draws all states and returns the last visible
            ones. "mean" averages the visible means over the last half of such steps.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.

        Returns
        -------
        (n, n_features) array
            On the scale of X.
        """
        return self._fill(later_rows(self, X), None, n_steps, method, random_state)

    def _fill(self, X, observed, n_steps, method, random_state):
        """Chains or passes from the rows of X, in blocks; `observed` values are clamped, unless it is None."""
        checks.integer(n_steps, "n_steps")
        checks.choice(method, "method", METHODS)
        rng.check(random_state)
        first, machines = self._stack()[0], self._machines()
        key = level_keys(*(0, 0) if method == "mean-field" else self._next_noise(random_state), rng.CLAMP)
        out, backend = np.empty(X.shape, self.dtype), machines[0].backend
        for rows, v in visible_blocks(first, X, machines[0], write=True):
            mask = None if observed is None else backend.array(observed[rows])
            out[rows] = self._fill_block(v, machines[0].row_numbers(rows), mask, n_steps, method, key)
        return first.scaling_.invert(out)

    def _fill_block(self, v, rows, mask, n_steps, method, key):
        """What `_fill` does with a block of visible states, as a host array."""
        machines = self._machines()
        exact = mask is not None and method != "mean-field" and len(machines) > 1
        stack = [machine.in_rows(len(v)) for machine in (machines[:-1] if exact else machines)]
        v, clamp = begin(stack[0], v, mask, method, rows, key)
        return (self._metropolis if exact else _up_and_down)(Passes(stack, rows, key), v, clamp, n_steps, method)

    def _metropolis(self, passes, v, clamp, n_steps, method):
        """The chain of a DBN with two layers or more. Its top layer takes part by its free energy alone."""
        backend, average = passes.backend, Average(passes.backend, n_steps)
        now, proposal = passes.buffers(), passes.buffers()
        passes.up(v, now)
        for step in range(n_steps):
            passes.down(now[0], v=v, step=step, top=1)
            average.add(step, passes.means[0])
            clamp(v)
            passes.up(v, proposal, step + 1)
            if step < n_steps // 4:
                now, proposal = proposal, now
            else:
                with np.errstate(over="ignore"):
                    odds = np.exp(self._log_weight([v, *proposal]) - self._log_weight([v, *now]))
                draw = rng.row_uniforms(backend.to_host(passes.rows), passes.key(rng.SCORE, step, 0))
                taken = backend.array((draw < odds)[:, None])
                for old, new in zip(now, proposal, strict=True):
                    backend.assign_where(old, taken, new)
        return backend.to_host(v) if method == "sample" else average.value()


def begin(machine, v, mask, method, rows, key):
    """The start of a chain, missing values drawn or set by the biases alone, and the function that puts observed ones back."""
    if mask is None:
        return v, lambda v: None
    backend, shape = machine.backend, (len(v), machine.shape[0])
    values, start = backend.states(machine.visible_unit, *shape, backend.to_host(v)), backend.zeros(*shape)
    if method == "mean-field":
        machine.start_visible(start)
    else:
        machine.start_visible(start, v, rows, key(rng.INIT, 0, 0))
        start = v
    backend.assign_where(start, mask, values)
    return start, lambda v: backend.assign_where(v, mask, values)


def _up_and_down(passes, v, clamp, n_steps, method):
    """Passes through all layers: Gibbs steps of an RBM, mean-field of either."""
    backend, average = passes.backend, Average(passes.backend, n_steps)
    hidden, first = None if method == "mean-field" else passes.buffers(), v
    for step in range(n_steps):
        h = passes.up(v, hidden, step)
        passes.down(h, hidden, None if hidden is None else v, step, totals=first)
        average.add(step, passes.means[0])
        if hidden is None:
            v = passes.means[0]
        clamp(v)
    return average.value() if method == "mean" else backend.to_host(v)
