"""What importing costs, and what the package says of itself."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastdbn

ROOT = Path(__file__).parent.parent


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_is_cheap():
    """`import fastdbn` brings none of the heavy packages; the first estimator does."""
    heavy = "[m for m in ('numba', 'sklearn', 'scipy', 'matplotlib', 'numpy') if m in sys.modules]"
    assert run(f"import sys, fastdbn; print({heavy})").strip() == "[]"
    assert "sklearn" in run(f"import sys; from fastdbn import RBM; print({heavy})")


def test_public_names():
    """Every public name resolves, others are errors, and dir() shows them."""
    for name in fastdbn.__all__:
        assert getattr(fastdbn, name) is not None
    assert set(fastdbn.__all__) == set(dir(fastdbn))
    with pytest.raises(AttributeError, match="no attribute 'GAN'"):
        fastdbn.GAN  # noqa: B018


def test_version_and_dependencies():
    """The version is the package's; every lower bound is met here."""
    import importlib.metadata

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "fastdbn.__version__"}
    for line in project["project"]["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(importlib.metadata.version(requirement.name))


def test_lower_bounds():
    """lower.txt pins the lower bound of everything that is needed to run and to build; Numba has an upper bound."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    lines = (ROOT / "lower.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for line in project["project"]["dependencies"] + project["build-system"]["requires"]:
        requirement = Requirement(line)
        bounds = {bound.operator: Version(bound.version) for bound in requirement.specifier}
        assert bounds[">="] == Version(pinned[requirement.name])
        assert ("<" in bounds) == (requirement.name == "numba")


def test_show_versions(capsys):
    """A report names the packages, the cache and BLAS."""
    fastdbn.show_versions()
    out = capsys.readouterr().out
    for word in ("python", "numba", "scikit-learn", "extension", "kernel cache", "openblas"):
        assert word in out
