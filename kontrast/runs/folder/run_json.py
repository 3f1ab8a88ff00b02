"""Reads the JSON files of a run and checks them, as they are untrusted."""

import re
from html import escape
from html.parser import HTMLParser
from typing import Any

from kontrast.core import renamed
from kontrast.core.untrusted_json import shaped, text, tree
from kontrast.evaluation.verdict import of_older
from kontrast.runs.folder.folder import TARGETS, Folder

_NUMBER = (int, float)
_VALUE = {"value?": _NUMBER, "low?": _NUMBER, "high?": _NUMBER}
_SCORE = {
    "name": str,
    "field?": str,
    "reason?": str,
    "trained?": _VALUE,
    "raw?": _VALUE,
    "untrained?": _VALUE,
    "chance?": _NUMBER,
    "paired?": {"raw?": _VALUE, "untrained?": _VALUE},
}
_SCORES = {
    "verdict": {"state": str, "words": str, "causes?": [str], "offer?": str},
    "scores": [_SCORE],
    "steps": int,
    "seconds": _NUMBER,
    "rows?": {"*": {"evaluated": int, "of": int}},
}
_DATA = {
    "name": str,
    "rows": int,
    "fields": {"*": {"kind": str, "why": str}},
    "recipe": {"name": str, "why": str},
    "missing": {"*": int},
    "quarantined": [{"id": str, "reason": str}],
    "labels?": {"*": int},
    "fingerprint": dict,
}
_ALONE = {
    "head": str,
    "command": str,
    "tasks": {
        "*": {
            "words": str,
            "lines": [
                {"name": str, "alone": _VALUE, "together": _VALUE, "difference": _VALUE, "verdict": str},
            ],
        }
    },
}
_TARGETS = {"samples": int, "targets": {"*": {"kind": str, "column": str, "classes?": int}}}
_SAMPLES = {
    "thumbnails": {"*": [(str, type(None))]},
    "views": [{"id": str, "field": str, "original": str, "views": [str]}],
    "captions?": {
        "rows": int,
        "loss": _NUMBER,
        "shuffled": _NUMBER,
        "word errors?": _VALUE,
        "shown": [{"row": int, "field": str, "said": str, "true": str}],
    },
}
# Pictures as kontrast writes them, which are most snippets, pass as they are; the others are parsed.
_PICTURE = re.compile(r'<img alt="" src="data:image/png;base64,[A-Za-z0-9+/=]*">|[^<>]*')
_TAGS = " br img svg g path line polyline polygon circle ellipse rect text title audio video "
_WORDS = (
    " alt width height viewbox xmlns role aria-label class d points x y x1 x2 y1 y2 cx cy r rx ry fill stroke "
    "transform fill-opacity fill-rule stroke-width stroke-linejoin stroke-linecap stroke-opacity opacity controls "
)
_INSIDE = re.compile(r"data:(image|audio|video)/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)


def scores(folder: Folder) -> dict[str, Any]:
    """Reads scores.json; scores and verdicts of old runs are brought to the current form."""
    found = shaped(folder.read_json("scores.json"), _SCORES, str(folder.path / "scores.json"))
    empty = {"field": None, "trained": None, "raw": None, "untrained": None, "chance": None, "higher_is_better": True}
    table = [{**empty, **row} for row in found["scores"]]
    verdict = found["verdict"] if "measures" in found["verdict"] else of_older(found["verdict"], table)
    state = renamed.STATES.get(verdict["state"], verdict["state"])
    return {**found, "verdict": {"offer": "", **verdict, "state": state}, "scores": table}


def data(folder: Folder) -> dict[str, Any]:
    """Reads data.json."""
    return shaped(folder.read_json("data.json"), _DATA, str(folder.path / "data.json"))


def targets(folder: Folder) -> dict[str, Any]:
    """Reads facts of the training rows and their targets; empty for old runs."""
    path = folder.path / TARGETS
    return shaped(folder.read_json(TARGETS), _TARGETS, str(path)) if path.is_file() else {}


def alone(folder: Folder) -> dict[str, Any]:
    """Reads what each task alone reached; empty if that was not asked for."""
    path = folder.path / "alone" / "alone.json"
    if not path.is_file():
        return {}
    return shaped(tree(text(path), str(path)), _ALONE, str(path))


def environment(folder: Folder) -> dict[str, Any]:
    """Reads environment.json."""
    return shaped(folder.read_json("environment.json"), {"command": str}, str(folder.path / "environment.json"))


def samples(folder: Folder) -> dict[str, Any]:
    """Reads samples.json; its HTML snippets are reduced to pictures, drawings, sound and text."""
    found = shaped(folder.read_json("samples.json"), _SAMPLES, str(folder.path / "samples.json"))
    thumbnails = {name: [one and harmless(one) for one in column] for name, column in found["thumbnails"].items()}
    views = [
        {**row, "original": harmless(row["original"]), "views": [harmless(view) for view in row["views"]]}
        for row in found["views"]
    ]
    return {"thumbnails": thumbnails, "views": views, "captions": found.get("captions") or {}}


def harmless(snippet: str) -> str:
    """Removes from an HTML snippet all that runs, is fetched, or overlays the page."""
    if _PICTURE.fullmatch(snippet):
        return snippet
    reader = _Harmless()
    reader.feed(snippet)
    reader.close()
    return "".join(reader.kept) + "".join(f"</{tag}>" for tag in reversed(reader.open))


class _Harmless(HTMLParser):
    """Rewrites known elements and attributes, escapes text, and drops the rest."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps a known element with its known attributes."""
        if f" {tag} " not in _TAGS:
            return
        sound = [" " + name + '="' + escape(value or "") + '"' for name, value in attrs if _fits(name, value)]
        self.kept.append(f"<{tag}{''.join(sound)}>")
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps an element such as <path/>, with a closing tag."""
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes an element and all that is open inside it."""
        if tag in self.open:
            while self.open:
                last = self.open.pop()
                self.kept.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        """Escapes text."""
        self.kept.append(escape(data))


def _fits(name: str, value: str | None) -> bool:
    return f" {name} " in _WORDS or (name == "src" and bool(_INSIDE.fullmatch(value or "")))
