"""The Python in the README does what it says."""

import doctest
import re

import pytest

from tests.support.places import ROOT

pytestmark = pytest.mark.slow

README = ROOT / "README.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_readmes_python_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf8"), re.DOTALL)
    assert len(blocks) >= 2
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README", str(README), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_readme_and_docs_name_only_commands_and_files_that_exist():
    from kontrast.cli import app

    known = {c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback}
    pages = [README, *sorted((README.parent / "docs").glob("*.md"))]
    for page in pages:
        text = page.read_text(encoding="utf8")
        assert set(re.findall(r"^(?:srun )?kontrast ([a-z][\w-]*)", text, re.MULTILINE)) <= known, page
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (page.parent / link).exists(), (page, link)
