"""Passes of a block of rows up and down a stack of machines, by states drawn or by means."""

from fastdbn.maths import rng


def level_keys(seed, number, kind):
    """The keys of the passes of draw `number`, which are for `kind`: a function of (purpose, step, level)."""
    return lambda purpose, step, level: rng.key(seed, step, rng.draw_stream(purpose, number, kind, level))


class Passes:
    """Passes through machines, each of which stands on the hidden units of the one before it.

    Level 0 are the visible units, level l the hidden ones of machine l - 1. `means` has the last means of each level.

    Parameters
    ----------
    machines : list of BlockMachine
        From below, on one backend.
    rows : (B,) row numbers, the backend's
    key : callable of (purpose, step, level)
        The keys of the noise.
    """

    def __init__(self, machines, rows, key):
        self.machines, self.rows, self.key, self.backend = machines, rows, key, machines[0].backend
        sizes = [machines[0].shape[0], *(machine.shape[1] for machine in machines)]
        self.means = [self.backend.zeros(len(rows), n) for n in sizes]

    def buffers(self):
        """Buffers for the states of all levels but the visible one."""
        return [self.backend.states(m.hidden_unit, len(self.rows), m.shape[1]) for m in self.machines]

    def up(self, v, hidden=None, step=0):
        """From visible states to all hidden ones, drawn into the buffers `hidden`, or by means; returns the last."""
        for level, machine in enumerate(self.machines, 1):
            drawn = () if hidden is None else (hidden[level - 1], self.rows, self.key(rng.HIDDEN, step, level))
            machine.hidden_given(v, self.means[level], *drawn)
            v = self.means[level] if hidden is None else hidden[level - 1]
        return v

    def down(self, h, hidden=None, v=None, step=0, top=None, totals=None):
        """From states h of level `top`, the last by default, to the visible means, in means[0].

        With v, the states between are drawn into the buffers `hidden` and visible ones into v. Without it, visible units that
        count take their totals from `totals`, visible states.
        """
        for level in range(len(self.machines) - 1 if top is None else top - 1, -1, -1):
            state = v if level == 0 else None if hidden is None else hidden[level - 1]
            drawn = () if state is None else (state, self.rows, self.key(rng.VISIBLE, step, level))
            if level == 0 and state is None and self.machines[0].visible_unit.keeps_total:
                drawn = (totals,)
            self.machines[level].visible_given(h, self.means[level], *drawn)
            h = self.means[level] if state is None else state
