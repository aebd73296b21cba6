"""Pneumonia on chest X-rays of children, 28x28: a DBN beside logistic regression.

The official split of PneumoniaMNIST (FOLDER/pneumonia28). Three of four training images show pneumonia, so the figures are
the area under the ROC curve (AUC) and balanced accuracy, and classes weigh the same in training. Settings were chosen
on the validation images. Test images come from another source than training images, so both models do worse there. Not for
clinical use. Without the data, the 8x8 digits stand in: is it an 8?
"""

import numpy as np
from matplotlib import pyplot
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from common import arguments, digits, file_of, finish, say
from fastdbn import RBM, DBNClassifier, plot


def images(args):
    """{part: (images as rows, labels)} of training, validation and test."""
    path = file_of(args, "pneumonia28", "pneumonia28.npz")
    if path is None:
        data = digits(args)
        X, y = data.X, (data.y == 8).astype(int)
        return {"train": (X[:1000], y[:1000]), "val": (X[1000:], y[1000:]), "test": (data.X_test, (data.y_test == 8).astype(int))}
    z = np.load(path)
    return {part: (z[f"{part}_images"].reshape(-1, 784) / 255, z[f"{part}_labels"].ravel()) for part in ("train", "val", "test")}


def main():
    args = arguments(__doc__)
    parts = images(args)
    layers = RBM(visible="gaussian", scale="standard", n_iter=2 if args.quick else None)
    options = {"max_iter": 2 if args.quick else 30, "class_weight": "balanced", "random_state": 0, "n_jobs": args.jobs}
    models = {
        "DBN": DBNClassifier((32, 32) if args.quick else (256, 256), rbm=layers, **options),
        "logistic regression": LogisticRegression(C=0.1, class_weight="balanced", max_iter=300, tol=1e-3),
    }
    figure, ax = pyplot.subplots(figsize=(4.5, 4.5))
    say("", "AUC", "bal. acc.")
    for name, model in models.items():
        model.fit(*parts["train"])
        for part in ("val", "test"):
            X, y = parts[part]
            positive = model.predict_proba(X)[:, 1]
            say(f"{part}, {name}", f"{roc_auc_score(y, positive):.3f}", f"{balanced_accuracy_score(y, positive > 0.5):.3f}")
    plot.roc(models["DBN"], *parts["test"], ax=ax)
    finish(args, figure)


if __name__ == "__main__":
    main()
