"""Measure the constants of the cost rule (binary.py and update.py in fastdbn/backends/cpu): `python -m benchmarks.costs`.

Each method of a product of 784 binary units with weights to 500, and of 500 back to 784, is timed alone, on one thread, with
several numbers of rows. A line through those times gives picoseconds for what grows with the rows and for what does not. They
are printed beside the constants in use. Only their ratios matter for the choice. Codes need AVX-512; elsewhere they are nan.
"""

import math
import statistics
import time
import timeit

import numpy as np
from numba import njit

from benchmarks.machine import describe, in_words
from fastdbn.backends.cpu import binary, blas, update
from fastdbn.backends.cpu.binary import BLAS, CODES, DIRECT, GATHER, TABLES, TILES, make_states, pack_row, prepare, product
from fastdbn.backends.cpu.lookup import has_registers
from fastdbn.backends.devices import get_backend
from fastdbn.backends.protocol import Hyper, Params, Phase

NV, NH, DENSITY, ROWS = 784, 500, 0.14, (20, 50, 100, 200, 400)
FEW_ROWS = (16, 32, 64, 128)
"""Rows for which tiles copy the weights once, and tables in registers are made once."""


@njit(nogil=True)
def ready(way, x):
    """States, prepared for a method."""
    states = make_states(x, x.shape[0])
    for r in range(x.shape[0]):
        pack_row(x[r], states.words[r])
    prepare(way, states, x.shape[1], 0, x.shape[0])
    return states


@njit(nogil=True)
def multiply(way, addresses, states, W, transpose, out):
    product(way, addresses, states, states.floats.shape[1], W, transpose, out, 0, out.shape[0], 0, out.shape[1])


def microseconds(function):
    """Median time of a call, after one to compile."""
    function()
    return statistics.median(timeit.repeat(function, number=3, repeat=9, timer=time.process_time)) / 3 * 1e6


def line(way, inputs, outputs, transpose, rows=ROWS):
    """(picoseconds for each pair of a row and a weight, for each weight) of a method, by least squares."""
    draw, addresses = np.random.default_rng(0), blas.addresses(np.float32)
    W = draw.random((outputs, inputs) if transpose else (inputs, outputs), dtype=np.float32)
    times = []
    for n in rows:
        states = ready(way, (draw.random((n, inputs)) < DENSITY).astype(np.float32))
        out = np.empty((n, outputs), np.float32)
        times.append(microseconds(lambda s=states, o=out: multiply(way, addresses, s, W, transpose, o)))
    slope, start = np.polyfit(rows, times, 1)
    return slope * 1e6 / W.size, start * 1e6 / W.size


def collect(rows=100):
    """Picoseconds for each number that the statistics add up: the difference between updates at twice the density and at once."""
    draw, b, times, ones = np.random.default_rng(0), get_backend(1), [], []
    W = Params(b.zeros(NV, NH), b.zeros(NV), b.zeros(NH))
    velocity, h = Params(b.zeros(NV, NH), b.zeros(NV), b.zeros(NH)), draw.random((rows, NH), dtype=np.float32)
    for density in (DENSITY, 2 * DENSITY):
        v = (draw.random((rows, NV)) < density).astype(np.float32)
        phase = Phase(v, h, None)
        ones.append(2 * v.sum())
        times.append(microseconds(lambda s=phase: b.update(W, velocity, s, s, (0.01, 0.01), Hyper(1e-6, 0.5, 2e-4))))
    return (times[1] - times[0]) * 1e6 / (ones[1] - ones[0]) / NH


def main():
    """Measure and print."""
    with get_backend(1).single_threaded():
        multiply_, pack = line(BLAS, NV, NH, False)
        (add, copy), (add_row, _) = line(GATHER, NV, NH, False), line(DIRECT, NV, NH, False)
        look_up, make = line(TABLES, NH, NV, True)
        codes = line(CODES, NH, NV, True, rows=FEW_ROWS) if has_registers(np.float32) else (math.nan, math.nan)
        found = {
            "MULTIPLY": multiply_,
            "PACK": pack,
            "PACK_TILES": statistics.mean(line(TILES, NV, NH, transpose, rows=FEW_ROWS)[1] for transpose in (False, True)),
            "ADD": add / DENSITY,
            "COPY": copy,
            "ADD_ROW": add_row / DENSITY,
            "LOOK_UP": look_up,
            "MAKE": make,
            "FIND": codes[0],
            "SPREAD": codes[1],
            "COLLECT": collect(),
        }
    print(in_words(describe(1)) + "\npicoseconds\n")
    print(f"{'':<10}{'measured':>10}{'in use':>10}")
    for name, value in found.items():
        used = getattr(update if name == "COLLECT" else binary, name)
        print(f"{name:<10}{value:>10.1f}{used:>10.1f}")


if __name__ == "__main__":
    main()
