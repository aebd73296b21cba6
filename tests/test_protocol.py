"""States and weights are the backend's own: a backend that seals them runs every algorithm, with the same results."""

from pathlib import Path

import numpy as np
import pytest

from fastdbn import DBN, RBM, DBNAutoencoder, DBNClassifier, DBNRegressor, GenerativeDBNClassifier, evaluate
from fastdbn.backends import devices
from fastdbn.backends.cpu.backend import CPU
from fastdbn.units.unit import Unit

HOST = {"to_host", "fetch", "cgf", "cgf_shifted", "base", "dot", "norm", "loss", "square_sums"}
"""Operations that give host values."""


class Sealed:
    """A buffer of which nothing can be asked but its rows."""

    __slots__ = ("_inside",)

    def __init__(self, inside):
        self._inside = inside

    def __len__(self):
        return len(self._inside)


def unseal(x):
    if isinstance(x, Sealed):
        return x._inside
    return type(x)(*map(unseal, x)) if isinstance(x, tuple) and hasattr(x, "_fields") and not isinstance(x, Unit) else x


class SealedCPU:
    """The CPU backend with every buffer sealed, which has none of the calls for many steps."""

    name = "sealed"

    def __init__(self, *arguments):
        self._cpu = CPU(*arguments)
        self.dtype, self.precision, self.single_threaded = self._cpu.dtype, self._cpu.precision, self._cpu.single_threaded

    def cd_steps(self, *arguments):
        return False

    def backprop_steps(self, *arguments):
        return None

    def anneal(self, *arguments):
        return None

    def tempered_sweeps(self, *arguments):
        return None

    def ladder_rounds(self, *arguments):
        return None

    def __getattr__(self, name):
        operation = getattr(self._cpu, name)

        def call(*arguments, **options):
            for x in (*arguments, *options.values()):
                plain = isinstance(x, np.ndarray)
                assert not plain or name in {"array", "constant", "states", "onto", *HOST}, f"{name} was given a host array"
            result = operation(*map(unseal, arguments), **{key: unseal(x) for key, x in options.items()})
            return Sealed(result) if isinstance(result, np.ndarray) and name not in HOST else result

        return call


def sealed(n_jobs, dtype, device="cpu", precision="float32"):
    return SealedCPU(n_jobs, dtype)


CHECKED = """
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.cuda.backend import CUDA
from fastdbn.backends.protocol import Backend

class Lacking:
    name = "lacking"

def made(cpu: CPU, cuda: CUDA, lacking: Lacking) -> None:
    backends: list[Backend] = [cpu, cuda]
    backends.append(lacking)
"""


def test_mypy_compares_backends_with_the_protocol(tmp_path, monkeypatch):
    """Both backends have all that it asks, and mypy refuses one that lacks operations."""
    api = pytest.importorskip("mypy.api")
    (tmp_path / "checked.py").write_text(CHECKED)
    monkeypatch.chdir(Path(__file__).parent.parent)  # whose options and cache are those of the check of the package
    said, _, _ = api.run([str(tmp_path / "checked.py")])
    errors = [line for line in said.splitlines() if ": error: " in line]
    assert len(errors) == 1
    assert 'incompatible type "Lacking"; expected "Backend"' in errors[0]


MODELS = {
    "cd": RBM(6, k=2, n_iter=2, random_state=0),
    "pcd": RBM(6, persistent=True, n_chains=7, binarize="sample", n_iter=2, random_state=0),
    "watched": RBM(
        6, validation_fraction=0.2, early_stopping=True, monitor="pseudo_likelihood", monitor_interval=1, n_iter=3, random_state=0
    ),
    "missing, dropped": RBM(6, missing="drop", validation_fraction=0.2, n_iter=2, random_state=0),
    "missing, sampled": RBM(6, missing="sample", persistent=True, n_iter=2, random_state=0),
    "learned variance": RBM(6, visible="gaussian-variance", persistent=True, n_iter=2, random_state=0),
    "centred": RBM(6, centering="enhanced", persistent=True, n_iter=2, random_state=0),
    "held": RBM(6, l1=0.01, max_norm=1.0, sparsity_target=0.1, learning_rate="auto", n_iter=2, random_state=0),
    "trajectory": RBM(6, trajectory=0.9, persistent=True, n_chains=5, learning_rate=0.5, n_iter=3, random_state=0),
    "tempered": RBM(6, temperatures=3, fast_learning_rate=0.1, persistent=True, n_chains=5, k=2, n_iter=2, random_state=0),
    "softmax hidden": RBM(6, hidden="softmax", n_iter=2, random_state=0),
    "dbn": DBN((6, 5), rbm=RBM(n_iter=2), propagate="sample", random_state=0),
    "labels": GenerativeDBNClassifier((6,), rbm=RBM(n_iter=2), up_down_iter=0, random_state=0),
    "up-down": GenerativeDBNClassifier((6, 5, 4), rbm=RBM(n_iter=2), up_down_iter=2, random_state=0),
    "few labels": GenerativeDBNClassifier((6, 5), rbm=RBM(n_iter=2), up_down_iter=2, unlabelled=-1, random_state=0),
    "denoiser": DBNAutoencoder((6, 4), rbm=RBM(n_iter=2), noise="gaussian", max_iter=3, early_stopping=True, random_state=0),
    "autoencoder": DBNAutoencoder((6, 4), rbm=RBM(n_iter=2), max_iter=3, early_stopping=True, random_state=0),
    "classifier": DBNClassifier(
        (6, 5), rbm=RBM(n_iter=2), max_iter=3, solver="sgd", max_norm=1.0, early_stopping=True, random_state=0
    ),
    "regressor": DBNRegressor((6,), rbm=RBM(n_iter=2), max_iter=3, random_state=0),
}


