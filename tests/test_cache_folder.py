"""The folder of compiled kernels: whose it is, where it is, which are removed; and the line that announces compiling."""

import os
import stat
import subprocess
import sys
import time
import warnings

import pytest
from test_cache import SETUP, SMALL

from fastdbn.backends.cpu import anneal, backprop, backprop_steps, cache, jit, kernels, loading, rounds, steps, sweeps

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only POSIX has owners and modes of this kind")


def find(monkeypatch, **environment):
    """What `cache_folder` says to a new process with these variables of the environment, None for those that are not set."""
    for name, value in ({"FASTDBN_CACHE_DIR": None, "XDG_CACHE_HOME": None} | environment).items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, str(value))
    return cache.cache_folder.__wrapped__()


def refused(monkeypatch, base):
    """The warning with which a folder is left alone."""
    before = sorted(base.rglob("*"))
    with pytest.warns(UserWarning, match="^compiled kernels are neither read nor kept") as caught:
        assert find(monkeypatch, FASTDBN_CACHE_DIR=base) is None
    assert sorted(base.rglob("*")) == before
    return str(caught[0].message)


@pytest.fixture
def old_mask():
    """What umask leaves to a group on many systems."""
    before = os.umask(0o002)
    yield
    os.umask(before)


@posix
def test_folders_are_their_owners_alone(monkeypatch, tmp_path, old_mask):
    """Of what is made only the user may read anything, whatever the umask."""
    for environment in ({"FASTDBN_CACHE_DIR": tmp_path / "a"}, {"XDG_CACHE_HOME": tmp_path / "b"}, {"HOME": tmp_path / "c"}):
        folder = find(monkeypatch, **environment)
        assert str(tmp_path) in folder
        for path in (folder, os.path.dirname(folder)):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
        assert find(monkeypatch, **environment) == folder


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
@pytest.mark.parametrize("inner", [False, True])
def test_folders_that_others_may_write_to(mode, inner, monkeypatch, tmp_path):
    base = tmp_path / "a base"
    folder = find(monkeypatch, FASTDBN_CACHE_DIR=base)
    place = folder if inner else str(base)
    os.chmod(place, mode)
    message = refused(monkeypatch, base)
    assert f"others may write to {place}: run chmod go-w '{place}'" in message
    os.chmod(place, mode & ~0o022)
    assert find(monkeypatch, FASTDBN_CACHE_DIR=base) == folder


@posix
@pytest.mark.parametrize("inner", [False, True])
def test_folders_of_other_users(inner, monkeypatch, tmp_path):
    """Neither read nor written, but for root's."""
    base, me = tmp_path / "base", os.geteuid()
    folder = find(monkeypatch, FASTDBN_CACHE_DIR=base)
    place = folder if inner else str(base)
    if me == 0:
        os.chown(place, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    message = refused(monkeypatch, base)
    assert f"belongs to user {os.stat(place).st_uid}" in message
    assert "FASTDBN_CACHE_DIR" in message
    if me == 0:
        os.chown(place, 0, -1)
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert find(monkeypatch, FASTDBN_CACHE_DIR=base) == folder


def test_no_home_is_no_folder(monkeypatch, tmp_path):
    """An empty HOME is not the root, a relative one not the working directory; a relative XDG_CACHE_HOME is passed over."""
    monkeypatch.chdir(tmp_path)
    made = []
    monkeypatch.setattr(os, "makedirs", lambda path, *_, **__: made.append(path))
    assert find(monkeypatch, HOME="") is None
    assert find(monkeypatch, HOME="here") is None
    assert find(monkeypatch, HOME="", XDG_CACHE_HOME="there") is None
    assert made == []


@pytest.mark.parametrize("place", ["a file", "a file/below", "/proc/nowhere"])
def test_places_where_no_folder_can_be(place, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    assert find(monkeypatch, FASTDBN_CACHE_DIR=tmp_path / place) is None


def test_versions_that_were_not_used(monkeypatch, tmp_path):
    """Folders of other versions go when they were not used for a month; what is not ours stays."""
    now, month = time.time(), 31 * 86400
    names = {"0123456789abcdef": month, "00000000000000aa": 86400, "0123456789abcdee": month, "not a version": month}
    for name, age in names.items():
        (tmp_path / name).mkdir()
        for file in ("k.nbc", "warm.x", "tmpabc", *(["a letter"] if name.endswith("ee") else [])):
            (tmp_path / name / file).write_text("")
        os.utime(tmp_path / name, (now - age, now - age))
    (tmp_path / "fedcba9876543210").symlink_to(tmp_path / "not a version")
    tmp_path.chmod(0o700)
    folder = find(monkeypatch, FASTDBN_CACHE_DIR=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names, "fedcba9876543210", os.path.basename(folder)} - {"0123456789abcdef"}
    assert [path.name for path in (tmp_path / "0123456789abcdee").iterdir()] == ["a letter"]
    assert len(list((tmp_path / "not a version").iterdir())) == 3


def test_use_is_noted_once_a_day(monkeypatch, tmp_path):
    tmp_path.chmod(0o700)
    folder, now = find(monkeypatch, FASTDBN_CACHE_DIR=tmp_path), time.time()
    for age, kept in ((2 * 86400, False), (3600, True)):
        os.utime(folder, (now - age, now - age))
        find(monkeypatch, FASTDBN_CACHE_DIR=tmp_path)
        assert (os.stat(folder).st_mtime < now - 60) is kept


def stderr(folder, before="", **environment):
    """What a new process that compiles four small kernels says on stderr."""
    result = subprocess.run(
        [sys.executable, "-c", SETUP + before + SMALL],
        capture_output=True,
        text=True,
        env=os.environ | {"FASTDBN_CACHE_DIR": str(folder), "FASTDBN_QUIET": ""} | environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.mark.slow
def test_slow_kernels_are_announced_once(tmp_path):
    """Before the first of them is compiled; not when it is in the cache, nor for quick ones."""
    slow = "from fastdbn.backends.cpu import jit\njit.SECONDS['square_sum'] = 12\n"
    assert stderr(tmp_path / "quick") == ""
    said = stderr(tmp_path / "slow", slow)
    assert said.startswith(f"fastdbn: compiling kernels, about 12 s; later runs load them from {tmp_path / 'slow'}")
    assert said.count("\n") == 1
    assert stderr(tmp_path / "slow", slow) == ""
    assert stderr(tmp_path / "quiet", slow, FASTDBN_QUIET="1") == ""
    assert "no folder can keep them: set FASTDBN_CACHE_DIR" in stderr("/proc/nowhere", slow)


def test_slow_kernels_have_their_names():
    """Every name in the table is that of a kernel, or of what makes it."""

    homes = (anneal, backprop, backprop_steps, loading, kernels, rounds, steps, sweeps)
    for name in jit.SECONDS:
        assert any(hasattr(home, name) for home in homes), name


def test_no_warning_about_a_sound_folder(monkeypatch, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find(monkeypatch, FASTDBN_CACHE_DIR=tmp_path / "base")
