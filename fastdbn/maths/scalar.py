"""Scalar mathematics: exp, log, sigmoid, softplus and friends, for float32 and float64.

These are our own, and not the C library's, for two reasons: the same formula gives the same bits wherever it is compiled
(any thread, the CPU or a GPU), and LLVM turns a loop over them into vector instructions, which it cannot do with a call.
Every function is plain Python that also runs uncompiled; `fastdbn.backends.jit` makes them callable from kernels.

Constants are float32 numbers that are exact in float64 too, so that a formula keeps the precision of its argument. Where
the two precisions need different series there are two functions and the name without a suffix chooses.
Errors are within 2 ulp of the exact result for exp, log and log1p (tests/test_scalar.py).
"""

import math

import numpy as np

ZERO, HALF, ONE, TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
LOG_2PI = math.log(2.0 * math.pi)

_LOG2E_32, _LN2_HI_32, _LN2_LO_32 = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOG2E_64, _LN2_HI_64, _LN2_LO_64 = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
_E32 = tuple(np.float32(1.0 / math.factorial(i)) for i in range(8))
_E64 = tuple(1.0 / math.factorial(i) for i in range(14))
_A32 = tuple(np.float32(2.0 / (2 * i + 1)) for i in range(8))
_A64 = tuple(2.0 / (2 * i + 1) for i in range(18))
_SQRT_HALF_32, _SQRT_HALF_64 = np.float32(math.sqrt(0.5)), math.sqrt(0.5)
_LN2_32 = np.float32(math.log(2.0))
_SIN = tuple((-1.0) ** i * (math.pi / 2) ** (2 * i + 1) / math.factorial(2 * i + 1) for i in range(9))
_COS = tuple((-1.0) ** i * (math.pi / 2) ** (2 * i) / math.factorial(2 * i) for i in range(9))
_SIN32, _COS32 = tuple(np.float32(x) for x in _SIN), tuple(np.float32(x) for x in _COS)
_INV_SQRT_2PI_32, _INV_SQRT_2PI_64 = np.float32(1.0 / math.sqrt(2.0 * math.pi)), 1.0 / math.sqrt(2.0 * math.pi)
_FOUR, _SHIFT = np.float32(4.0), np.float32(1.25)
_EXCESS_64 = (
    1.0956958596592268,
    -0.034702924396934454,
    -0.09343780196968496,
    0.037570205338871523,
    -0.004095030137480855,
    -0.0015722063227408844,
    0.0005552733243082211,
    2.3897662366556302e-05,
    -4.300832510824077e-05,
    3.6749714646390396e-06,
    2.693782875367941e-06,
    -5.45107307630093e-07,
    -1.4153900604596467e-07,
    5.1053908216860895e-08,
    5.8372047150532804e-09,
    -3.955913161429609e-09,
    -1.2336607478812415e-10,
    2.7012931467900985e-10,
    -8.528552549792625e-12,
    -1.6480084607527077e-11,
    1.4805724539625554e-12,
    8.826895928770214e-13,
    -1.4019881361691018e-13,
    -3.859479994967725e-14,
    1.0738740762272473e-14,
    9.91142446537224e-16,
    -7.294580142279365e-16,
    4.1581080847826476e-17,
    4.584562729280559e-17,
)
"""Chebyshev coefficients of (t + 5/4) excess(t) in (t - 4) / (t + 4), which is smooth and about one for all t >= 0."""
_EXCESS_32 = tuple(np.float32(c) for c in _EXCESS_64[:14])
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_DILOG = (-1 / 3600, 1 / 211680, -1 / 10886400, 1 / 526901760, -691 / 16999766784000)


def floor(x):
    """The largest whole number that is not above x."""
    return np.floor(x)


def sqrt(x):
    """The square root, correctly rounded."""
    return np.sqrt(x)


def exp_32(x):
    """e^x in float32: x = n ln 2 + r, Taylor in r, times 2^n by its exponent bits; inputs are clamped to +-87."""
    x = np.float32(-87.0) if x < np.float32(-87.0) else x
    x = np.float32(87.0) if x > np.float32(87.0) else x
    n = floor(x * _LOG2E_32 + HALF)
    r = x - n * _LN2_HI_32 - n * _LN2_LO_32
    p = _E32[7]
    p = p * r + _E32[6]
    p = p * r + _E32[5]
    p = p * r + _E32[4]
    p = p * r + _E32[3]
    p = p * r + HALF
    p = p * r * r + r + ONE
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


def exp_64(x):
    """e^x in float64, as `exp_32` with more terms; inputs are clamped to +-708."""
    x = -708.0 if x < -708.0 else x
    x = 708.0 if x > 708.0 else x
    n = floor(x * _LOG2E_64 + 0.5)
    r = x - n * _LN2_HI_64 - n * _LN2_LO_64
    p = _E64[13]
    for i in range(12, 2, -1):
        p = p * r + _E64[i]
    p = p * r + 0.5
    p = p * r * r + r + 1.0
    return p * np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)


def _log_series_32(s):
    """log((1 + s) / (1 - s)) = 2 (s + s^3/3 + ...) for |s| <= 1/3."""
    z = s * s
    p = _A32[7]
    p = p * z + _A32[6]
    p = p * z + _A32[5]
    p = p * z + _A32[4]
    p = p * z + _A32[3]
    p = p * z + _A32[2]
    p = p * z + _A32[1]
    return s * TWO + s * z * p


