"""Sentiment of short texts: logistic regression on words, and on words and the features of an RBM.

10,662 sentences of film reviews (FOLDER/sentiment), as a CSR matrix of words that occur or not. The RBM sees all sentences
without their labels. Accuracy on a fifth of the sentences, from 200, 1,000 or all other labels. At last a network with dropout
learns from all labels. Settings were chosen on another fifth. Without the data, sentences of two made-up kinds stand in.
"""

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from common import arguments, file_of, finish, lines, say
from fastdbn import RBM, DBNClassifier


def sentences(args):
    """Texts and labels: 1 for positive ones."""
    kinds = [file_of(args, "sentiment", f"rt-polarity.{kind}") for kind in ("neg", "pos")]
    if all(kinds):
        texts = [[line for line in path.read_text("latin-1").split("\n") if line.strip()] for path in kinds]
    else:
        draw, common = np.random.default_rng(0), [f"word{i}" for i in range(300)]
        texts = [[" ".join([*draw.choice(common[part:][:200], 12)]) for _ in range(600)] for part in (0, 100)]
    return texts[0] + texts[1], np.repeat([0, 1], [len(texts[0]), len(texts[1])])


def linear(args):
    """Logistic regression whose penalty is chosen by cross-validation on the rows that it is fitted to."""
    return GridSearchCV(LogisticRegression(max_iter=300, tol=1e-3), {"C": (0.1,) if args.quick else (0.03, 0.1, 0.3, 1.0)}, cv=3)


def main():
    args = arguments(__doc__)
    texts, y = sentences(args)
    X = CountVectorizer(binary=True, min_df=5, dtype=np.float32).fit_transform(texts)
    rows = np.random.default_rng(0).permutation(len(y))
    first, test, others = np.split(rows, [len(y) // 5, 2 * (len(y) // 5)])
    train = np.r_[others, first]
    counts = (100, 200) if args.quick else (200, 1000, len(train))
    say(f"{X.shape[0]} sentences, {X.shape[1]} words; labels", *counts)

    rbm = RBM(16 if args.quick else 256, n_iter=2 if args.quick else 20, random_state=0, n_jobs=args.jobs).fit(X)
    features = rbm.transform(X)
    kinds = {"words": X, "RBM features": features, "words and RBM features": sparse.hstack([X, features]).tocsr()}
    curves = {}
    for name, columns in kinds.items():
        fits = [linear(args).fit(columns[train[:n]], y[train[:n]]) for n in counts]
        curves[name] = [fit.score(columns[test], y[test]) for fit in fits]
        say(f"test accuracy, {name}", *(f"{value:.3f}" for value in curves[name]))

    options = {"max_iter": 2 if args.quick else 10, "batch_size": 64, "random_state": 0, "n_jobs": args.jobs}
    model = DBNClassifier((16,) if args.quick else (256,), dropout=(0.2, 0.5), **options).fit(X[train], y[train])
    say("test accuracy, DBNClassifier with dropout", *[""] * (len(counts) - 1), f"{model.score(X[test], y[test]):.3f}")
    finish(args, lines(curves, counts, "labels", "test accuracy"))


if __name__ == "__main__":
    main()
