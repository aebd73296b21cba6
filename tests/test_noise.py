"""Which noise belongs to what: streams of training, scoring, sampling and imputing never meet, nor do draws in threads."""

import itertools
import os
import sys
import threading

import numpy as np
import pytest
from small import binary

from fastdbn import DBN, RBM, DBNClassifier, GenerativeDBNClassifier, evaluate
from fastdbn.maths import rng

X, Y, WEIGHTS, SEED = binary(40, 6), np.arange(40) % 2, np.linspace(0.5, 1.5, 40), 7
GAPS = np.where(np.eye(40, 6), np.nan, X)


@pytest.fixture
def keys(monkeypatch):
    """What names the noise of every call of `rng` under way: ("device" or "host", seed, step, stream)."""
    found = set()

    def recorded(make, kind):
        def call(seed, step, stream):
            found.add((kind, seed, int(step), int(stream)))
            return make(seed, step, stream)

        return call

    monkeypatch.setattr(rng, "key", recorded(rng.key, "device"))
    monkeypatch.setattr(rng, "host_generator", recorded(rng.host_generator, "host"))
    return found


def taken(keys, work):
    """The keys of some work.

    Left out are the data of an epoch, which all stages share, the draw of the rows whose states a network keeps, which are the
    same after each stage, the constants of the hash of rows, whose seed is 0, and the key of zeros by which fused kernels are
    given the seed.
    """
    keys.clear()
    work()
    kept = SEED, 0, int(rng.stream(rng.INIT, 0, 5))
    return {key for key in keys if key[1] and key[3] and (key[3] >> 27 != rng.DATA or key[3] & 0xFFFFF) and key[1:] != kept}


def apart(groups):
    for (name, one), (other, two) in itertools.combinations(groups.items(), 2):
        assert not one & two, (name, other, [(kind, step, hex(stream)) for kind, _, step, stream in sorted(one & two)[:5]])


def draws(model, given):
    """All that draws from a fitted model, by name; `given` is the random_state."""
    calls = {
        "sample": lambda: model.sample(5, n_steps=6, random_state=given),
        "impute": lambda: model.impute(GAPS, n_steps=9, random_state=given),
        "denoise": lambda: model.denoise(X, 6, "sample", random_state=given),
    }
    if isinstance(model, RBM):
        calls["gibbs"] = lambda: model.gibbs(X, n_steps=4, random_state=given)
    return calls


def test_streams_of_an_rbm(keys):
    """The same seed in every place: what fits draw, missing values and monitors included, and what fitted models draw."""
    lacking = RBM(4, k=3, missing="sample", missing_steps=2, n_iter=4, monitor_interval=1, random_state=SEED)
    model = RBM(4, n_iter=4, k=3, validation_fraction=0.2, random_state=SEED)
    groups = {"training": taken(keys, lambda: model.fit(X, sample_weight=WEIGHTS))}
    groups["missing values"] = taken(keys, lambda: lacking.fit(GAPS)) - groups["training"]
    groups["scores of a network"] = {("device", SEED, number, int(rng.stream(rng.SCORE, 0))) for number in range(10)}
    compare(groups, model, model, keys)


@pytest.mark.parametrize("kind", [DBN, GenerativeDBNClassifier])
def test_streams_of_networks(kind, keys):
    """The same, of stacks: pretraining, up-down, back-propagation, scores and class probabilities by draws."""
    if kind is DBN:
        model = DBN((5, 4, 3), rbm=RBM(n_iter=4, k=3), propagate="sample", random_state=SEED)
        groups = {"pretraining": taken(keys, lambda: model.fit(X, sample_weight=WEIGHTS))}
        plain = DBNClassifier((5, 4, 3), pretrain=model, max_iter=2, dropout=0.5, early_stopping=True, random_state=SEED)
        groups["back-propagation"] = taken(keys, lambda: plain.fit(X, Y))
        groups["up-down"] = taken(keys, lambda: model.up_down(X, n_iter=2, n_gibbs=3))
        groups["scores"] = taken(keys, lambda: model.score_samples(X))
    else:
        model = GenerativeDBNClassifier((5, 4, 3), rbm=RBM(n_iter=4, k=3), up_down_iter=0, random_state=SEED)
        groups = {"pretraining": taken(keys, lambda: model.fit(X, Y))}
        groups["up-down"] = taken(keys, lambda: model.up_down(X, Y, n_iter=2, n_gibbs=3))
        groups["class probabilities"] = taken(keys, lambda: model.predict_proba(X, n_samples=3))
    compare(groups, model, model.top_rbm(), keys)


