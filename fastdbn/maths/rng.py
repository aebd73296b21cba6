"""Noise as a function of its key: Philox-4x32-10 (Salmon, Moraes, Dror, Shaw 2011).

    words = philox(counter = (unit // 4, row, step, stream), key = the 64-bit seed)        unit u takes word u % 4

* row     the row's index in X, or the chain's number;
* step    the number of the minibatch since the start of the fit (or of the Gibbs step, outside of training);
* stream  what the noise is for: layer, purpose and Gibbs step within the minibatch, see `stream`.

So a draw does not depend on the order of the work, on the number of threads, or on which rows share a minibatch.
A uniform is (word >> 8) 2^-24. In float64 it has 53 bits: those 24 and 29 more from a second stream, so that the draws
in the two precisions agree. A pair of normals is made from two uniforms (Box and Muller 1958).
"""

import numbers
from typing import NamedTuple

import numpy as np

from fastdbn.maths.scalar import HALF, ONE, TWO, cos_quarter, floor, log, sin_quarter, sqrt

MULTIPLIERS = _M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = _W0, _W1 = tuple(tuple(np.uint64(i * w & 0xFFFFFFFF) for i in range(10)) for w in (0x9E3779B9, 0xBB67AE85))
"""Philox's multipliers, and what each round adds to the two halves of its key."""
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_EIGHT, _THREE = np.uint32(8), np.uint32(3)
_FINE = np.uint32(0x80000000)
_UNIT_24, _UNIT_53 = np.float32(2.0**-24), 2.0**-53
_TWO_29 = np.float64(2.0**29)
_FOUR = np.float32(4.0)

HIDDEN, VISIBLE, DATA, DROPOUT, ORDER, INIT, SPLIT, SCORE, ANNEAL, SWAP = range(10)
"""The purposes of noise."""
CHAIN, DOWN, CLAMP = range(3)
"""How a fitted model draws: Gibbs chains, the pass down a network after one, and `impute` and `denoise`."""
DRAWS = 1 << 19
"""Draws from one model whose noise is new; after so many it repeats."""


class Key(NamedTuple):
    """What names the noise of one operation but for row and unit: the two halves of the seed, step and stream."""

    k0: np.uint32
    k1: np.uint32
    step: np.uint32
    stream: np.uint32


def stream(purpose, layer=0, gibbs=0):
    """The stream number: 4 bits of purpose, 7 of layer, 20 of Gibbs step; the top bit marks the fine part of uniforms."""
    return np.uint32((purpose << 27) | ((layer & 0x7F) << 20) | (gibbs & 0xFFFFF))


def draw_stream(purpose, number, kind=CHAIN, level=0):
    """The stream of draw `number` of a fitted model, of a kind (`CHAIN`, ...) and level: one of 64 layers above training's."""
    shift = 14 if kind == CLAMP else 13
    return stream(purpose, 64 + number % 64, kind << 18 | level << shift | number % DRAWS // 64)


def key(seed, step, stream_number):
    """The `Key` of a 64-bit seed."""
    return Key(np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), np.uint32(step & 0xFFFFFFFF), np.uint32(stream_number))


def _round(c0, c1, c2, c3, k0, k1):
    """A round on words in the lower halves of uint64 numbers; what is in the upper ones does not matter, nor is it cleared."""
    p0, p1 = (c0 & _LOW) * _M0, (c2 & _LOW) * _M1
    return (p1 >> _SHIFT) ^ c1 ^ k0, p1, (p0 >> _SHIFT) ^ c3 ^ k1, p0


def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds of Philox-4x32 on uint32 words; returns four uint32 words."""
    # all in uint64, because that is how processors multiply vectors; written out, because the compiler does not vectorise a loop
    # around a loop
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0), np.uint64(k1))
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[1], np.uint64(k1) + _W1[1])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[2], np.uint64(k1) + _W1[2])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[3], np.uint64(k1) + _W1[3])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[4], np.uint64(k1) + _W1[4])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[5], np.uint64(k1) + _W1[5])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[6], np.uint64(k1) + _W1[6])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[7], np.uint64(k1) + _W1[7])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[8], np.uint64(k1) + _W1[8])
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, np.uint64(k0) + _W0[9], np.uint64(k1) + _W1[9])
    return np.uint32(c0 & _LOW), np.uint32(c1 & _LOW), np.uint32(c2 & _LOW), np.uint32(c3 & _LOW)


def uniform_32(word, fine):
    """A uniform in [0, 1) with 24 bits; fine is not read."""
    return np.float32(np.int32(word >> _EIGHT)) * _UNIT_24


def uniform_64(word, fine):
    """A uniform in [0, 1) with 53 bits, the first 24 those of `uniform_32`."""
    return (np.float64(np.int32(word >> _EIGHT)) * _TWO_29 + np.float64(np.int32(fine >> _THREE))) * _UNIT_53


def _fill_uniform(number, fine):
    """The functions that fill an array with uniforms in one precision, and that give one unit's.

    number (word, fine word) makes a uniform; with `fine` the second word comes from the stream of lower bits.
    """

    def words_of(block, row, key):
        words = philox(block, row, key.step, key.stream, key.k0, key.k1)
        return words, philox(block, row, key.step, np.uint32(key.stream | _FINE), key.k0, key.k1) if fine else words

    def uniforms(out, first, row, key):
        whole = len(out) // 4
        for c in range(whole):
            (a, b, d, e), (p, q, r, s) = words_of(np.uint32(first // 4 + c), row, key)
            out[4 * c] = number(a, p)
            out[4 * c + 1] = number(b, q)
            out[4 * c + 2] = number(d, r)
            out[4 * c + 3] = number(e, s)
        if 4 * whole < len(out):
            words, lower = words_of(np.uint32(first // 4 + whole), row, key)
            for j in range(4 * whole, len(out)):
                out[j] = number(words[j - 4 * whole], lower[j - 4 * whole])

    def uniform_at(out, unit, row, key):
        words, lower = words_of(np.uint32(unit // 4), row, key)
        return number(words[unit % 4], lower[unit % 4])

    _PARTS.append(words_of)
    return uniforms, uniform_at


_PARTS: list = []
"""Functions that those of a precision call."""
uniforms_32, _uniform_32_at = _fill_uniform(uniform_32, False)
uniforms_64, _uniform_64_at = _fill_uniform(uniform_64, True)


def uniforms(out, first, row, key):
    """out = the row's uniforms of units first, first + 1, ... in the precision of out; first a multiple of 4."""
    (uniforms_32 if out.dtype == np.float32 else uniforms_64)(out, first, row, key)


