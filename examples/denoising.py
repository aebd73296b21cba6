"""Clean noisy digits: one mean-field pass up and down an RBM that was trained on clean digits."""

import numpy as np
from sklearn.datasets import load_digits

from fastdbn import RBM

X = load_digits().data / 16
clean, train = X[:300], X[300:]
draw = np.random.default_rng(0)
noisy = np.where(draw.random(clean.shape) < 0.3, draw.random(clean.shape), clean)
rbm = RBM(128, n_iter=100, random_state=0).fit(train)
cleaned = rbm.reconstruct(noisy)
print(f"mean squared error: {np.mean((noisy - clean) ** 2):.4f} noisy, {np.mean((cleaned - clean) ** 2):.4f} cleaned")
