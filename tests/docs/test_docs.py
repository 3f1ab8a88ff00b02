"""The pages of docs/: all code on them runs, what they tell of the code is true, and the site needs nobody else."""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.places import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import build_docs
import pages

from kontrast.core import registry

pytestmark = pytest.mark.slow
PAGES = pages.pages()
NAMES = [page.relative_to(pages.DOCS).as_posix() for page in PAGES]
STEPS = 2  # of every training on a page: enough to see that all of it works


@pytest.fixture(scope="module")
def quick():
    """Short trainings, few halves, no trial of number formats and probes: pages show what long ones print."""
    from kontrast.doctor import forecast
    from kontrast.evaluation import intervals
    from kontrast.evaluation.linear import Linear
    from kontrast.runs.pipeline import train
    from kontrast.training.precision import PrecisionMode

    named = train.steps_named
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "steps_named", lambda plan, order: min(STEPS, named(plan, order) or STEPS))
        for module in (train, forecast):
            patch.setattr(module, "choose", lambda method, batch, plan, steps: (PrecisionMode(), 0.1))
        patch.setattr(Linear, "_strength", lambda self, x, y, classes: (0.1, None))
        patch.setattr(intervals, "SPLITS", 2)
        yield


class Once:
    """A shell that runs what pages share once: the trainings they all begin with, and examinations of one data set."""

    def __init__(self, folder):
        self.folder, self.known = folder, {}

    def __call__(self, words):
        asked = tuple(word for word in words if word != "--quiet")
        code, said, run = self.known.get(asked, (0, "", None))
        if asked in self.known and not (run and Path(run).exists()):
            if run:
                shutil.copytree(self.folder / run, run)
            return code, said if "--quiet" not in words else ""
        before = set(Path().glob("runs/*"))
        code, said = build_docs.shell(words)
        made = sorted(map(str, set(Path().glob("runs/*")) - before))
        shared = words[0] == "train" and Path().resolve() == self.folder.resolve()
        if (shared or (words[0] == "doctor" and "--out" not in words)) and "--quiet" not in words:
            self.known[asked] = code, said, made[0] if shared else None
        return code, said


@pytest.fixture(scope="module")
def base(tmp_path_factory, quick):
    """The data of all pages with the runs that some begin with, and a shell that remembers them."""
    folder = tmp_path_factory.mktemp("base")
    once = Once(folder)
    with contextlib.chdir(folder):
        build_docs.shared(folder, once)
    return once


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_page_does_what_it_says(name, base, tmp_path, monkeypatch):
    page = pages.DOCS / name
    if not any(block.kind in ("run", "session", "file", "foreign") for block in pages.blocks(page)):
        return
    build_docs.lay_out(page, base.folder, tmp_path / "page")
    monkeypatch.chdir(tmp_path / "page")
    monkeypatch.syspath_prepend("")
    before = set(sys.modules)
    try:
        pages.run(page, tmp_path / "page", base)
    finally:
        for module in set(sys.modules) - before:  # what the page wrote, so that the next page's is another
            if str(tmp_path) in str(sys.modules[module].__dict__.get("__file__") or "") or module == "my_lab":
                del sys.modules[module]


def test_a_page_that_is_wrong_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    for text in (
        "```python\n>>> 1 + 1\n3\n```\n",
        "```python\nassert False\n```\n",
        "```console\n$ kontrast list losses\nkernels\n```\n",
        "```console\n$ kontrast show nothing-of-this-name\n```\n",
        "```sh\nls\n```\n",
        "```python title=\"lightly\"\nfrom lightly import (\n```\n",
        "```yaml\na: 1\n```\n",
    ):  # fmt: skip
        (tmp_path / "page.md").write_text(text)
        with pytest.raises((AssertionError, SyntaxError)):
            pages.run(tmp_path / "page.md", tmp_path, build_docs.shell)


def test_the_pages_tell_what_the_code_says():
    stale = [page.relative_to(ROOT).as_posix() for page in build_docs.stale()]
    assert not stale, f"run: python scripts/build_docs.py, which writes {', '.join(stale)}"


def leaves(node):
    """The pages of a navigation: lists and tables of lists, tables and names."""
    inner = node if isinstance(node, list) else node.values() if isinstance(node, dict) else None
    return [node] if inner is None else [leaf for one in inner for leaf in leaves(one)]


