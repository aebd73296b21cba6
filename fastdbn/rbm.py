"""The Restricted Boltzmann Machine as a scikit-learn estimator, for any pair of unit types."""

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from fastdbn import checks, data, model, rng
from fastdbn.backends import Params, get_backend
from fastdbn.data import BLOCK, block_rows
from fastdbn.optim import momentum_ramp
from fastdbn.report import progress
from fastdbn.train import Layer, Settings, State, train
from fastdbn.units import UNITS, get_unit

MANY = 512
"""Rows for which a copy of the weights in the order that suits products best pays."""
METRICS = ("reconstruction_error", "update_ratio", "seconds")


def checked(estimator, X, reset, **more):
    """X as a finite numeric array or CSR matrix of a type that the backend reads; n_features_in_ set or compared."""
    return validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=[np.float32, np.float64, np.uint8, np.bool_, np.int64], **more
    )


def named(unit):
    """A unit's name where the name alone gives it back, else the record."""
    return unit.name if UNITS.get(unit.name) == unit else unit


class RBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Restricted Boltzmann Machine trained by contrastive divergence.

    Parameters
    ----------
    n_components : int, default 256
        Hidden units.
    visible : str or Unit, default "auto"
        Visible units: "bernoulli", "gaussian", "softmax" or a `fastdbn.Unit`. "auto" takes Bernoulli where the fit data lie in
        [0, 1], else Gaussian on standardised columns.
    hidden : str or Unit, default "bernoulli"
        Hidden units.
    scale : {"auto", "minmax", "standard", "none"}, default "auto"
        Scaling of X inside the estimator; "auto" standardises for Gaussian units that "auto" has chosen, else leaves X as it
        is. "minmax" clips later values to the range of the fit data.
    k : int, default 1
        Gibbs steps of a chain in each minibatch (CD-k, PCD-k).
    persistent : bool, default False
        Let the chains go on from minibatch to minibatch (PCD, Tieleman 2008).
    n_chains : int or None, default None
        Persistent chains; None is the batch size.
    learning_rate : float, callable, list or None, default None
        Step size for gradients averaged over the minibatch; a callable of the epoch (from 0) or a list is a schedule. None is
        the customary rate of the visible units: 0.05 for Bernoulli and softmax, 0.005 for Gaussian.
    momentum : float, callable, list or None, default None
        None is 0.5 for five epochs, then 0.9 (Hinton 2010).
    weight_decay : float, callable or list, default 2e-4
        L2 penalty on the weights alone.
    batch_size : int, default 32
        Rows of a minibatch.
    n_iter : int, default 20
        Epochs.
    binarize : None, float or "sample", default None
        None takes values in [0, 1] as probabilities; a number sets values above it to 1, others to 0; "sample" draws 0 or 1
        with each value as its probability, anew for each epoch.
    n_jobs : int or None, default None
        Threads; None takes the processors at hand. The result does not depend on it.
    dtype : {"float32", "float64"}, default "float32"
        Precision of parameters and results.
    random_state : None, int, RandomState or Generator, default None
        All give one 64-bit seed; the same seed gives the same bits.
    verbose : int, default 0
        1 prints a line for each epoch to stderr.
    callback : callable or None, default None
        Called after each epoch with keywords estimator, layer, epoch (from 1) and metrics (a dict). Raising StopIteration ends
        the fit cleanly.
    warm_start : bool, default False
        Go on from the last fit's parameters.

    Attributes
    ----------
    components_ : (n_components, n_features) array
        Weights, C-contiguous; may be written.
    intercept_hidden_ : (n_components,) array
    intercept_visible_ : (n_features,) array
    visible_, hidden_ : str or Unit
        Unit types in use.
    scaling_ : Scaling
        What is done to X first.
    n_iter_ : int
        Epochs trained.
    history_ : dict of lists
        One entry an epoch: ``reconstruction_error``, ``update_ratio``, ``seconds``.
    seed_ : int
        The 64-bit seed.

    References
    ----------
    Hinton 2002, "Training products of experts by minimizing contrastive divergence"; Tieleman 2008, "Training restricted
    Boltzmann machines using approximations to the likelihood gradient"; Hinton 2010, "A practical guide to training RBMs".

    Examples
    --------
    >>> import numpy as np
    >>> from fastdbn import RBM
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> RBM(8, n_iter=2, random_state=0).fit_transform(X).shape
    (200, 8)
    """

    def __init__(
        self,
        n_components=256,
        *,
        visible="auto",
        hidden="bernoulli",
        scale="auto",
        k=1,
        persistent=False,
        n_chains=None,
        learning_rate=None,
        momentum=None,
        weight_decay=2e-4,
        batch_size=32,
        n_iter=20,
        binarize=None,
        n_jobs=None,
        dtype="float32",
        random_state=None,
        verbose=0,
        callback=None,
        warm_start=False,
    ):
        self.n_components = n_components
        self.visible = visible
        self.hidden = hidden
        self.scale = scale
        self.k = k
        self.persistent = persistent
        self.n_chains = n_chains
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.binarize = binarize
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.callback = callback
        self.warm_start = warm_start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    # ---- training

    def fit(self, X, y=None, sample_weight=None):
        """Train on X.

        Parameters
        ----------
        X : (n, n_features) array, memory map or CSR matrix
            Never modified.
        y : ignored
        sample_weight : (n,) array or None
            Weights of the rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for bad data or parameters.
        DivergenceError
            if training leaves the finite numbers; the parameters of the last good epoch are kept.
        """
        self._settings()
        again = self.warm_start and hasattr(self, "components_")
        X = checked(self, X, reset=not again, ensure_all_finite=again)  # `_begin` sees to it in its own pass
        weights = checks.sample_weights(sample_weight, X.shape[0])
        if again:
            self._check_values(X)
        else:
            self._begin(X, weights)
        return self._train(X, weights, None)

    def partial_fit(self, X, y=None, sample_weight=None):
        """One pass over X from where training stands; the first call fixes unit types, scaling and biases.

        Parameters and errors are those of `fit`.
        """
        self._settings()
        first = not hasattr(self, "components_")
        X = checked(self, X, reset=first, ensure_all_finite=not first)
        weights = checks.sample_weights(sample_weight, X.shape[0])
        if first:
            self._begin(X, weights)
        else:
            self._check_values(X)
        return self._train(X, weights, 1)

    def _settings(self):
        """The numbers of a fit, checked; a learning_rate of None stays None until the units are known."""
        if self.learning_rate is not None:
            checks.schedule(self.learning_rate, "learning_rate")
        momentum = momentum_ramp if self.momentum is None else checks.schedule(self.momentum, "momentum")
        batch_size = checks.integer(self.batch_size, "batch_size")
        if self.binarize is not None and self.binarize != "sample":
            checks.real(self.binarize, "binarize", -np.inf)
        checks.integer(self.n_components, "n_components")
        get_unit(self.hidden, "hidden")
        if not (self.callback is None or callable(self.callback)):
            raise ValueError(f"callback={self.callback!r}: give a callable or None")
        n_chains = batch_size if self.n_chains is None else checks.integer(self.n_chains, "n_chains")
        return Settings(
            checks.integer(self.k, "k"),
            checks.flag(self.persistent, "persistent"),
            n_chains,
            self.learning_rate,
            momentum,
            checks.schedule(self.weight_decay, "weight_decay"),
            batch_size,
            checks.integer(self.n_iter, "n_iter", 0),
        )

    def _check_values(self, X):
        """Values of later data against the unit of an earlier fit."""
        if self.scaling_.scale is None:
            data.check_range(get_unit(self.visible_), *data.column_range(X))
        data.check_groups(get_unit(self.visible_), X)

    def _begin(self, X, weights):
        """Choose units and scaling for X, not yet checked to be finite, and set the initial parameters."""
        threshold = None if self.binarize == "sample" else self.binarize
        columns = data.columns(X, weights, threshold)
        if not np.isfinite(columns.low + columns.high).all():
            assert_all_finite(X, input_name="X")
        unit, scaling = data.choose(X, self.visible, self.scale, weights, columns)
        data.check_groups(unit, X)
        mean = columns.mean if threshold is None else columns.above
        if scaling.scale is not None:
            if threshold is None:
                mean = (mean - scaling.shift) * scaling.scale
            else:
                mean = data.share_above(X, threshold, scaling, weights)
        self._begin_layer(unit, scaling, mean, X.shape[0], rng.seed_of(self.random_state), 0)

    def _begin_layer(self, unit, scaling, mean, n_rows, seed, number):
        """Initial parameters of layer `number` of a stack, for visible units of the given means."""
        dtype = get_backend(self.n_jobs, self.dtype).dtype
        self.visible_, self.hidden_ = named(unit), named(get_unit(self.hidden, "hidden"))
        self.scaling_, self.seed_, self.layer_ = scaling, seed, number
        mean = model.smoothed_mean(unit, mean, n_rows)
        params = model.init_params(dtype, unit, len(mean), int(self.n_components), seed, number, mean)
        self.history_ = {name: [] for name in METRICS}
        self.n_features_in_ = len(mean)
        self._draws = 0
        velocity = Params(*(np.zeros_like(x) for x in params))
        self._keep(State(params, velocity, None, 0, 0))
        if self.verbose:
            scaled = "as given" if scaling.scale is None else "scaled to [0, 1]" if scaling.clip else "standardised"
            progress(
                f"layer {number + 1}: {len(mean)} {unit.name} x {self.n_components} {get_unit(self.hidden).name}, data {scaled}"
            )

    def _keep(self, state):
        """Take a training state into the fitted attributes."""
        self.components_ = np.ascontiguousarray(state.params.W.T)
        self.intercept_visible_, self.intercept_hidden_ = state.params.b, state.params.c
        self.n_iter_ = state.epoch
        self._velocity, self._chains, self._step = state.velocity, state.chains, state.step

    def _state(self):
        params = Params(self.components_.T, self.intercept_visible_, self.intercept_hidden_)
        return State(params, self._velocity, self._chains, self.n_iter_, self._step)

    def _train(self, X, weights, epochs, estimator=None, binarize="own"):
        """Run epochs over X; `estimator` is the one that callbacks see, a DBN for its layers."""
        settings, visible = self._settings(), get_unit(self.visible_)
        settings = settings._replace(
            n_iter=settings.n_iter if epochs is None else epochs,
            learning_rate=visible.learning_rate if settings.learning_rate is None else settings.learning_rate,
        )
        backend = get_backend(self.n_jobs, self.dtype)
        threshold = self.binarize if binarize == "own" else binarize
        layer = Layer(
            visible,
            get_unit(self.hidden_),
            backend.load(data.source(X, self.scaling_, threshold), often=True),
            X.shape[0],
            weights,
            self.layer_,
            self.seed_,
        )
        state = self._state()
        if state.chains is not None and len(state.chains) != settings.n_chains:
            state = state._replace(chains=None)
        last = state.epoch + settings.n_iter
        if self.verbose:
            rows = max(min(settings.batch_size, X.shape[0]), settings.n_chains if settings.persistent else 0)
            threads = backend.threads(*state.params.W.shape, rows, settings.k)
            few = f" of {backend.n_threads}: on minibatches this small more would lose" if threads < backend.n_threads else ""
            progress(f"layer {self.layer_ + 1}: threads {threads}{few}")

        def on_epoch(state, metrics):
            self._keep(state)
            for name in METRICS:
                self.history_[name].append(metrics[name])
            if self.verbose:
                progress(
                    f"layer {self.layer_ + 1} epoch {state.epoch}/{last}: reconstruction error "
                    f"{metrics['reconstruction_error']:.5f}, |dW|/|W| {metrics['update_ratio']:.1e}, {metrics['seconds']:.2f} s"
                )
            if self.callback is not None:
                self.callback(estimator=estimator or self, layer=self.layer_, epoch=state.epoch, metrics=metrics)

        with backend.single_threaded():
            train(backend, layer, state, settings, on_epoch)
        return self

    # ---- use

    def _blocks(self, X, threshold=None, write=False):
        """(backend, slice of rows, their visible states) for X in blocks, to be read, or written too where `write` is set."""
        backend, unit = get_backend(self.n_jobs, self.dtype), get_unit(self.visible_)
        source = backend.load(data.source(X, self.scaling_, threshold))
        n, size = X.shape[0], block_rows(max(X.shape[1], self.components_.shape[0]))
        room, key = backend.states(unit, min(size, n), X.shape[1]), rng.key(self.seed_, 0, rng.stream(rng.DATA))
        with backend.single_threaded():
            for start in range(0, n, size):
                stop = min(start + size, n)
                if write:
                    v = backend.part(room, 0, stop - start)
                    backend.take(source, backend.array(np.arange(start, stop, dtype=np.uint32)), key, v)
                else:
                    v = backend.rows(source, start, stop, key, room)
                yield backend, slice(start, stop), v

    def _params(self, backend, rows=1):
        """Parameters in the backend's precision, to be read for so many rows; for few the weights are transposed in place."""
        W = self.components_.T if rows < MANY else np.ascontiguousarray(self.components_.T)
        return Params(*(backend.constant(x) for x in (W, self.intercept_visible_, self.intercept_hidden_)))

    def _threshold(self):
        """How data are binarised outside of training: as in training, but that "sample" keeps the probabilities."""
        return None if self.binarize == "sample" else self.binarize

    def transform(self, X):
        """Means of the hidden units given X.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n, n_components) array
        """
        check_is_fitted(self)
        return self._means(checked(self, X, reset=False), self._threshold())

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

        Returns
        -------
        (n,) float64 array
        """
        check_is_fitted(self)
        X = checked(self, X, reset=False)
        return self._free_energy(X, self._threshold())

    def _free_energy(self, X, threshold):
        out = np.empty(X.shape[0])
        units = get_unit(self.visible_), get_unit(self.hidden_)
        room = params = None
        for backend, rows, v in self._blocks(X, threshold):
            if room is None:
                room, params = backend.zeros(len(v), self.components_.shape[0]), self._params(backend, len(out))
            model.free_energy(backend, *units, params, v, backend.part(room, 0, len(v)), out[rows])
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
        X = checked(self, X, reset=False)
        return self._down(self._means(X, self._threshold()))

    def _down(self, H):
        """Visible means given hidden states, on the scale of the user's data."""
        out = np.empty((len(H), self.n_features_in_), self.dtype)
        backend = get_backend(self.n_jobs, self.dtype)
        params = self._params(backend)
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
        X = checked(self, X, reset=False)
        out = np.empty(X.shape, self.dtype)
        seed, number = self._next_noise(random_state)
        for backend, rows, v in self._blocks(X, self._threshold(), write=True):
            who = backend.array(np.arange(rows.start, rows.stop, dtype=np.uint32))
            self._chain(backend, v, who, n_steps, seed, number)
            backend.fetch(v, out[rows])
        return self.scaling_.invert(out)

    def _next_noise(self, random_state):
        """(seed, number of the draw): a seed of its own, or the model's and the draws made so far."""
        if random_state is not None:
            return rng.seed_of(random_state), 0
        self._draws += 1
        return self.seed_, self._draws

    def _chain(self, backend, v, who, n_steps, seed, number):
        """Run visible states through Gibbs steps in place; returns the visible means of the last."""
        params = self._params(backend)
        visible, hidden = get_unit(self.visible_), get_unit(self.hidden_)
        h_mean, v_mean = backend.zeros(len(who), len(params.c)), backend.zeros(len(who), len(params.b))
        h = backend.states(hidden, len(who), len(params.c))
        layer = 64 + number % 64  # apart from the noise of training, whose layers are below
        for t in range(n_steps):
            key_h = rng.key(seed, t, rng.stream(rng.HIDDEN, layer, number // 64))
            key_v = rng.key(seed, t, rng.stream(rng.VISIBLE, layer, number // 64))
            backend.conditional(hidden, v, params.W, params.c, h_mean, h, who, key_h)
            backend.conditional(visible, h, params.W, params.b, v_mean, v, who, key_v, transpose=True)
        return v_mean

    def sample(self, n_samples=1, n_steps=1000, random_state=None, mean=False):
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

        Returns
        -------
        (n_samples, n_features) array
            On the scale of the fit data.
        """
        check_is_fitted(self)
        n = checks.integer(n_samples, "n_samples")
        checks.integer(n_steps, "n_steps")
        states, means = self._sample(n, n_steps, *self._next_noise(random_state))
        return self.scaling_.invert(means if mean else states)

    def _sample(self, n, n_steps, seed, number):
        """(states, means) on the scale of the visible units."""
        backend = get_backend(self.n_jobs, self.dtype)
        params, visible = self._params(backend), get_unit(self.visible_)
        v, mean = backend.states(visible, n, len(params.b)), backend.zeros(n, len(params.b))
        who = backend.array(np.arange(n, dtype=np.uint32))
        key = rng.key(seed, number, rng.stream(rng.INIT, 0, 2))
        with backend.single_threaded():
            backend.activate(visible, params.b, mean, v, who, key)
            mean = self._chain(backend, v, who, n_steps, seed, number)
        return backend.to_host(v), backend.to_host(mean)

    def save(self, path):
        """Write the model to a safetensors file, read back by `fastdbn.load`."""
        from fastdbn.io import save

        check_is_fitted(self)
        save(self, path)
