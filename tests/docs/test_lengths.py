"""A file of the package has at most 400 lines, a function 60: its body, without docstring and signature."""

import ast
from pathlib import Path

import pytest

ROOT = next(path for path in Path(__file__).resolve().parents if (path / "zensical.toml").is_file())
LINES, BODY = 400, 60
FILES = sorted((ROOT / "kontrast").rglob("*.py"))
# To be emptied: files that are longer, and functions of those rooms that are being rebuilt.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def bodies(source):
    """(name, lines of the body) of each function; the docstring and decorators do not count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            yield node.name, body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_files_and_functions_are_short():
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf8") for path in FILES}
    files = {name for name, text in texts.items() if len(text.splitlines()) > LINES}
    functions = {f"{name} {of}" for name, text in texts.items() for of, lines in bodies(text) if lines > BODY}
    assert sorted(files - LONG_FILES) == []
    assert sorted(functions - LONG_FUNCTIONS) == []


@pytest.mark.parametrize("lines", [1, 60, 61])
def test_the_body_alone_counts(lines):
    code = 'def f(\n    a,\n    b,\n):\n    """Words.\n\n    More.\n    """\n' + "    a = b\n" * lines
    assert list(bodies(code)) == [("f", lines)]
