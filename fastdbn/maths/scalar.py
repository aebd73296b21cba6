"""Scalar mathematics: exp, log, sigmoid, softplus and friends, for float32 and float64.

These are our own, not the C library's, for two reasons. The same formula gives the same bits wherever it is compiled (any thread,
the CPU or a GPU), and LLVM turns a loop over them into vector instructions, which it cannot do with a call.
Every function is plain Python that also runs uncompiled; `fastdbn.backends.cpu.jit` makes them callable from kernels.

Constants are float32 numbers that are exact in float64 too, so that a formula keeps the precision of its argument. Where
the two precisions need different series, `_formulas` makes a function for each, and the function of that name chooses.
Errors are within 2 ulp of the exact result for exp, log and log1p (tests/test_scalar.py).
"""

import math

import numpy as np

ZERO, HALF, ONE, TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
LOG_2PI = math.log(2.0 * math.pi)

_EXCESS = """
    1.0956958596592268 -0.034702924396934454 -0.09343780196968496 0.037570205338871523 -0.004095030137480855
    -0.0015722063227408844 0.0005552733243082211 2.3897662366556302e-05 -4.300832510824077e-05 3.6749714646390396e-06
    2.693782875367941e-06 -5.45107307630093e-07 -1.4153900604596467e-07 5.1053908216860895e-08 5.8372047150532804e-09
    -3.955913161429609e-09 -1.2336607478812415e-10 2.7012931467900985e-10 -8.528552549792625e-12 -1.6480084607527077e-11
    1.4805724539625554e-12 8.826895928770214e-13 -1.4019881361691018e-13 -3.859479994967725e-14 1.0738740762272473e-14
    9.91142446537224e-16 -7.294580142279365e-16 4.1581080847826476e-17 4.584562729280559e-17
"""
"""Chebyshev coefficients of (t + 5/4) excess(t) in (t - 4) / (t + 4), which is smooth and about one for all t >= 0."""
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_DILOG = (-1 / 3600, 1 / 211680, -1 / 10886400, 1 / 526901760, -691 / 16999766784000)


def floor(x):
    """The largest whole number that is not above x."""
    return np.floor(x)


def sqrt(x):
    """The square root, correctly rounded."""
    return np.sqrt(x)


def _polynomial(real, coefficients):
    """The function that computes a polynomial, its coefficients from the constant one on, by Horner's rule."""
    numbers = tuple(real(c) for c in coefficients)
    highest, degree = numbers[-1], len(numbers) - 1

    def polynomial(x):
        p = highest
        for i in range(degree - 1, -1, -1):
            p = p * x + numbers[i]
        return p

    _PARTS.append(polynomial)
    return polynomial


_PARTS: list = []
"""Functions that the formulas of a precision call."""


