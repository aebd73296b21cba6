"""Kernels that a release brings along: read where they fit and are those of the list, else compiled, to the same bits."""

import json
from unittest import mock

import pytest
from test_cache import SMALL, run

from fastdbn.backends.cpu import shipped, target
from fastdbn.cli import ship, warmup

pytestmark = pytest.mark.skipif(target.level() is None, reason="this processor reaches no level that kernels are shipped for")


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A folder of four shipped kernels, and the sums that they give."""
    with monkeypatch.context() as level:
        level.setenv("NUMBA_CPU_NAME", target.level())
        level.setenv("NUMBA_CPU_FEATURES", "")
        compiled, _, sums = run(tmp_path / "level")
    assert compiled == 4
    shipped.write(tmp_path / "kernels", sorted((tmp_path / "level").rglob("*.nbc")), [target.level()])
    return tmp_path / "kernels", sums


@pytest.mark.slow
def test_shipped_kernels(release, tmp_path, monkeypatch):
    """A process without a cache compiles nothing; one that may not use them compiles all, and so does one without any folder."""
    folder, sums = release
    code = f"from pathlib import Path\nfrom fastdbn.backends.cpu import shipped\nshipped.folder = lambda: Path({str(folder)!r})\n"
    assert run(tmp_path / "empty", code + SMALL) == (0, 4, sums)
    assert not list((tmp_path / "empty").rglob("*.nbc"))
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", code + SMALL) == (0, 4, sums)  # nothing can be kept
    changed = next(folder.glob("*.nbc"))
    changed.write_bytes(changed.read_bytes() + b" ")
    assert run(tmp_path / "own", code + SMALL) == (1, 3, sums)
    assert run(tmp_path / "own", code + SMALL) == (0, 4, sums)  # one from its own cache
    monkeypatch.setenv("FASTDBN_NO_SHIPPED", "1")
    assert run(tmp_path / "other", code + SMALL) == (4, 0, sums)
    monkeypatch.delenv("FASTDBN_NO_SHIPPED")
    listed = json.loads((folder / shipped.LIST).read_text())
    (folder / shipped.LIST).write_text(json.dumps(listed | {"made_with": "another version"}))
    assert run(tmp_path / "third", code + SMALL) == (4, 0, sums)
    (folder / shipped.LIST).write_text(json.dumps(listed | {"levels": ["x86-64-v5"]}))
    assert run(tmp_path / "fourth", code + SMALL) == (4, 0, sums)


def test_levels(monkeypatch):
    """A process that compiles for a level has the level's features alone, and reads no shipped kernels."""
    monkeypatch.setattr(target.config, "CPU_NAME", "x86-64-v3")
    monkeypatch.setattr(target.config, "CPU_FEATURES", "")
    assert target.has("avx2")
    assert not target.has("avx512f")
    assert target.level() is None


@pytest.mark.parametrize(("level", "wanted"), [("x86-64-v4", "does not run x86-64-v4"), ("v3", "no level 'v3'")])
def test_levels_that_cannot_be_built(level, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(target, "_of_host", lambda: frozenset(target.LEVELS["x86-64-v3"]))
    with pytest.raises(SystemExit, match=wanted):
        ship.main(tmp_path / "kernels", level)
    assert not list(tmp_path.iterdir())


def test_what_a_release_compiles(monkeypatch):
    """The program that each level's process runs calls `warmup` as it is."""
    called = mock.create_autospec(warmup.warmup)
    monkeypatch.setattr(warmup, "warmup", called)
    exec(ship.WARMUP)
    called.assert_called_once()
