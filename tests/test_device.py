"""The behaviour of the estimators on every device, and the choice of a device.

The class runs on the CPU, and with `NUMBA_ENABLE_CUDASIM=1` in CUDA's simulator, or with `--device cuda` on a GPU.
"""

import copy
import warnings

import numpy as np
import pytest
from room import contents, no_room
from sklearn.base import clone

import fastdbn
from fastdbn import (
    DBN,
    RBM,
    BernoulliRBM,
    DBNAutoencoder,
    DBNClassifier,
    DBNOutlierDetector,
    DBNRegressor,
    GenerativeDBNClassifier,
    evaluate,
)
from fastdbn.backends import devices
from fastdbn.backends.cpu.backend import CPU
from fastdbn.backends.devices import DeviceError
from fastdbn.cli.main import main
from fastdbn.estimators.device import backend_for

COMMON = {"n_iter": 2, "batch_size": 8, "random_state": 0}
STACK = {"rbm": RBM(n_iter=2, batch_size=8), "random_state": 0}
SUPERVISED = {"rbm": RBM(n_iter=1, batch_size=8), "max_iter": 2, "batch_size": 8, "random_state": 0}
MODELS = {
    "cd": RBM(5, **COMMON),
    "pcd": RBM(5, k=2, persistent=True, n_chains=3, binarize="sample", **COMMON),
    "real": RBM(5, visible="gaussian", scale="standard", hidden="bernoulli", **COMMON),
    "groups": RBM(4, visible="softmax:2", **COMMON),
    "dbn": DBN((5, 4), propagate="sample", **STACK),
    "classifier": DBNClassifier((5,), solver="sgd", max_norm=1.0, **SUPERVISED),
    "regressor": DBNRegressor((5,), dropout=0.3, **SUPERVISED),
    "generative": GenerativeDBNClassifier((5, 4), up_down_iter=1, **STACK),
    "autoencoder": DBNAutoencoder((4, 2), **SUPERVISED),
    "outliers": DBNOutlierDetector((4,), **STACK),
    "drop-in": BernoulliRBM(4, n_iter=2, batch_size=8, random_state=0),
    "options": RBM(4, centering="enhanced", l1=1e-3, max_norm=0.1, sparsity_target=0.2, learning_rate="auto", **COMMON),
    "tempered": RBM(4, persistent=True, n_chains=2, temperatures=2, fast_learning_rate=0.01, **COMMON),
    "variance": RBM(4, visible="gaussian-variance", **COMMON),
    "counts": RBM(4, visible="replicated-softmax", **COMMON),
    "mixed": RBM(4, visible=[("bernoulli", slice(0, 2)), ("gaussian", slice(2, 4)), ("softmax", slice(4, 6))], **COMMON),
}
few = pytest.mark.parametrize("name", MODELS)
UNITS = [  # visible units, hidden ones, and what makes values of the visible ones of zeros and ones
    ("binomial:3", "binomial:2", lambda X: np.cumsum(X, axis=1) % 4),
    ("spin", "spin", lambda X: 2 * X - 1),
    ("rectified", "bernoulli", lambda X: X * np.arange(1, 7)),
    ("gaussian", "rectified", lambda X: X - 0.5),
    ("bernoulli", "noisy-relu", lambda X: X),
    ("replicated-softmax", "softmax:3", lambda X: X * np.arange(1, 7)),
    (
        [("spin", slice(0, 2)), ("gaussian", slice(2, 4)), ("replicated-softmax", slice(4, 6))],
        "softmax",
        lambda X: np.c_[2 * X[:, :2] - 1, X[:, 2:]],
    ),
]


@pytest.fixture
def rows():
    """(X, y): pairs of which exactly one is on, so that all visible units suit them."""
    first = np.random.default_rng(0).integers(0, 2, (16, 3)).astype(np.float32)
    return np.stack([first, 1 - first], axis=2).reshape(16, 6), first[:, 0].astype(int)


def parameters(model):
    """All fitted weights and biases in a row."""
    parts = model.layers_ if hasattr(model, "layers_") else [model]
    arrays = [x for part in parts for x in (getattr(part, name, None) for name in ("components_", "intercept_visible_"))]
    arrays += getattr(model, "coefs_", [])
    return np.concatenate([x.ravel() for x in arrays if x is not None])


