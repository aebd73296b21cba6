"""Rows of pixels as images, and many images in one grid."""

import re

import matplotlib.image
import numpy as np

from fastdbn.evaluate.models import feature_names
from fastdbn.support import checks

WIDTH = 600
"""Pixels of a picture, at least about so many across."""
LEAST = 8
"""The least width of an image that is found without being named: 9 or 16 columns are rather a table."""


def shape_of(model, given):
    """The shape of a row of the model's data as an image, (height, width) or (height, width, 3); None if it is none.

    Parameters
    ----------
    model : Estimator
    given : tuple, False or None
        (height, width), (height, width, 3), or (3, height, width), channels first. None finds square images of 8x8 pixels or
        more, but not among columns with several names. False says that rows are no images.

    Raises
    ------
    ValueError
        if the number of features is another.
    """
    n = model.n_features_in_
    if given is None:
        side = round(n**0.5)
        named = {re.sub(r"[\d_x]+$", "", str(name)) for name in feature_names(model)}
        return (side, side) if side * side == n and side >= LEAST and len(named) < 2 else None
    if given is False:
        return None
    try:
        shape = tuple(map(int, given))
        fits = shape == tuple(given) and min(shape) > 0 and (len(shape) == 2 or (len(shape) == 3 and 3 in (shape[0], shape[2])))
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(f"image_shape={checks.shown(given)}: give (height, width), or (height, width, 3) for colour, or False")
    if np.prod(shape) != n:
        raise ValueError(
            f"image_shape={checks.shown(given)} has {np.prod(shape)} values, and the model has {n} features: give the shape of "
            "its rows"
        )
    return shape


def needed_shape(model, given):
    """`shape_of`, where there must be one."""
    shape = shape_of(model, given)
    if shape is None:
        raise ValueError(
            f"the {model.n_features_in_} features of this model are not taken for images: give image_shape=(height, width), or "
            "(height, width, 3) for colour. For tables draw fastdbn.plot.columns"
        )
    return shape


def as_images(rows, shape):
    """(n, height, width) or (n, height, width, 3) of rows."""
    images = np.asarray(rows, np.float64).reshape(-1, *shape)
    return np.moveaxis(images, 1, -1) if len(shape) == 3 and shape[2] != 3 else images


def limits(rows):
    """The values that are black and white: 0 and 1, or 0 and 255, where rows fill about that, else their extremes.

    Missing values do not count.
    """
    known = rows[np.isfinite(rows)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    for top in (1.0, 255.0):
        if 0 <= low and top / 4 < high <= top:
            return 0.0, top
    return (low, high) if high > low else (low, low + 1.0)


def coloured(images, low, high, cmap="gray"):
    """Images as (n, height, width, 4) bytes of red, green, blue and opacity; low and high are black and white."""
    shares = np.clip((images - low) / (high - low), 0.0, 1.0)  # NaN is transparent where there is a map of colours
    if shares.ndim == 3:
        return matplotlib.colormaps[cmap](shares, bytes=True)
    opaque = np.full((*shares.shape[:3], 1), 255, np.uint8)
    return np.concatenate([np.round(255 * np.nan_to_num(shares)).astype(np.uint8), opaque], axis=-1)


def grid(tiles, n_columns):
    """Tiles, (n, height, width, 4) bytes, side by side as one such image; what is between them is transparent."""
    n, height, width, _ = tiles.shape
    gap, n_lines = max(1, width // 14), -(-n // n_columns)
    image = np.zeros((n_lines * (height + gap) - gap, n_columns * (width + gap) - gap, 4), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
        image[top : top + height, left : left + width] = tile
    return image


def picture(path, rows, shape, n_columns=None):
    """Write a PNG of rows as images in a grid on white, whose pixels are squares of pixels if they are few.

    The grid has n_columns columns, or about as many as lines.
    """
    tiles = coloured(as_images(rows, shape), *limits(rows))
    image = grid(tiles, n_columns or columns_of(len(tiles)))
    image[image[..., 3] == 0] = 255
    times = max(1, WIDTH // image.shape[1])
    matplotlib.image.imsave(path, image.repeat(times, axis=0).repeat(times, axis=1), format="png")


def show(ax, tiles, n_columns, labels=None):
    """Draw tiles in a grid, sharp, without axes; labels are those of its lines."""
    image = grid(tiles, n_columns)
    ax.imshow(image, interpolation="none")
    ax.set_frame_on(False)
    ax.set_xticks([])
    step = tiles.shape[1] + max(1, tiles.shape[2] // 14)
    ax.set_yticks([] if labels is None else step * np.arange(len(labels)) + tiles.shape[1] / 2, labels)
    ax.tick_params(length=0)
    return image


def columns_of(n):
    """The columns of a grid of n images that is about square, or a little wider."""
    return int(np.ceil(np.sqrt(n)))


def size_of(tiles, n_columns, width=6.0):
    """Inches of a figure of a grid, with room for a title."""
    n, height, across, _ = tiles.shape
    return width, width * (-(-n // n_columns) * height) / (n_columns * across) + 0.4
