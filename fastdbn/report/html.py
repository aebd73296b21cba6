"""Pieces of HTML. Every text that comes in is escaped here, so no name or label of a user can become markup."""

import string
from html import escape
from importlib import resources


def table(header, lines, first=False):
    """A table; with `first` its first line stands out."""
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    rows = (
        f"<tr{' class=first' if first and i == 0 else ''}>{''.join(f'<td>{escape(str(cell))}</td>' for cell in line)}</tr>"
        for i, line in enumerate(lines)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def paragraph(text, faint=False):
    """A paragraph, or nothing for no text."""
    return f"<p{' class=faint' if faint else ''}>{escape(text)}</p>" if text else ""


def warnings(lines):
    """A list of warnings."""
    return f'<ul class="warnings">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def code(text):
    """Text as it is typed."""
    return f"<pre><code>{escape(text)}</code></pre>"


def folded(summary, content):
    """Content, which is HTML, behind a line that opens it."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def section(title, *contents):
    """A part of the page; contents are HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(contents)}</section>"


def page(title, subtitle, sections):
    """The whole page; sections are HTML."""
    template = string.Template(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(title), subtitle=escape(subtitle), body="\n".join(sections))
