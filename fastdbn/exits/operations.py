"""The operations in which an exit computes stages: one text of each stage for all exits.

A value stands for an array of rows. It has the operators + - * / with values and numbers, and < and > with numbers.
"""

from typing import Any, Protocol


class Operations(Protocol):
    def let(self, name: str, x: Any) -> Any:
        """x itself, under a name where an exit writes text."""

    def dtype(self, x: Any) -> str:
        """The type of a value's numbers."""

    def cast(self, x: Any, dtype: str) -> Any:
        """x in another type."""

    def affine(self, x: Any, W: Any, b: Any) -> Any:
        """x W + b."""

    def maximum(self, x: Any, y: Any) -> Any:
        """The greater of two values."""

    def clip(self, x: Any, low: Any, high: Any) -> Any:
        """x in [low, high]; either may be None."""

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """x where the condition holds, else y; at least one is a value."""

    def isnan(self, x: Any) -> Any:
        """Whether x is not a number."""

    def sigmoid(self, x: Any) -> Any:
        """1 / (1 + e^-x)."""

    def tanh(self, x: Any) -> Any:
        """The hyperbolic tangent."""

    def softplus(self, x: Any) -> Any:
        """log(1 + e^x)."""

    def softmax(self, x: Any, n: int, size: int) -> Any:
        """The softmax of each group of `size` of the n columns of x."""

    def logsumexp(self, x: Any, n: int, size: int) -> Any:
        """log sum e^x of each group of `size` of the n columns of x: a column for each group."""

    def sum(self, x: Any) -> Any:
        """The sum over columns: one dimension."""

    def columns(self, x: Any, start: int, stop: int) -> Any:
        """Columns start to stop."""

    def concat(self, parts: list) -> Any:
        """Columns of several values, side by side."""

    def each(self, rows: Any, function: Any) -> Any:
        """Columns side by side: what a function makes of each row of an array, of one dimension."""

    def argmax(self, x: Any) -> Any:
        """The number of the greatest column, the first of equals."""

    def take(self, x: Any, numbers: Any) -> Any:
        """Elements of an array of one dimension."""
