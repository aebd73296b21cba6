"""Compress digits to codes of eight numbers and decode them, beside PCA with eight components."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from fastdbn import RBM, DBNAutoencoder

X = load_digits().data / 16
train, test = X[:1300], X[1300:]
pca = PCA(8).fit(train)
layers = [RBM(), RBM(hidden="gaussian", learning_rate=0.001)]  # a code of real numbers, which learns slowly
model = DBNAutoencoder((128, 8), rbm=layers, random_state=0).fit(train)
for name, decoded in (("PCA", pca.inverse_transform(pca.transform(test))), ("autoencoder", model.reconstruct(test))):
    print(f"squared error of a test digit: {np.sum((decoded - test) ** 2, axis=1).mean():.2f}, {name}")
