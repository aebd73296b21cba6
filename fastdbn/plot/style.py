"""What all pictures share: colours, plain axes, and text that is shown as it stands."""

import functools
from itertools import cycle, islice

import matplotlib as mpl
import numpy as np

COLOURS = "#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"
"""Colours that people with any colour vision tell apart (Petroff 2021, "Accessible color sequences for data visualization")."""
SIGNED = "RdBu_r"
"""A map of colours for numbers of both signs, white at zero."""
SIZE = 6.4, 4.0
"""Inches of a new figure."""
SETTINGS = {"text.parse_math": False}
"""A column named "$x$" is no formula."""


def drawn(function):
    """A function that draws: its texts are shown as they stand."""

    @functools.wraps(function)
    def draw(*args, **kwargs):
        with mpl.rc_context(SETTINGS):
            return function(*args, **kwargs)

    return draw


def new_axes(ax, size=SIZE):
    """The axes that the caller gave, or those of a new figure of a size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]


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
    from matplotlib import pyplot

    n_columns = min(n_columns, n)
    n_lines = -(-n // n_columns)
    figure, axes = pyplot.subplots(
        n_lines, n_columns, figsize=(size[0] * n_columns, size[1] * n_lines), layout="constrained", squeeze=False
    )
    for ax in axes.flat[n:]:
        figure.delaxes(ax)
    return axes.flat[:n]


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


def legend(ax):
    """A legend without a frame, where there is anything to tell apart."""
    if len(ax.get_legend_handles_labels()[0]) > 1:
        ax.legend(frameon=False, fontsize="small")


def colours(n):
    """n colours; they begin anew where there are more than of `COLOURS`."""
    return list(islice(cycle(COLOURS), n))
