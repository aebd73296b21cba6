"""Figures of a page: drawn for light and dark, as SVG that stands in the page itself."""

import io
import re
from html import escape

import matplotlib as mpl
import numpy as np

from fastdbn.plot.style import off_screen

INK = "#010203"
"""Stands for the colour of text, which the page decides."""
WIDE = 8.5
"""A figure that is wider, in inches, has a line for itself."""
THEME = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
}
"""Settings of matplotlib: no background, and text that stays text."""


def figure(name, caption, draw):
    """A figure element of HTML.

    draw is called without arguments and gives axes; name sets the identifiers of its parts apart from those of other figures.
    """
    with mpl.rc_context(THEME | {"svg.hashsalt": name}), off_screen():
        drawn = np.ravel(draw())[0].figure
        with io.StringIO() as file:
            drawn.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
            svg = file.getvalue()
    width = drawn.get_size_inches()[0]
    kind = " class=wide" if width > WIDE else ""
    said = f"<figcaption>{escape(caption)}</figcaption>"
    return f'<figure id="{escape(name)}"{kind} style="max-width:{96 * width:.0f}px">{_inline(svg, caption)}{said}</figure>'


def _inline(svg, caption):
    """The svg element of a file: its size is that of the page's column, its ink that of the page's text."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # those that nothing refers to: all figures have the same
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)  # it is in that of the page
    svg = svg.replace(f": {INK}", ": currentColor").replace("'DejaVu Sans', sans-serif", "system-ui, sans-serif")
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{escape(caption)}">', svg, count=1)
