"""The report in a real browser: order and counts, what the map answers, and that nothing is asked of a network."""

import json
import shutil
import socketserver
import threading

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.modalities.audio.audio import Audio
from kontrast.reporting.report import write_report
from kontrast.runs.folder.run_json import harmless
from tests.support.report_stories import PIXEL, clusters, crossed, pairs, story, unit

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with playwright.sync_playwright() as p:
        started = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield started
        started.close()


def opened(browser, path, width=1280):
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.heard = []
    tab.on("console", lambda m: tab.heard.append(m.text))
    tab.on("pageerror", lambda e: tab.heard.append(str(e)))
    tab.on("request", lambda r: r.url.startswith("data:") or tab.heard.append(r.url))
    tab.goto(path.as_uri())
    tab.evaluate("document.querySelector('#map').scrollIntoView({block: 'center', behavior: 'instant'})")
    tab.wait_for_timeout(150)
    return tab


def point_at(tab, wanted):
    """Move over the map, coarsely and then finely, until what is shown holds that; whether it did."""
    box = tab.locator("#map canvas").bounding_box()
    for y in range(20, int(box["height"]) - 20, 9):
        for x in range(20, int(box["width"]) - 20, 18):
            tab.mouse.move(box["x"] + x, box["y"] + y)
        if tab.evaluate("s => window.met ||= document.querySelector(s) !== null", wanted):
            return True
    return False


def test_in_a_browser_the_map_answers_and_nothing_is_asked_of_a_network(browser, tmp_path):
    bank = pairs()
    snippets = {"photo": [PIXEL] * 30, "words": [f"words of {i}" for i in range(30)]}
    tab = opened(browser, write_report(story(bank, thumbnails=snippets), tmp_path / "report.html"))
    drawn = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    assert tab.locator("#map canvas").evaluate(drawn)
    tab.locator("#map .legend button", has_text="words").click()  # photos only: each has a picture
    assert point_at(tab, "#map .tip .thumb img")
    assert tab.locator("#map .tip .id").inner_text().startswith("row ")
    assert tab.locator("#nearest .thumb img").first.evaluate("i => i.complete && i.naturalWidth > 0")
    assert tab.heard == [tab.url]
    tab.close()


def test_in_a_browser_a_sound_is_a_spectrogram_above_a_player_that_plays_it(browser, tmp_path):
    samples = (9000 * np.sin(np.arange(4000) / 3)).astype(np.int16)[:, None]
    snippets = {"photo": [harmless(Audio(rate=8000).show(samples))] * 30, "words": [f"words of {i}" for i in range(30)]}
    tab = opened(browser, write_report(story(pairs(), thumbnails=snippets), tmp_path / "report.html"))
    for part, least in (("img", 50), ("audio", 30)):
        box = tab.locator(f"#nearest .thumb > {part}").first.bounding_box()
        assert box["width"] > 100
        assert box["height"] >= least
    seconds = """async a => {
      a.preload = 'auto';
      await new Promise(r => { a.onloadedmetadata = r; a.load(); });
      return a.duration;
    }"""
    assert tab.locator("#nearest audio").first.evaluate(seconds) == 0.5
    assert tab.heard == [tab.url]
    tab.close()


def test_in_a_browser_the_sections_stand_in_order_and_the_map_comes_soon(browser, tmp_path):
    long = {"state": "learning", "words": f"It learned: {'on many rows ' * 20}"}
    views = [{"id": "row 1", "original": PIXEL, "views": [PIXEL]}]
    path = write_report(story(pairs(), scores=crossed(), verdict=long, views=views), tmp_path / "report.html")
    for width, height in ((1400, 900), (390, 844)):
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(path.as_uri())
        order = tab.evaluate("[...document.querySelectorAll('main > section')].map(s => s.id)")
        assert order == ["verdict", "space", "nearest", "scores", "curves", "views", "data", "replay"]
        for part in ("#map canvas", "#map .legend"):
            box = tab.locator(part).bounding_box()
            assert box["y"] + box["height"] < 3 * height
        assert tab.locator("table.scores:visible tbody tr").count() == 5
        assert tab.locator("table.matrix:visible td b").count() == 2
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.locator("#scores details.rest summary").first.click()
        assert tab.locator("table.scores:visible tbody tr").count() == len(crossed()) - 2
        tab.close()


def fourteen_classes():
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(14), 20)
    z = unit(6 * np.eye(16)[label] + rng.normal(size=(280, 16)))
    kinds = np.array([f"kind {n}" for n in label])
    names = pa.table({"name": [f"thing {i}" for i in range(280)]})
    return EmbeddingTable({"image": z}, np.array([f"r{i}" for i in range(280)]), kinds, names)


