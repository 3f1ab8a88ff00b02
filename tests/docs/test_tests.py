"""Tests assert something, through public names, in files that can be read."""

import ast
from pathlib import Path

import pytest

ROOT = next(path for path in Path(__file__).resolve().parents if (path / "zensical.toml").is_file())
MOST = 400  # lines of a file
FILES = {str(path.relative_to(ROOT)): path for path in sorted((ROOT / "tests").rglob("*.py"))}
CHECKS = ("assert", "raises", "warns", "fail", "gradcheck", "gradgradcheck")
# Private names that others decide on: those of Python, of notebooks, of torch's compiler and of torchjd.
THEIRS = {"_exit", "_repr_html_", "_repr_svg_", "_dynamo", "_gramian"}
# To be emptied: tests that still name what is private in rooms under reconstruction.
NOT_YET = {"_changes"}


def calls(node):
    """Names of all functions that a piece of code calls."""
    return {getattr(n.func, "attr", getattr(n.func, "id", "")) for n in ast.walk(node) if isinstance(n, ast.Call)}


def asserts(node):
    """Whether a function asserts by itself."""
    return any(isinstance(n, ast.Assert) for n in ast.walk(node)) or any(
        name.startswith(CHECKS) for name in calls(node)
    )


def asserting(functions):
    """Names of the functions that assert, or call one that does."""
    found = {f.name for f in functions if asserts(f)}
    while more := {f.name for f in functions if f.name not in found and calls(f) & found}:
        found |= more
    return found


def without_assertion(trees):
    """(file, test) of each test that neither asserts nor calls a function or takes a fixture that does."""
    functions = [(name, n) for name, tree in trees.items() for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    helpers = asserting([f for _, f in functions if not f.name.startswith("test_")])
    return [
        (name, f.name)
        for name, f in functions
        if f.name.startswith("test_") and not asserts(f) and not (calls(f) | {a.arg for a in f.args.args}) & helpers
    ]


def private(tree):
    """Private names of kontrast that a test imports, reads or replaces."""
    made = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    made |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    for n in ast.walk(tree):
        names = []
        if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("kontrast"):
            names = [one.name for one in n.names]
        elif isinstance(n, ast.Attribute):
            names = [n.attr]
        elif isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.startswith("kontrast."):
            names = n.value.split()[0].split(".")
        for name in names:
            if name.startswith("_") and not name.startswith("__") and name not in THEIRS | made:
                yield name


@pytest.fixture(scope="module")
def trees():
    return {name: ast.parse(path.read_text(encoding="utf8")) for name, path in FILES.items()}


def test_every_test_asserts_something(trees):
    assert without_assertion(trees) == []


def test_tests_use_public_names(trees):
    found = {name: sorted({*private(tree)} - NOT_YET) for name, tree in trees.items()}
    assert {name: names for name, names in found.items() if names} == {}


def test_no_file_is_longer_than_can_be_read(trees):
    lengths = {name: len(path.read_text(encoding="utf8").splitlines()) for name, path in FILES.items()}
    assert {name: length for name, length in lengths.items() if length > MOST} == {}


def test_no_test_file_imports_another(trees):
    for name, tree in trees.items():
        modules = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        assert [m for m in modules if m.startswith("tests.") and ".test_" in m] == [], name


def test_every_room_has_tests_in_make_quick():
    rooms = {path.name for path in (ROOT / "kontrast").iterdir() if (path / "__init__.py").is_file()}
    quick = {
        name.split("/")[1] for name, path in FILES.items() if "pytest.mark.quick" in path.read_text(encoding="utf8")
    }
    assert rooms - quick == set()


def test_the_scan_finds_a_test_without_an_assertion_and_private_names():
    tree = ast.parse(
        "import kontrast\nfrom kontrast.core import ranks as r\nfrom kontrast.core.ranks import _sum\n"
        "def helped():\n    checked()\ndef checked():\n    assert 1\n"
        "def test_a():\n    kontrast.train()\ndef test_b():\n    helped()\ndef test_c(checked):\n    pass\n"
        "def test_d():\n    with pytest.raises(ValueError):\n        r._mean()\n"
    )
    assert without_assertion({"f": tree}) == [("f", "test_a")]
    assert sorted(private(tree)) == ["_mean", "_sum"]
