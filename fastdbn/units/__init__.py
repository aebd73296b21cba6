"""The unit types by name."""

import copyreg

from fastdbn.units.bernoulli import bernoulli
from fastdbn.units.binomial import binomial
from fastdbn.units.gaussian import gaussian, gaussian_variance
from fastdbn.units.mixed import Mixed, mixed
from fastdbn.units.noisy_relu import noisy_relu
from fastdbn.units.rectified import rectified
from fastdbn.units.replicated_softmax import replicated_softmax
from fastdbn.units.softmax import softmax
from fastdbn.units.spin import spin
from fastdbn.units.unit import Unit

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
        if colon and family in FAMILIES and number.isdecimal() and len(number) < 10:
            try:
                unit = FAMILIES[family](int(number))
            except ValueError as error:
                raise ValueError(f"{argument}={unit!r}: {error}") from None
        else:
            unit = UNITS.get(unit, unit)
    if not isinstance(unit, (Unit, Mixed)):
        names = ", ".join([*UNITS, *(f"{family}:n" for family in FAMILIES)])
        raise ValueError(
            f"{argument}={unit!r} is not a unit type: give one of {names} (n a whole number) or a fastdbn.Unit record"
        )
    if argument == "hidden" and (isinstance(unit, Mixed) or unit.keeps_total):
        raise ValueError(f"hidden={unit.name!r}: units of this type can only be visible")
    return unit


def visible_unit(unit, n):
    """The record of n visible units: `get_unit`, or the `Mixed` of a list of (unit, slice of columns), of whole groups."""
    unit = mixed(unit, n, get_unit) if isinstance(unit, list) else get_unit(unit)
    check_groups(unit, n, "visible")
    return unit


def check_groups(unit, n, argument):
    """Refuse a layer of n units that its unit's groups do not fill, and groups of one unit, which is always on.

    Raises
    ------
    ValueError
        that names the parameter `argument`.
    """
    for part, start, stop, _ in unit.parts(n):
        size = part.group_size(stop - start)
        if part.group != 1 and (size < 2 or (stop - start) % size):
            need = f"a multiple of {size}" if size > 1 else "at least 2"
            raise ValueError(
                f"{argument}={part.name!r} with {stop - start} of these units: give {need}, because one unit of each group is on"
            )


def named(unit):
    """A unit's name where the name alone gives it back, else the record."""
    try:
        return unit.name if get_unit(unit.name) == unit else unit
    except ValueError:
        return unit


def _reduced(unit):
    """Units are pickled and copied by name where the name gives them back, because the functions of a family are closures."""
    name = named(unit)
    return (get_unit, (name,)) if isinstance(name, str) else (Unit, tuple(unit))


copyreg.pickle(Unit, _reduced)
