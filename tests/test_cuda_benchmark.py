"""The benchmark of a GPU beside PyTorch is one command, proven at tiny sizes."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import cuda


@pytest.mark.filterwarnings("ignore:precision=")  # the simulator rounds nothing
@pytest.mark.usefixtures("cuda_device")
def test_tiny(tmp_path, capsys):
    """Every part runs, and its figures are printed and written."""
    out = tmp_path / "cuda.json"
    cuda.main(["--tiny", "--out", str(out)])
    works = json.loads(out.read_text())["works"]
    assert list(works)[:3] == ["ceilings", *cuda.TINY]
    assert len(works) == 6
    printed = capsys.readouterr().out
    for name, found in works.items():
        assert name in printed
        assert all((value < 0) == ("likelihood" in name) for value in found.values())
    assert {"fastdbn", "products", "fastdbn, CPU"} <= set(works["tiny CD-1"])
    assert set(works["test log-likelihood in nats by AIS"]) == {"float32", "tf32", "bf16", "CPU"}


def test_table():
    """Every work of the table has what it is to reach, and a figure that misses it is marked."""
    assert set(cuda.REACH) == {*cuda.WORKS, "AIS"}


def test_what_was_reached(capsys):
    """The ratio is the other's time over fastdbn's; what nobody measured is left out."""
    cuda.show("AIS, 784-500, 100 chains x 14500 steps", {"fastdbn": 2.0, "PyTorch eager": 9.0})
    cuda.show("784-500 batch 100 CD-1", {"fastdbn": 2.0, "PyTorch eager": 6.0})
    printed = capsys.readouterr().out
    assert "over fastdbn: 4.50, asked for 5.0 ✗" in printed
    assert "over fastdbn: 3.00, asked for 3.0\n" in printed
    assert "graph" not in printed


def test_median():
    """The first round warms up and does not count."""
    ticks = iter([100.0, 1.0, 5.0, 3.0])
    assert cuda.median_seconds(None, lambda run: next(ticks), 3) == 3.0


@pytest.mark.usefixtures("cuda_device")
def test_events(monkeypatch):
    """A GPU is timed between two events on the backend's stream; the CPU by the host's clock."""
    from numba import cuda as numba_cuda

    from fastdbn.backends.cuda import jit

    log = []
    event = SimpleNamespace(
        record=lambda stream: log.append(("record", stream)),
        synchronize=lambda: log.append("wait"),
        elapsed_time=lambda last: 250.0,
    )
    monkeypatch.setattr(jit, "SIMULATED", False)
    monkeypatch.setattr(numba_cuda, "event", lambda: event)
    clock = cuda.clock_of(SimpleNamespace(name="cuda", stream="s"))
    assert clock(lambda: log.append("run")) == 0.25
    assert log == [("record", "s"), "run", ("record", "s"), "wait"]
    assert cuda.clock_of(SimpleNamespace(name="cpu")) is cuda.wall_clock
