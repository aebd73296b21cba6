"""Classify handwritten digits: pretraining and fine-tuning, beside logistic regression.

A network of two hidden layers is pretrained without labels and then trained by back-propagation. The picture has the
weights of hidden units of the first layer.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from common import arguments, digits, finish, say
from fastdbn import RBM, DBNClassifier, plot


def main():
    args = arguments(__doc__)
    data = digits(args)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of logistic regression, which makes 100 iterations
    n_iter, max_iter = (2, 2) if args.quick else (10, 15)
    layers = RBM(n_iter=n_iter, batch_size=100, learning_rate=0.1)
    options = {"max_iter": max_iter, "batch_size": 100, "random_state": 0, "n_jobs": args.jobs}
    model = DBNClassifier((64, 64) if args.quick else (500, 500), rbm=layers, **options).fit(data.X, data.y)
    linear = LogisticRegression(max_iter=100).fit(data.X, data.y)
    say(f"{data.name}, test accuracy of a DBN", f"{model.score(data.X_test, data.y_test):.4f}")
    say("logistic regression", f"{linear.score(data.X_test, data.y_test):.4f}")
    finish(args, plot.filters(model.dbn_).figure)


if __name__ == "__main__":
    main()
