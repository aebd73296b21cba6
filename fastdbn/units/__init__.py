"""The unit types by name."""

from fastdbn.unit import Unit
from fastdbn.units.bernoulli import bernoulli
from fastdbn.units.gaussian import gaussian
from fastdbn.units.softmax import softmax

UNITS = {"bernoulli": bernoulli, "gaussian": gaussian, "softmax": softmax()}


def get_unit(unit, argument="visible"):
    """The record of a unit given by name or as a record.

    Raises
    ------
    ValueError
        for an unknown name; `argument` is the parameter that the message names.
    """
    if isinstance(unit, Unit):
        return unit
    if isinstance(unit, str) and unit in UNITS:
        return UNITS[unit]
    raise ValueError(f"{argument}={unit!r} is no unit type: give one of {sorted(UNITS)} or a fastdbn.Unit record")
