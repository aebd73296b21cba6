"""What tests of the command line share."""

import gzip

import numpy as np

from fastdbn.cli.main import main

QUICK = ["--layers", "12", "--epochs", "6", "--pretrain-epochs", "2"]


def write_tables(folder):
    """Write one table in many forms, x0..x3 and a target named kind, into a folder; returns it."""
    draw = np.random.default_rng(0)
    X = np.round(draw.normal(size=(90, 4)) * 10, 3)
    kind = np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]
    lines = [",".join([*map(str, row), k]) for row, k in zip(X, kind, strict=True)]
    header = "x0,x1,x2,x3,kind\n"
    (folder / "named.csv").write_text(header + "\n".join(lines) + "\n")
    (folder / "bare.csv").write_text("\n".join(lines) + "\n")
    (folder / "semicolon.csv").write_text((header + "\n".join(lines)).replace(",", ";"))
    with gzip.open(folder / "named.csv.gz", "wt") as file:
        file.write(header + "\n".join(lines))
    np.save(folder / "table.npy", np.column_stack([X, (X[:, 0] > 0).astype(float)]))
    np.savez(folder / "table.npz", X=X, y=X[:, 0] * 3.5)
    np.save(folder / "features.npy", X)
    return folder


def run(capsys, *argv):
    """(exit code, stdout, stderr) of a command line."""
    code = main([str(a) for a in argv])
    out = capsys.readouterr()
    return code, out.out, out.err
