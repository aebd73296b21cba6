"""Predict a number: the progression of diabetes from ten measurements, beside ridge regression."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score

from fastdbn import DBNRegressor

X, y = load_diabetes(return_X_y=True)
folds = KFold(5, shuffle=True, random_state=0)
dbn = DBNRegressor((64, 32), dropout=0.2, max_iter=40, random_state=0)
for name, model in (("DBNRegressor", dbn), ("RidgeCV", RidgeCV())):
    print(f"{name}: R2 {cross_val_score(model, X, y, cv=folds).mean():.3f}, mean of 5 folds")