def _formulas(real, integer, exponent_bits, fraction_bits, ln2, bound, terms):
    """exp, log, log1p, sin_quarter, cos_quarter, density and excess in one precision.

    Parameters
    ----------
    real, integer : the types of numbers and of their bits
    exponent_bits, fraction_bits : int
    ln2 : log 2 as a sum of two numbers, the first of few bits, so that its product with a whole number is exact
    bound : what |x| is clamped to in e^x
    terms : the numbers of terms of the series of exp, log, sin and cos, and excess
    """
    half, one, two, four, eight, five_quarters = (real(x) for x in (0.5, 1, 2, 4, 8, 1.25))
    n_exp, n_log, n_sin, n_excess = terms
    (ln2_high, ln2_low), log2e, bound = map(real, ln2), real(1.4426950408889634), real(bound)
    bias = (1 << (exponent_bits - 1)) - 1
    shift, mask, fraction = (integer(x) for x in (fraction_bits, 2 * bias + 1, (1 << fraction_bits) - 1))
    of_half, bias, bias_of_half = integer((bias - 1) << fraction_bits), integer(bias), integer(bias - 1)
    sqrt_half, inv_sqrt_2pi = real(math.sqrt(0.5)), real(1.0 / math.sqrt(2.0 * math.pi))
    quarter, chebyshev = math.pi / 2, tuple(map(real, _EXCESS.split()[:n_excess]))
    of_exp = _polynomial(real, [1.0 / math.factorial(i) for i in range(2, n_exp)])
    of_log = _polynomial(real, [2.0 / (2 * i + 1) for i in range(1, n_log)])
    of_sin = _polynomial(real, [(-1.0) ** i * quarter ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(n_sin)])
    of_cos = _polynomial(real, [(-1.0) ** i * quarter ** (2 * i) / math.factorial(2 * i) for i in range(n_sin)])

    def exp(x):  # x = n ln 2 + r: Taylor in r, times 2^n by its exponent bits
        x = -bound if x < -bound else x
        x = bound if x > bound else x
        n = floor(x * log2e + half)
        r = x - n * ln2_high - n * ln2_low
        p = of_exp(r) * r * r + r + one
        return p * integer((integer(n) + bias) << shift).view(real)

    def log_series(s):  # log((1 + s) / (1 - s)) = 2 (s + s^3/3 + ...) for |s| <= 1/3
        z = s * s
        return s * two + s * z * of_log(z)

    _PARTS.append(log_series)

    def log(x):  # x = 2^n m with m about 1
        i = real(x).view(integer)
        n = integer(integer(i >> shift) & mask) - bias_of_half
        m = integer((i & fraction) | of_half).view(real)
        low = m < sqrt_half
        m = m + m if low else m
        e = real(n - integer(1)) if low else real(n)
        return e * ln2_high + (e * ln2_low + log_series((m - one) / (m + one)))

    def log1p(y):
        return log_series(y / (y + two))

    def sin_quarter(x):
        return x * of_sin(x * x)

    def cos_quarter(x):
        return of_cos(x * x)

    def density(x):
        return inv_sqrt_2pi * exp(-half * x * x)

    def excess(t):  # a Chebyshev series, summed as Clenshaw does (1955)
        u = one - eight / (t + four)
        z = u + u
        p, q = chebyshev[n_excess - 1], real(0)
        for i in range(n_excess - 2, 0, -1):
            p, q = chebyshev[i] + z * p - q, p
        return (chebyshev[0] + u * p - q) / (t + five_quarters)

    return exp, log, log1p, sin_quarter, cos_quarter, density, excess


_SINGLE = _formulas(np.float32, np.int32, 8, 23, (0.693359375, -2.12194440e-4), 87.0, (8, 8, 6, 14))
_DOUBLE = _formulas(
    np.float64, np.int64, 11, 52, (6.93147180369123816490e-01, 1.90821492927058770002e-10), 708.0, (14, 18, 9, 29)
)
exp_32, log_32, log1p_32, sin_quarter_32, cos_quarter_32, density_32, excess_32 = _SINGLE
exp_64, log_64, log1p_64, sin_quarter_64, cos_quarter_64, density_64, excess_64 = _DOUBLE


def _is_single(x):
    return isinstance(x, np.float32)


def exp(x):
    """e^x, clamped so that it neither overflows nor reaches zero: |x| counts as 87 at most in float32, 708 in float64."""
    return exp_32(x) if _is_single(x) else exp_64(np.float64(x))


def log(x):
    """The natural logarithm of a normal positive number."""
    return log_32(x) if _is_single(x) else log_64(np.float64(x))


def log1p(y):
    """log(1 + y) for 0 <= y <= 1."""
    return log1p_32(y) if _is_single(y) else log1p_64(np.float64(y))


def sin_quarter(x):
    """sin(x pi / 2) for |x| <= 1/2."""
    return sin_quarter_32(x) if _is_single(x) else sin_quarter_64(np.float64(x))


def cos_quarter(x):
    """cos(x pi / 2) for |x| <= 1/2."""
    return cos_quarter_32(x) if _is_single(x) else cos_quarter_64(np.float64(x))


def density(x):
    """The standard normal density."""
    return density_32(x) if _is_single(x) else density_64(np.float64(x))


def excess(t):
    """E[x - t | x > t] of a standard normal x, for t >= 0: all that its tail needs, without underflow for any t.

    The hazard rate is excess(t) + t; erfcx(t / sqrt 2) = sqrt(2 / pi) / (excess(t) + t). Relative error below 3e-7 in float32,
    2e-15 in float64.
    """
    return excess_32(t) if _is_single(t) else excess_64(np.float64(t))


