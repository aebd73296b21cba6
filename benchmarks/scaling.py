"""How cost grows with batch, layer size, density, k and threads: `python -m benchmarks.scaling [--plot-only]`.

One property of W1 (784-500, batch 100, density 0.14, CD-1) varies at a time, on one thread. The last panel has several works
on one to all threads. fastdbn and the dense limit take turns. Writes scaling.json and scaling.png to benchmarks/results/.
"""

import os
import statistics
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks import store
from benchmarks.arguments import Parser
from benchmarks.contenders import prepare
from benchmarks.machine import describe, in_words
from benchmarks.throughput import seconds
from benchmarks.works import WORKS, data, dense_limit

EPOCH_SECONDS, ROUNDS = 0.25, 3
"""An epoch has about so many seconds of dense products; medians are over so many rounds."""
W1 = WORKS["W1"]
PANELS = {
    "batch size": [(n, W1._replace(batch=n)) for n in (1, 3, 10, 30, 100, 300, 1000)],
    "units of each layer": [(n, W1._replace(sizes=(n, n))) for n in (32, 64, 128, 256, 512, 1024, 2048)],
    "density of ones": [(d, W1._replace(density=d)) for d in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)],
    "Gibbs steps k": [(k, W1._replace(k=k)) for k in (1, 2, 5, 10, 20)],
}
THREADED = ("W1", "W2", "W4", "W5", "W6")


def time_both(work, thread_counts=(1,)):
    """Microseconds per sample of fastdbn and of the dense limit, by number of threads."""
    products, samples = dense_limit(work)
    with threadpool_limits(1, user_api="blas"):
        once = min(seconds(products) for _ in range(3)) / samples
    batches = max(4, round(EPOCH_SECONDS / once / work.batch))
    work = work._replace(rows=min(batches * work.batch, max(20_000, 4 * work.batch)))
    X, y = data(work)
    runs = {threads: prepare("fastdbn", work, X, y, threads) for threads in thread_counts}
    repeats = max(1, round(EPOCH_SECONDS / once / samples / 2))
    times = {threads: ([], []) for threads in thread_counts}
    for _ in range(ROUNDS):
        for threads, (ours, limit) in times.items():
            with threadpool_limits(threads, user_api="blas"):
                run, samples_run = runs[threads]
                ours.append(seconds(run) / samples_run * 1e6)
                limit.append(seconds(lambda: [products() for _ in range(repeats)]) / repeats / samples * 1e6)
    return {threads: [statistics.median(t) for t in pair] for threads, pair in times.items()}


def measure(thread_counts):
    """All points: for each panel lists of x, fastdbn and limit; for threads a panel for each work."""
    panels = {}
    for name, points in PANELS.items():
        panels[name] = {"x": [], "fastdbn": [], "limit": []}
        for x, work in points:
            ours, limit = time_both(work)[1]
            print(f"{name:<22}{x:>8}{ours:>10.1f} us{limit:>10.1f} us, limit{limit / ours:>8.2f}", flush=True)
            for key, value in zip(("x", "fastdbn", "limit"), (x, ours, limit), strict=True):
                panels[name][key].append(value)
    threads = {}
    for name in THREADED:
        times = time_both(WORKS[name], thread_counts)
        threads[name] = {"x": list(times), "fastdbn": [t[0] for t in times.values()], "limit": [t[1] for t in times.values()]}
        speed = ", ".join(f"{n}: {times[1][0] / t[0]:.2f} (limit {times[1][1] / t[1]:.2f})" for n, t in times.items())
        print(f"threads, {name:<13}{speed}", flush=True)
    return panels, threads


def plot_panel(axis, name, panel):
    """Both times over what varies; logarithmic but for density, whose axis begins at 0."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axis.plot(panel["x"], panel["fastdbn"], color="C0", marker="o", markersize=4, label="fastdbn")
    axis.plot(panel["x"], panel["limit"], "--", color="0.45", marker="s", markersize=4, label="its dense products alone (NumPy)")
    axis.set(title=name, ylabel="µs per sample")
    axis.grid(axis="y", color="0.9")
    if "density" in name:
        axis.set_ylim(0)
        return
    times = panel["limit"] + panel["fastdbn"]
    axis.set(xscale="log", yscale="log", ylim=(min(times) / 1.6, max(times) * 1.6))
    marks = FixedLocator(panel["x"]), FixedLocator([a * 10.0**b for b in range(-2, 6) for a in (1, 2, 5)])
    for one, locator in zip((axis.xaxis, axis.yaxis), marks, strict=True):
        one.set_major_locator(locator)
        one.set_minor_locator(NullLocator())
        one.set_major_formatter(StrMethodFormatter("{x:g}"))


def plot_threads(axis, works):
    """Speed over one thread of each work, that of the dense limit dashed; names beside the lines, kept apart."""
    ends = sorted((panel["fastdbn"][0] / panel["fastdbn"][-1], name) for name, panel in works.items())
    height = max(panel[key][0] / min(panel[key]) for panel in works.values() for key in ("fastdbn", "limit")) - 1
    lowest = 0.0
    for i, (end, name) in enumerate(ends):
        panel = works[name]
        for key, style in (("fastdbn", {"marker": "o"}), ("limit", {"marker": "s", "linestyle": "--", "alpha": 0.4})):
            axis.plot(panel["x"], [panel[key][0] / t for t in panel[key]], color=f"C{i + 1}", markersize=4, **style)
        lowest = max(end, lowest + 0.07 * height)
        axis.annotate(f"  {name}", (panel["x"][-1], lowest), color=f"C{i + 1}", va="center", annotation_clip=False)
    axis.set(title="threads", ylabel="speed over one thread", xticks=panel["x"])
    axis.grid(axis="y", color="0.9")


def plot(results, path):
    """Five panels, and in the place of a sixth what they were measured on."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 6), layout="constrained")
    for axis, (name, panel) in zip(axes.flat, results["panels"].items(), strict=False):
        plot_panel(axis, name, panel)
    plot_threads(axes[1, 1], results["threads"])
    words, machine = axes[1, 2], results["machine"]
    words.axis("off")
    words.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper left", frameon=False)
    lines = ["One thing of W1 varies at a time:", W1.describe() + ",", "float32, one thread.", ""]
    lines += [f"{name}: {WORKS[name].describe()}" for name in results["threads"] if name != "W1"]
    lines += ["", f"{machine['cpu']}, {machine['processors']} processors, {machine['vectors']}"]
    words.text(0.03, 0.78, "\n".join(lines), va="top", color="0.3", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """Measure, or take the last measurement; plot."""
    parser = Parser(__doc__)
    parser.add_argument("--plot-only", action="store_true", help="plot the JSON file again")
    parser.add_argument("--out", default=store.FOLDER / "scaling.json", help="JSON file; the plot goes beside it")
    args = parser.parse_args()
    if not args.plot_only:
        machine = describe(None)
        print(in_words(machine) + "\nmicroseconds per sample\n")
        n = len(os.sched_getaffinity(0))
        panels, threads = measure(sorted({1, n, *(2**i for i in range(1, n.bit_length()))} & set(range(1, n + 1))))
        store.write(args.out, machine, panels=panels, threads=threads)
    plot(store.read(args.out), Path(args.out).with_suffix(".png"))


if __name__ == "__main__":
    main()
