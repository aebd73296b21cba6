"""Predict from a table with missing values: an RBM fills the gaps before ridge regression, a forest or a DBN.

The fuel consumption of 398 cars (FOLDER/tables/mpg.csv) from seven columns, 30 % of whose numbers are hidden. R2 on test rows, a
mean over five folds, beside gaps filled with column means or by scikit-learn's IterativeImputer, and beside gradient-boosted
trees, which take gaps as they are. Without the data, scikit-learn's diabetes table stands in.
"""

import csv
import warnings

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from common import arguments, bars, file_of, finish, say
from fastdbn import RBM, DBNRegressor

HIDDEN = 0.3
NUMBERS = "cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year"


def table(args):
    """(columns with gaps, targets); categories are one-hot and have no gaps."""
    path = file_of(args, "tables", "mpg.csv")
    if path is None:
        X, y = load_diabetes(return_X_y=True)
        numbers, rest = X, X[:, :0]
    else:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        numbers = np.array([[float(row[name] or "nan") for name in NUMBERS] for row in rows])
        origins = np.array([row["origin"] for row in rows])
        rest, y = (origins[:, None] == np.unique(origins)).astype(float), np.array([float(row["mpg"]) for row in rows])
    gaps = np.random.default_rng(0).random(numbers.shape) < HIDDEN
    return np.hstack([np.where(gaps, np.nan, numbers), rest]), y


def main():
    args = arguments(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of IterativeImputer, which makes 30 rounds
    X, y = table(args)
    folds, n_iter, trees = (2, 2, 2) if args.quick else (5, 300, 100)
    dbn = DBNRegressor((64, 32), max_iter=2 if args.quick else 60, random_state=0, n_jobs=args.jobs)
    models = {"ridge": RidgeCV(), "forest": RandomForestRegressor(trees, random_state=0), "DBNRegressor": dbn}
    boosted = HistGradientBoostingRegressor(max_iter=min(trees, 60), random_state=0)
    scores = {}
    for train, test in KFold(folds, shuffle=True, random_state=0).split(X):
        Z = (X - np.nanmean(X[train], axis=0)) / np.nanstd(X[train], axis=0)
        options = {"visible": "gaussian", "scale": "none", "n_iter": n_iter, "random_state": 0, "n_jobs": args.jobs}
        rbm = RBM(32, missing="sample", **options).fit(Z[train])
        iterative = IterativeImputer(max_iter=30, random_state=0).fit(Z[train])
        filled = {"means": np.nan_to_num(Z), "IterativeImputer": iterative.transform(Z), "RBM": rbm.impute(Z, random_state=0)}
        for name, model in models.items():
            for fill, columns in filled.items():
                r2 = model.fit(columns[train], y[train]).score(columns[test], y[test])
                scores.setdefault(f"{name}, filled by {fill}", []).append(r2)
        r2 = boosted.fit(Z[train], y[train]).score(Z[test], y[test])
        scores.setdefault("gradient-boosted trees, not filled", []).append(r2)
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    for name, value in means.items():
        say(f"R2, {name}", f"{value:.3f}")
    finish(args, bars(means, "R2 on test rows"))


if __name__ == "__main__":
    main()
