"""Every example runs in a reduced form, on data of scikit-learn, prints its numbers and saves its picture."""

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.name != "common.py")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path, monkeypatch, capsys):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    picture = tmp_path / "picture.png"
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "argv", [str(path), "--quick", "--out", str(picture)])
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        pytest.importorskip("matplotlib.pyplot").close("all")
    assert picture.stat().st_size > 1000
    assert len(capsys.readouterr().out.splitlines()) > 2
