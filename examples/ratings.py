"""Ratings of which most are missing: what would a person say of a film not seen?

10,000 people and 100 films (FOLDER/binary/bnetflix.npz); a rating is 1 for a film that was liked. Seven of ten ratings are hidden
from every model, in training and in test. The figure is the log loss of hidden test ratings, beside the share of likes
of each film, and beside a matrix of low rank, whose rank and limits were chosen on validation people. Without the data, pixels
of digits stand in for films.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import log_loss

from common import arguments, bars, file_of, finish, say
from fastdbn import RBM

HIDDEN = 0.7
RANK, LEAST = 5, 0.15
"""Of the matrix of low rank: its rank, and the smallest probability that it gives; the largest is 1 less that."""


def people(args):
    """(training, test) ratings of all films, zeros and ones."""
    path = file_of(args, "binary", "bnetflix.npz")
    if path is None:
        X = (load_digits().data > 8).astype(float)
        return X[:1400], X[1400:]
    data = np.load(path)
    return data["train"][:10_000].astype(float), data["test"].astype(float)


def low_rank(seen, later, rounds):
    """Fill in by a matrix of low rank that is fitted to the ratings seen, round by round."""
    means = np.nanmean(seen, axis=0)
    filled = np.where(np.isnan(seen), means, seen)
    for _ in range(rounds):
        svd = TruncatedSVD(RANK, random_state=0).fit(filled - means)
        filled = np.where(np.isnan(seen), means + svd.inverse_transform(svd.transform(filled - means)), seen)
    guess = np.where(np.isnan(later), means, later)
    for _ in range(rounds):
        guess = np.where(np.isnan(later), means + svd.inverse_transform(svd.transform(guess - means)), later)
    return np.clip(guess, LEAST, 1 - LEAST)


def main():
    args = arguments(__doc__)
    train, test = people(args)
    draw = np.random.default_rng(0)
    seen, later = (np.where(draw.random(X.shape) < HIDDEN, np.nan, X) for X in (train, test))
    options = {"missing": "sample", "n_iter": 2 if args.quick else 40, "random_state": 0, "n_jobs": args.jobs}
    rbm = RBM(16 if args.quick else 64, **options).fit(seen)
    guesses = {
        "likes of each film": np.broadcast_to(np.nanmean(seen, axis=0), test.shape),
        "low rank": low_rank(seen, later, 2 if args.quick else 20),
        "RBM": rbm.impute(later, n_steps=50 if args.quick else 200, random_state=0),
    }
    hidden = np.isnan(later)
    losses = {name: log_loss(test[hidden], guess[hidden]) for name, guess in guesses.items()}
    say("hidden ratings", "log loss", "right")
    for name, loss in losses.items():
        say(name, f"{loss:.4f}", f"{np.mean((guesses[name] > 0.5)[hidden] == test[hidden]):.4f}")
    finish(args, bars(losses, "log loss of hidden ratings (lower is better)"))


if __name__ == "__main__":
    main()
