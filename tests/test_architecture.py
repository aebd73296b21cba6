"""The structure of the package, read from the imports themselves, wherever in a file they stand."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fastdbn"
FILES = sorted(PACKAGE.rglob("*.py"))


def module(path):
    """The dotted name of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def imported(path):
    """Modules of the package that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "fastdbn":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in MODULES}
    return found


GRAPH = {name: imported(path) - {name} for name, path in MODULES.items()}


def room(name):
    """The folder of a module, directly under the package."""
    return ".".join(name.split(".")[:2])


def test_modules_import_without_circles():
    list(graphlib.TopologicalSorter(GRAPH).static_order())


def test_folders_import_without_circles():
    rooms = {}
    for name, others in GRAPH.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others if room(other) != room(name))
    list(graphlib.TopologicalSorter(rooms).static_order())


@pytest.mark.parametrize("name", MODULES)
def test_file_says_what_it_is_and_is_short(name):
    text = MODULES[name].read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize(("word", "home"), [("fastdbn._blas", "blas.py"), ("np.random.", "rng.py"), ("njit(", "jit.py")])
def test_one_home(word, home):
    """The extension, host noise and JIT options are each used in one file."""
    users = {path.name for path in FILES if word in re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)}
    assert users == {home}


def test_algorithms_name_no_product():
    """Machines and training speak the protocol alone: no matrix product."""
    for name in ("training.cd", "training.options.missing_values", "training.backprop"):
        text = MODULES[f"fastdbn.{name}"].read_text()
        assert " @ " not in text
        assert "np.dot" not in text
        assert "matmul" not in text
