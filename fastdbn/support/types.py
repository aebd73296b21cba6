"""The types that public signatures name: short, so that an editor shows a signature as a person reads it."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Array = NDArray[np.floating]
"""An array of the model's precision."""
Doubles = NDArray[np.float64]
Labels = NDArray[Any]
"""Class labels, as they were given."""

FilePath = str | os.PathLike[str]
Blocks = Iterable[ArrayLike] | Callable[[], Iterable[ArrayLike]]
"""Blocks of rows: an iterator of them, or a function that returns one."""
Rows = ArrayLike | sparse.sparray | sparse.spmatrix | os.PathLike[str] | Blocks
"""Rows of data: an array, list, data frame or sparse matrix in memory, the path of a file, or blocks."""


class Matrix(Protocol):
    """Rows of data that have a shape: an array, sparse matrix or data frame."""

    @property
    def shape(self) -> Any: ...


Validation = Rows | tuple[Rows, Any]
"""Rows to watch, or a tuple (X, y)."""

Seed = int | RandomState | Generator | None
"""Where noise comes from."""
PerEpoch = float | Sequence[float] | Callable[[int], float]
"""A number, or one for each epoch: a list, or a callable of the epoch."""
Device = Literal["cpu", "cuda", "auto"]
DType = Literal["float32", "float64"]
Precision = Literal["float32", "tf32", "bf16"]
Bytes = int | str
"""Bytes, as an integer or a text such as "500MB"."""

Stage = int | str
"""A stage of a fit: the number of a layer, "up-down" or "fine-tuning"."""
