"""The pages of docs/: their Python blocks run, their commands parse, and the navigation has every page.

The blocks of a page run one after another in one namespace. A block that only illustrates has ``<!-- not run: why -->`` in the
line above it.
"""

import re
import shlex
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```python\n(.*?)^```", re.M | re.S)
MOST_NOT_RUN = 3
"""Blocks of all pages that only illustrate."""


def name_of(page):
    return str(page.relative_to(DOCS))


def blocks(page):
    """(program, whether it is run) of each block; a program has the line numbers of the page."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        yield "\n" * text.count("\n", 0, match.start(2)) + match[2], match[1] is None


def lacking(error):
    """The package that is not installed, if that is why an import failed."""
    cause = error if isinstance(error, ModuleNotFoundError) else error.__cause__
    name = getattr(cause, "name", None) or ""
    return name if isinstance(cause, ModuleNotFoundError) and not name.startswith("fastdbn") else None


@pytest.mark.parametrize("page", [page for page in PAGES if any(run for _, run in blocks(page))], ids=name_of)
def test_blocks_run(page, tmp_path, monkeypatch, request):
    """In a folder of their own, so that a page brings the files that it reads."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    if page.name == "units.md":  # it trains a unit type of its own
        request.getfixturevalue("composed")
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "__main__"}
    for program, run in blocks(page):
        try:
            if run:
                exec(compile(program, str(page), "exec"), space)
        except ImportError as error:
            if (name := lacking(error)) is None:
                raise
            pytest.skip(f"{name} is not installed")
        finally:
            from matplotlib import pyplot

            pyplot.close("all")


def test_few_blocks_only_illustrate():
    programs = [run for page in PAGES for _, run in blocks(page)]
    assert len(programs) > 40  # the marks of blocks are still those that this file looks for
    assert programs.count(False) <= MOST_NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page):
    """Every command line of a page is one that the parser takes."""
    from fastdbn.cli.main import build_parser

    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in re.findall(r"^fastdbn (.*)$", block, re.M):
            build_parser().parse_args(shlex.split(line, comments=True))


def test_navigation_has_every_page():
    named = re.findall(r": (\S+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.M)
    assert sorted(named) == sorted(map(name_of, PAGES))
