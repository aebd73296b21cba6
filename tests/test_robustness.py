"""`python -m benchmarks.robustness`: parts go on where they stopped, those of one process begin anew, and counts are kept."""

import sys
from types import SimpleNamespace

import pytest

from benchmarks.robustness import __main__ as robustness


@pytest.fixture
def asked(monkeypatch):
    """(first, count) of each call of a part that does two things at a time, and fails at number 5."""
    calls = []

    def run(first, count):
        calls.append((first, count))
        for start in range(first, first + count, 2):
            yield 2, {"done": 2}, ["number 5"] * (start <= 5 < start + 2)

    for name in ("kills", "memory"):
        monkeypatch.setitem(sys.modules, f"benchmarks.robustness.{name}", SimpleNamespace(COUNT=8, OF="things", run=run))
    return calls


@pytest.mark.parametrize(("name", "second", "figure"), [("kills", (4, 4), 8), ("memory", (0, 8), 8)])
def test_parts(name, second, figure, asked, tmp_path, capsys):
    """A count that is given, then the part's own; nothing is done twice, and failures are kept."""
    found, path = {}, tmp_path / "results.json"
    assert robustness.measure(name, 4, found, path)[1]["done"] == 4
    for _ in range(2):
        _, entry = robustness.measure(name, None, found, path)
    assert asked == [(0, 4), second]
    assert (entry["done"], entry["figures"], entry["failures"]) == (8, {"done": figure}, ["number 5"])
    assert capsys.readouterr().out == "FAILED: number 5\n"
    assert robustness.store.read(path)["parts"] == found


def test_memory_takes_a_count(monkeypatch):
    """So many predictions and fits are made, one fit in eleven."""
    from benchmarks.robustness import memory, threads  # which fits its models

    made = []
    models = [SimpleNamespace(transform=lambda rows: made.append("transform")) for _ in threads.MODELS]
    monkeypatch.setattr(threads, "FITTED", models)
    monkeypatch.setattr(memory.gc, "collect", lambda: None)  # takes a second beside all that tests leave
    monkeypatch.setattr(memory, "clone", lambda model: SimpleNamespace(fit=lambda X, y: made.append("fit")))
    [(done, figures, failures)] = memory.run(0, 33)
    assert (done, made.count("fit"), made.count("transform")) == (33, 3, 30)
    assert figures["MB at first"] > 0
    assert not failures
