"""What all pictures share: colours, plain axes, and text that is shown as it stands."""

import contextlib
import functools
from contextvars import ContextVar
from itertools import cycle, islice
from typing import cast

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from fastdbn.evaluate.models import Function, of_tables

COLOURS = "#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"
"""Colours that people with any colour vision tell apart (Petroff 2021, "Accessible color sequences for data visualization")."""
SIGNED = "RdBu_r"
"""A map of colours for numbers of both signs, white at zero."""
SIZE = 6.4, 4.0
"""Inches of a new figure."""
SETTINGS = {"text.parse_math": False}
"""A column named "$x$" is no formula."""


def drawn(function: Function) -> Function:
    """A function that draws: it takes a TableModel and a table, too, and its texts are shown as they stand."""
    function = of_tables(function)

    @functools.wraps(function)
    def draw(*args, **kwargs):
        with mpl.rc_context(SETTINGS):
            return function(*args, **kwargs)

    return cast(Function, draw)


_off_screen = ContextVar("off_screen", default=False)


@contextlib.contextmanager
def off_screen():
    """New figures belong to nobody but the caller: no window and no notebook shows them."""
    before = _off_screen.set(True)
    try:
        yield
    finally:
        _off_screen.reset(before)


def _new_figure(size):
    """A figure of a size in inches."""
    if _off_screen.get():
        return Figure(figsize=size, layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, layout="constrained")


def new_axes(ax, size=SIZE):
    """The axes that the caller gave, or those of a new figure of a size in inches."""
    return _new_figure(size).subplots() if ax is None else ax


def several_axes(axes, n, n_columns, size=(3.6, 2.9)):
    """n axes as a flat array: those that the caller gave, or those of a new figure; size is that of one in inches.

    Raises
    ------
    ValueError
        if the caller gave another number.
    """
    if axes is not None:
        axes = np.ravel(axes)
        if len(axes) != n:
            raise ValueError(f"axes has {len(axes)} axes for {n} panels: give {n}, or none")
        return axes
    n_columns = min(n_columns, n)
    n_lines = -(-n // n_columns)
    axes = _new_figure((size[0] * n_columns, size[1] * n_lines)).subplots(n_lines, n_columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    return axes[:n]


def plain(ax, title=None, x=None, y=None):
    """Axes without a frame above and on the right, with title and labels."""
    ax.spines[["top", "right"]].set_visible(False)
    if title is not None:
        ax.set_title(title, loc="left", fontsize="medium", fontweight="bold")
    if x is not None:
        ax.set_xlabel(x)
    if y is not None:
        ax.set_ylabel(y)
    return ax


def legend(ax, least=2):
    """A legend without a frame, if it has so many lines or more."""
    if len(ax.get_legend_handles_labels()[0]) >= least:
        ax.legend(frameon=False, fontsize="small")


def short(name, most=24):
    """A name that leaves room for the picture."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def colours(n):
    """n colours; they begin anew where there are more than of `COLOURS`."""
    return list(islice(cycle(COLOURS), n))
