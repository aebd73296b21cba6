"""Compress digits to codes of eight numbers and decode them, beside PCA with eight components."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from fastdbn import RBM, DBNAutoencoder

X = load_digits().data / 16
train, test = X[:1300], X[1300:]
pca = PCA(8).fit(train)
error = np.sum((pca.inverse_transform(pca.transform(test)) - test) ** 2, axis=1).mean()
print(f"squared error of a test digit: {error:.2f}, PCA")
layers = [RBM(), RBM(hidden="gaussian", learning_rate=0.001)]  # a code of real numbers, which learns slowly
model = DBNAutoencoder((128, 8), rbm=layers, random_state=0).fit(train)
print(f"squared error of a test digit: {-model.score(test):.2f}, autoencoder")
