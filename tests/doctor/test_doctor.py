"""The doctor: what is planted in data is found, what is not there is not claimed, and it can be read and automated."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.doctor import spelling
from kontrast.doctor.copies import Pairs
from kontrast.doctor.examination import Examination, Finding
from kontrast.doctor.examine import examinations, examine, exit_code, to_json
from kontrast.doctor.nearest import EXACT, nearest
from kontrast.doctor.tell import WIDTH, tell
from kontrast.reporting.logger import Logger
from kontrast.reporting.page.doctor import load, section

QUICK = {"plan.batch": 16, "plan.precision": "32", "plan.channels_last": "off", "plan.compile": "off"}
WORDS = np.array(
    [
        a + b
        for a in ["ka", "mo", "ri", "tu", "ne", "so", "li", "pa"]
        for b in ["len", "dor", "mis", "tak", "ven", "rob", "sil", "gan"]
    ]
)


ROOMS = registry.rooms()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread, and the folders walked once: a walk takes longer than most examinations here."""
    monkeypatch.setattr(registry, "rooms", lambda: ROOMS)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def untrained(monkeypatch):
    """Only what looks at data: the two examinations that take steps are left out, for speed."""
    from kontrast.doctor import examine as module

    quick = [one for one in examinations() if type(one).__name__ not in ("Forecast", "Overfit")]
    monkeypatch.setattr(module, "examinations", lambda: quick)


def sentences(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.permutation(WORDS)[:9]) for _ in range(n)]


