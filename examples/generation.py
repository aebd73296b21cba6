"""Draw new digits from a Deep Belief Network and print them."""

from sklearn.datasets import load_digits

from fastdbn import DBN, RBM

X = load_digits().data / 16
layers = [RBM(n_iter=100), RBM(persistent=True, learning_rate=0.02, n_iter=100)]
dbn = DBN((128, 64), rbm=layers, random_state=0).fit(X)
digits = dbn.sample(6, n_steps=500, mean=True).reshape(6, 8, 8)
for line in range(8):
    print("   ".join("".join(" .:oO@"[int(5.999 * pixel)] * 2 for pixel in digit[line]) for digit in digits))
