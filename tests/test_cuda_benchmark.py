"""The benchmark of a GPU beside PyTorch is one command, proven at tiny sizes."""

import json

import pytest

from benchmarks import cuda


@pytest.mark.usefixtures("cuda_device")
def test_tiny(tmp_path, capsys):
    """Every part runs, and its figures are printed and written."""
    out = tmp_path / "cuda.json"
    cuda.main(["--tiny", "--out", str(out)])
    works = json.loads(out.read_text())["works"]
    assert list(works)[:2] == ["ceilings", "tiny"]
    assert len(works) == 4
    printed = capsys.readouterr().out
    for name, found in works.items():
        assert name in printed
        assert all(value >= 0 for value in found.values())
