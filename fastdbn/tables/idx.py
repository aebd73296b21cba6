"""idx files, as MNIST and its kin come in: images, labels and test rows in files beside each other, gzipped or not.

The format is a word of two zero bytes, a type and a number of dimensions, then the sizes, then the numbers, all big-endian.
"""

import re

import numpy as np

from fastdbn.tables.arrays import of_array
from fastdbn.tables.packed import check_unpacked, damage_named, unpacked

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NAME = re.compile(r"(.*?)images([-.]idx)\d(.*)")
TEST = {"train": ("t10k", "test")}


def is_idx(path):
    """Whether a file has the name of an idx file."""
    return re.search(r"[-.]idx\d", path.name) is not None


def array(path):
    """The array of an idx file.

    Raises
    ------
    ValueError
        if it is none, or is cut short.
    """
    with damage_named(path), unpacked(path) as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= 8:
            raise ValueError(
                f"{path} is not an idx file: it does not begin with two zero bytes, a type and a number of dimensions"
            )
        dtype, shape = np.dtype(TYPES[start[2]]), np.frombuffer(file.read(4 * start[3]), ">u4").tolist()
        size = int(np.prod([float(n) for n in shape])) * dtype.itemsize
        check_unpacked(path, size)
        numbers = file.read(size)
        if len(shape) < start[3] or len(numbers) < size or file.read(1):
            raise ValueError(f"{path} is damaged: its {start[3]} dimensions {shape} are not those of its contents")
    return np.frombuffer(numbers, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _beside(path, name):
    """The file of a name in the folder of another, gzipped or not; None if it is not there."""
    plain = name.removesuffix(".gz")
    found = (path.with_name(name), path.with_name(plain), path.with_name(f"{plain}.gz"))
    return next((other for other in found if other.is_file()), None)


def _labels_of(path):
    parts = NAME.fullmatch(path.name)
    return parts and _beside(path, f"{parts[1]}labels{parts[2]}1{parts[3]}")


def test_images(path):
    """The images to test on beside those to train on, where these have labels; None if there are none."""
    for old, names in TEST.items():
        for new in names if old in path.name and NAME.fullmatch(path.name) else ():
            other = _beside(path, path.name.replace(old, new))
            if other is not None and _labels_of(other) is not None:
                return other
    return None


def beside(path):
    """The files that belong to a file of images: its labels, and the test images with theirs."""
    tests = test_images(path)
    return [file for file in (_labels_of(path), tests, tests and _labels_of(tests)) if file is not None]


def idx_has_split(path, split):
    """Whether images of that set of rows are beside a file of images."""
    return split == "test" and test_images(path) is not None


def read_idx(path, split="train"):
    """(Table, what was found) of a file of images and its file of labels; of the test images beside them for split="test"."""
    path = (test_images(path) if split == "test" else None) or path
    X = array(path)
    if X.ndim < 2:
        raise ValueError(f"{path} holds labels: give the file of the images, and the labels are found beside it")
    (table, found), labels = of_array(path, X), _labels_of(path)
    if labels is None:
        return table, f"{found}; no labels beside it"
    y = array(labels)
    if y.shape != X.shape[:1]:
        raise ValueError(f"{labels} has the shape {y.shape}, and {path} has {len(X)} images")
    return table._replace(target=y), f"{found}; labels in {labels.name}"