def compare(groups, model, top, keys):
    """No two groups share a stream: given ones, each of a model's draws, and annealing."""
    for name, work in draws(model, SEED).items():
        apart(groups | {name: taken(keys, work)})
    for times in ("once", "again"):
        groups |= {f"{name} {times}": taken(keys, work) for name, work in draws(model, None).items()}
    groups["annealing"] = taken(keys, lambda: evaluate.ais(top, 3, 5, exact=False, random_state=SEED))
    assert all(groups.values())
    apart(groups)


def test_numbers_of_draws_keep_their_bits():
    """Streams of draws differ by number, way and level, and never reach into another field, up to the last number."""
    numbers = (0, 1, 63, 64, 4095, rng.DRAWS - 1)
    ways = [(rng.CHAIN, 0), *((way, level) for way in (rng.DOWN, rng.CLAMP) for level in (0, 1, 31))]
    streams = [int(rng.draw_stream(rng.VISIBLE, n, way, level)) for n in numbers for way, level in ways]
    assert len(set(streams)) == len(numbers) * len(ways)
    assert {stream >> 27 for stream in streams} == {rng.VISIBLE}
    assert min((stream >> 20) & 0x7F for stream in streams) >= 64
    assert rng.draw_stream(rng.VISIBLE, rng.DRAWS + 5) == rng.draw_stream(rng.VISIBLE, 5)


def test_acceptance_is_keyed_by_row(monkeypatch):
    """What fills a row in depends on its number, not on how rows are cut into blocks; equal rows are accepted apart."""
    dbn, draw = DBN((5, 4), rbm=RBM(n_iter=0), random_state=0).fit(X), np.random.default_rng(0)
    for rbm in dbn.layers_:
        rbm.components_ = 2 * draw.standard_normal(rbm.components_.shape).astype(np.float32)
    rows = np.tile(np.array([[1, np.nan, np.nan, 0, np.nan, np.nan]]), (60, 1))
    whole = dbn.impute(rows, n_steps=40, method="sample", random_state=0)
    monkeypatch.setattr("fastdbn.estimators.layer.block_rows", lambda width: 7)
    assert np.array_equal(dbn.impute(rows, n_steps=40, method="sample", random_state=0), whole)
    assert np.array_equal(dbn.impute(rows[:20], n_steps=40, method="sample", random_state=0), whole[:20])
    draw = rng.row_uniforms(np.arange(20_000, dtype=np.uint32), rng.key(0, 0, 0))
    assert len(np.unique(draw)) == 20_000
    assert abs(draw.mean() - 0.5) < 0.01
    assert 0 <= draw.min() < draw.max() < 1


@pytest.mark.parametrize("model", [RBM(3, n_iter=0, random_state=0), DBN(3, rbm=RBM(n_iter=0), random_state=0)])
def test_threads_get_numbers_of_their_own(model):
    """Draws of one model in several threads never share noise."""
    model, numbers, before = model.fit(X), [], sys.getswitchinterval()

    def draw():
        numbers.extend([model._next_noise(None)[1] for _ in range(3000)])

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=draw) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(set(numbers)) == len(numbers) == model._draws


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_can_draw():
    """The lock of the numbers may be held when another thread forks; the child has one of its own."""
    from fastdbn.estimators import machines

    model = RBM(3, n_iter=0, random_state=0).fit(X)
    with machines.lock:
        child = os.fork()
        if not child:
            model._next_noise(None)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
