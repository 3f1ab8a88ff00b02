"""`python -m scripts.new` writes files that keep the contract of their room as they stand."""

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys

import pytest

from kontrast.checks.check import check_loss
from kontrast.core import factory, registry
from scripts import new
from tests.support.places import ROOT

pytestmark = pytest.mark.slow

SUITES = ["test_contracts", "test_loss_contracts", "test_relations", "test_judge"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with one new file of each kind, written there by its own script."""
    place = tmp_path_factory.mktemp("house")
    for name in ("kontrast", "scripts"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__", "runs", "corpus"))
    shutil.copy(ROOT / "pyproject.toml", place)
    written = "from scripts import new; [new.write(kind, f'Fresh{kind.capitalize()}') for kind in new.ROOMS]"
    done = at(place, "-c", written)
    assert done.returncode == 0, done.stderr
    return place


def at(place, *words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=place, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "PYTHONPATH": str(place)},
    )  # fmt: skip


def test_each_kind_passes_the_suites_of_its_room_in_the_package(copy):
    files = [str(next((copy / "tests").rglob(f"{suite}.py"))) for suite in SUITES]
    done = at(copy, "-m", "pytest", *files, "-k", "fresh", "-rp", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    for kind in new.ROOMS:
        assert re.search(rf"^PASSED .*fresh_?{kind}", done.stdout, re.IGNORECASE | re.MULTILINE), (kind, done.stdout)


def test_new_files_are_formatted_and_pass_the_linter(copy):
    made = [str(path) for path in (copy / "kontrast").rglob("fresh_*.py")]
    assert len(made) == len(new.ROOMS)
    for words in (["check", *made], ["format", "--check", *made]):
        done = at(copy, "-m", "ruff", *words, "--no-cache")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", new.ROOMS)
def test_in_a_package_of_ones_own_it_is_loaded_by_its_name_and_its_example_runs(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    package = f"lab_of_{kind}"
    assert new.main([kind, "my-own", "--to", package]) == 0
    name = f"{package}.my_own:MyOwn"
    assert capsys.readouterr().out.splitlines() == [f"{package}/my_own.py", f"its name: {name}"]
    room = new.ROOMS[kind][0]
    registry.load(room, name)
    factory.build(room, name, {}, given={"channels": 1})
    module = importlib.import_module(f"{package}.my_own")
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
    if kind == "loss":
        assert {one.verdict for one in check_loss(name, worlds=())} == {"ok"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kernel", "cosine"], "'cosine' is taken by kontrast.losses.kernels.cosine"),
        (["loss", "2fast"], "no name of a Python class"),
        (["loss", "class", "--to", "lab"], "no name of a Python class"),
    ],
)
def test_a_name_that_cannot_be_is_refused(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new.main(words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.py"))


def test_a_file_that_exists_is_not_written_over(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("x = 1\n")
    assert new.main(["encoder", "Mine", "--to", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "mine.py").read_text() == "x = 1\n"
