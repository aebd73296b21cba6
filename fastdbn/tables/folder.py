"""Folders of images, by Pillow: one folder for each class, perhaps inside of folders for training and testing.

FOLDER/cat/1.png, FOLDER/dog/2.png          or          FOLDER/train/cat/1.png, FOLDER/test/dog/2.png
"""

import numpy as np

from fastdbn.tables.arrays import of_array
from fastdbn.tables.blocks import IMAGES, KINDS

SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def _part(path, split):
    """The folder of a set of rows inside a folder, or None."""
    return next((path / name for name in SPLITS[split] if (path / name).is_dir()), None)


def folder_has_split(path, split):
    """Whether a folder has a folder of that set of rows."""
    return _part(path, split) is not None


def read_folder(path, split):
    """(Table, what was found) of a folder of images, as shades of grey from 0 to 255; the names of the folders are the labels.

    Raises
    ------
    ValueError
        if there are no images, if one cannot be read, if they differ in size, or if Pillow is not installed.
    """
    folder = _part(path, split) or path
    classes = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    files = [(file, each.name) for each in classes for file in _images(each)] or [(file, None) for file in _images(folder)]
    if not files:
        raise ValueError(
            f"{folder} has no images ({', '.join(sorted(IMAGES))}): put those of each class into a folder of its own. Nor has "
            f"it files of numbers ({', '.join(KINDS)}), which are read one after another"
        )
    first = _pixels(files[0][0])
    X = np.empty((len(files), *first.shape), np.uint8)
    for i, (file, _) in enumerate(files):
        pixels = _pixels(file)
        if pixels.shape != first.shape:
            sizes = " and ".join(f"{height}x{width}" for height, width in (first.shape, pixels.shape))
            raise ValueError(f"{files[0][0]} and {file} have sizes of {sizes} pixels: scale all images to one size")
        X[i] = pixels
    table, said = of_array(folder, X)
    if files[0][1] is None:
        return table, f"{said}; no folders of classes"
    return table._replace(target=np.array([name for _, name in files], object)), f"{said}; {len(classes)} folders of classes"


def _images(folder):
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGES)


def _pixels(file):
    """An image as shades of grey, (height, width) uint8."""
    try:
        from PIL import Image
    except ImportError:
        raise ValueError(f"{file}: images need Pillow: pip install 'fastdbn[data]', or save them as one .npz file") from None
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} is not an image that Pillow can read: {error}") from None
