"""Draw new digits from a Deep Belief Network and print them."""

from sklearn.datasets import load_digits

from fastdbn import DBN

X = load_digits().data / 16
dbn = DBN((128, 64), persistent=(False, True), learning_rate=(0.05, 0.02), n_iter=100, random_state=0).fit(X)
digits = dbn.sample(6, n_steps=500, mean=True).reshape(6, 8, 8)
for line in range(8):
    print("   ".join("".join(" .:oO@"[int(5.999 * pixel)] * 2 for pixel in digit[line]) for digit in digits))
