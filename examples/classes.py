"""Classify digits by a generative model and draw new ones of each class: labels on the top RBM, trained by up-down."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastdbn import RBM, GenerativeDBNClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
layers = [RBM(learning_rate=0.1, batch_size=20, n_iter=n_iter) for n_iter in (50, 200)]
model = GenerativeDBNClassifier((128, 256), rbm=layers, propagate="sample", up_down_iter=0, random_state=0).fit(X, y)
print(f"test accuracy after greedy training: {model.score(X_test, y_test):.3f}")
model.up_down(X, y, 60, learning_rate=0.01)
print(f"test accuracy after up-down: {model.score(X_test, y_test):.3f}")
for half in (model.classes_[:5], model.classes_[5:]):
    print()
    digits = model.sample(5, n_steps=500, random_state=0, mean=True, label=half).reshape(5, 8, 8)
    for line in range(8):
        print("   ".join("".join(" .:oO@"[int(5.999 * pixel)] * 2 for pixel in digit[line]) for digit in digits))
