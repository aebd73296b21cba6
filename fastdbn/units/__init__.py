"""The unit types by name."""

from fastdbn.unit import Unit
from fastdbn.units.bernoulli import bernoulli
from fastdbn.units.binomial import binomial
from fastdbn.units.gaussian import gaussian, gaussian_variance
from fastdbn.units.mixed import Mixed, mixed
from fastdbn.units.noisy_relu import noisy_relu
from fastdbn.units.rectified import rectified
from fastdbn.units.replicated_softmax import replicated_softmax
from fastdbn.units.softmax import softmax
from fastdbn.units.spin import spin

UNITS = {
    unit.name: unit
    for unit in (bernoulli, gaussian, gaussian_variance, softmax(), spin, rectified, noisy_relu, replicated_softmax)
}
FAMILIES = {"softmax": softmax, "binomial": binomial}
"""Functions of one whole number; "softmax:4" names what softmax(4) gives."""


def get_unit(unit, argument="visible"):
    """The record of a unit given by name or as a record.

    Raises
    ------
    ValueError
        for an unknown name, and for hidden units that can only be visible; `argument` is the parameter that the message names.
    """
    if isinstance(unit, str):
        family, colon, number = unit.partition(":")
        if colon and family in FAMILIES and number.isdecimal():
            unit = FAMILIES[family](int(number))
        unit = UNITS.get(unit, unit)
    if not isinstance(unit, (Unit, Mixed)):
        names = ", ".join([*UNITS, *(f"{family}:n" for family in FAMILIES)])
        raise ValueError(f"{argument}={unit!r} is no unit type: give one of {names} (n a whole number) or a fastdbn.Unit record")
    if argument == "hidden" and (isinstance(unit, Mixed) or unit.keeps_total):
        raise ValueError(f"hidden={unit.name!r}: units of this type can only be visible")
    return unit


def visible_unit(unit, n):
    """The record of n visible units: `get_unit`, or the `Mixed` of a list of (unit, slice of columns)."""
    return mixed(unit, n, get_unit) if isinstance(unit, list) else get_unit(unit)


def named(unit):
    """A unit's name where the name alone gives it back, else the record."""
    try:
        return unit.name if get_unit(unit.name) == unit else unit
    except ValueError:
        return unit
