"""The report page: honest words, escaped words, one light file that works alone in a browser."""

import json
import re
import shutil
import socketserver
import threading

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.bank import Bank
from kontrast.runs.page.charts import binned
from kontrast.runs.page.columns import column
from kontrast.runs.page.gallery import choose, directions, nearest
from kontrast.runs.page.map import layout
from kontrast.runs.page.project import project
from kontrast.runs.page.safe import block
from kontrast.runs.page.shelf import Shelf
from kontrast.runs.report import Story, page, write_report

EVIL = "<script>alert(1)</script>\"'&</style><!--"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PIXEL = (
    "<img alt='' src='data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='>"
)


def unit(z):
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)


def value(at, reach=0.05):
    return {"value": at, "low": at - reach, "high": at + reach}


def score(trained, raw=None, untrained=None, name="kNN accuracy", **more):
    return {
        "name": name,
        "field": None,
        "trained": value(trained),
        "raw": None if raw is None else value(raw),
        "untrained": None if untrained is None else value(untrained),
        "rows": 307,
        "chance": 0.1,
        "higher_is_better": True,
        **more,
    }


def clusters(n=40, seed=0, **more):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    z = unit(4 * np.eye(8)[label] + rng.normal(size=(n, 8)))
    return Bank({"image": z}, np.array([f"row {i}" for i in range(n)]), np.array(["a", "b", "c"])[label], **more)


