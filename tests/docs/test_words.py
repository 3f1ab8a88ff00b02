"""Docstrings, comments, messages and pages do without the words that make readers read a sentence twice."""

import io
import re
import tokenize
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = next(path for path in Path(__file__).resolve().parents if (path / "zensical.toml").is_file())
WORDS = re.compile(
    r"\b(?:whoever|[Ww]hom|[Bb]y lot|(?:is|are|were|was) to be|told|mend(?:s|ed)?|bears?|aside|[Ss]o many|he|him|learnt"
    r"|by heart)\b"
)
PAGES = [path for path in (*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))) if path.name != "LOG.md"]
ROOMS = sorted({path.relative_to(ROOT / "kontrast").parts[0] for path in (ROOT / "kontrast").rglob("*.py")})


def found_in(file):
    """(place, word) of each forbidden word in prose: comments and strings of code, text of a page outside its code."""
    text = file.read_text(encoding="utf8")
    if file.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        parts = [(t.start[0], t.string) for t in tokens if t.type in (tokenize.COMMENT, tokenize.STRING)]
    else:
        parts = [(1, re.sub(r"```.*?```|<!-- .*? -->", lambda code: "\n" * code[0].count("\n"), text, flags=re.DOTALL))]
    for line, part in parts:
        prose = re.sub(r"`[^`\n]*`|\{[^{}\n]*\}", "", part)
        for word in WORDS.finditer(prose):
            yield f"{file.relative_to(ROOT)}:{line + prose[: word.start()].count(chr(10))}", word[0]


@pytest.mark.parametrize("room", ROOMS)
def test_the_code_is_written_in_plain_words(room):
    place = ROOT / "kontrast" / room
    assert [
        one for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place]) for one in found_in(file)
    ] == []


def test_the_pages_are_written_in_plain_words():
    assert [one for page in PAGES if page.name != "CHANGELOG.md" for one in found_in(page)] == []


def test_a_word_is_found_in_prose_and_not_in_code(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text('"""Told by lot; `told` is code."""\n\ntold = f"{aside} whoever"  # so many\n')
    assert [word for _, word in found_in(tmp_path / "a.py")] == ["by lot", "whoever", "so many"]
