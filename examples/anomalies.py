"""Find digits that are unlike the rest. The score of a row is minus its free energy: higher means more normal."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from fastdbn import RBM

X, y = load_digits(return_X_y=True)
X = X / 16
normal = np.isin(y, [0, 1, 2, 3, 4])
train, test = np.flatnonzero(normal)[:600], np.r_[np.flatnonzero(normal)[600:], np.flatnonzero(~normal)]
rbm = RBM(64, persistent=True, learning_rate=0.02, n_iter=100, random_state=0).fit(X[train])
scores = rbm.score_samples(X[test])
print(f"digits 0 to 4, which it was trained on, against 5 to 9: ROC AUC {roc_auc_score(normal[test], scores):.3f}")
shuffled = np.random.default_rng(0).permuted(X[test], axis=1)
both = np.r_[scores, rbm.score_samples(shuffled)]
print(f"digits against digits with shuffled pixels: ROC AUC {roc_auc_score(np.repeat([1, 0], len(test)), both):.3f}")