COLOURS = """c => {
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = {};
  for (let i = 0; i < d.length; i += 4) {
    if (d[i + 3] <= 200) continue;
    const colour = [d[i] >> 4, d[i + 1] >> 4, d[i + 2] >> 4].join();
    seen[colour] = (seen[colour] ?? 0) + 1;
  }
  return seen;
}"""


def test_in_a_browser_many_classes_are_told_apart_filtered_and_searched(browser, tmp_path):
    tab = opened(browser, write_report(story(fourteen_classes(), thumbnails={}), tmp_path / "report.html"))
    canvas, legend = tab.locator("#map canvas"), tab.locator("#map .legend")
    assert sorted(canvas.get_attribute("data-names").split("\n")) == sorted(f"kind {n}" for n in range(14))
    marks = legend.locator("button svg").evaluate_all("all => all.map(s => s.outerHTML)")
    assert len(marks) == len(set(marks)) == 14  # each looks like no other
    before = canvas.evaluate(COLOURS)
    legend.get_by_role("button", name="kind 3 20").click()
    tab.wait_for_timeout(100)
    after = canvas.evaluate(COLOURS)
    assert legend.locator("button[aria-pressed=false]").count() == 1
    kept = [colour for colour, n in before.items() if n > 400]
    assert sum(after.get(colour, 0) > 0.6 * before[colour] for colour in kept) >= len(kept) - 1  # nothing else fades
    legend.locator("button.every", has_text="none").click()
    legend.get_by_role("button", name="kind 7 20").click()
    assert legend.locator("button[aria-pressed=true]").count() == 1
    assert point_at(tab, "#map .tip .title")
    told = tab.locator("#map .tip").inner_text()
    assert told.startswith("thing ")  # the readable name first
    assert "label: kind 7" in told
    legend.locator("button.every", has_text="all").click()
    tab.mouse.move(0, 0)
    tab.locator("#map .find input").fill("kind 11")
    assert tab.locator("#map .find output").inner_text() == "20 of 280"
    tab.locator("#map .find input").fill("11 kind")
    assert tab.locator("#map .find output").inner_text() == "32 of 280"  # nowhere as it stands: all words
    tab.locator("#map .find input").fill("thing 217")
    assert tab.locator("#map .find output").inner_text() == "1 of 280"
    tab.locator("#map .find input").press("Enter")
    tab.wait_for_timeout(100)
    assert tab.locator("#map .tip .title").inner_text() == "thing 217"
    assert [words for words in tab.heard if "Canvas2D" not in words] == [tab.url]  # advice on reading pixels twice
    tab.close()


def test_in_a_browser_the_tooltip_lies_beside_its_lines(browser, tmp_path):
    tab = opened(browser, write_report(story(fourteen_classes(), thumbnails={}), tmp_path / "report.html"), 1400)
    plane = json.loads(tab.locator("#map-data").inner_text())["planes"][0]
    box = tab.locator("#map canvas").bounding_box()
    middle, size = (np.array([box[a], box[b]]) for a, b in (("x", "y"), ("width", "height")))
    xy = np.array(plane["xy"]).reshape(-1, 2)
    places = middle + size / 2 + (xy - xy.max(0) / 2) * ((size - 52) / xy.max(0)).min()
    for i in range(0, 280, 28):
        tab.mouse.move(*places[i].tolist())
        tab.wait_for_timeout(60)
        tip = tab.locator("#map .tip").bounding_box()
        low, reach = (np.array([tip[a], tip[b]]) for a, b in (("x", "y"), ("width", "height")))
        ends = places[[i, *plane["near"][i]]]
        assert not ((ends > low) & (ends < low + reach)).all(1).any()
    tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_nothing_overflows_sideways(browser, tmp_path, width):
    long = story(title="a" * 120, command="kontrast train " + "x" * 150, data={"fields": {"f" * 80: {"kind": "text"}}})
    tab = opened(browser, write_report(long, tmp_path / "report.html"), width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_in_a_browser_a_hostile_snippet_does_nothing(browser, tmp_path):
    asked = []
    logger = socketserver.TCPServer(
        ("127.0.0.1", 0), type("Asked", (socketserver.BaseRequestHandler,), {"handle": lambda _: asked.append(1)})
    )
    threading.Thread(target=logger.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    there = f"http://127.0.0.1:{logger.server_address[1]}/x.png"
    attack = f"<img src='{there}' onerror='document.title=1'><script>document.title = 2</script>"
    bank = clusters(12)
    told = story(bank, thumbnails={"image": [attack] * 12}, views=[{"id": "x", "original": attack, "views": [attack]}])
    tab = opened(browser, write_report(told, tmp_path / "report.html"))
    assert tab.title() == "clothes-1"
    assert any("Content Security Policy" in words for words in tab.heard)  # it was tried, and refused
    assert not asked
    tab.close()
    logger.shutdown()
    logger.server_close()
