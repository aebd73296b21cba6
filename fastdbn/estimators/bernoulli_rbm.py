"""BernoulliRBM with the interface of scikit-learn's: its parameters, defaults, methods and attributes, on fastdbn's engine."""

import time
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fastdbn.estimators import loaded, parameters
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.interrupt import all_or_nothing
from fastdbn.estimators.layer import free_energies, hidden_given_rows
from fastdbn.estimators.outcome import of_layers, tell
from fastdbn.estimators.parameters import check_shared
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.scoring import score_rbm
from fastdbn.files.state import Part, fields
from fastdbn.inputs.data import Scaling
from fastdbn.machine.block import block_rows
from fastdbn.machine.machine import Machine
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.results import array_for
from fastdbn.support.types import Array, Device, Doubles, FilePath, Rows, Seed
from fastdbn.units import bernoulli


def _of_engine(name: str) -> Any:
    """A fitted attribute that is one of the RBM that does the work."""

    def get(self) -> Any:
        return getattr(self._rbm, name)

    return property(get, lambda self, value: setattr(self._rbm, name, value))


@dataclass(eq=False, repr=False)
class BernoulliRBM(Estimator):
    """Bernoulli Restricted Boltzmann Machine, a drop-in for `sklearn.neural_network.BernoulliRBM`.

    It is trained by persistent contrastive divergence, with one chain for each row of a batch. Its precision is that of the
    input; fits in float32 and float64 use the same noise. Rows are shuffled in every epoch. Momentum and weight decay are 0.

    Parameters
    ----------
    n_components : int, default 256
        Number of hidden units.
    learning_rate : float, default 0.1
    batch_size : int, default 10
    n_iter : int, default 10
        Epochs.
    verbose : int, default 0
        1 prints scikit-learn's line after each epoch of `fit`, to stdout: the pseudo-likelihood of X, which takes a pass over X,
        and seconds.
    random_state : None, int, RandomState or Generator, default None
    n_jobs : int or None, default None
        Number of threads. None and -1 use all processors, -2 all but one, and so on. scikit-learn's has no such parameter.
    device : {"cpu", "cuda", "auto"}, default "cpu"
        "cuda" computes on an NVIDIA GPU, "auto" uses one if there is one. scikit-learn's has no such parameter.

    Attributes
    ----------
    components_ : (n_components, n_features) array
    intercept_hidden_ : (n_components,) array
    intercept_visible_ : (n_features,) array
    h_samples_ : (batch_size, n_components) array
        Hidden states of the persistent chains.
    n_features_in_ : int
    n_iter_ : int
        Epochs trained.

    References
    ----------
    Tieleman 2008, "Training restricted Boltzmann machines using approximations to the likelihood gradient".

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import BernoulliRBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> BernoulliRBM(n_components=2, random_state=0).fit(X).transform(X).shape
    (4, 2)
    """

    _saved = fields(_rbm=Part(RBM))
    _check_loaded = loaded.check_engine

    n_components: int = 256
    _: KW_ONLY
    learning_rate: float = 0.1
    batch_size: int = 10
    n_iter: int = 10
    verbose: int = 0
    random_state: Seed = None
    n_jobs: int | None = None
    device: Device = "cpu"

    components_, intercept_hidden_, intercept_visible_, h_samples_, n_iter_ = map(
        _of_engine, ("components_", "intercept_hidden_", "intercept_visible_", "_chains", "n_iter_")
    )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_rbm")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    @property
    def machine_(self) -> Machine:
        """The `Machine` of the fitted parameters."""
        return self.as_rbm().machine_

    def _stack(self):
        return [self.as_rbm()]

    def _checked(self, X, reset):
        checks.matrix(X)
        X = checks.unmasked(X, "X")
        with checks.of_numbers(X):
            X = validate_data(self, X, reset=reset, accept_sparse="csr", dtype=(np.float64, np.float32), ensure_all_finite=False)
        checks.finite(X, self)
        checks.moderate(X, np.cbrt(np.finfo(X.dtype).max), "scale X into [0, 1]")  # energies grow with the square of X
        return X

    def _engine(self, dtype):
        """The `RBM` that does the work, unfitted."""
        fixed = {"visible": "bernoulli", "scale": "none", "binarize": "mean", "centering": None, "persistent": True}
        own = self.get_params() | {"verbose": 0, "n_chains": self.batch_size}
        return RBM(**fixed, momentum=0.0, weight_decay=0.0, **own, dtype=str(dtype))

    def as_rbm(self) -> RBM:
        """The fitted `RBM` that does the work, with this estimator's present parameters."""
        check_is_fitted(self)
        of_fit = "n_components", "random_state", "verbose"
        own = {name: value for name, value in self.get_params().items() if name not in of_fit}
        return self._rbm.set_params(**own, n_chains=self.batch_size)

    def save(self, path: FilePath) -> None:
        self.as_rbm()
        super().save(path)

    def _begin(self, X):
        rbm = self._engine(X.dtype)
        parameters.settings(rbm)
        parameters.check_room((X.shape[1], self.n_components), "n_components", self.n_components)
        self._rbm = rbm
        # biases begin at 0 and values outside of [0, 1] are taken, as scikit-learn does
        rbm._begin_layer(bernoulli, Scaling(), np.full(X.shape[1], 0.5), X.shape[0], rng.seed_of(self.random_state), 0)
        rbm._chains = np.zeros((int(self.batch_size), int(self.n_components)), X.dtype)

    @all_or_nothing
    def fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix, values in [0, 1]
        y : ignored
        sample_weight : (n,) array or None, default None
            Weights of the rows. scikit-learn's has none.

        Returns
        -------
        self
        """
        check_shared(self)
        n_iter = checks.integer(self.n_iter, "n_iter", 0)
        self._begin_run(False)
        X = self._checked(X, reset=True)
        weights = checks.sample_weights(sample_weight, X.shape[0])
        self._begin(X)
        self._rbm.callbacks = [self._printer(X)] if self.verbose else None
        try:
            self._rbm._train(X, weights, n_iter, 0)
        finally:
            self._rbm.callbacks = None
        self._end_run()
        tell(of_layers([self._rbm], self))
        return self

    def _printer(self, X):
        """A callback that prints what scikit-learn prints after an epoch."""
        began = time.time()

        def tell(epoch, **_):
            nonlocal began
            now = time.time()
            score, seconds, began = self.score_samples(X).mean(), now - began, now
            print(f"[{type(self).__name__}] Iteration {epoch}, pseudo-likelihood = {score:.2f}, time = {seconds:.2f}s")

        return tell

    @all_or_nothing
    def partial_fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Make one pass over X, from where training stands. Parameters are those of `fit`."""
        first = not hasattr(self, "_rbm")
        X = self._checked(X, reset=first)
        weights = checks.sample_weights(sample_weight, X.shape[0])
        if first:
            self._begin(X)
        else:
            engine = self._engine(self._rbm.dtype)
            parameters.settings(engine)
            parameters.check_same(self._rbm, engine)
        self.as_rbm()._train(X, weights, 1)
        return self

    def transform(self, X: Rows, out: NDArray[Any] | None = None) -> Array:
        """P(h = 1 | v) of the rows of X, in the precision of X; written into `out`, an array of this precision, if that is given.

        Returns
        -------
        (n, n_components) array
        """
        rbm = self.as_rbm()
        X = self._checked(X, reset=False)
        if X.dtype == rbm.dtype:
            return hidden_given_rows(rbm, X, out=out)
        out = array_for(out, (X.shape[0], self._n_features_out), X.dtype, X)
        out[...] = hidden_given_rows(rbm, X)
        return out

    def gibbs(self, v: Rows) -> NDArray[np.bool_]:
        """One Gibbs step from visible states v.

        Returns
        -------
        (n, n_features) bool array
        """
        rbm = self.as_rbm()
        return rbm.gibbs(self._checked(v, reset=False)) > 0.5

    def score(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The mean log pseudo-likelihood of a row, exact, in nats; higher is better.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        y : ignored
        sample_weight : (n,) array or None, default None

        Returns
        -------
        float
        """
        return score_rbm(self.as_rbm(), self._checked(X, reset=False), sample_weight)

    def score_samples(self, X: Rows) -> Doubles:
        """Stochastic pseudo-likelihood of each row: n_features log p(v_i | v without i) for one random i.

        i depends on the row's values, so neither the order of the rows nor their neighbours matter.

        Returns
        -------
        (n,) float64 array
        """
        rbm = self.as_rbm()
        X = self._checked(X, reset=False)
        key = rng.key(rbm.seed_, 0, rng.stream(rng.SCORE))
        out, (n, width) = np.empty(X.shape[0]), X.shape
        for start in range(0, n, block_rows(width)):
            part = X[start : start + block_rows(width)]
            flipped = part.toarray() if hasattr(part, "toarray") else part.copy()
            with np.errstate(over="ignore"):  # also of numbers beyond float32, which are all one in a key
                who = rng.content_keys(part)
                words = rng.philox(np.zeros(len(who), np.uint32), who, key.step, key.stream, key.k0, key.k1)[0]
            chosen = np.arange(len(who)), ((words >> np.uint32(8)).astype(np.float64) * 2.0**-24 * width).astype(np.intp)
            flipped[chosen] = 1 - flipped[chosen]
            loss = free_energies(rbm, part) - free_energies(rbm, flipped)
            out[start : start + len(who)] = -width * np.logaddexp(0, loss)
        return out
