"""Find the odd rows of a table, through scikit-learn's outlier interface: zeros with a few other digits among them."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import precision_score, recall_score

from fastdbn import RBM, DBNOutlierDetector

X, y = load_digits(return_X_y=True)
rows = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y != 0)[:12]]
model = DBNOutlierDetector((64,), rbm=RBM(n_iter=100, learning_rate=0.02), contamination=12 / len(rows), random_state=0)
found = model.fit_predict(X[rows] / 16)
true = np.where(y[rows] == 0, 1, -1)
precision, recall = (score(true, found, pos_label=-1) for score in (precision_score, recall_score))
print(f"{len(rows)} digits, 12 of them not zeros. Found {np.sum(found == -1)}: precision {precision:.2f}, recall {recall:.2f}")
