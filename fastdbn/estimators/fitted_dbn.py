"""The methods of a fitted Deep Belief Network: features, reconstructions, samples and bounds."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastdbn.estimators import starts
from fastdbn.estimators.fitted_rbm import hidden_rows
from fastdbn.estimators.imputation import Imputation
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import free_energies, up, visible_blocks
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.scoring import score_reconstruction
from fastdbn.machine.passes import Passes
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.types import Array, Doubles, Rows, Seed

DRAWS = 10
"""Draws for a bound on log p(x)."""


class FittedDBN(Imputation):
    """What a fitted network of RBMs computes; `DBN` has the parameters and the training."""

    layers_: list[RBM]
    starts_: Array | None
    start_classes_: Doubles | None

    def _stack(self):
        return self.layers_

    def transform(self, X: Rows, layer: int = -1, out: NDArray[Any] | None = None) -> Array:
        """Hidden means of a layer given X, by mean-field up-passes.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        layer : int, default -1
            Index into `layers_`.
        out : (n, units of the layer) array, memory map or None, default None
            Results are written here, without a copy. It has the model's precision and is C-contiguous.

        Returns
        -------
        (n, units of the layer) array
        """
        X = self._checked(X)
        n = self._check_layer(layer, len(self.layers_)) + 1
        return up(self.layers_[:n], self._machines()[:n], X, out)

    def sample_hidden(self, X: Rows, layer: int = -1, random_state: Seed = None) -> Array:
        """Draw the hidden units of a layer once for each row of X, by an up-pass that draws all layers under it too.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        layer : int, default -1
            Index into `layers_`.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.

        Returns
        -------
        (n, units of the layer) array
        """
        X, n = self._checked(X), self._check_layer(layer, len(self.layers_)) + 1
        return self._draw_up(X, n, *self._next_noise(random_state))

    def inverse_transform(self, X: ArrayLike, layer: int = -1) -> Array:
        """Visible means given hidden states of a layer, by a mean-field pass down.

        Parameters
        ----------
        X : (n, units of the layer) array
            Hidden states or means, as `transform` and `sample_hidden` give them.
        layer : int, default -1
            Index into `layers_`.

        Returns
        -------
        (n, n_features) array
            On the scale of the fit data; for units that count, of one trial a row.
        """
        check_is_fitted(self)
        n = checks.layer(layer, len(self.layers_)) + 1
        return self._down(hidden_rows(X, self.layers_[n - 1].components_.shape[0]), n)

    def _only_layer(self, method):
        """The one RBM of a network of one layer.

        Raises
        ------
        ValueError
            for a network of more layers.
        """
        check_is_fitted(self)
        if len(self.layers_) > 1:
            raise ValueError(
                f"{method} is for networks of one layer, and this one has {len(self.layers_)}: use score_samples or sample, or "
                "a layer of layers_"
            )
        return self.layers_[0]

    def energy(self, X: Rows, H: ArrayLike) -> Doubles:
        """Energy E(v, h) of each pair of rows, for a network of one layer.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        H : (n, n_components) array
            Hidden states.

        Returns
        -------
        (n,) float64 array
        """
        return self._only_layer("energy").energy(later_rows(self, X), H)

    def free_energy(self, X: Rows) -> Doubles:
        """Free energy F(v) of each row, for a network of one layer: p(v) is proportional to e^-F.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n,) float64 array
        """
        self._only_layer("free_energy")
        return -self._bounds(later_rows(self, X), 1)

    def gibbs(self, X: Rows, n_steps: int = 1, random_state: Seed = None) -> Array:
        """Draw visible states by Gibbs steps that start at X, for a network of one layer.

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
        return self._only_layer("gibbs").gibbs(later_rows(self, X), n_steps, random_state)

    def sample(
        self,
        n_samples: int | None = None,
        n_steps: int | None = None,
        random_state: Seed = None,
        mean: bool = False,
        totals: ArrayLike | None = None,
        *,
        start: Rows | None = None,
        method: Literal["auto", "gibbs", "tempering", "stacked"] = "auto",
        layer: int = -1,
    ) -> Array:
        """Draw visible states: chains of the top RBM, then one pass down.

        Parameters
        ----------
        n_samples : int or None, default None
            None is one, or with `start` one for each of its rows.
        n_steps : int or None, default None
            Steps of the chains. None is 10 for "gibbs" from `starts_`, 100 for "tempering", else 1000.
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.
        mean : bool, default False
            Return visible means, by a pass down that takes means all the way from the last step, instead of drawn states.
        totals : int, (n_samples,) array or None, default None
            For visible units that count: the sum of each row. None draws from those of the fit data.
        start : (n_samples, n_features) array, CSR matrix, "random" or None, default None
            Rows whose states in the layer under the top, drawn by an up-pass, the chains start at. None starts Gibbs chains of
            the top at `starts_`, hidden means of some rows of the fit. So draws stay in the modes of the data, and in their
            shares. "random" starts chains at draws that know the biases alone. So does None for other methods and layers, and
            where the last training was `partial_fit`.
        method : {"auto", "gibbs", "tempering", "stacked"}, default "auto"
            "gibbs" draws hidden and visible units of the top RBM in turn. "tempering" has replicas of each chain at inverse
            temperatures from 1 down to 0, which exchange states, so a chain goes from mode to mode. "stacked" runs chains in all
            layers, and neighbouring layers exchange states; it needs weights that `up_down` has not untied. "auto" is "gibbs".
        layer : int, default -1
            The RBM of `layers_` whose distribution is drawn from; the layers under it pass its states down. -1 is the top, and
            then the draws are the network's. 0 is the first RBM, which the layers above help to mix if the method is "stacked".

        Returns
        -------
        (n_samples, n_features) array
            On the scale of the fit data.
        """
        return self._draw(n_samples, n_steps, random_state, mean, totals, start, method, layer)

    def _forget_starts(self):
        """Begin no chains at states of an earlier fit."""
        self.starts_ = self.start_classes_ = None

    def _keep_starts(self, X, weights, labels=None):
        """Keep where `sample` begins: means of the top's hidden units, given some rows of the fit and their labels."""
        rows = starts.rows_of(self.layers_[0].seed_, X, weights, labels)
        if len(rows) and labels is None:
            self.starts_ = up(self.layers_, self._machines(), X[rows])
        elif len(rows):
            lower, top = self.layers_[:-1], self.top_rbm().machine_
            below = up(lower, self._machines()[:-1], X[rows]) if lower else self._draw_up(X[rows], 0, 0, 0)
            self.starts_ = top.hidden(np.hstack([below, labels[rows]]))
            self.start_classes_ = labels[rows].argmax(axis=1).astype(np.float64)

    def score(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Two-valued visible units: the mean log-likelihood of a row given its reconstruction. Others: minus the relative error.

        The first is in nats. The second is the squared error of `reconstruct` over the variance of each column of X, a mean over
        columns. Higher is better, and a grid search can compare settings by it.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : ignored
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float
        """
        X = self._checked(X)
        return score_reconstruction(self.layers_[0], X, self._reconstruct(X), sample_weight)

    def score_samples(self, X: Rows, n_samples: int = DRAWS) -> Doubles:
        """Variational lower bound on log p(x), plus the top RBM's log Z, which is the same for all rows.

        It is E_q [ sum_l log p(h_{l-1} | h_l) - F_top(h_{L-1}) - sum_l log q(h_l | h_{l-1}) ], where q are the upward
        conditionals (Hinton, Osindero, Teh 2006; Salakhutdinov and Murray 2008). The expectation is a mean over `n_samples`
        draws. Their noise is keyed by the values of the row, so neither its place nor its neighbours matter. With one layer
        the score is minus the free energy, exactly.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
            Bernoulli units also take values between 0 and 1, but the bound holds for binary rows only.
        n_samples : int, default 10

        Returns
        -------
        (n,) float64 array
        """
        X = later_rows(self, X)
        return self._bounds(X, checks.integer(n_samples, "n_samples"))

    def _bounds(self, X, n_samples):
        """The bounds of `score_samples`, for rows that are checked; labels, if there are some, are summed out."""
        if len(self.layers_) == 1 and not hasattr(self, "classes_"):
            return -free_energies(self.layers_[0], X, self._machines()[0])
        out = np.zeros(X.shape[0])
        for rows, states in self._draws_up(X, n_samples, self.layers_[0].seed_):
            out[rows] += self._log_weight(states)
        return out / n_samples

    def _draws_up(self, X, n_samples, seed):
        """(slice of rows, states of all layers under the top) for the rows of X in blocks, each n_samples times.

        The states are in buffers that are used again. Their noise is keyed by the row's own values.
        """
        first, machines = self.layers_[0], self._machines()

        def key(purpose, step, level):
            return rng.key(seed, step, rng.stream(rng.SCORE, level - 1))

        for rows, v in visible_blocks(first, X, machines[0]):
            hidden = []
            if len(machines) > 1:
                passes = Passes(machines[:-1], machines[0].backend.array(rng.content_keys(X[rows])), key)
                hidden = passes.buffers()
            for number in range(n_samples):
                if hidden:
                    passes.up(v, hidden, number)
                yield rows, [v, *hidden]

    def _log_weight(self, states):
        """The bound's bracket, log p(v, h) + log Z - log q(h | v), (B,) float64, for states of all layers under the top.

        log q is that of the states that were drawn, although its expectation is known, because the bracket then varies less: the
        better q is, the less.
        """
        total = np.zeros(len(states[0]))
        for machine, below, h in zip(self._machines(), states, states[1:], strict=False):
            total += machine.log_odds_down(below, h)
        return total - self._top_energy(states[-1])

    def top_rbm(self) -> RBM:
        """The fitted top RBM. `fastdbn.evaluate` computes its log Z, which bounds of the network need.

        Returns
        -------
        RBM
            Its rows are states of the layer below the top.
        """
        check_is_fitted(self)
        return self.layers_[-1]

    def _top_energy(self, h):
        """The top RBM's free energy of states of the layer under it, (B,) float64."""
        energy = np.empty(len(h))
        self._machines()[-1].free_energy_block(h, energy)
        return energy
