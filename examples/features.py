"""Learn features without labels, for data with few labels: logistic regression on pixels and on RBM features."""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from fastdbn import RBM

X, y = load_digits(return_X_y=True)
X = X / 16
X_few, X_test, y_few, y_test = train_test_split(X, y, train_size=100, stratify=y, random_state=0)
rbm = RBM(256, n_iter=100, learning_rate=0.02, random_state=0).fit(X)
for name, few, test in (("pixels", X_few, X_test), ("features", rbm.transform(X_few), rbm.transform(X_test))):
    print(f"{name}: test accuracy {LogisticRegression(max_iter=2000, C=10).fit(few, y_few).score(test, y_test):.3f}, 100 labels")
