"""A table as numbers for an RBM or a network, and numbers as a table: scikit-learn's transformer.

    numbers, dates  -> Gaussian units, which the model standardises
    flags           -> Bernoulli units: 0 and 1, yes and no, any two texts
    categories      -> softmax units, one for each label

The units are in this order, each kind in the order of the table, with the marks of missing values behind the flags.
"""

import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastdbn.inputs.choice import choose
from fastdbn.inputs.data import column_range
from fastdbn.preparation.column import CATEGORY, FLAG, NUMBER, Column
from fastdbn.preparation.kinds import LARGEST, Fault, Unusable, check_kind, column_of, identifies_rows
from fastdbn.support import checks
from fastdbn.support.report import DataWarning, warn
from fastdbn.support.types import Doubles
from fastdbn.tables.frames import as_frame, as_table, frame_kind
from fastdbn.tables.table import SHOWN, Table, left_out, listed, position, wanted

FILL, KEEP = MISSING = "fill", "keep"


def _place(table: Table, column: str | int, option: str) -> int:
    """The position of a column, given by it, an integer, or by its name, which may be a text of digits."""
    if isinstance(column, str) and column in (table.names or ()):
        return table.names.index(column)
    return position(table.names, table.width, str(column), option)


class Preparation(TransformerMixin, BaseEstimator):
    """Prepare the columns of a table for an RBM or a network, each by what it holds.

    Parameters
    ----------
    kinds : dict or None, default None
        What columns are taken for, by name or position: "number", "flag", "category", "date" or "drop". Others are decided by
        their values.
    keep : sequence of str or int, default ()
        Columns to use that would be left out: free text, identifiers, and columns that determine the target.
    missing : {"fill", "keep"}, default "fill"
        "fill" puts the median, or the shares of the labels, where a value is missing, and marks it in a unit of its own if the
        fit had missing values in that column. "keep" leaves NaN there, for models with ``missing="sample"`` or "drop".

    Attributes
    ----------
    visible_ : "auto" or list of (unit, slice of columns)
        The visible units, for ``RBM(visible=...)``. It is "auto" where all columns are numbers that a model can take as they are.
    columns_ : tuple of Column
        How each column is prepared.
    left_out_ : dict
        Why columns are left out, by position.
    feature_names_in_ : (n,) array of str
        Names of the columns that are used, if the table has names.

    Examples
    --------
    >>> from fastdbn import Preparation
    >>> preparation = Preparation().fit([["red", 1.5], ["blue", 2.0], ["green", 4.0], ["red", 3.0]])
    >>> preparation.transform([["green", 2.5]]).tolist()
    [[2.5, 0.0, 1.0, 0.0]]
    >>> preparation.visible_
    [('gaussian', slice(0, 1, None)), ('softmax', slice(1, 4, None))]
    """

    visible_: str | list[tuple[str, slice]]
    columns_: tuple[Column, ...]
    left_out_: dict[int, str]
    feature_names_in_: NDArray[Any]

    def __init__(self, *, kinds: dict[Any, str] | None = None, keep: Sequence[str | int] = (), missing: str = FILL) -> None:
        self.kinds, self.keep, self.missing = kinds, keep, missing

    # ---- fit

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Decide what each column is.

        Parameters
        ----------
        X : pandas or polars DataFrame, Table, or (n, width) array or list
        y : (n,) array or None
            The target. Columns that determine it one to one are left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            names columns, rows and values that cannot be used, and the remedy.
        """
        self.fit_table(as_table(X), None if y is None else np.asarray(y))
        self.frames_ = frame_kind(X)
        return self

    def fit_table(self, table: Table, target: NDArray[Any] | None = None, absent: Iterable[int] = ()) -> Self:
        """`fit` for a Table, of which columns at some positions do not count."""
        checks.choice(self.missing, "missing", MISSING)
        absent = {*absent}
        kinds, keep = self._told(table, absent)
        keep |= {j for j, kind in kinds.items() if kind != "drop"}
        places = [j for j in range(table.width) if j not in absent]
        why = {j: "as told" for j in places if kinds.get(j) == "drop"}
        known = target if target is not None and target.ndim == 1 else None
        why |= left_out(table, known, [j for j in places if j not in keep and j not in why])
        for j in places:
            if j not in why and j not in keep and j not in table.text:
                reason = identifies_rows(table.names[j] if table.names else "", table.numbers[:, j])
                why |= {j: reason} if reason else {}
        places = [j for j in places if j not in why]
        plain = self._is_plain(table, places, kinds)
        columns = self._decided(table, places, dict.fromkeys(places, NUMBER) if plain else kinds, places if plain else keep, why)
        if not columns:
            said = "; ".join(f"column {table.name(j)} {reason}" for j, reason in [*why.items()][:SHOWN])
            raise ValueError(
                f"no columns are left as features{': ' if said else ''}{said}. --keep (in Python keep=) uses what is left out"
            )
        self.left_out_ = why
        return self.restore(tuple(columns), table.width, plain)

    def _told(self, table: Table, absent: set[int]) -> tuple[dict[int, str], set[int]]:
        """Kinds by position, and the positions to keep, which must not contradict each other."""
        given = (self.kinds or {}).items()
        kinds = {_place(table, name, "kinds (--as)"): check_kind(kind, name) for name, kind in given}
        keep = {_place(table, name, "keep (--keep)") for name in self.keep}
        if len(kinds) < len(given):
            raise ValueError(
                f"kinds (--as) {self.kinds}: some column has a kind by its name and by its position: give it one kind"
            )
        for j in sorted(keep):
            if kinds.get(j) == "drop":
                raise ValueError(
                    f"column {table.name(j)}: kinds (--as) drops it and keep (--keep) uses it: leave one of them out"
                )
        for j in sorted({*keep, *(j for j, kind in kinds.items() if kind != "drop")} & absent):
            raise ValueError(
                f"column {table.name(j)} is a target or names groups, so it is no feature: leave it out of kinds (--as) and keep "
                "(--keep)"
            )
        return kinds, keep

    def restore(self, columns: tuple[Column, ...], width: int, plain: bool) -> Self:
        """Make this a fitted preparation of some columns of a table of `width`; returns self."""
        self.columns_, self.width_ = columns, width
        names = [column.name for column in columns]
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if all(names):
            self.feature_names_in_ = np.array(names, object)
        reals, flags = [c for c in columns if c.real], [c for c in columns if c.kind == FLAG]
        marked = [c for c in columns if c.marked and c.kind != CATEGORY]
        categories = [c for c in columns if c.kind == CATEGORY]
        self._at = {c.place: i for i, c in enumerate([*reals, *flags])}
        self._marks = {c.place: len(self._at) + i for i, c in enumerate(marked)}
        real, binary = len(reals), len(reals) + len(flags) + len(marked)
        parts = [("gaussian", slice(0, real)), ("bernoulli", slice(real, binary))]
        self.n_features_out_ = binary
        for c in categories:
            self._at[c.place] = self.n_features_out_
            self.n_features_out_ += c.units
            parts.append(("softmax", slice(self._at[c.place], self.n_features_out_)))
        self.visible_ = "auto" if plain else [part for part in parts if part[1].stop > part[1].start]
        return self

    def _is_plain(self, table: Table, places: list[int], kinds: dict[int, str]) -> bool:
        """Whether some columns are complete numbers that a model takes as they are: pixels, probabilities, or no flags at all."""
        if not places or kinds or not set(places).isdisjoint(table.text):
            return False
        X = table.numbers if len(places) == table.width else table.numbers[:, places]
        low, high = column_range(X)
        if not (np.maximum(-low, high) <= LARGEST).all():  # nor infinite or missing
            return False
        flags = [j for j in np.flatnonzero((low == 0) & (high == 1)) if np.isin(X[:, j], (0, 1)).all()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the fit warns
            return not flags or getattr(choose(X, "auto", "auto")[0], "name", "") == "bernoulli"

    def _decided(
        self, table: Table, places: list[int], kinds: dict[int, str], keep: Collection[int], why: dict[int, str]
    ) -> list[Column]:
        """The columns at some places; `why` gets those that are left out."""
        columns: list[Column] = []
        faults: list[tuple[str, ...]] = []
        for j in places:
            try:
                column = column_of(table, j, kinds.get(j), j in keep)
            except Unusable as reason:
                why[j] = str(reason)
            except Fault as fault:
                faults.append((table.name(j), *fault.args))
            else:
                columns.append(column if self.missing == FILL else column.unmarked())
        if faults:
            said = "; ".join(f"column {name} {what}" for name, what, _ in faults[:SHOWN])
            more = f"; {len(faults) - SHOWN} more columns have such cells" if len(faults) > SHOWN else ""
            remedies = "; ".join(dict.fromkeys(remedy for *_, remedy in faults))
            name = faults[0][0].strip("'")
            raise ValueError(
                f"{said}{more}: {remedies}; or take the column for something else, or leave it out: --as {name}=category, "
                f"--as {name}=drop (in Python kinds={{{name!r}: 'drop'}})"
            )
        return columns

    # ---- use

    def transform(self, X: Any) -> Doubles:
        """The numbers of a table's rows.

        Parameters
        ----------
        X : as for `fit`; columns are found by name if both have names, else by position

        Returns
        -------
        (n, n_features_out_) float64 array

        Warns
        -----
        DataWarning
            for texts that the fit did not see, and for missing values where it had none. They count as missing.
        """
        check_is_fitted(self, "columns_")
        return self.transform_table(as_table(X))

    def transform_table(self, table: Table, missing: str | None = None) -> Doubles:
        """`transform` for a Table; `missing` as the parameter, by default that of the fit."""
        places, keep = self.places_in(table), (missing or self.missing) == KEEP
        out, lacking, unseen = np.zeros((len(table.numbers), self.n_features_out_)), [], []
        for column, place in zip(self.columns_, places, strict=True):
            values, strange = column.read(table, place)
            empty = np.isnan(values) if column.real else values < 0
            if strange is not None:
                unseen.append((column, *strange))
            elif empty.any() and not column.marked and not keep:
                lacking.append((column, int(np.argmax(empty))))
            self._put(out, column, values, empty, keep)
        if unseen:
            column, row, cell = unseen[0]
            others = f"; so do columns {listed(c.words for c, *_ in unseen[1:])}" if unseen[1:] else ""
            warn(
                f"column {column.words} has {cell!r} in row {row + 1}, which the fit did not see: such values count as missing"
                f"{others}",
                DataWarning,
            )
        if lacking:
            column, row = lacking[0]
            others = f"; so do columns {listed(c.words for c, _ in lacking[1:])}" if lacking[1:] else ""
            warn(
                f"column {column.words} has no value in row {row + 1}, and the fit had one in every row: what is usual there "
                f"takes its place{others}",
                DataWarning,
            )
        return out

    @property
    def names(self) -> list[str]:
        """Names of the columns that are used, or an empty list."""
        return list(getattr(self, "feature_names_in_", ()))

    @property
    def places(self) -> list[int]:
        """Positions of the columns that are used, in the table of the fit."""
        return [column.place for column in self.columns_]

    def places_in(self, table: Table) -> list[int]:
        """Their positions in another table."""
        absent = sorted(set(range(table.width)) - set(self.places)) if table.width == self.width_ else []
        return wanted(table, self.names, len(self.columns_), absent)

    def _put(self, out: Doubles, column: Column, values: NDArray[Any], empty: NDArray[np.bool_], keep: bool) -> None:
        """Write the values of a column, some of them empty, into its units."""
        at = self._at[column.place]
        if column.kind == CATEGORY:
            seen = np.flatnonzero(~empty)
            out[seen, at + values[seen]] = 1.0
            out[empty, at : at + column.units] = np.nan if keep else np.eye(column.units)[-1] if column.marked else column.fill
            return
        out[:, at] = np.where(empty, np.nan if keep else column.fill[0], values)
        if column.marked:
            out[:, self._marks[column.place]] = empty & (not keep)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """The table that numbers stand for.

        Parameters
        ----------
        X : (n, n_features_out_) array
            States or means of the visible units.

        Returns
        -------
        data frame of the kind of the fit, of pandas if that was none; a Table where pandas is not installed
            Numbers are within the range of the fit, with as many digits. Labels are the most probable ones.
        """
        check_is_fitted(self, "columns_")
        return as_frame(self.inverse_table(X), getattr(self, "frames_", None))

    def inverse_table(self, X: ArrayLike, missing: bool = True) -> Table:
        """`inverse_transform` to a Table; missing=False gives a value where a model would have none."""
        X, n = np.asarray(X), len(self.columns_)
        if X.ndim != 2 or X.shape[1] != self.n_features_out_:
            raise ValueError(f"X has shape {X.shape}: give rows of {self.n_features_out_} numbers, as transform makes them")
        numbers, text = np.full((len(X), n), np.nan), {}
        for j, column in enumerate(self.columns_):
            at = self._at[column.place]
            own = slice(at, at + (column.units if missing else len(column.labels))) if column.kind == CATEGORY else at
            cells = column.cells(X[:, own])
            if missing and column.place in self._marks:
                nothing: Any = np.nan if cells.dtype != object else None
                cells = np.where(X[:, self._marks[column.place]] >= 0.5, nothing, cells)
            if cells.dtype == object:
                text[j] = ["" if cell is None else cell for cell in cells]
            else:
                numbers[:, j] = cells
        return Table(numbers, self.names or None, text)

    # ---- what was decided

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the numbers: those of the columns, with "=label" for categories and " is missing" for marks."""
        check_is_fitted(self, "columns_")
        names = np.empty(self.n_features_out_, object)
        for column in self.columns_:
            at, name = self._at[column.place], column.name or f"x{column.place}"
            if column.kind == CATEGORY:
                for i, label in enumerate([*column.labels, *(["(missing)"] if column.marked else [])]):
                    names[at + i] = f"{name}={label}"
            else:
                names[at] = name
            if column.place in self._marks:
                names[self._marks[column.place]] = f"{name} is missing"
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        return tags