def test_every_command_has_a_page_and_every_page_is_in_the_navigation():
    told = [
        name
        for page in sorted((pages.DOCS / "commands").glob("*.md"))
        for name in re.findall(r"<!-- options: ([\w-]+) -->", page.read_text(encoding="utf8"))
    ]
    assert sorted(told) == sorted(build_docs.commands())
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf8"))["project"]

    assert sorted(leaves(site["nav"])) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_are_not_run_know_their_options(name):
    for block in pages.blocks(pages.DOCS / name):
        if block.kind == "unrun" or not block.language:
            for line in re.findall(r"(?:^|[ $])kontrast ([a-z][\w-]* .*)", block.text, re.MULTILINE):
                command, *words = re.sub(r"\s#.*", "", line).split()
                known = {one for names, *_ in build_docs.parameters(command) for one in names}
                asked = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
                assert asked <= known, (name, block.line, asked - known)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("coming-from/")])
def test_names_of_peers_exist_where_the_peer_is_installed(name):
    for block in pages.blocks(pages.DOCS / name):
        if block.kind != "foreign":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                if importlib.util.find_spec(node.module.split(".")[0]) is None:
                    continue
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert alias.name in dir(module), (name, node.module, alias.name)


class Loads(HTMLParser):
    """The addresses a page loads by itself: scripts, styles, pictures, fonts; not what it links to."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        kinds = {"stylesheet", "preload", "preconnect", "icon", "dns-prefetch", "modulepreload"}
        if tag == "link" and kinds & set((given.get("rel") or "").split()):
            self.found.append(given.get("href") or "")
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed", "object", "use", "input"):
            self.found += [given[key] for key in ("src", "srcset", "data", "xlink:href") if given.get(key)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("zensical is not installed: pip install -e '.[docs]'")
    place = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", place / "docs")
    shutil.copy(ROOT / "zensical.toml", place)
    made = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=place, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return place / "site"


def test_the_site_loads_nothing_from_elsewhere_and_breaks_no_link(site):
    built = sorted(site.rglob("*.html"))
    assert len(built) >= len(PAGES)
    for page in built:
        text = page.read_text(encoding="utf8")
        loads = Loads()
        loads.feed(text)
        assert loads.found, page
        far = [one for one in loads.found if re.match(r"(https?:)?//", one)]
        assert not far, (page, far)
        assert "fonts.googleapis" not in text
        if page.name != "404.html":
            for link in re.findall(r"<a [^>]*href=\"(?!https?:|#|mailto:)([^\"#]*)", text):
                there = page.parent / link
                assert not link or there.is_file() or (there / "index.html").is_file(), (page, link)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", style.read_text(encoding="utf8")), style


REFERENCE = [name for name in NAMES if name.startswith("reference/") and name != "reference/index.md"]


@pytest.mark.parametrize("name", REFERENCE)
def test_the_reference_shows_every_docstring_it_names_and_the_search_knows_it(name, site):
    asked = re.findall(r"^::: ([\w.]+)$", (pages.DOCS / name).read_text(encoding="utf8"), re.MULTILINE)
    assert asked
    built = name.replace(".md", ".html")
    text = (site / built).read_text(encoding="utf8")
    assert ":::" not in text
    known = {one["location"] for one in json.loads((site / "search.json").read_text(encoding="utf8"))["items"]}
    for path in asked:
        assert f'id="{path}"' in text, path
        assert f"{built}#{path}" in known, path
        made = pkgutil.resolve_name(path)
        told = (inspect.getdoc(made) or "").split("\n")[0]
        assert told, f"{path} has no docstring"
        words = re.findall(r"\w{4,}", re.sub(r"`[^`]*`", "", told))[:5]
        assert all(word in text for word in words), (path, told)


def test_the_reference_names_what_is_public():
    named = set()
    for name in REFERENCE:
        named |= set(re.findall(r"^::: ([\w.]+)$", (pages.DOCS / name).read_text(encoding="utf8"), re.MULTILINE))
    marked = {build_docs.reference_of(pages.DOCS / name) for name in REFERENCE}
    assert marked == {"kt", "functional", "augmentations", *registry.rooms()}
    wanted = {f"{kind.module}.{kind.attribute}" for kind in registry.kinds("relations").values()}
    assert wanted | {"kontrast.api.train", "kontrast.losses.functional.by_view.ntxent"} <= named


def test_opened_as_a_file_the_site_asks_nobody_and_can_be_searched(site):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab, asked = browser.new_page(), []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((site / "index.html").as_uri())
        tab.keyboard.press("Control+k")
        tab.get_by_placeholder("Search").last.fill("gradient caching", timeout=60_000)
        tab.get_by_text(re.compile(r"^\s*[1-9]\d* results?\s*$")).first.wait_for(timeout=60_000)
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
