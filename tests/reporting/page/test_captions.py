"""Captions on the page: what was written beside what is true, all of it escaped; nothing without captions."""

from kontrast.reporting.page.captions import captions

SHOWN = [
    {"row": 1, "field": "photo", "said": "a <b>fox</b>", "true": "a dog & cat"},
    {"row": 0, "field": "photo", "said": "a cat", "true": "a cat"},
    {"row": 9, "field": "<i>", "said": "", "true": "a cow"},
]
FOUND = {"rows": 1234, "loss": 1.234, "shuffled": 5.678, "shown": SHOWN}


def test_each_caption_stands_beside_its_row_and_the_true_one():
    page = captions(FOUND, {"photo": ["<img alt='cat'>", "<img alt='fox'>"]})
    assert "1,234 rows cost 1.23 nats per token, and 5.68" in page
    fox, cat, cow = page.split("<figure")[1:]
    assert "<img alt='fox'>" in fox
    assert "a &lt;b&gt;fox&lt;/b&gt;" in fox
    assert "in truth: a dog &amp; cat" in fox
    assert "asked" in cat
    assert "as it is" in cat
    assert "asked" not in fox
    assert "(nothing)" in cow
    assert "&lt;i&gt;" in cow
    assert "<div class='thumb'></div>" in cow


def test_a_run_without_captions_has_no_such_section():
    assert captions({}, {}) == ""
