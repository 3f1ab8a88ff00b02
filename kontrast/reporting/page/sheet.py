"""A sheet: sections put together into one self-contained page that loads nothing and runs our own script alone."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from kontrast.reporting.page.safe import block, esc


def sheet(title: str, over: str, sections: Sequence[tuple[str, str, str]], snippets: Sequence[str]) -> str:
    """The page as text. over: what kind of page it is. sections: (key, name, HTML); those without HTML are left out.
    snippets: the shelf of thumbnails that maps and galleries refer to."""
    told = [(key, name, body) for key, name, body in sections if body]
    script = _piece("script.js")
    return Template(_piece("page.html")).substitute(
        title=esc(title),
        over=esc(over),
        policy=_policy(script),
        style=_piece("style.css"),
        links="".join(f"<a href='#{key}'>{name}</a>" for key, name, _ in told),
        sections="\n".join(_section(key, name, body) for key, name, body in told),
        data=block("shelf", snippets),
        script=script,
    )


def _section(key: str, name: str, body: str) -> str:
    return f"<section id='{key}' aria-labelledby='h-{key}'><h2 id='h-{key}'>{name}</h2>{body}</section>"


def _piece(name: str) -> str:
    return files("kontrast.reporting.page").joinpath(name).read_text(encoding="utf8")


def _policy(script: str) -> str:
    """Only our own script runs, and nothing is loaded from anywhere: not by a snippet, not by a mistake of ours."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
