"""Find the topics of short texts: an RBM on a sparse matrix of binary word counts, and a linear model on its features."""

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from fastdbn import RBM

TOPICS = {
    "sea": "wave ship harbour sail fish salt storm captain tide island anchor gull net deck",
    "kitchen": "oven bread butter salt knife soup onion boil spoon flour pepper taste table dish",
    "space": "star orbit rocket planet moon launch gravity comet telescope crew signal storm dust probe",
}
draw = np.random.default_rng(0)
labels = draw.integers(0, 3, 600)
common = ["the", "a", "of", "and", "in", "to", "it", "was", "on", "with", "very", "then", "again", "here", "there"]
words = [TOPICS[name].split() for name in TOPICS]
texts = [" ".join([*draw.choice(words[t], 3), *draw.choice(common, 8)]) for t in labels]
X = CountVectorizer(binary=True, dtype=np.float32).fit_transform(texts)
print(f"{X.shape[0]} texts, {X.shape[1]} words, {X.nnz / np.prod(X.shape):.0%} of the matrix is non-zero")
X_train, X_test, y_train, y_test = train_test_split(X, labels, test_size=0.9, random_state=0)
rbm = RBM(32, n_iter=100, learning_rate=0.02, random_state=0).fit(X)
for name, train, test in (("words", X_train, X_test), ("features", rbm.transform(X_train), rbm.transform(X_test))):
    print(f"{name}: test accuracy {LogisticRegression(max_iter=1000).fit(train, y_train).score(test, y_test):.3f} from 60 labels")
