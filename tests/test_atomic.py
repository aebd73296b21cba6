"""Files replaced in one step: what is left after each way to fail, rights, links, and what killed processes leave."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors import SafetensorError

from fastdbn.files import format
from fastdbn.support import atomic
from fastdbn.support.atomic import replacing


def write(path, text="new"):
    with replacing(path) as aside:
        aside.write_text(text)


def record():
    return {"format_version": 1}


def test_modes(tmp_path):
    """An existing file keeps its mode, a new one gets that of the umask, which is not touched."""
    mask = os.umask(0o027)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    for mode in (0o600, 0o444, 0o664):
        (tmp_path / "new").chmod(mode)
        write(tmp_path / "new", str(mode))
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
        assert (tmp_path / "new").read_text() == str(mode)
    assert os.listdir(tmp_path) == ["new"]


def test_the_umask_is_not_touched(tmp_path, monkeypatch):
    """A change of the process's umask would reach the files that other threads make meanwhile."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("umask was set"))
    write(tmp_path / "m")


def test_links(tmp_path):
    """A link stays a link, and its target is replaced, also where there is none yet."""
    (tmp_path / "far").mkdir()
    for name in ("old", "none"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    (tmp_path / "far" / "old").write_text("old")
    for name in ("old", "none"):
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == "new"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="loop"):
        write(tmp_path / "loop")
    assert sorted(os.listdir(tmp_path / "far")) == ["none", "old"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "no folder"])
def test_what_is_no_file(kind, tmp_path):
    """Folders, pipes and devices are not replaced; the error holds the path."""
    path = tmp_path / "m"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/full"
    else:
        path = path / "n"
    before = os.stat(path).st_mode if kind != "no folder" else None
    with pytest.raises(OSError, match=os.fspath(path)) as caught:
        write(path)
    assert caught.value.filename == os.fspath(path)
    assert kind == "no folder" or os.stat(path).st_mode == before


def test_order(tmp_path, monkeypatch):
    """The file is synced before it is renamed, the folder after."""
    steps, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: [steps.append(stat.S_ISDIR(os.fstat(handle).st_mode)), sync(handle)])
    monkeypatch.setattr(os, "replace", lambda *paths: [steps.append("rename"), replace(*paths)])
    write(tmp_path / "m")
    assert steps == [False, "rename", True]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "replace", "mkdtemp", "save_file"])
def test_a_full_disk(step, number, tmp_path, monkeypatch):
    """Whatever step fails, the error is an OSError that holds number and path; the old file stays, and nothing else."""

    def fail(*args, **kwargs):
        if step == "save_file":
            raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")
        raise OSError(number, os.strerror(number))

    (tmp_path / "m").write_text("old")
    module = {"mkdtemp": atomic.tempfile, "save_file": format}.get(step, os)
    monkeypatch.setattr(module, step, fail)
    with pytest.raises(OSError, match=str(tmp_path / "m")) as caught:
        format.write(tmp_path / "m", {"x": np.zeros(3)}, record())
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "m"))
    assert (tmp_path / "m").read_text() == "old"
    assert os.listdir(tmp_path) == ["m"]


def test_a_file_that_may_not_grow(tmp_path):
    """A true limit on the size of files, in place of a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=str(tmp_path / "m")) as caught:
            format.write(tmp_path / "m", {"x": np.zeros(10_000)}, record())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("x")])
def test_other_exceptions_pass(error, tmp_path):
    """Ctrl-C and faults of the caller leave the old file too."""
    (tmp_path / "m").write_text("old")
    with pytest.raises(type(error) if isinstance(error, Exception) else error), replacing(tmp_path / "m") as aside:
        aside.write_text("half")
        raise error
    assert (tmp_path / "m").read_text() == "old"
    assert os.listdir(tmp_path) == ["m"]


def test_long_names(tmp_path):
    """A name as long as the file system allows leaves room for the folder beside it."""
    name = "é" * 127
    write(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


HANG = """
import sys, time
from fastdbn.support.atomic import replacing
with replacing(sys.argv[1]) as aside:
    aside.write_text("x")
    time.sleep(60)
"""


def test_killed_processes(tmp_path):
    """What a killed process left is removed by the next that writes there; what a live one is writing stays."""
    process = subprocess.Popen([sys.executable, "-c", HANG, tmp_path / "m"])
    try:
        while not list(tmp_path.glob(".m.*/file")):
            assert process.poll() is None
            time.sleep(0.01)
        write(tmp_path / "m")
        write(tmp_path / "other")
        assert len(os.listdir(tmp_path)) == 3
        process.send_signal(signal.SIGKILL)
        process.wait()
        write(tmp_path / "other")
        assert len(os.listdir(tmp_path)) == 3
        write(tmp_path / "m", "last")
        assert sorted(os.listdir(tmp_path)) == ["m", "other"]
        assert (tmp_path / "m").read_text() == "last"
    finally:
        process.kill()
        process.wait()
