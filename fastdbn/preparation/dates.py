"""Dates as numbers: days since 1970, from the ways in which tables write them, and back in the same way."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

ISO = "iso"
FORMATS = (ISO, "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y")
"""ISO 8601 in all of its forms, and those that people write; each of them may have a time after it."""
TIMES = "", " %H:%M", " %H:%M:%S"
EPOCH, DAY = datetime(1970, 1, 1), 86400.0
LONGEST = 40
"""The most characters of a date."""


def parse(cell: str, form: str) -> float:
    """A cell as days since 1970, UTC if it has a time zone; a ValueError if it is not in this form."""
    if len(cell) > LONGEST or (form == ISO and not ("-" in cell or ":" in cell)):
        raise ValueError(cell)
    moment = datetime.fromisoformat(cell) if form == ISO else datetime.strptime(cell, form)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH).total_seconds() / DAY


def written(days: float, form: str, whole: bool) -> str:
    """Days since 1970 as a cell; `whole` says that the dates have no time of day."""
    moment = EPOCH + (timedelta(days=round(days)) if whole else timedelta(seconds=round(days * DAY)))
    if form != ISO:
        return moment.strftime(form)
    return moment.date().isoformat() if whole else moment.isoformat(sep=" ")


def forms(cells: Sequence[str]) -> list[str]:
    """The forms in which all of some cells are dates; several if day and month cannot be told apart."""
    found, cells = [], list(dict.fromkeys(cells))
    for form in [FORMATS[0], *(date + time for date in FORMATS[1:] for time in TIMES)]:
        try:
            parse(cells[-1], form)
            days = np.array([parse(cell, form) for cell in cells])
        except (ValueError, OverflowError):
            continue
        found.append((form, days))
    distinct = {days.tobytes() for _, days in found}
    return [form for form, _ in (found[:1] if len(distinct) == 1 else found)]
