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


def exp_32(x):
    """e^x in float32: x = n ln 2 + r, Taylor in r, times 2^n by its exponent bits; inputs are clamped to +-87."""
    x = np.float32(-87.0) if x < np.float32(-87.0) else x
    x = np.float32(87.0) if x > np.float32(87.0) else x
    n = np.floor(x * _LOG2E_32 + HALF)
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
    n = np.floor(x * _LOG2E_64 + 0.5)
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


PRECISIONS = {
    exp: (exp_32, exp_64),
    log: (log_32, log_64),
    log1p: (log1p_32, log1p_64),
    sin_quarter: (sin_quarter_32, sin_quarter_64),
    cos_quarter: (cos_quarter_32, cos_quarter_64),
}
"""Functions with one text for each precision; `fastdbn.backends.jit` chooses by the argument's type when it compiles."""

SHARED = (_log_series_32, _log_series_64, sigmoid, tanh, softplus, softmax, logsumexp)
"""Functions with one text for both precisions."""
