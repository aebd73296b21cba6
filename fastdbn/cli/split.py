"""The split of rows into those to train on and those to test on."""

import numpy as np

from fastdbn.cli.target import labelled
from fastdbn.support.report import progress

SPLIT_SEED = 0
"""The seed of the split into training and test rows. It does not depend on the model's seed."""


def _split_groups(n, y, task, share, groups):
    """As `split`, with the rows of a group on one side, and the classes as even as groups allow."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    found = len(set(groups))
    if found < 2:
        raise ValueError("--groups: the column holds only one group, and training and testing need groups of their own")
    folds = max(2, min(found, round(1 / (share or 0.2))))
    if task == "classify":
        splits = StratifiedGroupKFold(folds, shuffle=True, random_state=SPLIT_SEED).split(np.zeros(n), y, groups)
    else:
        splits = GroupKFold(folds).split(np.zeros(n), y, groups)
    train, test = next(iter(splits))
    unknown = set(y[test]) - set(y[train]) if task == "classify" else ()
    if unknown or not len(test):
        named = f"the class {min(unknown)!s} is only in groups" if unknown else "there are no groups"
        raise ValueError(f"--groups: {named} to test on: give --test-size, or other groups")
    progress(f"groups: {len(set(groups[train]))} to train on, {len(set(groups[test]))} to test on, of {found}")
    return train, test


def split(n, y, task, share, groups=None):
    """Numbers of the rows to train on and of those to test on; every class has rows to train on.

    Rows without a label are none to test on. They are trained on, unless rows of their group are tested on.
    """
    if np.ma.isMaskedArray(y):
        known, others = np.flatnonzero(labelled(y)), np.flatnonzero(~labelled(y))
        train, test = split(len(known), y.data[known], task, share, None if groups is None else groups[known])
        others = others if groups is None else others[~np.isin(groups[others], groups[known[test]])]
        return np.concatenate([known[train], others]), known[test]
    if groups is not None:
        return _split_groups(n, y, task, share, groups)
    from sklearn.model_selection import train_test_split
    from sklearn.utils import shuffle

    n_test = max(2 if task == "regress" else 1, round((share or 0.2) * n))  # R2 needs two
    if n - n_test < 2:
        raise ValueError(
            f"of {n} rows {n_test} are to test on, which leaves {n - n_test} to train on: give more rows, or --test-size"
        )
    strata = None
    if task == "classify":
        _, first, counts = np.unique(y, return_index=True, return_counts=True)
        if counts.min() < 2 or min(n_test, n - n_test) < len(counts):
            test = shuffle(np.setdiff1d(np.arange(n), first), random_state=SPLIT_SEED)[:n_test]
            if not len(test):
                raise ValueError("every class has only one row: there is none to test on")
            return np.setdiff1d(np.arange(n), test), test
        strata = y
    return train_test_split(np.arange(n), test_size=n_test, random_state=SPLIT_SEED, stratify=strata)


def fewer(train, y, task, n):
    """At most n of the rows to train on; every class keeps some. None keeps all."""
    if n is None or n >= len(train):
        return train
    if n < 2:
        raise ValueError(f"--rows {n}: training needs two rows at least")
    kept, _ = split(len(train), None if y is None else y[train], task, 1 - n / len(train))
    return train[kept]
