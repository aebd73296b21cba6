"""Rows that are held out of training, chosen by the seed."""

import numpy as np

from fastdbn.maths import rng


def n_held_out(n, fraction):
    """How many of n rows a fraction holds out."""
    return max(1, round(fraction * n)) if fraction else 0


def n_trained_on(n, fraction):
    """How many of n rows are trained on, where a fraction is held out."""
    return n - n_held_out(n, fraction)


def hold_out(seed, n, fraction):
    """(rows trained on, rows held out), both sorted. A fraction of n rows is held out, chosen by the seed, the same for all
    layers.

    Raises
    ------
    ValueError
        if no row is left to train on.
    """
    held = n_held_out(n, fraction)
    if held >= n:
        raise ValueError(f"validation_fraction={fraction} of {n} rows leaves none to train on: give a smaller share")
    drawn = rng.host_generator(seed, 0, rng.stream(rng.SPLIT, 0, 1)).permutation(n).astype(np.uint32)
    return np.sort(drawn[held:]), np.sort(drawn[:held])


def weights_of_known(seed, n, fraction, weights):
    """Weights of the rows that initial parameters and scaling may use: 0 for rows held out. None if every row counts as one.

    Raises
    ------
    ValueError
        if no row is left to train on, or none of any weight.
    """
    if not fraction:
        return weights
    weights = np.ones(n) if weights is None else weights.copy()
    held_out = hold_out(seed, n, fraction)[1]
    weights[held_out] = 0.0
    if not weights.any():
        raise ValueError(
            f"sample_weight is 0 for all rows but those that validation_fraction={fraction} holds out, {len(held_out)} of {n}: "
            "give more rows a weight, or take another share or random_state"
        )
    return weights
