"""What a user can reach has types: every public function, method and property names those of its arguments and result."""

import ast
import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import fastdbn

ROOT = Path(__file__).parent.parent
DOCUMENTED = {name for page in (ROOT / "docs/api").glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)}
"""Dotted names of what docs/api describes."""


def found(name):
    """What a dotted name of docs/api stands for."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def public():
    """The functions and classes that fastdbn and its modules export, and those that docs/api describes."""
    modules = [fastdbn, *(getattr(fastdbn, name) for name in fastdbn._MODULES)]
    everything = [getattr(module, name) for module in modules for name in module.__all__] + [*map(found, DOCUMENTED)]
    return {x for x in everything if inspect.isclass(x) or inspect.isfunction(x)}


def functions(x):
    """(name, function) of a public function, or of the public methods and properties of a class, its own and inherited ones."""
    if not inspect.isclass(x):
        yield x.__qualname__, x
        return
    for kind in x.__mro__:
        if not kind.__module__.startswith("fastdbn."):
            continue
        for attribute, member in vars(kind).items():
            if attribute.startswith("_") and not (attribute == "__init__" and not dataclasses.is_dataclass(kind)):
                continue
            member = getattr(member, "fn", member)  # of scikit-learn's available_if
            member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(member):
                yield f"{kind.__name__}.{attribute}", member


def untyped(function):
    """What a function leaves without a type."""
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls"):
            yield parameter.name
    if signature.return_annotation is signature.empty:
        yield "the result"


def test_annotated():
    assert {name: lacking for x in public() for name, function in functions(x) if (lacking := [*untyped(function)])} == {}


def test_editors_see_what_is_exported():
    """__init__.pyi, which type checkers read, imports the public names from where __init__.py does."""
    homes = {}
    for node in ast.parse((ROOT / "fastdbn/__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom):
            homes |= {name.asname: f"{node.module}.{name.name}" for name in node.names}
    expected = {name: f"fastdbn.{home}.{name}" for name, home in fastdbn._HOMES.items()}
    assert homes == expected | {name: f"fastdbn.{name}" for name in fastdbn._MODULES}
