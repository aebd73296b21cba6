"""A preparation as a field of model files. What is read may come from anyone: it is checked, and decides no sizes but its own."""

from typing import Any

from fastdbn.files.entries import Entry
from fastdbn.files.parameters import entry, of_kind, whole
from fastdbn.preparation import dates
from fastdbn.preparation.column import CATEGORY, DATE, FLAG, KINDS, NUMBER, Column
from fastdbn.preparation.kinds import MOST_DIGITS, MOST_LABELS
from fastdbn.preparation.preparation import MISSING, Preparation
from fastdbn.support.checks import refuse

FIRST, LAST = -719_000, 2_932_000
"""Days from 1970 to the first and the last dates that can be written, in the years 2 and 9997."""
KNOWN = {dates.ISO} | {form + time for form in dates.FORMATS if form != dates.ISO for time in dates.TIMES}
"""The forms of dates."""


def _encode(preparation: Preparation) -> dict[str, Any]:
    return {
        "columns": [c._asdict() | {"labels": list(c.labels), "fill": list(c.fill)} for c in preparation.columns_],
        "missing": preparation.missing,
        "plain": preparation.visible_ == "auto",
        "width": preparation.width_,
    }


def _decode(record: Any, name: str, place: Any) -> Preparation:
    entries = set(of_kind(record, name, dict))
    refuse(entries != {"columns", "missing", "plain", "width"}, f"{name} has other entries than it should")
    missing, width = entry(record, "missing", str), whole(record["width"], f"{name}.width", 1)
    refuse(missing not in MISSING, f"{name}.missing={missing!r:.80} is none of {', '.join(MISSING)}")
    columns = tuple(_column(x, f"{name}.columns", width) for x in entry(record, "columns", list))
    places, names = [column.place for column in columns], [column.name for column in columns]
    refuse(sorted(set(places)) != places or not places, f"{name}.columns do not stand in their order")
    refuse(any(names) and (not all(names) or len(set(names)) < len(names)), f"{name}.columns lack names, or have some twice")
    plain, numbers = entry(record, "plain", bool), all(column.kind == NUMBER and not column.marked for column in columns)
    refuse(plain and not numbers, f"{name} is plain, and its columns are not")
    preparation = Preparation(missing=missing).restore(columns, width, plain)
    place.size("n_features", preparation.n_features_out_, name)
    return preparation


def _column(record: Any, name: str, width: int) -> Column:
    refuse(set(of_kind(record, name, dict)) != set(Column._fields), f"{name} has a column with other entries than it should")
    kind, labels, fill = entry(record, "kind", str), entry(record, "labels", list), entry(record, "fill", list)
    column = Column(
        entry(record, "name", str),
        whole(record["place"], f"{name}.place", below=width),
        kind,
        tuple(of_kind(label, f"{name}.labels", str) for label in labels),
        tuple(float(of_kind(x, f"{name}.fill", (int, float))) for x in fill),
        float(of_kind(record["low"], f"{name}.low", (int, float))),
        float(of_kind(record["high"], f"{name}.high", (int, float))),
        whole(record["digits"], f"{name}.digits", -1, MOST_DIGITS + 1),
        entry(record, "marked", bool),
    )
    sizes = {NUMBER: (0, 0), DATE: (1, 1), FLAG: (2, 2), CATEGORY: (2, MOST_LABELS)}
    refuse(kind not in KINDS, f"{name}: kind={kind!r:.80} is none of {', '.join(KINDS)}")
    fits = sizes[kind][0] <= len(labels) <= sizes[kind][1] and len(set(labels)) == len(labels)
    refuse(not fits or "" in labels, f"{name}: {len(labels)} labels, or equal or empty ones, for a {kind}")
    refuse(kind == DATE and labels[0] not in KNOWN, f"{name}: {labels!r:.80} is not a known form of dates")
    refuse(len(fill) != column.units, f"{name}: {len(fill)} numbers for {column.units} units")
    refuse(column.low > column.high, f"{name}: low exceeds high")
    far = kind == DATE and not FIRST <= column.low <= column.high <= LAST
    refuse(far, f"{name}: dates from {column.low:g} to {column.high:g} days cannot be written")
    shares = column.real or (0 <= min(fill) <= max(fill) <= 1 and (kind == FLAG or abs(sum(fill) - 1.0) < 1e-6))
    refuse(not shares, f"{name}: fill={fill!r:.80} are no shares")
    return column


PREPARATION = Entry(_encode, _decode)
"""A fitted preparation, whose numbers are the features."""
