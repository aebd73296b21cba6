"""A visible layer of several unit types: base, cgf and draws are those of its parts, each on its own columns.

The noise of a part is numbered by its columns, from its first one rounded up to a multiple of four; further parts lie further on.
"""

from typing import NamedTuple

import numpy as np

from fastdbn.units.unit import Part

APART = 1 << 24
"""Distance of the noise of parts that draw many numbers for a row."""


class Mixed(NamedTuple):
    """The record of a mixed layer; `mixed` makes it. It stands where a visible `Unit` does."""

    columns: tuple[Part, ...]

    @property
    def name(self):
        return "mixed"

    @property
    def support(self):
        return "mixed"

    @property
    def parameters(self):
        """None: units that learn their own parameters cannot be parts."""
        return ()

    @property
    def learning_rate(self):
        """The smallest of the parts'."""
        return min(part.unit.learning_rate for part in self.columns)

    @property
    def keeps_total(self):
        return any(part.unit.keeps_total for part in self.columns)

    @property
    def bounded(self):
        return all(part.unit.bounded for part in self.columns)

    @property
    def exact(self):
        return all(part.unit.exact for part in self.columns)

    def parts(self, n):
        return self.columns

    def link(self, mean):
        """As for a `Unit`, part by part."""
        return np.concatenate([part.unit.link(mean[part.start : part.stop]) for part in self.columns])


def _span(columns, n):
    """(start, stop) of a slice of n columns."""
    if not isinstance(columns, slice) or columns.step not in (None, 1):
        raise ValueError(f"visible: {columns!r} is not a range of columns: give a slice without a step, such as slice(0, 4)")
    start, stop, _ = columns.indices(n)
    if (columns.stop is not None and columns.stop > n) or stop <= start:
        raise ValueError(f"visible: {columns!r} names no columns, or more than the {n} of X")
    return start, stop


def mixed(parts, n, get_unit):
    """The `Mixed` of a list of (unit, slice of columns), which cover n columns, each once.

    Parameters
    ----------
    parts : sequence of (str or Unit, slice)
    n : int
    get_unit : callable
        (name or record, argument) -> Unit

    Raises
    ------
    ValueError
        if it is not such a list, or if columns are missing or named twice; the message names them.
    """
    spans = []
    for entry in parts:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise ValueError(f"visible: {entry!r} is not a part of a mixed layer: give (unit, slice of columns)")
        unit = get_unit(entry[0], "visible")
        if unit.parameters:
            raise ValueError(f"visible: {unit.name!r} units learn their {', '.join(unit.parameters)} only as a whole layer")
        spans.append((*_span(entry[1], n), unit))
    columns, reached = [], 0
    for i, (start, stop, unit) in enumerate(sorted(spans, key=lambda span: span[0])):
        if start != reached:
            what, low, high = ("missing", reached, start) if start > reached else ("named twice", start, min(reached, stop))
            raise ValueError(f"visible: columns {low} to {high - 1} are {what}: every one of the {n} columns belongs to one part")
        number = (i + 1) * APART if unit.keeps_total else 4 * ((start + 3) // 4 + i)
        columns.append(Part(unit, start, stop, number))
        reached = stop
    if reached != n:
        raise ValueError(f"visible: columns {reached} to {n - 1} are missing: every one of the {n} columns belongs to one part")
    return Mixed(tuple(columns))
