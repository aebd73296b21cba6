"""The floors of ARCHITECTURE.md, read from the imports themselves."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fastdbn"
TABLE = (PACKAGE.parent / "ARCHITECTURE.md").read_text()
FLOORS = [re.findall(r"`(\w+)/?`", row) for row in reversed(re.findall(r"^\| \d \|([^|]*)\|", TABLE, flags=re.M))]
"""Names of files and folders, from the lowest floor up, each in order."""
INNER = FLOORS[2][1:]
"""The files of backends/, which are named after it."""
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}
ORDER = [name for names in FLOORS for name in names]
FILES = sorted(PACKAGE.rglob("*.py"))


def part(path):
    """The floor's word for a file: its folder, or its own name."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path):
    """Parts of the package that a file imports at its top. Imports inside of functions put off cost (`save`, the commands) or
    reach up on purpose (a method that calls what is above it), and are read as use, not as structure."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastdbn"):
            words = node.module.split(".")
            found |= {words[1]} if len(words) > 1 else {alias.name for alias in node.names}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down(path):
    """A file imports from lower floors, or from its own in the stated order."""
    own = part(path)
    for other in imported(path) - {own}:
        assert FLOOR[other] <= FLOOR[own], f"{own} imports {other}"
        if FLOOR[other] == FLOOR[own]:
            assert ORDER.index(other) < ORDER.index(own), f"{own} imports {other}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "backends").glob("*.py")), ids=lambda path: path.name)
def test_imports_run_down_in_the_backends(path):
    """The files of backends/ are all in the table and import only from those before them."""
    assert path.stem in INNER
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastdbn.backends"):
            words = node.module.split(".")
            found |= {words[2]} if len(words) > 2 else {alias.name for alias in node.names} & set(INNER)
    assert all(INNER.index(other) < INNER.index(path.stem) for other in found), found


def test_every_file_has_a_floor_and_is_short():
    """A new file finds its place in the table, says what it is, and holds one idea."""
    for path in FILES:
        text = path.read_text()
        assert part(path) in FLOOR
        assert ast.get_docstring(ast.parse(text))
        assert len(text.splitlines()) <= 450, path.name


@pytest.mark.parametrize(("word", "home"), [("fastdbn._blas", "blas.py"), ("np.random.", "rng.py"), ("njit(", "jit.py")])
def test_one_home(word, home):
    """The extension, host noise and JIT options are each used in one file."""
    users = {path.name for path in FILES if word in re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)}
    assert users == {home}


def test_algorithms_name_no_product():
    """cd.py, train.py and network.py speak the protocol alone: no index into a state, no matrix product."""
    for name in ("cd.py", "train.py", "network.py"):
        text = (PACKAGE / name).read_text()
        assert " @ " not in text
        assert "np.dot" not in text
        assert "matmul" not in text
