"""Files of data other than CSV: idx, Parquet, Feather, SVMlight, sparse matrices, labels in a file of their own."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import fastdbn
from fastdbn.cli import peers
from fastdbn.cli.main import build_parser, main
from fastdbn.cli.rows import training_rows
from fastdbn.inputs.blocks import stored_rows
from fastdbn.tables import csvfile, packed
from fastdbn.tables.blocks import opened
from fastdbn.tables.read import has_split, read_labels, read_table

DRAW = np.random.default_rng(0)
QUICK = ["--layers", "5", "--epochs", "1", "--pretrain-epochs", "1"]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def idx(name, array, kind=8):
    """Write an idx file, gzipped if its name says so."""
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def refused(call, *args):
    with pytest.raises(ValueError) as error:
        call(*args)
    return str(error.value)


@pytest.mark.parametrize(
    "names", ["{}-images-idx3-ubyte.gz {}-labels-idx1-ubyte", "{}-images.idx3-ubyte {}-labels.idx1-ubyte.gz"]
)
def test_idx_sets(names, capsys):
    """Images find their labels and the test files beside them; train and predict take these."""
    images, labels = names.split()
    for part, n in (("train", 40), ("t10k", 9)):
        idx(images.format(part), DRAW.integers(0, 256, (n, 4, 4)).astype(np.uint8))
        idx(labels.format(part), (np.arange(n) % 2).astype(np.uint8))
    table, found = read_table(images.format("train"))
    assert table.image
    assert table.numbers.shape == (40, 16)
    assert table.target.tolist() == [0, 1] * 20
    assert found == f"40 images of 4x4, flattened to 16 columns; labels in {labels.format('train')}"
    assert has_split(images.format("train"), "test")
    assert not has_split(images.format("t10k"), "test")
    assert not has_split(images.format("train"), "val")
    assert read_table(images.format("train"), split="test")[0].height == 9
    assert main(["train", images.format("train"), *QUICK]) == 0
    assert "training DBNClassifier on 40 rows, testing on 9" in capsys.readouterr().err
    assert main(["predict", "model.safetensors", images.format("t10k")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10


@pytest.mark.parametrize(("shape", "wanted"), [((4, 9), ["--image-shape", "4,9"]), ((6, 6), [])])
def test_idx_shapes(shape, wanted, capsys):
    """A model of images that are not square keeps their shape; square ones are found without."""
    idx("images-idx3", DRAW.integers(0, 256, (20, *shape)).astype(np.uint8))
    assert main(["train", "images-idx3", "--model", "rbm", "--layers", "4", "--epochs", "1", "--out", "m"]) == 0
    assert list(fastdbn.load("m").command_[-2:]) == (wanted or ["--out", "m"])
    assert main(["sample", "m", "-n", "2", "--out", "m.png"]) == (0 if wanted else 1)  # 6x6 is too small to be taken for images


def test_idx_types():
    """Numbers of every type are big-endian."""
    for kind, dtype in ((8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")):
        numbers = np.array([[1, 2, 3], [4, 5, 100]], dtype)
        idx("a-idx2", numbers, kind)
        assert np.array_equal(read_table("a-idx2")[0].numbers, numbers)


def test_bad_idx(monkeypatch, capsys):
    """Damage, labels alone, other counts, and files that unpack to too much are refused."""
    images = np.zeros((3, 2, 2), np.uint8)
    for data in (b"", b"\0\0\7\1\0\0\0\0", b"PK\3\4" * 9, b"\0\0\x08\x03\0\0\0\3", b"\0\0\x08\x01" + b"\xff" * 4):
        Path("x-idx3").write_bytes(data)
        assert refused(read_table, "x-idx3").split()[:2] in (["x-idx3", "is"], ["x-idx3", "has"])
    idx("images-idx3", images)
    whole = Path("images-idx3").read_bytes()
    for data in (whole[:-1], whole + b"\0"):
        Path("images-idx3").write_bytes(data)
        assert "are not those of its contents" in refused(read_table, "images-idx3")
    idx("images-idx3", images)
    assert "no labels beside it" in read_table("images-idx3")[1]
    assert main(["train", "images-idx3"]) == 1
    assert "--labels" in capsys.readouterr().err
    idx("labels-idx1", np.zeros(2, np.uint8))
    assert "has the shape (2,), and images-idx3 has 3 images" in refused(read_table, "images-idx3")
    assert "give the file of the images" in refused(read_table, "labels-idx1")
    monkeypatch.setattr(packed, "ROOM", 1 << 10)
    idx("big-idx3.gz", np.zeros((64, 64, 64), np.uint8))
    assert "unpacks to more than" in refused(read_table, "big-idx3.gz")


def test_columnar_files(capsys):
    """Parquet and Feather give the table that CSV gives, and train."""
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {"x": np.round(DRAW.normal(size=40), 3), "kind": ["red", "green", "blue", None] * 10, "y": np.arange(40) % 2}
    )
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(40) % 7, "D")
    frame.to_parquet("t.parquet")
    frame.to_feather("t.feather")
    frame.to_csv("t.csv", index=False)
    wanted = read_table("t.csv")[0]
    for name in ("t.parquet", "t.feather"):
        table, found = read_table(name)
        assert found == "40 rows, 4 columns"
        assert table.names == wanted.names
        assert table.cells(1).tolist() == wanted.cells(1).tolist()
        assert np.array_equal(table.numbers[:, 0], frame["x"])
        assert main(["train", name, "--target", "y", *QUICK, "--out", f"{name}.model"]) == 0
        assert "day     date" in capsys.readouterr().err
        assert main(["predict", f"{name}.model", "t.csv"]) == 0
    frame.set_axis(frame.index.astype(str)).set_index("day", append=True).to_parquet("t.parquet")
    table, found = read_table("t.parquet")
    assert found == "40 rows, 3 columns, beside the index of a data frame (__index_level_0__, day)"
    assert table.names == ["x", "kind", "y"]
    Path("t.parquet").write_bytes(b"PAR1" + b"x" * 99)
    assert "t.parquet is not a .parquet file" in refused(read_table, "t.parquet")
    Path("t.arrow").write_bytes(b"x" * 99)
    assert "t.arrow is not a .arrow file" in refused(read_table, "t.arrow")


def test_sparse_files(capsys, monkeypatch):
    """SVMlight files and matrices of SciPy stay sparse; labels may be in a file of their own."""
    X = sparse.random(40, 12, 0.3, "csr", random_state=0)
    lines = [" ".join([str(i % 2), *(f"{j + 1}:{X[i, j]}" for j in X[i].indices)]) for i in range(40)]
    Path("t.svmlight").write_text("\n".join(lines))
    table, found = read_table("t.svmlight")
    assert sparse.issparse(table.numbers)
    assert np.allclose(table.numbers.toarray(), X.toarray())
    assert "target first in each line" in found
    assert main(["train", "t.svmlight", *QUICK, "--out", "m"]) == 0
    assert main(["impute", "m", "t.svmlight"]) == 1
    assert "there is nothing to fill in" in capsys.readouterr().err
    monkeypatch.setattr(peers, "EPOCHS", 1)
    assert main(["bench", "t.svmlight", "--rounds", "1"]) == 0
    assert main(["train", "t.svmlight", "--keep", "2", "--force"]) == 1
    assert "--as and --keep are for columns of a table" in capsys.readouterr().err
    Path("few.svmlight").write_text("0 1:1 3:2\n1 2:1\n")
    capsys.readouterr()
    assert main(["predict", "m", "few.svmlight"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    for form in ("csr", "csc", "coo"):
        sparse.save_npz("s.npz", X.asformat(form))
        assert np.allclose(read_table("s.npz")[0].numbers.toarray(), X.toarray())
    assert main(["train", "s.npz", "--out", "n"]) == 1
    assert "--labels" in capsys.readouterr().err
    np.save("y.npy", np.arange(40) % 2)
    Path("y.csv").write_text("kind\n" + "a\nb\n" * 20)
    for name in ("y.npy", "y.csv"):
        assert main(["train", "s.npz", "--labels", name, *QUICK, "--out", f"{name}.model"]) == 0
    capsys.readouterr()
    assert main(["train", "few.svmlight", "--labels", "y.npy"]) == 1
    assert "y.npy has 40 rows, and the data have 2" in capsys.readouterr().err
    Path("t.svmlight").write_text("1 a:b\n")
    assert "A line is a target and pairs" in refused(read_table, "t.svmlight")


def test_labels():
    """Files of labels: idx, arrays and text, which keeps its spelling."""
    idx("y-idx1", np.array([1, 0], np.uint8))
    assert read_labels("y-idx1", 2).tolist() == [1, 0]
    Path("y.csv").write_text("01\n1\n02\n")
    assert read_labels("y.csv", 3).tolist() == ["01", "1", "02"]
    Path("y.csv").write_text("1,2\n3,4\n")
    assert "has 2 columns" in refused(read_labels, "y.csv", 2)


# ---- CSV by blocks


def test_late_faults(monkeypatch):
    """What is wrong far down in a file is named with its line."""
    monkeypatch.setattr(csvfile, "HEAD", 4)
    lines = ["a,b", *(f"{i},{i}" for i in range(40))]
    for bad, says in (("1,2,3", "line 30 has 3 fields"), ('1,"2', "what follows line 29 is not CSV")):
        Path("t.csv").write_text("\n".join([*lines[:29], bad, *lines[29:]]))
        assert says in refused(read_table, "t.csv")


# ---- HDF5, folders of images, groups


def test_hdf5(capsys):
    """Arrays by name, with sets of rows, as in .npz files; what lies in other files is refused."""
    h5py = pytest.importorskip("h5py")
    with h5py.File("t.h5", "w") as file:
        for part, n in (("train", 40), ("test", 9)):
            file[f"{part}_images"] = DRAW.integers(0, 256, (n, 4, 4)).astype(np.uint8)
            file[f"{part}_labels"] = np.array(["a", "b"], dtype="S")[np.arange(n) % 2]
    assert read_table("t.h5")[1].startswith("40 images of 4x4")
    assert has_split("t.h5", "test")
    assert not has_split("t.h5", "val")
    assert main(["train", "t.h5", *QUICK]) == 0
    assert "testing on 9" in capsys.readouterr().err
    with h5py.File("u.h5", "w") as file:
        file["X"] = h5py.ExternalLink("t.h5", "train_images")
        file.create_dataset("data", (3, 2), "f4", external=[("t.h5", 0, 24)])
    assert "data lies in another file" in refused(read_table, "u.h5")
    assert "data lies in another file" in refused(lambda: stored_rows(opened("u.h5")))
    with h5py.File("v.h5", "w") as file:
        file.create_dataset("X", (1 << 40, 2), "f4", chunks=(1 << 20, 2))
    assert "unpacks to more than" in refused(read_table, "v.h5")
    Path("w.h5").write_bytes(b"x" * 99)
    assert "w.h5 is not an HDF5 file" in refused(read_table, "w.h5")


def test_folder_of_images(capsys):
    """The folders are the classes; a folder of test images is found; sizes must agree."""
    Image = pytest.importorskip("PIL.Image")
    for part, n in (("train", 12), ("test", 3)):
        for kind in ("cat", "dog"):
            folder = Path("pictures", part, kind)
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(DRAW.integers(0, 256, (4, 5)).astype(np.uint8)).save(folder / f"{i}.png")
    table, found = read_table("pictures")
    assert found == "24 images of 4x5, flattened to 20 columns; 2 folders of classes"
    assert table.target.tolist() == ["cat"] * 12 + ["dog"] * 12
    assert main(["train", "pictures", *QUICK]) == 0
    assert "testing on 6" in capsys.readouterr().err
    assert read_table("pictures/test/cat")[0].target is None
    Path("pictures/train/cat/notes.txt").write_text("no image")
    Path("pictures/train/dog/bad.png").write_bytes(b"no image")
    assert "bad.png is not an image that Pillow can read" in refused(read_table, "pictures")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("pictures/train/dog/bad.png")
    assert "sizes of 4x5 and 9x9 pixels: scale all" in refused(read_table, "pictures")
    Path("none").mkdir()
    assert "none has no images" in refused(read_table, "none")


def test_images_beside_numbers(capsys):
    """A stray table among folders of images makes nobody train on the table; fewer pictures than tables are none of the data."""
    Image = pytest.importorskip("PIL.Image")
    for name in ("cat/1.png", "dog/2.png"):
        Path("both", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(Path("both", name))
    Path("both", "notes.csv").write_text("a,b\n1,2\n3,4\n")
    said = refused(read_table, "both")
    assert "both has files of numbers, such as notes.csv, and images, such as" in said
    assert "move one kind into a folder of its own" in said
    assert main(["train", "both", "--model", "rbm", *QUICK]) == 1
    Path("both", "dog", "2.png").unlink()
    assert read_table("both")[0].height == 2


def test_groups(capsys):
    """All rows of a group are trained on, or all are tested on, and the group is no feature."""
    who = np.arange(60) % 3 * 2 + DRAW.integers(0, 2, 60)
    rows = [f"p{w},{DRAW.normal():.3f},{DRAW.normal():.3f},{'ab'[i % 2]}" for i, w in enumerate(who)]
    Path("t.csv").write_text("\n".join(["who,x,y,kind", *rows]) + "\n")
    assert main(["train", "t.csv", "--target", "kind", "--groups", "who", *QUICK]) == 0
    said = capsys.readouterr().err
    assert "groups: " in said
    assert "2 features" in said
    assert main(["train", "t.csv", "--target", "x", "--groups", "who", *QUICK, "--out", "m"]) == 0
    assert main(["train", "t.csv", "--target", "kind", "--groups", "none", "--out", "n"]) == 1
    assert "--groups none: no such column" in capsys.readouterr().err
    code = main(["train", "t.csv", "--target", "kind", "--groups", "who", "--test", "t.csv", "--out", "n"])
    assert (code, "--groups who: --test names the rows to test on" in capsys.readouterr().err) == (1, True)
    searched = build_parser().parse_args(["tune", "t.csv", "--target", "kind", "--groups", "who", "--test", "t.csv"])
    assert len(training_rows(searched, searches=True).groups) == 60
    numbers = np.column_stack([who, DRAW.normal(size=(60, 2))])
    np.savez("set.npz", X_train=numbers, y_train=who % 2, X_test=numbers, y_test=who % 2)
    assert main(["train", "set.npz", "--groups", "0", "--out", "n"]) == 1
    assert "set.npz has the rows to test on, so no groups are held out: leave out" in capsys.readouterr().err
    Path("t.csv").write_text("who,x,kind\n" + "a,1,u\na,2,u\n" * 5 + "b,2,v\nb,1,v\n" * 5)
    assert main(["train", "t.csv", "--target", "kind", "--groups", "who", "--out", "n"]) == 1
    assert "is only in groups to test on" in capsys.readouterr().err
