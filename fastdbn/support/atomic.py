"""Files that are replaced in one step: written in a folder beside the target, synced, then renamed.

A reader sees the old file or the new one, never a part, and a crash or power cut leaves one of them. A process that is killed
leaves its folder behind. The next one that writes to the same path removes it: a folder in use is locked by its owner.
"""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

from fastdbn.support.system import fcntl

SUFFIX = ".saving"
"""The end of the names of the temporary folders beside targets."""


@contextlib.contextmanager
def replacing(path):
    """A context that yields a path to write to; what is written there then becomes the file at `path`.

    A symbolic link stays, and its target is replaced. An existing file keeps its mode, and a new one gets the process's default.
    After an exception the old file is as it was.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    OSError
        if the file cannot be written, for example because the disk is full. Its `filename` is `path`.
    """
    target = Path(os.path.realpath(path))
    try:
        _check(target)
        prefix = os.fsdecode(os.fsencode(f".{target.name}")[:200]) + "."
        _remove_stale(target.parent, prefix)
        with _folder(target.parent, prefix) as room:
            aside = room / "file"
            yield aside
            _sync(aside)
            os.chmod(aside, _mode(target, room))
            os.replace(aside, target)
            with contextlib.suppress(OSError):  # the file is there; some file systems cannot sync a folder
                _sync(target.parent)
    except OSError as error:
        if error.filename == os.fspath(path):
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), os.fspath(path)) from error


def _check(target):
    """Refuse targets that no file can replace."""
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}: make it first")
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder: give the path of a file")
    if target.is_symlink():  # what is left of a link after resolving it is a loop
        raise OSError(errno.ELOOP, "this link leads to itself")
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "this is a device or a pipe: give the path of a file")


@contextlib.contextmanager
def _folder(parent, prefix):
    """A new folder, which is locked while it is in use and removed at the end."""
    if fcntl is None:  # then no folder is taken for stale
        with tempfile.TemporaryDirectory(SUFFIX, prefix, parent, ignore_cleanup_errors=True) as room:
            yield Path(room)
        return
    while True:
        room = Path(tempfile.mkdtemp(SUFFIX, prefix, parent))
        try:
            lock = os.open(room, os.O_RDONLY)
        except FileNotFoundError:
            continue  # another process took it for stale before it was locked
        try:
            with contextlib.suppress(OSError):  # some file systems have no locks; then nothing is taken for stale
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not room.is_dir():
                continue
            try:
                yield room
            finally:
                shutil.rmtree(room, ignore_errors=True)
            return
        finally:
            os.close(lock)


def _remove_stale(parent, prefix):
    """Remove the folders that killed processes left for the same target: those that are not locked."""
    names = []
    if fcntl is None:
        return
    with contextlib.suppress(PermissionError):  # a folder may be written and not read
        names = os.listdir(parent)
    for name in names:
        if name.startswith(prefix) and name.endswith(SUFFIX):
            path = parent / name
            with contextlib.suppress(OSError):
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(lock)


def _mode(target, room):
    """The mode of the existing target, or the mode that a new file gets."""
    if not target.exists():
        target = room / "new"
        target.touch()
    return stat.S_IMODE(target.stat().st_mode) & 0o777


def _sync(path):
    """Write a file or folder through to the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows syncs only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
