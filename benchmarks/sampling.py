"""Do chains mix, and are samples worth looking at? `python -m benchmarks.sampling [--full] [--folder F]`.

samples   1,000 draws of a default DBN on MNIST: the share of each digit, as a classifier judges, and a grid of images. Beside it
          long chains from nowhere, of the same network and of one whose top has persistent chains.
classes   Draws of each class of a default GenerativeDBNClassifier on digits and MNIST: the share that is judged to be of it.
mixing    Seconds for an independent draw by each method, for machines with modes far apart, and whether their draws have the
          distribution that enumeration gives: zeros and ones of MNIST, bars and stripes, and the 2-D Ising model.

10,000 rows of MNIST; --full takes all. Models are kept in the folder, and results are written after each: a later run goes on
from there.
"""

import functools
import time
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.datasets import load_digits

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.machine import describe
from benchmarks.mnist import images
from fastdbn import DBN, RBM, DBNClassifier, GenerativeDBNClassifier, evaluate, load

ROWS = 10_000
DRAWS = 1000
OF_A_CLASS = 400
SHARES = 4, 20
"""Percent of the draws that each digit should have."""
JUDGED = 90
"""Percent of the draws of a class that should be judged to be of it."""
FASTER = 5
"""How many times fewer seconds for an independent draw than Gibbs sampling."""
PERSISTENT = RBM(persistent=True, n_chains=200)
CHAINS, STEPS, SECONDS = 200, (1000, 4000, 20_000), 8
"""Chains, steps that are tried one after the other, and the seconds of the processor after which no more are tried."""
BETWEEN = 100
"""Steps between two looks at the modes of chains that hardly ever leave them."""
COUPLING, SIDE = 0.8, 4
"""Of the Ising model, which is below its critical temperature; the side of its square, whose ends meet."""


def kept(path, make):
    """A model from its file, or made and put there."""
    if path.exists():
        return load(path)
    model = make()
    model.save(path)
    return model


def judge(X, y, args):
    """A classifier of images."""
    options = {"rbm": RBM(visible="bernoulli", scale="none"), "pretrain": False}
    return DBNClassifier((512,), random_state=1, n_jobs=args.threads, verbose=1, **options).fit(X, y)


def shares(labels):
    """Percent of each digit."""
    return [round(100 * float(np.mean(labels == digit)), 1) for digit in range(10)]


# ---- images


def samples(mnist, args, name, rbm=None, start=None):
    """Shares of the digits among draws of a DBN, by default or from nowhere, and their grid."""
    X = images.grey(mnist.X)
    tell = kept(args.folder / "judge-mnist.safetensors", functools.partial(judge, X, mnist.y, args))
    rows = len(X) if args.full else ROWS
    new = DBN(rbm=rbm, random_state=0, n_jobs=args.threads, verbose=1)
    model = kept(args.folder / f"dbn-{name}-{rows}.safetensors", lambda: new.fit(X[:rows]))
    began = time.perf_counter()
    drawn = model.sample(DRAWS, mean=True, random_state=0, start=start)
    seconds = time.perf_counter() - began
    labels = tell.predict(drawn)
    found = shares(labels)
    grid(drawn, labels, args.folder / f"samples-{name}-{start or 'data'}-{rows}.png")
    return {"shares": found, "seconds": seconds, "missed": min(found) < SHARES[0] or max(found) > SHARES[1]}


def grid(drawn, labels, path):
    """Images in rows of 40, in the order of their judged digits."""
    from matplotlib import image

    drawn = drawn[np.argsort(labels, kind="stable")]
    tiles = drawn.reshape(-1, 40, 28, 28).transpose(0, 2, 1, 3).reshape(-1, 40 * 28)
    image.imsave(path, tiles, cmap="gray_r", vmin=0, vmax=1)


