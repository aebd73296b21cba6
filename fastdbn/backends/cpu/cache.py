"""Where compiled kernels are kept: a folder for each version of their sources, beside those of other versions.

Whoever can write there can run code in every process that reads it. So folders are made for their owner alone, and one that
belongs to another user, but for root, or that others may write to, is neither read nor written: a warning says so once, and
kernels are compiled without a cache. Folders of versions that nobody has used for a month are removed.

Processes that need the same kernel take turns: the first one compiles it, and the others wait and read it.
"""

import contextlib
import functools
import hashlib
import os
import re
import shlex
import tempfile
import time
import warnings
from pathlib import Path

import numba
import numpy as np

import fastdbn
from fastdbn.support.system import fcntl

COMPILED = "maths/*.py", "units/*.py", "backends/cpu/*.py"
HOST = "backend.py", "cache.py", "pool.py", "shipped.py"
"""The sources that CPU kernels are compiled from, and files among them that hold none."""
TURNS = "turns"
"""The file of a folder by which processes take turns: each kernel has a byte of it, which the process that compiles it locks."""
FILES = "*.nbc", "warm.*", "tmp*", TURNS
"""Names of the files in a folder: kernels, records of warmup, what was being written, and turns."""
PATIENCE = 300.0
"""Seconds that a process waits for its turn. Then it compiles beside the other, which may have been stopped."""
DAY = 86400.0
"""Seconds after which a folder's use is noted again; other versions are looked through then."""
UNUSED = 30 * DAY
"""Seconds after which the folder of a version that was not used is removed."""


def _base():
    """The folder of all versions' folders, or None where no home is known."""
    if os.environ.get("FASTDBN_CACHE_DIR"):
        return os.environ["FASTDBN_CACHE_DIR"]
    caches, home = os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~")
    if os.path.isabs(caches):
        return os.path.join(caches, "fastdbn")
    if os.environ.get("HOME") == "" or not os.path.isabs(home):
        return None
    return os.path.join(home, ".cache", "fastdbn")


def version():
    """The name of this version's folder: a hash of the sources and of what compiles them."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    package = Path(fastdbn.__file__).parent
    for part in COMPILED:
        for path in sorted(package.glob(part)):
            if path.name not in HOST:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def make(folder):
    """Make a folder for its owner alone, and those above it; returns whether it is new."""
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return False
    return True


def _fault(folder):
    """Why a folder cannot be trusted, and the remedy; None where it can."""
    if not hasattr(os, "geteuid"):
        return None
    state, remedy = os.stat(folder), "set FASTDBN_CACHE_DIR to a folder of your own"
    if state.st_uid not in (os.geteuid(), 0):
        return f"{folder} belongs to user {state.st_uid}: {remedy}"
    if state.st_mode & 0o022:
        return f"others may write to {folder}: run chmod go-w {shlex.quote(folder)}, or {remedy}"
    return None


@functools.cache
def cache_folder():
    """The folder of this version's compiled kernels, or None where there is none to use."""
    base = _base()
    if base is None:
        return None
    folder = os.path.join(base, version())
    try:
        os.makedirs(base, mode=0o700, exist_ok=True)
        fault, new = _fault(base), False
        if fault is None:
            new = make(folder)
            fault = _fault(folder)
    except OSError:
        return None
    if fault is not None:
        warnings.warn(f"compiled kernels are neither read nor kept: {fault}", stacklevel=2)
        return None
    with contextlib.suppress(OSError):  # a cache that can only be read is no reason to fail
        if new or time.time() - os.stat(folder).st_mtime > DAY:
            os.utime(folder)
            _remove_unused(base, folder)
    return folder


def _remove_unused(base, own):
    """Remove the folders of versions that were not used for long; a process that still runs one makes it again."""
    for path in Path(base).iterdir():
        old = re.fullmatch("[0-9a-f]{16}", path.name) and time.time() - path.lstat().st_mtime > UNUSED
        if not old or path == Path(own) or path.is_symlink() or not path.is_dir():
            continue
        with contextlib.suppress(OSError):  # another process removes it too, or it holds what is not ours
            for pattern in FILES:
                for file in path.glob(pattern):
                    file.unlink(missing_ok=True)
            path.rmdir()


def write(name, content):
    """Write a file of the cache aside, then let it take its place, so that no other process sees half of it."""
    make(cache_folder())  # again, where it was removed
    handle, aside = tempfile.mkstemp(dir=cache_folder())
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(aside, os.path.join(cache_folder(), name))
    except BaseException:
        os.unlink(aside)
        raise


def read(name):
    """What `write` wrote; OSError where there is none, ValueError where it is damaged."""
    content = Path(cache_folder(), name).read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{name} is damaged")
    return content[32:]


@functools.cache
def _turns():
    """The file of turns, as a number. It stays open, because to close it would end all turns of this process."""
    return os.open(os.path.join(cache_folder(), TURNS), os.O_RDWR | os.O_CREAT, 0o600)


def _lock(name, how):
    """Lock or unlock the byte of a kernel's file."""
    fcntl.lockf(_turns(), how, 1, int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))


def take_turn(name):
    """Wait while another process compiles the kernel of a file; then others wait for this one, until `end_turn` or its end."""
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(OSError):  # a folder that cannot be written, or a file system without locks
        while fcntl is not None and cache_folder() is not None and time.monotonic() < end:
            try:
                _lock(name, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)


def end_turn(name):
    """Let others read what this process has written."""
    with contextlib.suppress(OSError):
        if fcntl is not None and cache_folder() is not None:
            _lock(name, fcntl.LOCK_UN)
