"""Fill in the lower half of digits, given the upper half, and print some beside the originals."""

import numpy as np
from sklearn.datasets import load_digits

from fastdbn import RBM

X = load_digits().data / 16
train, test = X[:1500], X[1500:]
missing = np.arange(64) >= 32
rbm = RBM(128, persistent=True, learning_rate=0.02, n_iter=100, random_state=0).fit(train)
filled = rbm.impute(test, missing, n_steps=200, random_state=0)
for name, guess in (("mean digit", train.mean(axis=0)[missing]), ("inpainted", filled[:, missing])):
    print(f"mean squared error of the lower half: {np.mean((guess - test[:, missing]) ** 2):.4f}, {name}")
for digits in (filled[:6], test[:6]):
    print()
    for line in range(8):
        print("   ".join("".join(" .:oO@"[int(5.999 * pixel)] * 2 for pixel in digit.reshape(8, 8)[line]) for digit in digits))