def classes(name, X, y, all_X, all_y, args):
    """Percent of the draws of each class that are judged to be of it."""
    tell = kept(args.folder / f"judge-{name}.safetensors", functools.partial(judge, all_X, all_y, args))
    new = GenerativeDBNClassifier(random_state=0, n_jobs=args.threads, verbose=1)
    model = kept(args.folder / f"generative-{name}-{len(X)}.safetensors", lambda: new.fit(X, y))
    drawn = model.sample(10 * OF_A_CLASS, mean=True, random_state=0, label=(labels := np.repeat(np.arange(10), OF_A_CLASS)))
    right = (tell.predict(drawn) == labels).reshape(10, -1).mean(axis=1)
    found = [round(100 * float(x)) for x in right]
    return {"judged right": found, "missed": min(found) < JUDGED}


# ---- machines with modes far apart


def zeros_and_ones(mnist, args):
    """RBMs on 1,000 thresholded zeros and ones: 784-10-5-2."""
    return exactly_trained(images.thresholded(mnist.X[mnist.y < 2][:1000]).astype(np.float32), (10, 5, 2), args)


def bars_and_stripes(mnist, args):
    """RBMs on 4 x 4 pictures of full rows or full columns: 16-12-6-2."""
    lines = (np.arange(16)[:, None] >> np.arange(4)) & 1
    X = np.unique(np.r_[np.repeat(lines, 4, axis=1), np.tile(lines, 4)], axis=0).astype(np.float32)
    return exactly_trained(X, (12, 6, 2), args, 1500)


