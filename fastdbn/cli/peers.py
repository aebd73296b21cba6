"""Works of `fastdbn bench`: the same training by fastdbn, scikit-learn and PyTorch, which need not be installed."""

import importlib.util

import numpy as np

HIDDEN, BATCH, EPOCHS = 256, 100, 5


def layer_works(X, n_jobs, seed):
    """{name: a function that trains an RBM by persistent contrastive divergence and returns its pseudo-likelihood of X}."""
    import sklearn.neural_network

    import fastdbn

    low, high = X.min(), X.max()
    X = np.ascontiguousarray((X - low) / ((high - low) or 1.0), np.float32)
    given = {"n_components": HIDDEN, "learning_rate": 0.05, "batch_size": BATCH, "n_iter": EPOCHS, "random_state": seed}

    def by_fastdbn():
        model = fastdbn.BernoulliRBM(**given, n_jobs=n_jobs).fit(X)
        return float(model.score_samples(X).mean())

    def by_sklearn():
        model = sklearn.neural_network.BernoulliRBM(**given).fit(X)
        return float(model.score_samples(X).mean())

    return {"fastdbn": by_fastdbn, "scikit-learn": by_sklearn}


def network_works(X, y, X_test, y_test, task, n_jobs, seed):
    """{name: a function that trains a network of two hidden layers by back-propagation and returns its score on test rows}."""
    from sklearn.base import clone
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from fastdbn import RBM, DBNClassifier, DBNRegressor

    X, X_test = (np.ascontiguousarray(rows, np.float32) for rows in (X, X_test))
    sizes, rate = (HIDDEN, HIDDEN), 1e-3
    classifies = task == "classify"
    own = (DBNClassifier if classifies else DBNRegressor)(
        sizes, rbm=RBM(visible="gaussian", scale="none"), pretrain=False, dropout=0.0, batch_size=BATCH, max_iter=EPOCHS,
        learning_rate_init=rate, n_jobs=n_jobs, random_state=seed,
    )  # fmt: skip
    peer = (MLPClassifier if classifies else MLPRegressor)(
        sizes, activation="logistic", batch_size=BATCH, max_iter=EPOCHS, learning_rate_init=rate, random_state=seed
    )
    works = {
        "fastdbn": lambda: clone(own).fit(X, y).score(X_test, y_test),
        "scikit-learn": lambda: clone(peer).fit(X, y).score(X_test, y_test),
    }
    if importlib.util.find_spec("torch") is not None:
        works["PyTorch"] = lambda: _by_torch(X, y, X_test, y_test, classifies, n_jobs, seed, rate)
    return works


def _by_torch(X, y, X_test, y_test, classifies, n_jobs, seed, rate):
    """The score of the same network, trained by PyTorch."""
    import torch
    from sklearn.metrics import accuracy_score, r2_score

    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    if n_jobs is not None and n_jobs > 0:
        torch.set_num_threads(n_jobs)
    kinds, numbers = np.unique(y, return_inverse=True)
    target = numbers if classifies else np.asarray(y, np.float32).reshape(len(y), -1)
    mean, scale = (0, 1) if classifies else (target.mean(axis=0), target.std(axis=0))
    rows, targets = torch.from_numpy(X), torch.from_numpy((target - mean) / scale if not classifies else target)
    outputs = len(kinds) if classifies else target.shape[1]
    layers = [torch.nn.Linear(X.shape[1], HIDDEN), torch.nn.Sigmoid(), torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.Sigmoid()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN, outputs))
    loss = torch.nn.CrossEntropyLoss() if classifies else torch.nn.MSELoss()
    steps = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(EPOCHS):
        order = torch.randperm(len(rows))
        for start in range(0, len(rows), BATCH):
            chosen = order[start : start + BATCH]
            steps.zero_grad(set_to_none=True)
            loss(model(rows[chosen]), targets[chosen]).backward()
            steps.step()
    with torch.no_grad():
        made = model(torch.from_numpy(X_test)).numpy()
    if classifies:
        return accuracy_score(y_test, kinds[made.argmax(axis=1)])
    return r2_score(y_test, (made * scale + mean).reshape(np.shape(y_test)))