def sigmoid(x):
    """1 / (1 + e^-x): the mean of a Bernoulli unit."""
    return ONE / (ONE + exp(-x))


def tanh(x):
    """Hyperbolic tangent, by the sigmoid: absolute error within 2 ulp of 1."""
    return TWO * sigmoid(x + x) - ONE


def softplus(x):
    """log(1 + e^x), stable for any x: max(x, 0) + log1p(e^-|x|), because e^x overflows."""
    return (x if x > ZERO else x * ZERO) + log1p(exp(-abs(x)))


def softmax(s, out):
    """out = e^s / sum e^s over a short vector; the largest s is subtracted first so that nothing overflows."""
    top = s[0]
    for i in range(1, len(s)):
        top = max(top, s[i])
    total = top * ZERO
    for i in range(len(s)):
        out[i] = exp(s[i] - top)
        total += out[i]
    for i in range(len(s)):
        out[i] = out[i] / total


def logsumexp(s):
    """log sum e^s over a short vector."""
    top = s[0]
    for i in range(1, len(s)):
        top = max(top, s[i])
    total = top * ZERO
    for i in range(len(s)):
        total += exp(s[i] - top)
    return top + log(total)


def tail_quantile(t, e):
    """The x >= 0 with Q(t + x) = Q(t) e^-e, where Q is the standard normal's upper tail, for t >= 0 and e >= 0.

    The root of a convex function, e = x (t + x / 2) + log of the ratio of the hazard rates at t + x and t, from a start that is
    right for small x, by two steps of Halley. Relative error below 2e-6 in float32, 1e-13 in float64 (where x is not tiny).
    """
    hazard = excess(t) + t
    curvature = HALF + HALF * hazard * (hazard - t)
    x = (e + e) / (hazard + sqrt(hazard * hazard + TWO * curvature * e))
    for _ in range(2):
        m = excess(t + x)
        slope = m + t + x
        f = e - x * (t + HALF * x) - log(slope / hazard)
        x = x + f / (slope + HALF * f * m)
    return x


def log_factorial(x):
    """log x! = log Gamma(x + 1) for x >= 0, in float64: Stirling's series, for small x at x + 9; exactly zero for 0 and 1.

    Absolute error below 1e-13 (1 + |log x!|).
    """
    far, product = np.float64(x) + 1.0, 1.0
    if far == 1.0 or far == 2.0:
        return 0.0
    if far < 9.0:
        for _ in range(8):
            product *= far
            far += 1.0
    z, series = 1.0 / (far * far), _STIRLING[5]
    for i in range(4, -1, -1):
        series = series * z + _STIRLING[i]
    return (far - 0.5) * log(far) - far + 0.5 * LOG_2PI + series / far - log(product)


def softplus_integral(x):
    """The integral of softplus from minus infinity to x, -Li2(-e^x), in float64; relative error below 1e-14.

    The dilogarithm by its series in log(1 + e^-|x|) (Debye), and its reflection for x > 0.
    """
    y = np.float64(x)
    u = log1p(exp(-abs(y)))
    z, series = u * u, _DILOG[4]
    for i in range(3, -1, -1):
        series = series * z + _DILOG[i]
    below = u + z * 0.25 + z * u * (1.0 / 36.0 + z * series)
    return math.pi * math.pi / 6.0 + 0.5 * y * y - below if y > 0.0 else below


CHOOSERS = exp, log, log1p, sin_quarter, cos_quarter, density, excess
PRECISIONS = dict(zip(CHOOSERS, zip(_SINGLE, _DOUBLE, strict=True), strict=True))
"""Functions with one text for each precision; `fastdbn.backends.cpu.jit` chooses by the argument's type when it compiles."""

SHARED = floor, sqrt, *_PARTS, sigmoid, tanh, softplus, softmax, logsumexp, tail_quantile, log_factorial, softplus_integral
"""Functions with one text for both precisions, and the parts of those with two."""