def _log_series_64(s):
    z = s * s
    p = _A64[17]
    for i in range(16, 0, -1):
        p = p * z + _A64[i]
    return s * 2.0 + s * z * p


def log_32(x):
    """log x in float32 for normal x > 0: x = 2^n m with m about 1, then the series of `log1p`."""
    i = np.float32(x).view(np.int32)
    n = np.int32(np.int32(i >> np.int32(23)) & np.int32(255)) - np.int32(126)
    m = np.int32((i & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    low = m < _SQRT_HALF_32
    m = m + m if low else m
    e = np.float32(n - np.int32(1)) if low else np.float32(n)
    return e * _LN2_HI_32 + (e * _LN2_LO_32 + _log_series_32((m - ONE) / (m + ONE)))


def log_64(x):
    """log x in float64 for normal x > 0."""
    i = np.float64(x).view(np.int64)
    n = ((i >> np.int64(52)) & np.int64(2047)) - np.int64(1022)
    m = np.int64((i & np.int64(0x000FFFFFFFFFFFFF)) | np.int64(0x3FE0000000000000)).view(np.float64)
    low = m < _SQRT_HALF_64
    m = m + m if low else m
    e = np.float64(n - np.int64(1)) if low else np.float64(n)
    return e * _LN2_HI_64 + (e * _LN2_LO_64 + _log_series_64((m - 1.0) / (m + 1.0)))


def log1p_32(y):
    """log(1 + y) in float32 for 0 <= y <= 1."""
    return _log_series_32(y / (y + TWO))


def log1p_64(y):
    """log(1 + y) in float64 for 0 <= y <= 1."""
    return _log_series_64(y / (y + 2.0))


def sin_quarter_32(x):
    """sin(x pi / 2) in float32 for |x| <= 1/2."""
    z = x * x
    p = _SIN32[5]
    p = p * z + _SIN32[4]
    p = p * z + _SIN32[3]
    p = p * z + _SIN32[2]
    p = p * z + _SIN32[1]
    return x * (p * z + _SIN32[0])


def sin_quarter_64(x):
    """sin(x pi / 2) in float64 for |x| <= 1/2."""
    z = x * x
    p = _SIN[8]
    for i in range(7, -1, -1):
        p = p * z + _SIN[i]
    return x * p


def cos_quarter_32(x):
    """cos(x pi / 2) in float32 for |x| <= 1/2."""
    z = x * x
    p = _COS32[5]
    p = p * z + _COS32[4]
    p = p * z + _COS32[3]
    p = p * z + _COS32[2]
    p = p * z + _COS32[1]
    return p * z + _COS32[0]


def cos_quarter_64(x):
    """cos(x pi / 2) in float64 for |x| <= 1/2."""
    z = x * x
    p = _COS[8]
    for i in range(7, -1, -1):
        p = p * z + _COS[i]
    return p


def density_32(x):
    """The standard normal density in float32."""
    return _INV_SQRT_2PI_32 * exp_32(-HALF * x * x)


def density_64(x):
    """The standard normal density in float64."""
    return _INV_SQRT_2PI_64 * exp_64(-0.5 * x * x)


def excess_32(t):
    """E[x - t | x > t] of a standard normal x in float32, for t >= 0; by a Chebyshev series, summed as Clenshaw does (1955)."""
    u = ONE - (_FOUR + _FOUR) / (t + _FOUR)
    z = u + u
    p, q = _EXCESS_32[13], ZERO
    for i in range(12, 0, -1):
        p, q = _EXCESS_32[i] + z * p - q, p
    return (_EXCESS_32[0] + u * p - q) / (t + _SHIFT)


def excess_64(t):
    """E[x - t | x > t] of a standard normal x in float64, for t >= 0, as `excess_32` with more terms."""
    u = 1.0 - 8.0 / (t + 4.0)
    z = u + u
    p, q = _EXCESS_64[28], 0.0
    for i in range(27, 0, -1):
        p, q = _EXCESS_64[i] + z * p - q, p
    return (_EXCESS_64[0] + u * p - q) / (t + 1.25)


def _is_single(x):
    return isinstance(x, np.float32)


def exp(x):
    """e^x, clamped so that it neither overflows nor reaches zero."""
    return exp_32(x) if _is_single(x) else exp_64(np.float64(x))


def log(x):
    """Natural logarithm of a normal positive number."""
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
    """E[x - t | x > t] of a standard normal x, for t >= 0: all that its tail needs, with no underflow however large t is.

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
    """log(1 + e^x), stable for any x: max(x, 0) + log1p(e^-|x|), for e^x alone overflows."""
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


PRECISIONS = {
    exp: (exp_32, exp_64),
    log: (log_32, log_64),
    log1p: (log1p_32, log1p_64),
    sin_quarter: (sin_quarter_32, sin_quarter_64),
    cos_quarter: (cos_quarter_32, cos_quarter_64),
    density: (density_32, density_64),
    excess: (excess_32, excess_64),
}
"""Functions with one text for each precision; `fastdbn.backends.jit` chooses by the argument's type when it compiles."""

SHARED = (
    *(floor, sqrt, _log_series_32, _log_series_64, sigmoid, tanh, softplus, softmax, logsumexp),
    *(tail_quantile, log_factorial, softplus_integral),
)
"""Functions with one text for both precisions."""