def everything(model, X, y):
    """All that a model of its kind does, as bytes."""
    model.fit(X, y, sample_weight=np.linspace(0.5, 1.5, len(X)))
    results, whole = [model.transform(X)], np.nan_to_num(X)
    holed = np.where(np.arange(X.size).reshape(X.shape) % 3, whole, np.nan)
    if hasattr(model, "impute") and len(getattr(model, "layers_", "RBM")) > 1:
        results += [model.impute(holed, n_steps=6, random_state=0), model.denoise(whole, 2, "sample", random_state=0)]
    calls = {"predict": (whole,), "reconstruct": (X,), "gibbs": (whole,), "free_energy": (whole,), "score_samples": (whole,)}
    calls["sample"] = (3, 4)
    labels = isinstance(model, GenerativeDBNClassifier)
    deep = len(getattr(model, "layers_", "1")) > 1
    for name, arguments in calls.items():
        if hasattr(model, name) and not (deep and name in ("gibbs", "free_energy")) and not (labels and name == "gibbs"):
            results.append(getattr(model, name)(*arguments))
    model.partial_fit(X, y)
    results.append(model.transform(X))
    return [np.ascontiguousarray(x).tobytes() for x in results]


@pytest.mark.parametrize("name", MODELS)
def test_algorithms_ask_nothing_of_buffers(name, monkeypatch, request):
    """Fits, scores, samples and predictions through sealed buffers are those of the CPU, bit for bit."""
    draw = np.random.default_rng(0)
    X = (draw.random((40, 8)) < 0.4).astype(np.float32)
    y = X[:, 0].astype(int)
    if name == "few labels":
        y[::3] = -1
    if name == "softmax hidden":  # its whole minibatches take long to compile
        request.getfixturevalue("composed")
    if name.startswith("missing"):
        X[3, 4] = X[7] = np.nan
    expected = everything(MODELS[name], X, y)
    monkeypatch.setattr(devices, "get_backend", sealed)
    assert everything(MODELS[name], X, y) == expected


def evaluations(X):
    """What `fastdbn.evaluate` says of fitted models, as bytes."""
    dbn = DBN((6, 5), rbm=RBM(n_iter=2), random_state=0).fit(X)
    soft = RBM(4, visible="softmax:4", n_iter=1, random_state=0).fit(np.tile(np.eye(4), (3, 2)))
    rbm, some = dbn.layers_[0], {"n_chains": 5, "n_steps": 9, "random_state": 0}
    runs = [evaluate.ais(rbm, X=X, exact=False, **some), evaluate.reverse_ais(rbm, exact=False, **some)]
    runs += [evaluate.reverse_ais(rbm, X=X, burn_in=3, exact=False, **some)]
    results = [*(run.log_weights for run in runs), evaluate.mixing(rbm, **some).values]
    results += [evaluate.log_likelihood(rbm, X), evaluate.exact_samples(rbm, 4, 0), *evaluate.dbn_bound(dbn, X, random_state=0)]
    for model, rows in ((rbm, X), (soft, np.tile(np.eye(4), (1, 2)))):
        results += [evaluate.pseudo_log_likelihood(model, rows, exact, random_state=0) for exact in (True, False)]
    return [np.ascontiguousarray(x).tobytes() for x in results]


def test_evaluations_ask_nothing_of_buffers(monkeypatch):
    """Likelihoods, annealing and mixing through sealed buffers, bit for bit."""
    X = (np.random.default_rng(0).random((40, 8)) < 0.4).astype(np.float32)
    expected = evaluations(X)
    monkeypatch.setattr(devices, "get_backend", sealed)
    assert evaluations(X) == expected
