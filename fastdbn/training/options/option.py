"""What a training option is: one object with its parameters, its buffers, its part in a minibatch, and its state between fits.

An option overrides the hooks that it needs; here they do nothing. A fit calls them in the order in which they stand below.
`self.training`, set before `begin`, is the run (`cd.ContrastiveDivergence`): its backend, layer, problem, hyper and step.
"""

from typing import Any, ClassVar

VISIBLE, HIDDEN = "n_features", "n_hidden"
"""In a shape of `Option.keeps`: how many units the layer has. Model files have these names too."""


CHAINS = 100


def chains(rbm):
    """How many persistent chains an RBM has: by default `CHAINS`, or as many as a minibatch has rows where those are more."""
    return max(CHAINS, rbm.batch_size) if rbm.n_chains is None else rbm.n_chains


class Option:
    """A training option that does nothing."""

    fused = False
    """Whether a backend's fused kernel may run the minibatches of a fit with this option."""
    copies = 1
    """How many rows of states each persistent chain has."""
    minibatches: int | None = None
    """The most minibatches between two calls of `after_call`; None leaves that to the run."""
    keeps: ClassVar[dict[str, tuple]] = {}
    """The arrays that the next fit goes on with: name -> shape. None in a shape is any size."""
    exact: tuple = ()
    """Those of these arrays that are float64 in fits of any precision."""
    training: Any
    arrays: tuple = ()
    """The backend's buffers of these arrays, in the order of `keeps`."""

    @classmethod
    def of(cls, rbm, visible, hidden):
        """The option that the parameters of an RBM ask for, checked; None where they do not.

        Parameters
        ----------
        rbm : object
            With the parameters of `RBM` as attributes.
        visible : Unit or None
            None while the data have not chosen it yet. Then this is called a second time.
        hidden : Unit

        Raises
        ------
        ValueError
            Names the parameter, its value and the remedy.
        """

    @classmethod
    def check_extras(cls, extras, visible):
        """Refuse arrays of a model file that no fit can go on with. Shapes, types and finiteness are checked before."""
        if 0 < sum(name in extras for name in cls.keeps) < len(cls.keeps):
            raise ValueError(f"some of {', '.join(cls.keeps)} are lacking")

    def applies(self, layer):
        """Whether the option has anything to do with the data of a layer."""
        return True

    def initial(self, backend, visible, hidden, params, scaling):
        """(parameters, extras) that the first fit begins with, from the customary parameters. All are host arrays."""
        return params, {}

    def begin(self, state):
        """Make the buffers of a run that goes on from a state."""

    def begin_epoch(self, epoch):
        """Read schedules at an epoch (from 0)."""

    def positive(self, batch):
        """Change the visible states of the data, before anything is computed from them."""

    def negative(self, batch):
        """Change the chains' states, after their Gibbs steps."""

    def gradient(self, batch):
        """Change both phases before their statistics are taken; hidden states are means here."""

    def step(self, batch):
        """Move the parameters in place of the backend's `update`; returns whether that was done."""
        return False

    def after_step(self, batch):
        """Change the parameters after the step of a minibatch."""

    def after_call(self):
        """Change the run after some minibatches."""

    def watch(self, rows, machine, epoch):
        """Deal with rows that monitors watch (`monitors.Rows`) as with the data of a minibatch."""

    def state(self):
        """Host copies of the arrays of `keeps`, by name."""
        return dict(zip(self.keeps, map(self.training.backend.to_host, self.arrays), strict=True))

    def metrics(self):
        """Measures of the epoch, by their names in `monitors.MONITORS`."""
        return {}


def owns_gradient(visible):
    """Whether variances or totals of visible units belong to the gradient."""
    return "log_variance" in visible.parameters or visible.keeps_total


def refuse_with(visible, name, value):
    """Refuse a parameter that does not go with visible units whose variances or totals belong to the gradient."""
    if visible is not None and owns_gradient(visible):
        raise ValueError(
            f"{name}={value!r} does not go with {visible.name} visible units, whose variances or totals belong to the gradient: "
            f"use {name}=None"
        )