def exactly_trained(X, sizes, args, steps=600):
    """(a DBN, X). Each layer follows the exact gradient, by enumeration, so that its modes have the shares of the data."""
    layers, states = [], X
    for i, size in enumerate(sizes):
        rbm = RBM(size, visible="bernoulli", scale="none", n_iter=0, random_state=i, n_jobs=args.threads).fit(states)
        rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_ = ascend(states, size, i, steps)
        layers.append(rbm)
        states = rbm.sample_hidden(np.tile(states, (1000 // len(states) or 1, 1)), random_state=0)
    return DBN.stack(layers), X


def ascend(X, n_hidden, seed, steps=600):
    """W', b and c after steps of Adam up the exact log-likelihood, on all rows; the hidden states are enumerated."""
    H = ((np.arange(2**n_hidden)[:, None] >> np.arange(n_hidden)) & 1).astype(np.float32)
    mean = np.clip(X.mean(axis=0), 0.01, 0.99)
    W = np.random.default_rng(seed).normal(0, 0.1, (X.shape[1], n_hidden)).astype(np.float32)
    params = [W, np.log(mean / (1 - mean)), np.zeros(n_hidden, np.float32)]
    first, second = ([np.zeros_like(x) for x in params] for _ in range(2))
    for step in range(1, steps + 1):
        W, b, c = params
        field = b + H @ W.T
        log_p = H @ c + np.logaddexp(0, field).sum(axis=1)
        p = np.exp(log_p - log_p.max())
        p = (p / p.sum())[:, None]
        v, h = expit(field), expit(c + X @ W)
        gradient = (
            X.T @ h / len(X) - v.T @ (p * H) - 1e-3 * W,
            X.mean(axis=0) - (p * v).sum(axis=0),
            h.mean(axis=0) - (p * H).sum(axis=0),
        )
        for x, g, m, s in zip(params, gradient, first, second, strict=True):
            m += 0.1 * (g - m)
            s += 0.001 * (g * g - s)
            x += 0.03 * (1 - step / steps) * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)
    return np.ascontiguousarray(params[0].T), params[1].astype(np.float32), params[2]


def ising(mnist, args):
    """The 2-D Ising model: a hidden spin for each bond, of weights w to both ends, where cosh(2 w) = exp(2 coupling).

    Two layers on it, of 8 and 2 units, are trained on its hidden states by the exact gradient.
    """
    n, place = SIDE * SIDE, np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    bonds = np.r_[np.c_[place.ravel(), np.roll(place, 1, 0).ravel()], np.c_[place.ravel(), np.roll(place, 1, 1).ravel()]]
    first = RBM(2 * n, visible="spin", hidden="spin", n_iter=0, random_state=0, n_jobs=args.threads).fit(np.eye(n) * 2 - 1)
    W = np.zeros((2 * n, n), np.float32)
    W[np.arange(2 * n)[:, None], bonds] = np.arccosh(np.exp(2 * COUPLING)) / 2
    first.components_, first.intercept_visible_, first.intercept_hidden_ = W, np.zeros(n, np.float32), np.zeros(2 * n, np.float32)
    X = evaluate.exact_samples(first, 1000, random_state=0)
    H = first.sample_hidden(X, random_state=0)
    W, b, c = ascend((H + 1) / 2, 8, 0)  # of zeros and ones; a spin is twice that less one
    top = RBM(8, visible="spin", scale="none", n_iter=0, random_state=0, n_jobs=args.threads).fit(H)
    top.components_, top.intercept_visible_, top.intercept_hidden_ = W / 2, b / 2, c + W.sum(axis=1) / 2
    last = exactly_trained(top.sample_hidden(H, random_state=0), (2,), args)[0].layers_
    return DBN.stack([first, top, *last]), X


def with_trajectory(mnist, args):
    """An RBM on zeros and ones, 784-14, that was trained by trajectory tempering."""
    X = images.thresholded(mnist.X[mnist.y < 2]).astype(np.float32)
    options = {"persistent": True, "trajectory": 0.25, "batch_size": 100, "n_iter": 30, "scale": "none"}
    return DBN.stack([RBM(14, visible="bernoulli", random_state=0, n_jobs=args.threads, **options).fit(X)]), X


def mixing(network, X, args):
    """Seconds for an independent draw of the first RBM by each method, and how its draws differ from exact ones."""
    found, exact = {}, evaluate.exact_samples(network.layers_[0], 20_000, random_state=0)
    for method in ("gibbs", "tempering", "stacked" if len(network.layers_) > 1 else "trajectory"):
        run, steps, is_bound = measured(network, X, method)
        if is_bound and method == "gibbs":
            steps, is_bound = between_modes(network.layers_[0], exact)
        drawn = network.sample(2000, method=method, layer=0, random_state=1)
        found[method] = {
            "steps": steps,
            "is bound": is_bound,
            "seconds": run.step_seconds / CHAINS * steps,
            "difference": difference(drawn, exact),
            "acceptance": None if run.acceptance is None else [round(float(x), 2) for x in run.acceptance],
            "trips": run.trips,
        }
    return found


def measured(network, X, method):
    """(what `evaluate.mixing` says, steps for an independent draw, whether these are a lower bound).

    The chains are long enough, or as long as may be. Then the steps are a lower bound: a correlation time above a tenth of the
    chains cannot be measured.
    """
    for steps in STEPS:
        began = time.process_time()
        run = evaluate.mixing(network, n_chains=CHAINS, n_steps=steps, X=X, burn_in=20, method=method, layer=0, random_state=0)
        if steps >= 50 * run.time or time.process_time() - began > SECONDS:
            break
    most = len(run.values) / 10
    return run, min(run.time, most), run.time > most


def between_modes(rbm, exact):
    """(steps for an independent draw, whether they are a lower bound) of Gibbs chains that hardly ever leave their mode.

    They begin at exact draws. The side of the mean on which they are, along the direction in which exact draws vary most, is
    their mode. If the states of a chain with two modes of shares p and 1 - p change sides once in t steps, the correlation time
    of the side is 4 p (1 - p) t.
    """
    mean = exact.mean(axis=0)
    direction = np.linalg.svd(exact - mean, full_matrices=False)[2][0]
    place, states = (exact - mean) @ direction, exact[:1000]
    side, p, middle = np.sign(place[:1000]), np.mean(place > 0), np.abs(place).mean() / 2
    changes, made, began = 0, 0, time.process_time()
    while time.process_time() - began < 4 * SECONDS:
        states = rbm.gibbs(states, BETWEEN, random_state=made)
        place = (states - mean) @ direction
        now = np.where(np.abs(place) > middle, np.sign(place), side)
        changes, made, side = changes + np.sum(now != side), made + BETWEEN * len(states), now
    return float(4 * p * (1 - p) * made / max(changes, 1)), bool(changes < 2)


def difference(drawn, exact):
    """The largest difference of the means of units, and of the sum of units, in standard errors."""
    a, b = (np.c_[x, x.sum(axis=1)].astype(np.float64) for x in (drawn, exact))
    error = np.sqrt((a.var(axis=0) / len(a)) + b.var(axis=0) / len(b) + 1 / len(a) ** 2)
    return float(np.max(np.abs(a.mean(axis=0) - b.mean(axis=0)) / error))


PROBLEMS = {
    "zeros and ones": zeros_and_ones,
    "zeros and ones with a trajectory": with_trajectory,
    "bars and stripes": bars_and_stripes,
    "Ising": ising,
}


def main():
    """Run what is not in the results yet, and print the tables."""
    parser = Parser(__doc__)
    parser.add_argument("parts", nargs="*", default=["mixing", "samples", "classes"], help="samples, classes, mixing [all]")
    parser.add_argument("--full", action="store_true", help="all 60,000 rows of MNIST")
    parser.add_argument("--data", help="folder of MNIST's four idx files [FASTDBN_DATA]")
    parser.add_argument(
        "--folder", type=Path, default=Path("sampling-runs"), help="where models and the grid are kept [sampling-runs]"
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", default=store.FOLDER / "sampling.json")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    mnist, machine = images.load(args.data), describe(args.threads)
    rows = len(mnist.X) if args.full else ROWS
    X, (D, d) = images.grey(mnist.X), load_digits(return_X_y=True)
    works = {f"mixing, {name}": lambda make=make: mixing(*make(mnist, args), args) for name, make in PROBLEMS.items()}
    works[f"samples, default, {rows}"] = lambda: samples(mnist, args, "default")
    works[f"samples, default from nowhere, {rows}"] = lambda: samples(mnist, args, "default", start="random")
    tops = [RBM(), PERSISTENT]
    works[f"samples, persistent top from nowhere, {rows}"] = lambda: samples(mnist, args, "persistent", tops, "random")
    works["classes, digits"] = lambda: classes("digits", D / 16, d, D / 16, d, args)
    works[f"classes, mnist, {rows}"] = lambda: classes("mnist", X[:rows], mnist.y[:rows], X, mnist.y, args)
    for name, work in works.items():
        if name.split(",")[0] in args.parts and name not in store.kept(args.out, machine, "results"):
            store.add(args.out, machine, "results", name, work())
    show(store.kept(args.out, machine, "results"))


def show(results):
    """Print the results as Markdown, with a cross where the aim is missed."""
    print("| machine | method | steps | seconds | of Gibbs | largest difference | |\n|---|---|--:|--:|--:|--:|---|")
    for name, found in results.items():
        if name.startswith("mixing"):
            for method, x in found.items():
                sign = ">" if x["is bound"] else ""
                fewer = found["gibbs"]["seconds"] / x["seconds"]
                missed = " ✗" if (method != "gibbs" and not fewer >= FASTER) or x["difference"] > 4 else ""
                numbers = f"{sign}{x['steps']:.1f} | {sign}{x['seconds']:.2g} | {fewer:.1f} | {x['difference']:.1f}"
                print(f"| {name[8:]} | {method} | {numbers} |{missed} |")
    print("\n| draws | " + " | ".join(map(str, range(10))) + " | |\n|---|" + 10 * "--:|" + "---|")
    for name, found in results.items():
        if not name.startswith("mixing"):
            numbers = found.get("shares") or found["judged right"]
            print(f"| {name} | " + " | ".join(f"{x:g}" for x in numbers) + f" | {'✗' if found['missed'] else ''} |")


if __name__ == "__main__":
    main()