def pairs(n=30):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, 8))
    text = unit(z + 0.1 * rng.normal(size=(n, 8)))
    text[::7] = np.nan
    ids = np.array([f"row {i}" for i in range(n)])
    return Bank({"photo": unit(z), "words": text}, ids, np.array(list("abc") * (n // 3)), shared=True)


def story(bank=None, **more):
    bank = clusters() if bank is None else bank
    health = {"effective_rank": 7.0, "spread": 0.9, "alignment": 0.3, "uniformity": -3.0}
    given = {
        "command": "kontrast train clothes/ --seed 0",
        "experiment": {"method": {"name": "simclr"}, "seed": 0},
        "environment": {"python": "3.11", "versions": {"torch": "2"}},
        "data": {"rows": 60, "labels": {"a": 30, "b": 20, "c": 10}},
        "moments": [
            {"step": s, "loss": 5 / s, "rate": 800.0, "wait": 0.01, "seconds": 0.2 * s, "health": health}
            for s in range(1, 30)
        ],
        "verdict": {"state": "learning", "words": "effective rank 7 of 8", "causes": ()},
        "scores": [score(0.742, 0.403, 0.512)],
        "bank": bank,
        "thumbnails": {name: [PIXEL] * len(bank) for name in bank.z},
    }
    return Story(**({"title": "clothes-1"} | given | more))


def islands(text):
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', text, flags=re.DOTALL)
    return {name: json.loads(body) for name, body in found}


# ---- safety


def test_no_word_of_the_user_becomes_markup():
    bank = clusters()
    meta = pa.table({EVIL: [EVIL] * len(bank), "price": np.arange(len(bank)) / 7})
    evil = Bank({EVIL: bank.z["image"]}, np.array([EVIL] * len(bank)), np.array([EVIL] * len(bank)), meta)
    text = page(
        story(
            evil,
            title=EVIL,
            command=EVIL,
            experiment={EVIL: EVIL, "method": {"name": EVIL}},
            environment={EVIL: EVIL},
            verdict={"state": EVIL, "words": EVIL, "causes": [EVIL]},
            scores=[score(0.7, 0.4, 0.5, name=EVIL) | {"field": EVIL + "x"}],
            not_judged=[(EVIL, EVIL)],
            thumbnails={},
            views=[{"id": EVIL, "field": EVIL, "original": "a", "views": ["b"]}],
            data={
                "rows": 3,
                "fields": {EVIL: {"kind": EVIL, "why": EVIL}},
                "missing": {EVIL: 1},
                "quarantined": [{"id": EVIL, "reason": EVIL}],
                "labels": {EVIL: 3},
                "splits": {EVIL: 3},
                "recipe": {"name": EVIL, "why": EVIL},
                "fingerprint": EVIL,
                EVIL: EVIL,
            },
        )
    )
    assert "<script>alert" not in text
    assert "</style><!--" not in text
    assert text.count("<script") == 3  # two islands of data and our own script
    assert islands(text)["map-data"]["ids"][0] == EVIL


def test_data_cannot_close_its_element():
    made = block("x", {"a": "</script><!--\u2028&", "b": float("nan"), "c": [np.inf]})
    assert made.count("<") == 2
    assert islands(made)["x"] == {"a": "</script><!--\u2028&", "b": None, "c": [None]}


def test_the_policy_allows_our_script_alone_and_no_address_is_in_the_page():
    text = page(story())
    assert "default-src 'none'; script-src 'sha256-" in text
    assert not re.findall(r"(?:src|href)=['\"](?!data:|#)", text)
    assert not re.findall(r"url\(|@import|fetch\(|XMLHttpRequest|sendBeacon", text)


# ---- map, gallery, thumbnails


def test_the_same_story_gives_the_same_bytes():
    assert page(story()) == page(story())


def test_neighbours_on_the_map_are_the_nearest_of_other_rows():
    bank = pairs()
    data = layout(bank, Shelf({}))
    plane = data["planes"][0]
    z = np.concatenate([bank.z["photo"], bank.z["words"][bank.has("words")]])
    row = np.concatenate([np.arange(30), np.flatnonzero(bank.has("words"))])
    assert plane["row"] == row.tolist()
    for i, near in enumerate(plane["near"]):
        others = sorted((j for j in range(len(z)) if row[j] != row[i]), key=lambda j: -float(z[i] @ z[j]))
        assert [float(z[i] @ z[j]) for j in near] == pytest.approx([float(z[i] @ z[j]) for j in others[:5]], abs=1e-6)


def test_fields_of_several_spaces_get_planes_of_their_own():
    bank = pairs()
    apart = Bank(bank.z, bank.ids, bank.labels)
    assert [p["name"] for p in layout(apart, Shelf({}))["planes"]] == ["whole rows", "photo", "words"]
    assert [p["name"] for p in layout(bank, Shelf({}))["planes"]] == ["photo, words"]


def test_a_large_bank_is_sampled_and_the_page_says_so():
    data = layout(clusters(50), Shelf({}), points=20)
    assert len(data["ids"]) == 20
    assert data["of"] == 50
    assert data == layout(clusters(50), Shelf({}), points=20)


@pytest.mark.parametrize("z", [np.ones((20, 4)), np.eye(3), np.ones((1, 4)), np.arange(20.0)[:, None]])
def test_degenerate_embeddings_still_have_a_plane(z):
    plane = project(z.astype(np.float32))
    assert plane.xy.shape == (len(z), 2)
    assert np.isfinite(plane.xy).all()


def test_each_thumbnail_stands_once_and_the_budget_holds():
    shelf = Shelf({"image": ["a" * 10, "b" * 10, None, "c" * 10]}, budget=25)
    assert [shelf.place("image", row) for row in (0, 1, 0, 2, 3)] == [0, 1, 0, None, None]
    assert shelf.snippets == ["a" * 10, "b" * 10]
    assert shelf.left_out == 1
    text = page(story(thumbnails={"image": [f"<i>{i:04d}</i>" for i in range(40)]}))
    assert len(islands(text)["shelf"]) == len(set(islands(text)["shelf"])) == 40


def test_queries_visit_the_classes_in_turn():
    labels = np.array(["big"] * 95 + ["small"] * 5)
    rows = choose(labels, np.ones(100, dtype=bool), 8, seed=0)
    assert sorted(labels[rows]) == ["big"] * 4 + ["small"] * 4
    assert len(set(rows.tolist())) == 8


def test_a_row_is_not_its_own_neighbour_but_its_own_partner():
    bank = pairs()
    ways = {way.title: way for way in directions(bank)}
    assert list(ways) == ["photo → words", "words → photo", "photo → photo", "words → words"]
    rows = np.array([1, 2, 3])
    assert nearest(ways["photo → words"], rows, 3)[0][:, 0].tolist() == [1, 2, 3]
    assert not (nearest(ways["photo → photo"], rows, 3)[0] == rows[:, None]).any()
    found = nearest(ways["photo → words"], rows, 99)[0]
    assert bank.has("words")[found].all()


def test_wrong_labels_are_marked_in_words():
    text = page(story())
    assert text.count("✗ ") == text.count("class='card wrong'")
    assert "of the 6 nearest share the row" in text


def test_columns_are_numbers_categories_or_text():
    kinds = [
        column("a", pa.chunked_array([list(range(40))])),
        column("b", pa.chunked_array([["x", "y", None, "x"] * 10])),
        column("c", pa.chunked_array([[f"caption {i}" for i in range(40)]])),
    ]
    assert [k["kind"] for k in kinds] == ["number", "category", "text"]
    assert kinds[1]["values"] == ["x", "y", ""]


# ---- the page as a whole


def test_long_curves_are_thinned_without_losing_their_mean():
    points = [(float(i), float(i % 7)) for i in range(10_000)]
    few = binned(points, 300)
    assert len(few) == 300
    assert few[-1][0] == 9_999
    assert np.mean([y for _, y in few]) == pytest.approx(np.mean([y for _, y in points]), rel=1e-3)


def test_losses_that_are_not_finite_are_counted():
    moments = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1.0}]
    assert "1 of 3 values were not finite" in page(story(moments=moments))


def test_a_bare_story_is_still_a_page(tmp_path):
    path = write_report(Story("nothing yet", "kontrast train x"), tmp_path / "deep" / "report.html")
    text = path.read_text(encoding="utf8")
    assert "Not judged" in text
    assert "id='space'" not in text
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_the_page_without_thumbnails_is_light():
    assert len(page(story(thumbnails={})).encode()) < 200_000


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
    assert tab.locator("#map .tip .title").inner_text().startswith("row ")
    assert tab.locator("#nearest .thumb img").first.evaluate("i => i.complete && i.naturalWidth > 0")
    assert tab.heard == [tab.url]
    tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_nothing_overflows_sideways(browser, tmp_path, width):
    long = story(title="a" * 120, command="kontrast train " + "x" * 150, data={"fields": {"f" * 80: {"kind": "text"}}})
    tab = opened(browser, write_report(long, tmp_path / "report.html"), width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_in_a_browser_a_hostile_snippet_does_nothing(browser, tmp_path):
    asked = []
    listener = socketserver.TCPServer(
        ("127.0.0.1", 0), type("Asked", (socketserver.BaseRequestHandler,), {"handle": lambda _: asked.append(1)})
    )
    threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    there = f"http://127.0.0.1:{listener.server_address[1]}/x.png"
    attack = f"<img src='{there}' onerror='document.title=1'><script>document.title = 2</script>"
    bank = clusters(12)
    told = story(bank, thumbnails={"image": [attack] * 12}, views=[{"id": "x", "original": attack, "views": [attack]}])
    tab = opened(browser, write_report(told, tmp_path / "report.html"))
    assert tab.title() == "clothes-1"
    assert any("Content Security Policy" in words for words in tab.heard)  # it was tried, and refused
    assert not asked
    tab.close()
    listener.shutdown()
    listener.server_close()
