"""Noise: the published vectors of Philox, the layout of counters, and the distributions made from them."""

import naive
import numpy as np
import pytest

from fastdbn.backends.cpu.jit import kernel
from fastdbn.maths import rng

PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@kernel
def fill_uniforms(out, first, row, key):
    rng.uniforms(out, first, row, key)


@kernel
def fill_normals(out, first, row, key):
    rng.normals(out, first, row, key)


@kernel
def compiled_philox(c0, c1, c2, c3, k0, k1):
    return rng.philox(c0, c1, c2, c3, k0, k1)


@pytest.mark.parametrize(("counter", "key", "words"), PUBLISHED)
def test_published_vectors(counter, key, words):
    """The known answers of Random123, by loops, by the plain text and compiled."""
    arguments = [np.uint32(x) for x in (*counter, *key)]
    assert naive.philox(counter, key) == words
    with np.errstate(over="ignore"):
        assert tuple(int(x) for x in rng.philox(*arguments)) == words
    assert tuple(int(x) for x in compiled_philox(*arguments)) == words


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 17, 64, 131])
@pytest.mark.parametrize("first", [0, 8])
def test_uniforms_follow_the_counter(length, first):
    """unit -> (counter unit // 4, word unit % 4), and float64 begins with the 24 bits of float32."""
    seed, step, stream, row = 0x123456789ABCDEF0, 7, int(rng.stream(rng.HIDDEN, 2, 5)), 12345
    key = rng.key(seed, step, stream)
    single, double = np.empty(length, np.float32), np.empty(length, np.float64)
    fill_uniforms(single, first, np.uint32(row), key)
    fill_uniforms(double, first, np.uint32(row), key)
    halves = (seed & 0xFFFFFFFF, seed >> 32)
    expected = [naive.uniform(first + j, row, step, stream, halves) for j in range(length)]
    assert np.array_equal(single, np.float32(expected))
    assert np.array_equal(np.floor(double * 2**24), single.astype(np.float64) * 2**24)
    plain = np.empty(length, np.float64)
    with np.errstate(over="ignore"):
        rng.uniforms(plain, first, np.uint32(row), key)
    assert np.array_equal(plain, double)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals(dtype):
    """Mean, variance, skewness and kurtosis within 5 standard errors; the precisions agree; odd lengths keep the prefix."""
    n = 200_000
    x = np.empty(n, dtype)
    fill_normals(x, 0, np.uint32(1), rng.key(99, 0, rng.stream(rng.DATA)))
    z = x.astype(np.float64)
    for moment, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**moment).mean() - expected) < 5 * np.sqrt(variance / n)
    other = np.empty(n, np.float64)
    fill_normals(other, 0, np.uint32(1), rng.key(99, 0, rng.stream(rng.DATA)))
    # where u is close to 1, a radius in float32 has the relative error of 24 bits of 1 - u; 2e-3 bounds it
    assert np.abs(z - other).max() < 2e-3
    for length in (1, 3, 7):
        part = np.empty(length, dtype)
        fill_normals(part, 0, np.uint32(1), rng.key(99, 0, rng.stream(rng.DATA)))
        assert np.array_equal(part, x[:length])


def test_streams_do_not_collide():
    """Layer, purpose and Gibbs step name a stream uniquely, and none is another's fine part."""
    names = {int(rng.stream(p, layer, gibbs)) for p in range(9) for layer in (0, 1, 63, 127) for gibbs in (0, 1, 5, 2**20 - 1)}
    assert len(names) == 9 * 4 * 4
    assert len(names | {x | 0x80000000 for x in names}) == 2 * len(names)


def test_seeds():
    """Every kind of random_state gives one 64-bit seed, the same one for the same state."""
    assert rng.seed_of(5) == 5
    assert rng.seed_of(-1) == 2**64 - 1
    assert rng.seed_of(np.random.RandomState(3)) == rng.seed_of(np.random.RandomState(3))
    assert rng.seed_of(np.random.default_rng(3)) == rng.seed_of(np.random.default_rng(3))
    assert rng.seed_of(None) != rng.seed_of(None)
    with pytest.raises(ValueError, match="random_state='x'"):
        rng.seed_of("x")


def test_content_keys():
    """A row's key depends on its values alone, in either precision, and differs between rows."""
    X = np.random.default_rng(0).random((500, 7)).astype(np.float32)
    keys = rng.content_keys(X)
    assert np.array_equal(keys[::-1], rng.content_keys(X[::-1].astype(np.float64)))
    assert len(set(keys)) == 500
    assert np.array_equal(rng.content_keys(np.zeros((1, 7))), rng.content_keys(-np.zeros((1, 7))))
