"""Data that may be larger than memory: the same bits whatever holds the rows, and what is refused."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from fastdbn import DBN, RBM, DataWarning, DBNClassifier
from fastdbn.inputs.blocks import blocks_of, stored_rows
from fastdbn.support.stored import BLOCK, Stored, ahead, pack, store
from fastdbn.training.order import Shuffle, order_of_epoch

WIDTH = 12
DRAW = np.random.default_rng(0)
X = (DRAW.random((150, WIDTH)) < DRAW.random(WIDTH)).astype(np.float32)
GREY = DRAW.random((150, WIDTH)).astype(np.float32)
LABELS = X[:, 0].astype(int)
LIMIT = 16 * WIDTH * 40
"""Bytes of windows of 40 rows."""


def blocks(rows, size=37):
    """A generator of blocks, which is used up once."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


class Short:
    """An object that has fewer rows than its length says."""

    def __len__(self):
        return 200

    def __getitem__(self, part):
        return X[part]


class Sliceable:
    """An object that gives rows by slices alone."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, part):
        assert isinstance(part, slice)
        return self.rows[part]


def mapped(rows, folder):
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


def hdf5(rows, folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "rows.h5", "w") as file:
        file["X"], file["y"] = rows, np.arange(len(rows))
    return str(folder / "rows.h5")


def csv(rows, folder):
    np.savetxt(folder / "rows.csv", rows, delimiter=",", header=",".join(f"c{i}" for i in range(WIDTH)), comments="", fmt="%.9g")
    return folder / "rows.csv"


def parquet(rows, folder):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for i, part in enumerate(blocks(rows, 80)):
        parquet.write_table(pa.table([*part.T], names=[f"c{j}" for j in range(WIDTH)]), folder / f"part-{i}.parquet")
    return folder


def dask_array(rows, folder):
    return pytest.importorskip("dask.array").from_array(rows, chunks=(60, 5))


def dask_frame(rows, folder):
    frames, pandas = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    return frames.from_pandas(pandas.DataFrame(rows), npartitions=3)


SOURCES = {
    "memory map": mapped,
    "generator": lambda rows, folder: blocks(rows),
    "function": lambda rows, folder: lambda: blocks(rows),
    "slices": lambda rows, folder: Sliceable(rows),
    "HDF5": hdf5,
    "CSV": csv,
    "folder of Parquet": parquet,
    "dask array": dask_array,
    "dask frame": dask_frame,
}


def parameters(model):
    """All parameters that a fit left."""
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_]
    return [x for rbm in getattr(model, "layers_", [model]) for x in (rbm.components_, rbm.intercept_visible_)]


def same(a, b):
    return all(map(np.array_equal, parameters(a), parameters(b)))


@pytest.mark.parametrize("limit", [None, LIMIT])
@pytest.mark.parametrize("name", SOURCES)
def test_the_same_bits_whatever_holds_the_rows(name, limit, tmp_path):
    options = {"n_iter": 2, "random_state": 0, "memory_limit": limit}
    for rows in (X, GREY):
        model = RBM(5, **options).fit(SOURCES[name](rows, tmp_path))
        known = RBM(5, **options).fit(rows)
        assert same(model, known)
        assert np.array_equal(known.transform(rows), known.transform(SOURCES[name](rows, tmp_path)))
        assert known.score(rows) == known.score(SOURCES[name](rows, tmp_path))


@pytest.mark.parametrize("limit", [None, LIMIT])
@pytest.mark.parametrize("rows", [X, GREY])
def test_networks_take_them_too(rows, limit, tmp_path):
    """Layers above the first learn from a file, and fine-tuning reads the rows where they lie."""
    options = {"rbm": RBM(n_iter=2, batch_size=20), "random_state": 0, "memory_limit": limit}
    known, model = DBN((6, 5, 4), **options).fit(rows), DBN((6, 5, 4), **options).fit(blocks(rows))
    assert same(known, model)
    out = np.memmap(tmp_path / "out", np.float32, "w+", shape=(150, 4))
    assert model.transform(blocks(rows), out=out) is out and np.array_equal(out, known.transform(rows))
    options |= {"max_iter": 2, "batch_size": 20}
    known, model = (DBNClassifier((6, 5), **options).fit(given, LABELS) for given in (rows, mapped(rows, tmp_path)))
    assert same(known, model)
    assert np.array_equal(known.predict_proba(rows), model.predict_proba(blocks(rows)))
    assert known.score(rows, LABELS) == model.score(Sliceable(rows), LABELS)


@pytest.mark.parametrize("options", [{"binarize": 0.3}, {"binarize": "sample"}, {"scale": "minmax"}, {"visible": "gaussian"}])
def test_scaling_and_thresholds(options, tmp_path):
    for rows in (X, GREY, (255 * X).astype(np.uint8)):
        if rows.max() == 255 and options != {"scale": "minmax"}:
            continue
        known = RBM(5, n_iter=2, random_state=0, **options).fit(rows)
        assert same(known, RBM(5, n_iter=2, random_state=0, **options).fit(blocks(rows)))


def test_sparse_blocks_stay_sparse():
    known = RBM(5, n_iter=2, random_state=0).fit(X)
    model = RBM(5, n_iter=2, random_state=0).fit(map(sparse.csr_matrix, blocks(X)))
    assert same(known, model)
    assert sparse.issparse(stored_rows(map(sparse.csr_matrix, blocks(X))))


def test_rows_held_out_and_weights():
    options = {"n_iter": 3, "random_state": 0, "validation_fraction": 0.2, "early_stopping": True, "memory_limit": LIMIT}
    weights = DRAW.random(len(X))
    known, model = (RBM(5, **options).fit(rows, sample_weight=weights) for rows in (X, blocks(X)))
    assert same(known, model)
    for name in ("pseudo_likelihood", "validation_pseudo_likelihood"):
        assert np.array_equal(known.history_[name], model.history_[name])


def test_one_thread_and_two_give_the_same_bits():
    assert same(*(RBM(70, n_iter=2, random_state=0, memory_limit=LIMIT, n_jobs=n).fit(blocks(X)) for n in (1, 2)))


# ---- the order of the rows


def test_a_shuffle_in_two_levels():
    """Each window holds whole blocks of neighbours, in an order of their own; another epoch has others."""
    n, window = 20 * BLOCK + 5, 5 * BLOCK
    shuffle = Shuffle(True, 16 * BLOCK)
    order = order_of_epoch(1, 0, 0, n, shuffle)
    assert np.array_equal(np.sort(order), np.arange(n))
    assert len(np.unique(order[: 15 * BLOCK] // BLOCK)) <= 16 and (np.diff(order.astype(int)) != 1).mean() > 0.9
    assert not np.array_equal(order, order_of_epoch(1, 0, 1, n, shuffle))
    assert np.array_equal(order_of_epoch(1, 0, 0, window, shuffle), order_of_epoch(1, 0, 0, window))
    assert np.array_equal(order_of_epoch(1, 0, 0, n, Shuffle(False)), np.arange(n))


def test_rows_that_are_not_shuffled():
    options = {"n_iter": 2, "random_state": 0}
    plain = RBM(5, shuffle=False, **options).fit(X)
    assert same(plain, RBM(5, shuffle=False, memory_limit=LIMIT, **options).fit(X))
    assert not same(plain, RBM(5, **options).fit(X))


# ---- rows in a file


def test_stored_rows_are_the_rows(tmp_path):
    wide = (DRAW.random((2 * BLOCK, 70)) < 0.5).astype(np.float64)
    for rows in (wide, wide / 3, (wide * 7).astype(np.int32)):
        found = store(blocks(rows, 700))
        assert found.packed == (rows is wide) and found.shape == rows.shape
        found.ask_for(np.array([3, BLOCK + 1]))
        found.release()
        for part in (slice(5, 900), np.array([0, 77, 3]), 4, (slice(0, 9), slice(2, 5))):
            assert np.array_equal(found[part], rows[part])
        assert np.array_equal(np.asarray(found), rows)
        assert np.array_equal(np.concatenate([*found.blocks()]), rows)
    view = mapped(GREY, tmp_path)[20:90]
    assert np.array_equal(stored_rows(view, LIMIT)[:], GREY[20:90])
    assert stored_rows(view) is view and stored_rows(GREY, LIMIT) is GREY
    for given, mode in ((np.asfortranarray(GREY), "r"), (GREY.astype(">f4"), "r"), (GREY, "c")):  # which are not read in place
        np.save(tmp_path / "other.npy", given)
        found = stored_rows(np.load(tmp_path / "other.npy", mmap_mode=mode), LIMIT)
        assert isinstance(found, Stored) and found.dtype == np.float32 and np.array_equal(found[:], GREY)


def test_blocks_of_several_types_have_the_type_that_holds_all():
    found = store([X[:50].astype(np.uint8), X[50:], 0.5 * X])
    assert not found.packed and found.dtype == np.float32 and np.array_equal(found[:], np.concatenate([X, 0.5 * X]))


def test_words_are_those_of_the_backend():
    from fastdbn.backends.cpu.backend import CPU
    from fastdbn.backends.protocol import Source

    for width in (1, 63, 64, 65, 130):
        rows = (DRAW.random((70, width)) < 0.5).astype(np.float32)
        assert np.array_equal(pack(rows), CPU().load(Source(rows), for_training=True).words)


def test_a_block_is_read_ahead():
    made = []

    def source():
        for i in range(3):
            made.append(i)
            yield i

    coming = ahead(source())
    assert next(coming) == 0
    assert list(coming) == [1, 2] and made == [0, 1, 2]


def failing():
    yield X[:10]
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (lambda: iter([]), ValueError, "X has no rows"),
        (lambda: iter([X, X[:, :5]]), ValueError, "the block after row 150 of X has 5 columns"),
        (lambda: iter([X[0]]), ValueError, "the block after row 0 of X has shape"),
        (lambda: iter([np.empty((5, 0))]), ValueError, "the block after row 0 of X has no columns"),
        (Short, ValueError, "X has 200 rows by len"),
        (lambda: iter([X, np.ma.masked_less(X, 0.5)]), ValueError, "after row 150 .* masked values"),
        (lambda: iter([np.array([["a"]])]), ValueError, "give numbers"),
        (failing, OSError, "the disk is gone"),
        (lambda: iter([X, np.full((2, WIDTH), np.nan)]), ValueError, "contains NaN in row 150, column 0"),
        (lambda: "missing.parquet", OSError, "missing.parquet"),
        (lambda: "picture.png", ValueError, "give a file, or a folder"),
    ],
)
def test_what_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        RBM(3, n_iter=1).fit(given())


def test_blocks_that_are_data_frames(tmp_path):
    """The names of columns are kept, must be the same in all blocks, and are compared with those of later rows."""
    pandas, frames = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pandas.DataFrame(GREY, columns=list("abcdefghijkl"))
    turned = frame[frame.columns[::-1]]
    model = RBM(3, n_iter=1, random_state=0).fit(frame[:70] if start == 0 else frame[70:] for start in (0, 70))
    assert same(model, RBM(3, n_iter=1, random_state=0).fit(frame)) and list(model.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="after row 70 of X has a column 'l', where those before have 'a'"):
        RBM(3).fit(iter([frame[:70], turned[70:]]))
    for given in (turned, frames.from_pandas(turned, npartitions=2)):
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            model.transform(given)
    lacking = frame.astype("Float64")
    lacking.iloc[80, 2] = pandas.NA
    with pytest.raises(ValueError, match="contains NaN in row 80, column 'c'"):
        model.transform(iter([lacking[:70], lacking[70:]]))


@pytest.mark.filterwarnings("ignore:layer 1 has learned:UserWarning")
def test_whole_numbers_that_float64_does_not_hold():
    with pytest.warns(DataWarning, match="subtract a constant"):
        RBM(2, n_iter=1, random_state=0).fit(iter([2**60 + 2**40 * np.arange(50)[:, None]]))


def test_a_map_of_a_file_that_was_replaced(tmp_path):
    """The rows are those that the map has, not those of the new file."""
    rows = mapped(GREY, tmp_path)
    np.save(tmp_path / "other.npy", 1 - GREY)
    os.replace(tmp_path / "other.npy", tmp_path / "rows.npy")
    assert np.array_equal(stored_rows(rows, LIMIT)[:], GREY)


def test_a_limit_is_checked():
    for limit in ("much", 0, -5, True, 1.5, "5 XB"):
        with pytest.raises(ValueError, match="memory_limit="):
            RBM(3, memory_limit=limit).fit(X)
    with pytest.raises(ValueError, match="is too small for two rows of 12 numbers"):
        RBM(3, memory_limit=100).fit(X)
    assert same(*(RBM(3, n_iter=1, random_state=0, memory_limit=limit).fit(X) for limit in ("8 kB", 8000)))
    with pytest.raises(ValueError, match="missing is set, which holds all rows in memory"):
        RBM(3, missing="drop").fit(blocks(GREY))


def test_what_is_in_memory_is_taken_as_it_is():
    for given in (X, X.tolist(), sparse.csr_matrix(X), "text", {}, X.view(np.ma.MaskedArray)):
        assert blocks_of(given) is None
    assert isinstance(stored_rows(itertools.chain([X])), Stored)


# ---- the limit

CHILD = """
import resource, sys
from pathlib import Path

import numpy as np

from fastdbn import DBNClassifier, RBM

X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 3
options = {"rbm": RBM(n_iter=1, batch_size=100), "max_iter": 1, "batch_size": 100, "random_state": 0, "n_jobs": 1}
model = DBNClassifier((8, 7, 6), **options).fit(X[:300], y[:300])  # so that libraries and kernels are loaded
lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
cap = 1024 * int(lines["VmData"].split()[0]) + (48 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (cap, cap))
try:
    np.array(X)
except MemoryError:
    model.set_params(memory_limit="8MB").fit(X, y)
    assert model.predict(X).shape == y.shape
    print("trained", X.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone holds a process to its own data")
def test_more_rows_than_the_system_lets_the_process_hold(tmp_path):
    """Three layers and fine-tuning on 61 MB, with room for 48 MB beside what the libraries take."""
    draw = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (60_000, 256))
    for start in range(0, len(rows), 10_000):
        rows[start : start + 10_000] = draw.integers(0, 2, (10_000, 256))
    rows.flush()
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(tmp_path / "rows.npy")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.stdout.split() == ["trained", str(rows.nbytes)], done.stderr