class TestEstimators:
    """What an estimator does is the same on every device, but for rounding and the few draws that it turns."""

    @few
    def test_fit_and_use(self, name, device, rows):
        """Fitted parameters and everything computed from them agree with the CPU's."""
        X, y = rows
        results = []
        for where in (device, "cpu"):
            model = clone(MODELS[name]).set_params(device=where).fit(X, y)
            results.append([parameters(model), model.transform(X)])
            for method in ("free_energy", "reconstruct", "predict", "predict_proba", "decision_function"):
                if hasattr(model, method) and not (method == "free_energy" and hasattr(model, "layers_")):  # of one layer alone
                    results[-1].append(getattr(model, method)(X))
        for a, b in zip(*results, strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=1e-4)

    def test_chains(self, device, rows):
        """Samples, Gibbs steps, scores and evaluations of one seed are the same chains."""
        X, _ = rows
        model = clone(MODELS["cd"]).fit(X)
        found = []
        for where in (device, "cpu"):
            model.to_device(where)
            found.append([model.gibbs(X, 2, random_state=1), model.sample(3, 3, random_state=1), model.score_samples(X)])
        for a, b in zip(*found, strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=1e-4)

    def test_evaluations(self, device, rows):
        """Annealing, exact and pseudo-likelihoods, bounds, mixing, imputed values and up-down agree with the CPU's."""
        X, _ = rows
        network, few = clone(MODELS["dbn"]).fit(X), {"n_chains": 3, "n_steps": 4, "random_state": 0}
        found = []
        for where in (device, "cpu"):
            model = copy.deepcopy(network).to_device(where)
            rbm = model.layers_[0]
            runs = evaluate.ais(rbm, X=X, exact=False, **few), evaluate.reverse_ais(rbm, exact=False, **few)
            found.append([run.log_weights for run in runs])
            found[-1] += [evaluate.log_likelihood(rbm, X), evaluate.mixing(rbm, **few).values]
            found[-1] += evaluate.dbn_bound(model, X, 0.0, n_samples=2, random_state=0)
            found[-1] += [evaluate.pseudo_log_likelihood(rbm, X, exact, random_state=0) for exact in (True, False)]
            found[-1] += [rbm.impute(X, np.arange(6) > 3, 2, random_state=0), parameters(model.up_down(X, 1))]
        for a, b in zip(*found, strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=1e-4)

    def test_same_seed_same_bits(self, device, rows):
        """Two fits with one seed give the same bytes."""
        first, second = (clone(MODELS["cd"]).set_params(device=device).fit(rows[0]) for _ in range(2))
        assert parameters(first).tobytes() == parameters(second).tobytes()

    def test_goes_on(self, device, rows):
        """A fit of two epochs is a fit of one and another on another device, but for rounding."""
        X, _ = rows
        whole = clone(MODELS["cd"]).set_params(learning_rate=0.05).fit(X)
        parts = clone(whole).set_params(n_iter=1, device=device).fit(X).to_host().partial_fit(X)
        assert np.allclose(parameters(whole), parameters(parts), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("missing", ["drop", "sample"])
    def test_missing_values(self, device, missing, rows):
        """Rows with gaps, weights of rows, and a held-out share."""
        X = rows[0].copy()
        X[2, 3] = np.nan
        model = RBM(4, missing=missing, validation_fraction=0.2, device=device, **COMMON)
        results = [parameters(clone(model).set_params(device=d).fit(X, sample_weight=np.arange(1, 17))) for d in (device, "cpu")]
        assert np.allclose(*results, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("name", ["cd", "dbn", "classifier"])
    def test_saved_here_loaded_there(self, name, device, rows, tmp_path):
        """A model file is the same whatever the device was; a model of a GPU is used with or without one."""
        X, y = rows
        model = clone(MODELS[name]).set_params(device=device).fit(X, y)
        model.save(tmp_path / "model.safetensors")
        loaded = fastdbn.load(tmp_path / "model.safetensors")
        assert loaded.device == ("cpu" if device == "cpu" else "auto")
        assert np.allclose(loaded.to_host().transform(X), model.transform(X), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("device", ["cuda", pytest.param("cpu", marks=pytest.mark.slow)], indirect=True)
    @pytest.mark.parametrize(("visible", "hidden", "hold"), UNITS)
    def test_units(self, visible, hidden, hold, device, rows, composed):
        """Every type of unit, visible or hidden, trains and gives energies and samples as on the CPU."""
        X, results = hold(rows[0]), []
        for where in (device, "cpu"):
            model = RBM(3, visible=visible, hidden=hidden, scale="none", n_iter=1, batch_size=8, random_state=0, device=where)
            model.fit(X)
            results.append([parameters(model), model.transform(X), model.free_energy(X), model.sample(3, 2, random_state=1)])
        for a, b in zip(*results, strict=True):
            assert np.allclose(a, b, rtol=1e-4, atol=1e-4)

    def test_no_memory(self, device, rows, monkeypatch):
        """Where a fit of this device finds no memory the error passes and the model is what it was."""
        model = clone(MODELS["cd"]).set_params(device=device, warm_start=True).fit(rows[0])
        backend = type(backend_for(model))
        before = contents(model)
        with no_room(monkeypatch, backend, 3), pytest.raises(MemoryError, match="no room"):
            model.fit(rows[0])
        assert contents(model) == before


class TestChoice:
    """Which device computes, and what is said where there is none."""

    @pytest.mark.parametrize("name", MODELS)
    def test_no_such_device(self, name, rows, monkeypatch):
        """ "cuda" raises before anything is done, with what is lacking; "auto" falls back; other words are refused."""
        monkeypatch.setattr(devices, "lacking_cuda", lambda: "a part is lacking")
        with pytest.raises(DeviceError, match="a part is lacking"):
            clone(MODELS[name]).set_params(device="cuda").fit(*rows)
        with pytest.raises(ValueError, match="device='tpu'"):
            clone(MODELS[name]).set_params(device="tpu").fit(*rows)

    def test_auto_falls_back_and_says_so(self, rows, monkeypatch, capsys):
        """Once, at verbose, with what is lacking."""
        monkeypatch.setattr(devices, "lacking_cuda", lambda: "a part is lacking")
        DBN((4, 3), device="auto", verbose=1, **STACK).fit(rows[0])
        said = capsys.readouterr().err
        assert said.count("a part is lacking") == 1
        DBN((4, 3), device="auto", **STACK).fit(rows[0])
        assert "lacking" not in capsys.readouterr().err

    def test_moving_fails_whole(self, rows, monkeypatch):
        """A model that cannot be moved stays where it is."""
        model = clone(MODELS["dbn"]).fit(rows[0])
        monkeypatch.setattr(devices, "lacking_cuda", lambda: "a part is lacking")
        with pytest.raises(DeviceError, match="a part is lacking"):
            model.to_device()
        assert {model.device, *(rbm.device for rbm in model.layers_)} == {"cpu"}

    @pytest.mark.parametrize("extra", [False, True])
    def test_what_is_lacking(self, extra, monkeypatch):
        """Without the extra its installation is named, with it the GPU."""
        monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
        monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: object() if extra else None)
        cuda = pytest.importorskip("numba.cuda")
        monkeypatch.setattr(cuda, "is_available", lambda: False, raising=False)
        lack = devices.lacking_cuda.__wrapped__()
        assert ("GPU" in lack) == extra
        assert ("fastdbn[cuda]" in lack) != extra

    @pytest.mark.parametrize("value", ["half", None, ("tf32",)])
    def test_no_such_precision(self, value, rows):
        """It is one of three, whatever the device, and of a network in every layer."""
        with pytest.raises(ValueError, match="precision="):
            RBM(precision=value).fit(rows[0])
        with pytest.raises(ValueError, match="precision="):
            DBN((4, 3), rbm=[RBM(precision="tf32"), RBM(precision=value)]).fit(rows[0])

    @pytest.mark.parametrize("name", ["dbn", "generative", "classifier", "autoencoder"])
    def test_precision_of_layers(self, name, rows, monkeypatch):
        """Of a list each layer trains with its own; what goes through several takes the most exact."""
        loads = []

        class Recorder(CPU):
            def __init__(self, n_jobs, dtype, device, precision):
                super().__init__(n_jobs, dtype)
                self.precision = precision

            def load(self, source, for_training=False, first=0):
                loads.append((self.precision, for_training))
                return super().load(source, for_training, first)

        monkeypatch.setattr(devices, "get_backend", Recorder)
        rbms = [clone(MODELS[name].rbm).set_params(precision=precision) for precision in ("bf16", "tf32")]
        model = clone(MODELS[name]).set_params(hidden_layer_sizes=(4, 3), rbm=rbms)
        model.fit(*rows)
        up_down = ["tf32"] if name == "generative" else []
        assert [precision for precision, for_training in loads if for_training] == ["bf16", "tf32", *up_down]
        if name in ("classifier", "autoencoder"):  # back-propagation
            assert loads[-1] == ("tf32", False)

    @pytest.mark.parametrize(
        "model",
        [
            RBM(4, precision="bf16", **COMMON),
            DBN((4, 3), rbm=[RBM(n_iter=2), RBM(n_iter=2, precision="bf16")], random_state=0),
            GenerativeDBNClassifier((4,), rbm=RBM(n_iter=2, precision="bf16"), up_down_iter=0, random_state=0),
            DBNClassifier((4,), rbm=RBM(precision="bf16"), pretrain=False, max_iter=1, random_state=0),
        ],
    )
    def test_precision_without_effect(self, model, rows):
        """A fit on the CPU warns of a precision that it cannot take, and names the remedy; the result is that of float32."""
        with pytest.warns(UserWarning, match="precision='bf16' has no effect.*device='cpu'.*Use device='cuda'"):
            fitted = clone(model).fit(*rows)
        plain = clone(model).set_params(**{name: "float32" for name in model.get_params() if name.endswith("precision")})
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "precision")
            assert parameters(plain.fit(*rows)).tobytes() == parameters(fitted).tobytes()

    def test_command_line(self, monkeypatch, capsys, tmp_path):
        """--device reaches the estimator; what is lacking is an error of one line."""
        monkeypatch.setattr(devices, "lacking_cuda", lambda: "a part is lacking")
        out = str(tmp_path / "m.safetensors")
        assert main(["train", "--device", "cuda", "--out", out]) == 1
        said = capsys.readouterr()
        assert said.err == "fastdbn: error: --device 'cuda': a part is lacking; or use --device 'cpu' or 'auto'\n"
        assert not said.out
        assert not list(tmp_path.iterdir())
