"""The unit types by name."""

from fastdbn.unit import Unit
from fastdbn.units.bernoulli import bernoulli
from fastdbn.units.binomial import binomial
from fastdbn.units.gaussian import gaussian, gaussian_variance
from fastdbn.units.noisy_relu import noisy_relu
from fastdbn.units.rectified import rectified
from fastdbn.units.softmax import softmax
from fastdbn.units.spin import spin

UNITS = {unit.name: unit for unit in (bernoulli, gaussian, gaussian_variance, softmax(), spin, rectified, noisy_relu)}
FAMILIES = {"softmax": softmax, "binomial": binomial}
"""Functions of one whole number; "softmax:4" names what softmax(4) gives."""


def get_unit(unit, argument="visible"):
    """The record of a unit given by name or as a record.

    Raises
    ------
    ValueError
        for an unknown name; `argument` is the parameter that the message names.
    """
    if isinstance(unit, Unit):
        return unit
    if isinstance(unit, str):
        family, colon, number = unit.partition(":")
        if colon and family in FAMILIES and number.isdecimal():
            return FAMILIES[family](int(number))
        if unit in UNITS:
            return UNITS[unit]
    names = ", ".join([*UNITS, *(f"{family}:n" for family in FAMILIES)])
    raise ValueError(f"{argument}={unit!r} is no unit type: give one of {names} (n a whole number) or a fastdbn.Unit record")


def named(unit):
    """A unit's name where the name alone gives it back, else the record."""
    try:
        return unit.name if get_unit(unit.name) == unit else unit
    except ValueError:
        return unit
