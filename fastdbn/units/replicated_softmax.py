"""Replicated softmax: the counts x of K words in a document of D words, a multinomial of D trials  (Salakhutdinov, Hinton 2009).

    p(x | s) = D! / prod x_k! prod softmax(s)_k^x_k,    D = sum x,    base = sum log x_k! - log D!,    cgf = D log sum e^s_k
    E(v, h) = base(v) - b.v - D c.h - v W h

D is the row's own: a draw keeps it. The hidden biases, which count once for each word, are part of the weights here: since the
counts sum to D, D c_j = sum_i v_i c_j, so that the weights stand for W_ij + c_j, and c itself stays zero in training.

A draw takes O(K + D): D uniforms in ascending order are the partial sums of D + 1 exponential variates over their sum (Devroye
1986, chapter V.3), and go through the cumulative distribution together with it.
"""

import numpy as np

from fastdbn.maths import rng
from fastdbn.maths.scalar import ONE, log, log_factorial
from fastdbn.units.softmax import cgf, link, mean, slope
from fastdbn.units.unit import Unit


def draw(mean, total, first, row, key, noise, out):
    chunk, n = len(noise), np.int64(total + 0.5)
    length, mass = 0.0, 0.0
    for start in range(0, n + 1, chunk):
        rng.uniforms(noise, first + start, row, key)
        for e in range(min(chunk, n + 1 - start)):
            length -= np.float64(log(ONE - noise[e]))
    for k in range(len(mean)):
        mass += np.float64(mean[k])
        out[k] = 0
    k, at, reached = 0, 0.0, np.float64(mean[0])
    for start in range(0, n, chunk):
        rng.uniforms(noise, first + start, row, key)
        for e in range(min(chunk, n - start)):
            at -= np.float64(log(ONE - noise[e])) / length * mass
            while at >= reached and k + 1 < len(mean):
                k += 1
                reached += np.float64(mean[k])
            out[k] += ONE


def base(x):
    energy, total = 0.0, 0.0
    for k in range(len(x)):
        if x[k] > ONE:
            energy += log_factorial(x[k])
        total += np.float64(x[k])
    return energy - log_factorial(total)


replicated_softmax = Unit(
    *("replicated-softmax", mean, draw, cgf, base, slope, link),
    noise="own",
    group=0,
    support="counts",
    low=0.0,
    learning_rate=0.001,
)
