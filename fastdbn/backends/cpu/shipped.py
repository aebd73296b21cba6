"""Kernels that a release brings along, compiled for levels of x86-64. They are used where this processor has none of its own yet.

`python -m fastdbn.cli.ship` writes them. They fit only the sources, Python, Numba and NumPy that they were made with. Like all
compiled kernels they are trusted code: a list in the package has their hashes, and no other file is read.
"""

import contextlib
import functools
import hashlib
import json
import os
import platform
from pathlib import Path

import fastdbn
from fastdbn.backends.cpu import target
from fastdbn.backends.cpu.cache import version

LIST = "list.json"


def folder():
    """Where a release has its kernels."""
    return Path(fastdbn.__file__).parent / "kernels"


def made_with():
    """What kernels fit, as the list says it."""
    return f"{platform.python_version()} {version()}"


@functools.cache
def _hashes():
    """{name: hash} of the kernels that fit; none where those of this processor's level are not among them."""
    with contextlib.suppress(OSError, ValueError):
        if os.environ.get("FASTDBN_NO_SHIPPED") != "1":
            found = json.loads((folder() / LIST).read_text())
            return found["files"] if found["made_with"] == made_with() and target.level() in found["levels"] else {}
    return {}


def names():
    """The names of a release's kernels, of all levels; none where they do not fit."""
    return _hashes().keys()


def in_place_of(processor):
    """What kernels of this processor's level are compiled for, in place of what its own are; None where there is no level."""
    level = target.level()
    return level and (processor[0], level, "")


def read(name):
    """The contents of a kernel's file; KeyError where there is none that fits, ValueError where it is not that of the list."""
    wanted, content = _hashes()[name], (folder() / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ValueError(f"{name} is not the kernel of the list")
    return content[hashlib.sha256().digest_size :]  # as cache.write puts another before it


def write(to, files, levels):
    """Copy kernels of some levels into the folder `to`, with their list; files are paths."""
    to.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for path in files:
        content = path.read_bytes()
        (to / path.name).write_bytes(content)
        hashes[path.name] = hashlib.sha256(content).hexdigest()
    (to / LIST).write_text(
        json.dumps({"made_with": made_with(), "levels": [*levels], "files": hashes}, indent=1, sort_keys=True) + "\n"
    )
