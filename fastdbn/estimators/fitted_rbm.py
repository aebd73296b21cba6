"""The methods of a fitted RBM: features, energies, reconstructions and samples."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from fastdbn.estimators.imputation import Imputation
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import (
    free_energies,
    hidden_given_rows,
    visible_blocks,
)
from fastdbn.estimators.machines import machines_of
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.sampling import drawn, ladder_of
from fastdbn.estimators.scoring import score_rbm
from fastdbn.inputs.data import Scaling
from fastdbn.machine import initial
from fastdbn.machine.block import draw_keys
from fastdbn.machine.machine import Machine, UnitLike, VisibleUnits
from fastdbn.maths import rng
from fastdbn.sampling import METHODS
from fastdbn.support import checks
from fastdbn.support.types import Array, Doubles, Rows, Seed
from fastdbn.units import get_unit


def hidden_rows(H, n_components, name="X"):
    """Hidden states that a user gives, checked."""
    H = check_array(checks.unmasked(H, name), dtype=[np.float32, np.float64], input_name=name)
    if H.shape[1] != n_components:
        raise ValueError(f"{name} has {H.shape[1]} columns: give {n_components}, one for each hidden unit")
    return H


class FittedRBM(Imputation):
    """What a fitted RBM computes; `RBM` has the parameters and the training."""

    components_: Array
    intercept_hidden_: Array
    intercept_visible_: Array
    visible_: VisibleUnits
    hidden_: UnitLike
    scaling_: Scaling
    seed_: int
    n_iter_: int
    history_: dict[str, Doubles]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing is not None
        return tags

    @property
    def machine_(self) -> Machine:
        """The `Machine` of the fitted parameters. Its visible states are rows as `scaling_` leaves them."""
        check_is_fitted(self)
        return machines_of(self)[0]

    @property
    def variance_(self) -> Doubles:
        """Learned variances of the visible units, in the units of X."""
        if not initial.learns_variance(get_unit(getattr(self, "visible_", "gaussian"))):
            raise AttributeError("variance_ is learned with visible='gaussian-variance'")
        return 1.0 / np.square(self.scaling_.scale)

    def _stack(self):
        return [self]

    def transform(self, X: Rows, out: NDArray[Any] | None = None) -> Array:
        """Means of the hidden units given X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
            With `missing` set, NaN is a missing value: "drop" leaves it out, "sample" fills it in by mean field.
        out : (n, n_components) array, memory map or None, default None
            Results are written here, without a copy. It has the model's precision and is C-contiguous.

        Returns
        -------
        (n, n_components) array
        """
        return hidden_given_rows(self, self._checked(X), out=out)

    def sample_hidden(self, X: Rows, random_state: Seed = None) -> Array:
        """Draw the hidden units once for each row of X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.

        Returns
        -------
        (n, n_components) array
        """
        X = self._checked(X)
        return hidden_given_rows(self, X, key=draw_keys(*self._next_noise(random_state))(rng.HIDDEN, 0))

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Means of the visible units given hidden states.

        Parameters
        ----------
        X : (n, n_components) array
            Hidden states or means, as `transform` and `sample_hidden` give them.

        Returns
        -------
        (n, n_features) array
            On the scale of the fit data; for units that count, of one trial a row.
        """
        check_is_fitted(self)
        return self._down(hidden_rows(X, len(self.components_)), 1)

    def energy(self, X: Rows, H: ArrayLike) -> Doubles:
        """Energy E(v, h) of each pair of rows: p(v, h) is proportional to e^-E. Constants of the scaling are left out.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        H : (n, n_components) array
            Hidden states.

        Returns
        -------
        (n,) float64 array
        """
        X, H = later_rows(self, X), hidden_rows(H, self.components_.shape[0], "H")
        if X.shape[0] != len(H):
            raise ValueError(f"X has {X.shape[0]} rows and H has {len(H)}: give a row of H for each row of X")
        out, machine = np.empty(len(H)), self.machine_
        for rows, v in visible_blocks(self, X):
            h = machine.backend.states(machine.hidden_unit, len(v), H.shape[1], H[rows].astype(self.dtype))
            machine.energy_block(v, h, out[rows])
        return out

    def free_energy(self, X: Rows) -> Doubles:
        """Free energy F(v) of each row: p(v) is proportional to e^-F. Constants of the scaling are left out.

        With ``missing="drop"`` a row with NaN has the free energy of its own machine, over its observed units. Compare only
        rows that lack the same values, because others have another Z. With ``missing="sample"`` rows must be complete.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n,) float64 array
        """
        return free_energies(self, later_rows(self, X, ("drop",)))

    def score_samples(self, X: Rows) -> Doubles:
        """Minus the free energy of each row, which is log p(v) + log Z. Higher means more normal.

        Returns
        -------
        (n,) float64 array
        """
        return -self.free_energy(X)

    def score(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Two-valued visible units: the mean log pseudo-likelihood of a row. Others: minus the relative squared error.

        The first is exact, in nats; means between the two values count as probabilities. Missing values do not count. The
        second is the squared error of `reconstruct` over the variance of each column of X, a mean over columns. Higher is better,
        and a grid search can compare settings by it.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : ignored
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float
        """
        return score_rbm(self, self._checked(X), sample_weight)

    def gibbs(self, X: Rows, n_steps: int = 1, random_state: Seed = None) -> Array:
        """Draw visible states by Gibbs steps that start at X. Give the result as X again to go on.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_steps : int, default 1
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.

        Returns
        -------
        (n, n_features) array
            On the scale of X.
        """
        X, n_steps = later_rows(self, X), checks.integer(n_steps, "n_steps")
        states, noise = self._draw_up(X, 0, 0, 0), self._next_noise(random_state)
        found, _ = drawn(METHODS["gibbs"], lambda _: self._machines(), 0, n_steps, noise, states, True)
        return self.scaling_.invert(found)

    def _ladder(self):
        sources = self.components_, self.intercept_visible_, self.intercept_hidden_
        return ladder_of(self, sources, lambda _: self.machine_)

    def sample(
        self,
        n_samples: int | None = None,
        n_steps: int | None = None,
        random_state: Seed = None,
        mean: bool = False,
        totals: ArrayLike | None = None,
        *,
        start: Rows | None = None,
        method: Literal["auto", "gibbs", "tempering", "trajectory"] = "auto",
    ) -> Array:
        """Draw visible states from the model, by one chain for each.

        Parameters
        ----------
        n_samples : int or None, default None
            None is one, or with `start` one for each of its rows.
        n_steps : int or None, default None
            Steps of each chain. None is 1000 for "gibbs" and 100 for others.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.
        mean : bool, default False
            Return the visible means of the last step, which look smoother, instead of states drawn from them.
        totals : int, (n_samples,) array or None, default None
            For units that count: the sum of each row. None draws from those of the fit data, or takes those of `start`.
        start : (n_samples, n_features) array, CSR matrix, "random" or None, default None
            Where chains start, such as earlier samples. None and "random" start them at draws that know the visible biases alone.
        method : {"auto", "gibbs", "tempering", "trajectory"}, default "auto"
            "gibbs" draws hidden and visible units in turn. "tempering" has replicas of each chain at inverse temperatures from
            1 down to 0, which exchange states, so a chain goes from mode to mode. Its first call finds the temperatures.
            "trajectory" has them at the frozen machines of a fit with `trajectory`. "auto" is "gibbs". docs/sampling.md compares
            them.

        Returns
        -------
        (n_samples, n_features) array
            On the scale of the fit data.
        """
        return self._draw(n_samples, n_steps, random_state, mean, totals, start, method)
