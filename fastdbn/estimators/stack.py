"""What an RBM and a network of RBMs do alike, as stacks of layers: passes up and down, and draws of rows."""

import numpy as np

from fastdbn.estimators import starts
from fastdbn.estimators.base import Estimator
from fastdbn.estimators.interrupt import check_is_fitted
from fastdbn.estimators.layer import start_states, up, visible_blocks, with_totals
from fastdbn.estimators.machines import machines_of
from fastdbn.estimators.rows import later_rows
from fastdbn.estimators.sampling import check_sample, drawn, is_rows, method_for
from fastdbn.inputs import data
from fastdbn.machine.block import check_totals
from fastdbn.machine.passes import Passes, level_keys
from fastdbn.maths import rng
from fastdbn.sampling import METHODS
from fastdbn.support import checks
from fastdbn.support.types import Array, Rows
from fastdbn.training.options.missing_values import WAYS


class Stack(Estimator):
    """An RBM, or a network of RBMs. It has `_stack`, its layers from below."""

    @property
    def _n_features_out(self):
        return self._stack()[-1].components_.shape[0]

    def _machines(self):
        """The machines of all layers, from below, on one backend."""
        return machines_of(self)

    def _checked(self, X):
        """X to be used by a fitted model, with missing values where its first layer takes them."""
        return later_rows(self, X, WAYS)

    def reconstruct(self, X: Rows) -> Array:
        """Pass rows up to the hidden means of the last layer and down to visible means.

        Parameters
        ----------
        X : (n, n_features) array or CSR matrix

        Returns
        -------
        (n, n_features) array
            On the scale of X.
        """
        return self._reconstruct(self._checked(X))

    def _reconstruct(self, X):
        machines = self._machines()
        return with_totals(machines[0].visible_unit, self._down(up(self._stack(), machines, X), len(machines)), X)

    def _down(self, H, n):
        """Visible means given hidden states of layer n, counted from 1."""
        for rbm, machine in reversed([*zip(self._stack()[:n], self._machines()[:n], strict=True)]):
            H = rbm.scaling_.invert(machine.visible(H))
        return H

    def _draw_up(self, X, n, seed, number):
        """States of layer n, counted from 1, drawn by an up-pass; X itself for n = 0, on the scale of the visible units."""
        machines = self._machines()
        out = np.empty((X.shape[0], machines[n - 1].shape[1] if n else X.shape[1]), self.dtype)
        for rows, v in visible_blocks(self._stack()[0], X, machines[0]):
            if n:
                passes = Passes(machines[:n], machines[0].row_numbers(rows), level_keys(seed, number, rng.DOWN))
                v = passes.up(v, passes.buffers())
            machines[0].backend.fetch(v, out[rows])
        return out

    def _draw(self, n_samples, n_steps, random_state, mean, totals, start, method, layer=-1, label=None):
        """`sample` of all classes."""
        check_is_fitted(self)
        rbms, machines = self._stack(), self._machines()
        width = max(sum(rbm.components_.shape) for rbm in rbms)
        n, start = check_sample(self, n_samples, n_steps, mean, start, method, width)
        if totals is not None and is_rows(start):
            raise ValueError("totals: chains that begin at `start` keep the totals of its rows, so leave totals out")
        there, layer, unit = is_rows(start), checks.layer(layer, len(rbms)), machines[0].visible_unit
        totals, (stack, ladder, classes) = check_totals(unit, n, totals), self._chains_of(layer, n, label)
        method, noise = method_for(method, stack(slice(0, 1)), layer, there), self._next_noise(random_state)
        hidden = None
        if there:
            totals = data.totals(unit, start, n) if unit.keeps_total else None
            states = self._draw_up(start, layer, *noise)
        else:
            states = start_states(rbms[layer], machines[layer], n, *noise, None if layer else totals)
            begun = getattr(self, "starts_", None)
            if begun is not None and start is None and layer + 1 == len(rbms) and method is METHODS["gibbs"]:
                hidden = starts.spread(begun, n, noise, self.start_classes_, classes)
        states, means = drawn(method, stack, layer, n_steps, noise, states, there, ladder, hidden)
        return self._descend(states, means, *noise, mean, totals, layer)

    def _chains_of(self, layer, n, label):
        """(a callable of a slice of n chains that gives the machines of the stack, one that gives the ladder of a layer, class
        numbers of the chains or None)."""
        return lambda rows: self._machines(), self._stack()[layer]._ladder, None

    def _descend(self, states, means, seed, number, mean, totals, layer):
        """From states of the layer under one down to the data: drawn states; or with `mean` from their means: visible means."""
        machines, first, n = self._machines()[:layer], self._stack()[0], len(states)
        if not machines:
            return first.scaling_.invert(means if mean else states)
        backend, host = machines[0].backend, start_states(first, machines[0], n, seed, number, totals)
        if mean:
            return with_totals(machines[0].visible_unit, self._down(means, len(machines)), host)
        with backend.single_threaded():
            passes = Passes(machines, machines[0].row_numbers(slice(0, n)), level_keys(seed, number, rng.DOWN))
            v = backend.states(machines[0].visible_unit, *host.shape, host)
            passes.down(backend.states(machines[-1].hidden_unit, *states.shape, states), passes.buffers(), v)
        return first.scaling_.invert(backend.to_host(v))