def uniform_at(out, unit, row, key):
    """One unit's uniform, in the precision of the array out."""
    return (_uniform_32_at if out.dtype == np.float32 else _uniform_64_at)(out, unit, row, key)


def normal_pair(u, w):
    """Two standard normals from two uniforms in [0, 1) (Box and Muller 1958)."""
    radius = sqrt(-TWO * log(ONE - u))  # 1 - u is in (0, 1], so the logarithm is finite
    quarter = floor(w * _FOUR + HALF)
    s, c = sin_quarter(w * _FOUR - quarter), cos_quarter(w * _FOUR - quarter)
    turn = np.int32(quarter) & 3
    odd = (turn & 1) != 0
    cosine, sine = s if odd else c, c if odd else s
    cosine = -cosine if turn == 1 or turn == 2 else cosine
    sine = -sine if turn == 2 or turn == 3 else sine
    return radius * cosine, radius * sine


def normals(out, first, row, key):
    """out = the row's standard normals of units first, first + 1, ...; first a multiple of 4."""
    uniforms(out, first, row, key)
    pairs = len(out) // 2
    for i in range(pairs):
        out[2 * i], out[2 * i + 1] = normal_pair(out[2 * i], out[2 * i + 1])
    if 2 * pairs < len(out):
        # an odd last unit still needs the uniform of its pair
        out[2 * pairs] = normal_pair(out[2 * pairs], uniform_at(out, first + len(out), row, key))[0]


SHARED = (
    *(_round, philox, uniform_32, uniform_64, *_PARTS),
    *(uniforms_32, uniforms_64, _uniform_32_at, _uniform_64_at, normal_pair, normals),
)
"""Functions that kernels call as they are."""

BY_ARRAY = {uniforms: (uniforms_32, uniforms_64), uniform_at: (_uniform_32_at, _uniform_64_at)}
"""Functions with one text for each precision of their first argument, an array."""


def seed_of(random_state):
    """The 64-bit seed of a `random_state`.

    Parameters
    ----------
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        None takes a seed from the operating system; an int is used as it is, modulo 2^64.

    Returns
    -------
    int in [0, 2^64)

    Raises
    ------
    ValueError
        if it is none of these.
    """
    check(random_state)
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.RandomState):
        low, high = random_state.randint(0, 2**32, size=2, dtype=np.uint64)
        return int(low) | int(high) << 32
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**64, dtype=np.uint64))
    return int(random_state) & 0xFFFFFFFFFFFFFFFF


def check(random_state):
    """Refuse a `random_state` that gives no seed, with a ValueError."""
    number = isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool)
    if not (random_state is None or number or isinstance(random_state, (np.random.RandomState, np.random.Generator))):
        raise ValueError(f"random_state={random_state!r}: give None, an int, a numpy RandomState or a numpy Generator")


def row_uniforms(rows, key):
    """A uniform in [0, 1) with 53 bits for each of some rows, (B,) float64, on the host.

    Parameters
    ----------
    rows : (B,) uint32 array
    key : Key
    """
    with np.errstate(over="ignore"):
        words = philox(np.zeros(len(rows), np.uint32), rows, key.step, key.stream, key.k0, key.k1)
    return uniform_64(words[0], words[1])


def host_generator(seed, step, stream_number):
    """A NumPy generator for what is drawn on the host (initial weights, orders, splits), keyed like all other noise."""
    words = np.array([seed, int(stream_number) << 32 | int(step)], np.uint64)  # a plain list would pass through float64
    return np.random.Generator(np.random.Philox(key=words))


def content_keys(X):
    """A 32-bit number for each row of a dense matrix or a CSR matrix, from its values alone, as float32.

    As the row's number in a key it makes a draw independent of the row's place and of its neighbours. Zeros add nothing to it.
    """
    odd = host_generator(0, 0, stream(SCORE)).integers(0, 2**31, X.shape[1], dtype=np.uint32) * np.uint32(2) + np.uint32(1)

    def mix(values, odd):
        words = (np.ascontiguousarray(values, np.float32) + np.float32(0.0)).view(np.uint32)  # + 0: one zero, not two
        mixed = (words ^ (words >> np.uint32(15))) * odd
        return mixed ^ (mixed >> np.uint32(13))

    if not hasattr(X, "indptr"):
        return np.sum(mix(X, odd), axis=1, dtype=np.uint32)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    sums = np.concatenate([np.zeros(1, np.uint32), np.cumsum(mix(X.data, odd[X.indices]), dtype=np.uint32)])
    return sums[X.indptr[1:]] - sums[X.indptr[:-1]]  # modulo 2^32, as the sums themselves
