"""Self-contained HTML page of sections, which loads nothing and runs only its own script."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from kontrast.reporting.page.safe import block, esc


def sheet(title: str, over: str, sections: Sequence[tuple[str, str, str]], snippets: Sequence[str]) -> str:
    """Page as HTML.

    Args:
        title: Title of the page.
        over: Kind of page, shown above the title.
        sections: (key, name, HTML) each; sections without HTML are left out.
        snippets: Thumbnails that maps and galleries refer to by index.
    """
    filled = [(key, name, body) for key, name, body in sections if body]
    script = _piece("script.js")
    return Template(_piece("page.html")).substitute(
        title=esc(title),
        over=esc(over),
        policy=_policy(script),
        style=_piece("style.css"),
        links="".join(f"<a href='#{key}'>{name}</a>" for key, name, _ in filled),
        sections="\n".join(_section(key, name, body) for key, name, body in filled),
        data=block("shelf", snippets),
        script=script,
    )


def _section(key: str, name: str, body: str) -> str:
    return f"<section id='{key}' aria-labelledby='h-{key}'><h2 id='h-{key}'>{name}</h2>{body}</section>"


def _piece(name: str) -> str:
    return files("kontrast.reporting.page").joinpath(name).read_text(encoding="utf8")


def _policy(script: str) -> str:
    """Content security policy: only the page's own script runs, and nothing is loaded."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
