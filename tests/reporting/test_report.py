"""The report page: honest words, escaped words, one light file that works alone in a browser."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.reporting.page.charts import binned
from kontrast.reporting.page.clusters import anchors
from kontrast.reporting.page.columns import column
from kontrast.reporting.page.gallery import choose, directions, nearest
from kontrast.reporting.page.map import layout
from kontrast.reporting.page.project import project
from kontrast.reporting.page.safe import block
from kontrast.reporting.page.shelf import Shelf
from kontrast.reporting.report import Story, page, write_report
from tests.support.report_stories import clusters, crossed, pairs, score, story

pytestmark = pytest.mark.quick

EVIL = "<script>alert(1)</script>\"'&</style><!--"


def islands(text):
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', text, flags=re.DOTALL)
    return {name: json.loads(body) for name, body in found}


# ---- safety


def test_no_word_of_the_user_becomes_markup():
    bank = clusters()
    meta = pa.table({EVIL: [EVIL] * len(bank), "price": np.arange(len(bank)) / 7})
    evil = EmbeddingTable({EVIL: bank.z["image"]}, np.array([EVIL] * len(bank)), np.array([EVIL] * len(bank)), meta)
    text = page(
        story(
            evil,
            title=EVIL,
            command=EVIL,
            experiment={EVIL: EVIL, "method": {"name": EVIL}},
            environment={EVIL: EVIL},
            verdict={"state": EVIL, "words": EVIL, "causes": [EVIL]},
            scores=[score(0.7, 0.4, 0.5, name=EVIL) | {"field": EVIL + "x"}],
            not_evaluated=[(EVIL, EVIL)],
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
    apart = EmbeddingTable(bank.z, bank.ids, bank.labels)
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


def test_names_stand_inside_their_clusters_and_nowhere_over_noise():
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [100, 0], [0, 100], [100, 100]])
    codes = np.repeat([0, 1, 2, 0], 50)  # one value has two clusters
    xy = middles[np.repeat(np.arange(4), 50)] + rng.normal(size=(200, 2)) * 4
    found = anchors(xy, codes)
    assert sorted(codes[found]) == [0, 0, 1, 2]
    near = np.linalg.norm(xy[found][:, None] - middles[None], axis=2)
    assert sorted(near.argmin(1)) == [0, 1, 2, 3]
    assert near.min(1).max() < 4
    assert anchors(xy, rng.permutation(codes)) == []
    assert anchors(rng.normal(size=(300, 2)), np.arange(300) % 2) == []
    assert anchors(xy, np.where(codes == 1, -1, codes)) != found
    assert 1 not in codes[anchors(xy, np.where(codes == 1, -1, codes))]
    assert anchors(np.zeros((1, 2)), np.zeros(1, int)) == []


def test_a_row_is_called_by_its_words_then_its_label_then_its_id():
    bank = clusters()
    titled = layout(bank, Shelf({}))
    assert titled["titles"] == list(bank.labels)
    assert titled["named_by"] == "label"
    named = EmbeddingTable(
        bank.z, bank.ids, bank.labels, pa.table({"name": [f"thing number {i}" for i in range(len(bank))]})
    )
    assert layout(named, Shelf({}))["titles"][3] == "thing number 3"
    assert layout(EmbeddingTable(bank.z, bank.ids), Shelf({}))["titles"] == list(bank.ids)


def test_five_scores_lead_retrieval_is_a_matrix_and_the_rest_is_folded():
    text = page(story(pairs(), scores=crossed()))
    open_, folded, *_ = text.split("<details class='rest'>")
    folded = folded.split("</details>")[0]
    assert open_.count("<table class='matrix'>") == 1
    matrix = open_.split("<table class='matrix'>")[1].split("</table>")[0]
    assert matrix.count("<b>.500") == 2
    assert "R@1 of 307 rows" in matrix
    assert open_.split("<table class='scores'>")[1].count("<tr><th scope='row'>") == 5
    assert folded.count("<tr><th scope='row'>") == len(crossed()) - 2 - 5
    assert f"{len(crossed()) - 2 - 5} more numbers" in folded
    assert text.count("trained is worse") == 0  # of a distance, nobody says what is good


# ---- the page as a whole


def test_long_curves_are_thinned_without_losing_their_mean():
    points = [(float(i), float(i % 7)) for i in range(10_000)]
    few = binned(points, 300)
    assert len(few) == 300
    assert few[-1][0] == 9_999
    assert np.mean([y for _, y in few]) == pytest.approx(np.mean([y for _, y in points]), rel=1e-3)


def test_the_loss_curve_shows_what_knowing_nothing_loses_where_the_loss_says_it():
    told = [{"step": s, "loss": 5 / s, "chance": 4.0} for s in range(1, 5)]
    assert "knowing nothing 4.00" in page(story(moments=told))
    assert "knowing nothing" not in page(story(moments=[{**m, "chance": None} for m in told]))


def test_losses_that_are_not_finite_are_counted():
    moments = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1.0}]
    assert "1 of 3 values were not finite" in page(story(moments=moments))


def test_a_bare_story_is_still_a_page(tmp_path):
    path = write_report(Story("nothing yet", "kontrast train x"), tmp_path / "deep" / "report.html")
    text = path.read_text(encoding="utf8")
    assert "Not evaluated:" in text
    assert "id='space'" not in text
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_the_page_without_thumbnails_is_light():
    assert len(page(story(thumbnails={})).encode()) < 200_000
