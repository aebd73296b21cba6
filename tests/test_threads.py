"""One seed, the same bits: at any number of threads, beside other fits, after a fork, in other processes."""

import multiprocessing
import threading

import numpy as np
import pytest

from fastdbn import DBN, RBM, BernoulliRBM, DBNClassifier, DBNRegressor
from fastdbn.backends.cpu.blas import single_threaded


def parameters(model):
    """All parameter bytes of a fitted model."""
    if hasattr(model, "coefs_"):
        arrays = [*model.coefs_, *model.intercepts_]
    else:
        layers = model.layers_ if hasattr(model, "layers_") else [model]
        arrays = [x for rbm in layers for x in (rbm.components_, rbm.intercept_hidden_, rbm.intercept_visible_)]
    return b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)


def data(n=150, width=300):
    draw = np.random.default_rng(0)
    X = (draw.random((n, width)) < 0.3).astype(np.float32)
    return X, (X[:, :10].sum(axis=1) > 3).astype(int)


MODELS = {
    "rbm": lambda **o: RBM(530, n_iter=2, batch_size=64, random_state=0, **o),
    "pcd": lambda **o: RBM(530, n_iter=2, k=2, persistent=True, binarize="sample", random_state=0, **o),
    "gaussian": lambda **o: RBM(300, visible="gaussian", scale="standard", n_iter=2, random_state=0, **o),
    "bernoulli": lambda **o: BernoulliRBM(300, n_iter=1, random_state=0, **o),
    "dbn": lambda **o: DBN((300, 270), rbm=RBM(n_iter=1), propagate="sample", random_state=0, **o),
    "classifier": lambda **o: DBNClassifier(
        (300, 270), rbm=RBM(n_iter=1), max_iter=3, early_stopping=True, max_norm=2.0, random_state=0, **o
    ),
    "regressor": lambda **o: DBNRegressor((300,), rbm=RBM(n_iter=1), max_iter=3, dropout=0.2, random_state=0, **o),
}


@pytest.mark.parametrize("name", MODELS)
def test_thread_count_does_not_matter(name, split_everything):
    """The bytes of all parameters at 1, 2, 3 and 8 threads, pretraining and fine-tuning whole."""
    results = [parameters(MODELS[name](n_jobs=n).fit(*data())) for n in (1, 2, 3, 8)]
    assert results.count(results[0]) == 4


@pytest.mark.parametrize("name", ["rbm", "classifier"])
def test_extension_does_not_matter(name, product_route, split_everything):
    """Both routes end in the same BLAS: the same bytes."""
    reference = MODELS[name](n_jobs=2).fit(*data())
    assert parameters(MODELS[name](n_jobs=1).fit(*data())) == parameters(reference)


def run_threads(*works):
    """Run functions at once; re-raise what fails; a hang fails too."""
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]


def test_fits_and_transforms_at_once(split_everything):
    """Two fits and many transforms of one model in several Python threads give what they give alone."""
    from threadpoolctl import threadpool_info

    X, _ = data()
    model = MODELS["dbn"](n_jobs=2).fit(X)
    expected, alone, results = model.transform(X), parameters(MODELS["rbm"](n_jobs=2).fit(X)), []
    limits = [library["num_threads"] for library in threadpool_info()]

    def transform():
        for _ in range(20):
            assert np.array_equal(model.transform(X), expected)

    def fit():
        results.append(parameters(MODELS["rbm"](n_jobs=2).fit(X)))

    run_threads(fit, fit, transform, transform, transform)
    assert results == [alone, alone]
    assert [library["num_threads"] for library in threadpool_info()] == limits, "the BLAS limit is given back"


def test_single_threaded_in_any_thread():
    """BLAS is held to one thread, and given back, by threads other than the one whose limits threadpoolctl obeys."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def limits():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    def hold():
        with single_threaded():
            assert limits() <= {1}  # none is found where BLAS is the system's
        assert limits() <= {2}

    with threadpool_limits(2, user_api="blas"):
        run_threads(hold)
        hold()


def child(queue):
    """Fit and transform in a forked child."""
    X, _ = data()
    model = MODELS["rbm"](n_jobs=2).fit(X)
    queue.put((parameters(model), model.transform(X).tobytes()))


def test_fork(split_everything):
    """A child forked after threads and BLAS have run works, and agrees; also one forked in the midst of another fit."""
    X, _ = data()
    model = MODELS["rbm"](n_jobs=2).fit(X)
    expected = parameters(model), model.transform(X).tobytes()
    context = multiprocessing.get_context("fork")

    def fork():
        queue = context.Queue()
        process = context.Process(target=child, args=(queue,), daemon=True)
        process.start()
        try:
            assert queue.get(timeout=120) == expected
        finally:
            process.join(10)
            process.kill()

    fork()
    busy = threading.Thread(target=lambda: MODELS["rbm"](n_jobs=2).set_params(n_iter=40).fit(X))
    busy.start()
    fork()
    busy.join(120)


def test_joblib_workers():
    """Worker processes of joblib get models by pickle and fit the same."""
    from joblib import Parallel, delayed

    X, y = data()
    fitted = Parallel(n_jobs=2)(delayed(MODELS["classifier"](n_jobs=1).fit)(X, y) for _ in range(2))
    assert {parameters(model) for model in fitted} == {parameters(MODELS["classifier"](n_jobs=2).fit(X, y))}
