"""The formulas of unit types in the operations of an exit: means, log normalisers, base measures.

They are those of `fastdbn.units`, whose functions are made for kernels. `ops` is an exit's `Operations`.
"""

from fastdbn.maths.scalar import LOG_2PI
from fastdbn.units import named

KNOWN = {
    *("bernoulli", "spin", "binomial", "softmax", "gaussian", "gaussian-variance"),
    *("rectified", "noisy-relu", "replicated-softmax"),
}
"""The families of units whose formulas are here, or are lacking below."""
TAIL = "needs the tail of the normal distribution"
FACTORIALS = "needs logarithms of factorials"
NO_MEAN = {"rectified": TAIL, "replicated-softmax": "needs the total of each row"}
NO_CGF = {"rectified": TAIL, "noisy-relu": "is a dilogarithm", "replicated-softmax": "needs the total of each row"}
NO_BASE = {"replicated-softmax": FACTORIALS, "binomial": FACTORIALS}
"""Why exports lack a formula of some families of units."""


def family(unit):
    """The name of a unit without its number: "softmax" of "softmax:4"; None of one that is not known here."""
    name = unit.name.partition(":")[0]
    return name if name in KNOWN and named(unit) == unit.name else None


def check_formula(unit, what, lacking):
    """Refuse a unit whose formula, `what` in words, cannot be exported.

    Raises
    ------
    ValueError
        names the unit and the reason.
    """
    name = family(unit)
    if name is None:
        raise ValueError(f"unit {unit.name!r} cannot be exported: exports know only the unit types of fastdbn")
    if name in lacking:
        raise ValueError(f"unit {unit.name!r} cannot be exported: its {what} {lacking[name]}, for which there is no operator")


def mean(ops, unit, s, n):
    """Means of n units with total inputs s, along the last axis."""
    name = family(unit)
    if name == "softmax":
        return ops.softmax(s, n, unit.group_size(n))
    if name == "bernoulli":
        return ops.sigmoid(s)
    if name == "spin":
        return ops.tanh(s)
    if name == "binomial":
        return ops.sigmoid(s) * unit.high
    return ops.softplus(s) if name == "noisy-relu" else s


def cgf(ops, unit, s, n):
    """The sum of the log normalisers of n units with total inputs s: the last axis goes."""
    name = family(unit)
    if name == "softmax":
        return ops.sum(ops.logsumexp(s, n, unit.group_size(n)))
    if name == "spin":
        return ops.sum(ops.softplus(s * 2.0) - s)
    if name == "binomial":
        return ops.sum(ops.softplus(s) * unit.high)
    return ops.sum(ops.softplus(s) if name == "bernoulli" else s * s * 0.5)


def base(ops, unit, x, n):
    """The sum of the base measures' energies of n states x, or None where it is zero: the last axis goes."""
    constants = {"gaussian": 0.5 * LOG_2PI, "gaussian-variance": 0.5 * LOG_2PI, "rectified": 0.0, "noisy-relu": 0.0}
    constant = constants.get(family(unit))
    return None if constant is None else ops.sum(x * x * 0.5) + n * constant
