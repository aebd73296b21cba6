"""The README's Python examples run as they stand, and the commands that it names exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number, tmp_path, monkeypatch, capsys):
    """Each block is a program of its own. What a comment says that it prints, it prints, to within a few rows."""
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README example {number}", "exec"), {"__name__": "__main__"})
    said, told = (re.findall(r"^.*test accuracy (\d\.\d+)$", text, re.M) for text in (EXAMPLES[number], capsys.readouterr().out))
    assert len(said) == len(told)
    assert all(abs(float(a) - float(b)) < 0.01 for a, b in zip(said, told, strict=True))


def test_there_are_examples():
    """A change of the README's marks must not silently leave nothing to run."""
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("line", re.findall(r"^fastdbn (.*)$", TEXT, re.M))
def test_commands_parse(line):
    """Every command line of the README is one that the parser takes."""
    from fastdbn.cli.main import build_parser

    build_parser().parse_args(shlex.split(line, comments=True))


def test_ci_runs_the_commands_of_the_readme():
    """The first command and the test command stand in .ci/run as they stand here."""
    script = (README.parent / ".ci" / "run").read_text()
    first, test = re.findall(r"```sh\n(python3 -m venv.*|pip install -e.*)\n```", TEXT)
    for part in first.split(" && "):
        assert part.replace("pip install .", "pip install -q .") in script
    assert test.split(" && ")[0].replace("pip install", "pip install -q") in script


def test_performance_section_is_that_of_the_results():
    """The table stands as the command prints it from the JSON files."""
    line = [sys.executable, "-m", "benchmarks.readme", "--check"]
    done = subprocess.run(line, cwd=README.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