def pictures(n, seed=0, side=24):
    """Smooth random pictures: no two are alike."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (n, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in small])


def by_name(findings, name):
    return [finding for finding in findings if finding.name == name]


def one(findings, name):
    (finding,) = by_name(findings, name)
    return finding


@pytest.mark.quick
def test_the_doctor_has_its_examinations_and_each_says_what_it_is():
    made = examinations()
    assert {type(one).__name__.lower() for one in made} == set(registry.rooms()["doctor"])
    assert all(isinstance(one, Examination) for one in made)
    assert len(made) == len(registry.rooms()["doctor"])


def test_clean_texts_without_labels_raise_no_alarm(untrained):
    findings = examine({"text": sentences(120)}, settings=QUICK)
    assert [f for f in findings if f.level in ("warning", "error")] == []
    assert one(findings, "recipe").numbers["name"] == "simclr"
    assert one(findings, "data").numbers["rows"] == 120
    assert exit_code(findings, strict=True) == 0


@pytest.mark.quick
def test_planted_copies_of_pictures_are_found_and_no_others(untrained):
    clean = pictures(150)
    rng = np.random.default_rng(1)
    again = [clean[:6], np.clip(clean[6:12] + rng.integers(-4, 5, clean[6:12].shape), 0, 255), clean[12:18] * 0.9 + 10]
    again = np.concatenate([np.asarray(part, dtype=np.uint8) for part in again])
    findings = examine({"image": np.concatenate([clean, again])}, settings=QUICK)
    assert one(findings, "duplicates").numbers["image"]["rows"] == 6
    near = one(findings, "near copies").numbers["image"]
    assert near["groups"] == 12
    assert near["rows"] == 24
    assert not by_name(examine({"image": clean}, settings=QUICK), "near copies")


def test_series_with_a_trace_of_noise_are_near_copies_and_others_are_not(untrained):
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((80, 64)).cumsum(1)
    noisy = clean[:5] + 0.01 * clean[:5].std(1, keepdims=True) * rng.standard_normal((5, 64))
    findings = examine({"series": np.concatenate([clean, noisy])}, settings=QUICK)
    assert one(findings, "near copies").numbers["series"]["groups"] == 5
    assert not by_name(examine({"series": clean}, settings=QUICK), "near copies")


def test_a_typo_makes_a_near_copy_and_another_number_does_not():
    text = "the quick brown fox jumps over the lazy dog"
    one = [
        text,
        "The quick, brown fox jumps over the lazy dog!",
        "the quick brwn fox jumps over the lazy dog",
        "car",
        "cat",
    ]
    pairs = {tuple(sorted(pair)) for pair in spelling.alike(one, None).tolist()}
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    bill = "your invoice of 100 euros is due at the end of the month"
    assert len(spelling.alike([bill, bill.replace("100", "200")], None)) == 0
    assert spelling.alike(["entirely other words"], ["nothing alike here"]).shape == (0, 2)


def test_neighbours_in_cells_are_nearly_all_that_are_found_among_all(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(3000, 16, generator=generator), dim=1)
    copies = torch.nn.functional.normalize(x[:300] + 0.02 * torch.randn(300, 16, generator=generator), dim=1)
    both = torch.cat([x, copies])
    exact = nearest(both)[1][3000:, 0]
    monkeypatch.setattr("kontrast.doctor.nearest.EXACT", 1000)
    cosine, row = nearest(both)
    assert len(both) < EXACT
    assert (exact == torch.arange(300)).all()
    assert (row[3000:, 0] == exact).float().mean() > 0.98
    assert (row != torch.arange(3300)[:, None]).all()
    assert (cosine[:, 0] <= 1.001).all()


def test_copies_on_both_sides_of_a_given_split_are_a_leak(untrained):
    texts = sentences(100)
    texts += [texts[0], texts[1].replace("r", "l", 1)]
    findings = examine({"text": texts, "split": ["train"] * 80 + ["test"] * 22}, settings=QUICK)
    leak = one(findings, "split leak")
    assert leak.level == "warning"
    assert leak.numbers["text"] == {"exact": 1, "near": 1, "held out": 22}
    assert set(leak.rows) == {"100 ~ 0", "101 ~ 1"}
    assert exit_code(findings) == 0
    assert exit_code(findings, strict=True) == 1


def test_patients_on_both_sides_are_named_and_on_one_side_are_not(untrained):
    split = ["train"] * 60 + ["test"] * 30
    mixed, apart = [f"p{i % 15}" for i in range(90)], [f"p{i // 6}" for i in range(90)]
    meta = {"patient": "meta"}  # so few different words are taken for a label unless one says so
    found = examine({"text": sentences(90), "patient": mixed, "split": split}, fields=meta, settings=QUICK)
    group = one(found, "groups")
    assert group.level == "warning"
    assert group.numbers["straddling"] == 15
    scans = [f"scan_{i % 15}_{i}" for i in range(90)]
    named = examine({"text": sentences(90), "id": scans, "split": split}, settings=QUICK)
    assert one(named, "groups").numbers["straddling"] == 15
    clean = examine({"text": sentences(90), "patient": apart, "split": split}, fields=meta, settings=QUICK)
    assert not by_name(clean, "groups")


def test_the_past_judging_the_future_is_noted(untrained):
    days = [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(90)]
    latest = examine({"text": sentences(90), "day": days, "split": ["train"] * 60 + ["test"] * 30}, settings=QUICK)
    assert not by_name(latest, "time")
    first = examine({"text": sentences(90), "day": days, "split": ["test"] * 30 + ["train"] * 60}, settings=QUICK)
    assert one(first, "time").numbers["older"] == 30


def test_a_column_and_a_text_that_give_the_label_away_are_told_and_others_are_not(untrained):
    rng = np.random.default_rng(0)
    kinds = np.array(["apple", "pear", "plum"])[rng.integers(0, 3, 120)]
    codes = {"apple": "a9", "pear": "b7", "plum": "c5"}
    data = {
        "text": [f"{s} {k}" for s, k in zip(sentences(120), kinds, strict=True)],
        "label": kinds.tolist(),
        "shelf": [codes[k] for k in kinds],
        "clerk": [f"k{i}" for i in rng.integers(0, 4, 120)],
        "weight": rng.normal(size=120).tolist(),
    }
    findings = examine(data, fields={"shelf": "meta", "clerk": "meta"}, settings=QUICK)
    assert [f.numbers["column"] for f in by_name(findings, "label leak")] == ["shelf"]
    assert one(findings, "label in text").level == "warning"
    plain = examine({**data, "text": sentences(120)}, fields={"shelf": "meta", "clerk": "meta"}, settings=QUICK)
    assert not by_name(plain, "label in text")


def test_what_is_missing_constant_or_unreadable_is_told(untrained, tmp_path):
    for n, pixels in enumerate(pictures(40)):
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    texts = [None if n % 2 else text for n, text in enumerate(sentences(40))]
    lines = ["image,caption,other"] + [f"{n}.png,{t or ''},same words here" for n, t in enumerate(texts)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    findings = examine(tmp_path / "table.csv", fields={"caption": "text", "other": "text"}, settings=QUICK)
    broken = one(findings, "unreadable")
    assert (broken.level, broken.numbers["rows"], broken.rows) == ("error", 1, ["3.png"])
    assert one(findings, "missing").numbers["missing"]["caption"] == 19
    assert one(findings, "constant").numbers["field"] == "other"
    assert findings[0].level == "error"
    assert exit_code(findings) == 1


def test_imbalance_and_one_picture_under_many_captions_are_told(untrained):
    images = pictures(30)[np.arange(90) // 3]
    labels = ["rare"] * 3 + ["usual"] * 87
    findings = examine({"image": images, "caption": sentences(90), "label": labels}, settings=QUICK)
    assert one(findings, "imbalance").numbers["ratio"] == 29
    assert one(findings, "small classes").numbers["classes"] == ["rare"]
    several = one(findings, "one to many").numbers["pairs"]
    assert {"of": "image", "several": "caption", "contents": 30, "rows": 90} in several


def test_the_same_picture_in_two_fields_and_in_another_row_is_told(untrained):
    left = pictures(60)
    right = pictures(60, seed=9)
    right[:10] = left[:10]
    right[20] = left[30]
    findings = examine({"left": left, "right": right}, settings=QUICK)
    assert one(findings, "near-duplicate columns").numbers["same row"] == 10
    crossed = one(findings, "crossed")
    assert crossed.numbers["other rows"] == 1
    assert crossed.rows == ["30 ~ 20"]


def test_long_texts_and_long_tails_are_told(untrained):
    long = [" ".join(sentences(12, seed=n)) for n in range(60)]
    assert one(examine({"text": long}, settings=QUICK), "truncated").numbers["cut"] == 1
    rng = np.random.default_rng(0)
    series = [rng.standard_normal(400 if n == 5 else 12).tolist() for n in range(40)]
    tail = one(examine({"series": series}, settings=QUICK), "long tail")
    assert tail.rows[0] == "5"


def test_a_few_steps_give_a_forecast_and_an_overfit_and_pictures_land_in_the_folder(tmp_path):
    series = np.random.default_rng(0).standard_normal((50, 16)).cumsum(1)
    findings = examine({"series": series}, settings=QUICK, out=tmp_path)
    forecast = one(findings, "forecast").numbers
    assert forecast["seconds a step"] > 0
    assert forecast["steps"] == 400  # 40 training rows are 2 batches of 16, looked at 200 times
    assert one(findings, "overfit").level == "fact"
    with Image.open(one(findings, "views").numbers["picture"]) as picture:
        assert picture.size[0] > 600
    assert json.loads((tmp_path / "doctor.json").read_text()) == json.loads(json.dumps(to_json(findings)))
    page = section(load(tmp_path))
    assert "data:image/png;base64," in page
    assert "recipe" in page


def test_the_section_escapes_what_the_data_says_and_is_empty_without_a_doctor(tmp_path):
    bad = Finding("near copies", "warning", "<script>alert(1)</script>", {}, ["<b>"])
    page = section(to_json([bad]))
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
    assert section(load(tmp_path)) == ""


@pytest.mark.quick
def test_the_screen_has_the_gravest_first_in_lines_that_fit():
    lines = []

    class Ear(Logger):
        def fact(self, name, words):
            lines.append((name, words))

    tell([Finding("torn", "warning", "word " * 60, {}, ["a ~ b"] * 9), Finding("data", "fact", "3 rows")], Ear(), "go")
    assert [name for name, _ in lines] == ["warning", "data", "verdict", "next"]
    assert all(len(line) <= WIDTH for _, words in lines for line in words.split("\n"))
    lines.clear()
    tell([Finding("constant", "error", "nothing varies")], Ear(), "go")
    assert [name for name, _ in lines] == ["error", "verdict"]


@pytest.mark.quick
def test_groups_hang_together_by_pairs():
    assert Pairs(np.array([[0, 1], [1, 2], [5, 4]]), 9).groups == [[0, 1, 2], [4, 5]]


def test_ids_that_repeat_are_noted(untrained):
    data = {"text": sentences(40), "id": [f"k{i // 2}" for i in range(40)]}
    findings = examine(data, fields={"id": "id"}, settings=QUICK)
    assert one(findings, "ids").numbers == {"column": "id", "rows": 20}


@pytest.mark.quick
def test_data_that_nothing_can_be_learned_from_is_refused_in_words():
    with pytest.raises(UserError, match="nothing to examine"):
        examine()
    with pytest.raises(UserError, match="nothing to embed"):
        examine({"number": [1.0, 2.0, 3.0]})
