"""The methods of a fitted network with labels: classes, samples of classes, and scores with the labels summed out."""

import copy
import functools
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from fastdbn.backends.protocol import Params
from fastdbn.estimators.classes import classes
from fastdbn.estimators.fitted_dbn import FittedDBN
from fastdbn.estimators.imputation import Average, begin
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import up, visible_blocks
from fastdbn.estimators.rbm import RBM
from fastdbn.estimators.sampling import ladder_of
from fastdbn.machine.labelled import LABELS, LabelledMachine
from fastdbn.maths import rng
from fastdbn.support import checks
from fastdbn.support.results import array_for
from fastdbn.support.types import Array, Doubles, Labels, Rows, Seed
from fastdbn.units import get_unit, visible_unit


def joined(params, W, b):
    """Parameters, or a velocity, of states alone with those of the labels."""
    return Params(np.r_[params.W, W], np.r_[params.b, b], params.c)


def apart(params, n_labels):
    """(parameters of states alone, W of the labels, b of the labels)."""
    n = len(params.b) - n_labels
    return Params(params.W[:n], params.b[:n], params.c), params.W[n:], params.b[n:]


class FittedGenerative(FittedDBN):
    """What a fitted network with labels computes; `GenerativeDBNClassifier` has the parameters and the training."""

    classes_: Labels
    label_components_: Array
    label_intercept_: Array

    def _label_scores(self, h):
        """l_y + sum_j cgf(t_j + (h P)_j + L_yj) for states h of the layer under the top, (B, n_classes) float64."""
        machine, out = self._machines()[-1].in_rows(len(h)), np.empty((len(h), len(self.classes_)))
        b, c = machine.backend, machine.params.c
        field, ones = b.zeros(len(h), machine.shape[1]), b.array(np.ones(out.shape, self.dtype))
        b.field(h, machine.params.W, field)
        b.cgf_shifted(machine.hidden_unit, c, field, b.constant(self.label_components_.T), ones, out)
        return out + self.label_intercept_.astype(np.float64)

    def top_rbm(self) -> RBM:
        """The fitted joint top RBM of states and labels. Bounds of the network need its log Z.

        Returns
        -------
        RBM
            Its rows are states of the layer below the top, then one column for each of `classes_`, one-hot.
        """
        check_is_fitted(self)
        top, (W, b, _) = copy.copy(self.layers_[-1]), self._top()
        n, scaling = top.n_features_in_, top.scaling_
        parts = [(unit, slice(start, stop)) for unit, start, stop, _ in get_unit(top.visible_).parts(n)]
        top.visible = [*parts, (LABELS, slice(n, len(b)))]
        top.visible_, top.n_features_in_, top.binarize = visible_unit(top.visible, len(b)), len(b), None
        top.components_, top.intercept_visible_ = np.ascontiguousarray(W.T), b
        top._velocity = joined(top._velocity, *self._label_velocity)
        if scaling.scale is not None:
            ones = np.ones(len(b) - n)
            top.scaling_ = scaling._replace(shift=np.r_[scaling.shift, 0 * ones], scale=np.r_[scaling.scale, ones])
        return top

    def _top_energy(self, h):
        """The free energy of states of the layer under the top, labels summed out too."""
        machine, base, dot = self._machines()[-1], np.empty(len(h)), np.empty(len(h))
        machine.backend.base(machine.visible_unit, h, base)
        machine.backend.dot(h, machine.params.b, dot)
        return base - dot - logsumexp(self._label_scores(h), axis=1)

    def predict_log_proba(self, X: Rows, n_samples: int | None = None) -> Doubles:
        """Log probabilities of the classes, (n, n_classes) float64, in the order of `classes_`.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        n_samples : int or None, default None
            None takes the exact posterior at the means of the layer below the top. A number averages the posteriors over so
            many draws of that layer's states.
        """
        check_is_fitted(self)
        X = self._checked(X)
        out, machines = np.empty((X.shape[0], len(self.classes_))), self._machines()
        if n_samples is None:
            top, H = self.layers_[-1], up(self.layers_[:-1], machines[:-1], X) if len(machines) > 1 else X
            for rows, h in visible_blocks(top, H, machines[-1]):
                out[rows] = self._label_scores(h)
            return out - logsumexp(out, axis=1, keepdims=True)
        checks.integer(n_samples, "n_samples")
        logs = np.full(out.shape, -np.inf)
        for rows, states in self._draws_up(X, n_samples, self.layers_[0].seed_):
            scores = self._label_scores(states[-1])
            logs[rows] = np.logaddexp(logs[rows], scores - logsumexp(scores, axis=1, keepdims=True))
        return logs - np.log(n_samples)

    def predict_proba(self, X: Rows, n_samples: int | None = None) -> Doubles:
        """Probabilities of the classes, (n, n_classes) float64; see `predict_log_proba`."""
        return np.exp(self.predict_log_proba(X, n_samples))

    def predict(self, X: Rows, out: NDArray[Any] | None = None) -> Labels:
        """The most probable class of each row.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix
        out : (n,) array, memory map or None, default None
            Results are written here, without a copy. It has the type of `classes_` and is C-contiguous.

        Returns
        -------
        (n,) array
            Labels as they were given to `fit`.
        """
        check_is_fitted(self)
        numbers = self.predict_log_proba(X).argmax(axis=1)
        out = array_for(out, numbers.shape, self.classes_.dtype)
        out[...] = self.classes_[numbers]
        return out

    def _only_layer(self, method):
        if method != "free_energy":
            raise ValueError(
                f"{method} is for networks without labels: use top_rbm(), whose rows have a column for each class too"
            )
        return super()._only_layer(method)

    def _labelled(self, n, labels):
        """The top's `LabelledMachine` for n chains; labels are held, or None."""
        machine = self._machines()[-1]
        b, params = machine.backend, Params(*(machine.backend.constant(x) for x in self._top()))
        return LabelledMachine(b, machine.visible_unit, machine.hidden_unit, params, len(self.classes_), n, labels)

    def _ladder(self):
        top = self.layers_[-1]
        sources = top.components_, top.intercept_visible_, top.intercept_hidden_, self.label_components_, self.label_intercept_
        return ladder_of(self, sources, lambda n: self._labelled(n, None))

    def sample(  # type: ignore[override]  # it has a label, and neither totals nor layer
        self,
        n_samples: int | None = None,
        n_steps: int | None = None,
        random_state: Seed = None,
        mean: bool = False,
        label: Any = None,
        *,
        start: Rows | None = None,
        method: Literal["auto", "gibbs", "tempering"] = "auto",
    ) -> Array:
        """Draw visible states of given classes, or of classes that are drawn too.

        Parameters
        ----------
        n_samples : int or None, default None
            None is one, or with `start` one for each of its rows.
        n_steps : int or None, default None
            Steps of the chains. None is 10 for "gibbs" from `starts_`, 1000 for "gibbs" from elsewhere, 100 for "tempering".
        random_state : None, int, RandomState or Generator
            None continues with the noise of the model's own seed.
        mean : bool, default False
            Return visible means of the last step, which look smoother, instead of drawn states.
        start : (n_samples, n_features) array, CSR matrix, "random" or None, default None
            Rows at whose states the chains start. None starts Gibbs chains at `starts_`, hidden means of some rows of the fit;
            "random" at draws from the biases alone.
        method : {"auto", "gibbs", "tempering"}, default "auto"
            How chains move; "auto" is "gibbs". docs/sampling.md compares them.
        label : a class, (n_samples,) array of classes, or None
            Class that stays fixed in the top RBM. None draws the labels too.

        Returns
        -------
        (n_samples, n_features) array

        Raises
        ------
        ValueError
            for a label that was not in the fit, or a wrong number of labels.
        """
        return self._draw(n_samples, n_steps, random_state, mean, None, start, method, label=label)

    def _chains_of(self, layer, n, label):
        """The top is beside labels, which are held where a class is given."""
        numbers, held, lower = None, None, self._machines()[:-1]
        if label is not None:
            if np.shape(label) not in ((), (n,)):
                raise ValueError(f"label has shape {np.shape(label)}: give one class, or one for each of the {n} samples")
            numbers, _ = classes(np.broadcast_to(label, n), n, self.classes_, "label")
            held = self._one_hot(numbers)

        def stack(rows):
            labels = None if held is None else self._machines()[-1].backend.array(held[rows])
            return [*lower, self._labelled(rows.stop - rows.start, labels)]

        return stack, self._ladder, numbers

    def _fill_block(self, v, rows, mask, n_steps, method, key):
        """As for `DBN`, but that the labels of a network of one layer run too, in Gibbs steps of the top RBM."""
        if len(self.layers_) > 1 or mask is None or method == "mean-field":
            return super()._fill_block(v, rows, mask, n_steps, method, key)
        machine = self._labelled(len(v), None)
        chain = machine.new_chain(len(v))
        average = Average(machine.backend, n_steps)
        v, clamp = begin(self._machines()[0], v, mask, method, rows, key)
        machine.start_joint(chain, machine.backend.to_host(v), rows, key(rng.SCORE, n_steps, 0))
        for step in range(n_steps):
            keys = functools.partial(_of_level, key)
            machine.walk(chain, rows, keys, 2 * step, 2 * step + 2, clamp=functools.partial(clamp, chain.drawn))
            average.add(step, chain.v_mean)
        return machine.backend.to_host(chain.drawn) if method == "sample" else average.value()


def _of_level(key, purpose, step):
    """The key of a purpose, of the level that it is about."""
    return key(purpose, step, 1 if purpose == rng.HIDDEN else 0)
