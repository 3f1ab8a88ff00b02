"""Sequences of items: what is one, what is left out, and the three changes row by row."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.modalities.history.augmentations.changes import cropped, masked, reordered
from kontrast.modalities.history.history import MASK, History

pytestmark = pytest.mark.quick

ROWS = [["b", "a", "b", "c"], ["b", "a"], ["b", "d", "c", "a", "b", "a"]]


def fitted(**settings):
    made = History(**settings)
    made.fit(ROWS)
    return made, made.collate([made.pack(row) for row in ROWS])


def keys(n):
    return random_streams.key(0, 0, torch.arange(n), 0)


COLUMNS = {
    "codes": ([["i1", "i2", "i3"], ["i2", "i1", "i1"]], "history"),
    "words": ([["fox", "owl", "fox"], ["owl", "fox", "owl"]], "text"),
    "once": ([["i1", "i2"], ["i3", "i4"]], "text"),
    "basket": ([["milk", "red wine"], ["bread", "tea"]], "history"),
    "history": ([[1, 2, 3, 4], [2, 3, 1, 1, 5]], "history"),
    "numbers": ([[1, 2, 3, 4], [2, 3, 1, 1, 5]], "series"),
    "playlist": ([[0.5, 2, 3, 4], [2, 3, 1, 1, 5]], "series"),
    "clicks": ([[-1, 2, 3, 4], [2, 3, 1, 1, 5]], "series"),
}


def test_lists_of_ids_are_recognised_by_recurring_codes_or_by_their_name():
    found = infer(open_frame({name: cells for name, (cells, _) in COLUMNS.items()}, cache=None), {}, None)
    assert {name: field.kind for name, field in found.items()} == {name: kind for name, (_, kind) in COLUMNS.items()}


def test_ids_are_strings_and_whole_numbers_in_any_list():
    read = History().read
    for cell in ([7, "x", None], np.array([7, 8]), (7.0, float("nan")), " 7  x "):
        assert read(cell, Path())[0] == "7"
    for cell in ([], [None], 7, [1.5], [["a"]], [True], [" "]):
        with pytest.raises(Unreadable):
            read(cell, Path())


def test_the_commonest_items_are_known_and_training_counts_what_it_sees():
    history, _ = fitted(vocabulary=3, left_out=1)
    assert history.names == ["b", "a", "c"]
    assert history.counts.tolist() == [5, 2, 1]
    assert history.pack(["d", "b", "new"]).tolist() == [0, 2, 0]
    assert history.show(history.pack(["d", "b"])) == "[unknown] · b"


def test_the_last_items_are_seen_and_those_left_out_only_when_embedded():
    history, batch = fitted(length=3, left_out=2)
    assert history.preprocess(batch).tolist() == [[3, 2, 4], [2, 3, -1], [3, 2, 3]]
    assert history.augment(batch, keys(3), role="original").tolist() == [[2, 3, -1], [2, -1, -1], [5, 4, 3]]
    for role in ("global", "local", "weak", "strong", "context"):
        seen = history.augment(batch, keys(3), role=role)
        assert not torch.isin(seen[1], torch.tensor([3])).any()
    assert history.augments("original")
    assert not History().augments("original")


def test_changes_keep_the_items_that_they_promise():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(2, 99, (60, 12), generator=g)
    n = torch.randint(1, 13, (60, 1), generator=g)
    x = x.masked_fill(torch.arange(12) >= n, -1)
    crop, hide, shuffle = cropped(x, keys(60), 0.5), masked(x, keys(60), 0.4, MASK), reordered(x, keys(60), 0.6)
    moved = 0
    for row, long in enumerate(n[:, 0].tolist()):
        whole = x[row, :long].tolist()
        part = [one for one in crop[row].tolist() if one >= 0]
        assert len(part) == -(-long // 2)
        assert any(whole[start : start + len(part)] == part for start in range(long))
        assert (hide[row] == MASK).sum() == int(0.4 * long)
        assert all(b in (a, MASK) for a, b in zip(x[row].tolist(), hide[row].tolist(), strict=True))
        other = shuffle[row, :long].tolist()
        assert sorted(other) == sorted(whole)
        differ = [place for place in range(long) if other[place] != whole[place]]
        assert not differ or differ[-1] - differ[0] < int(0.6 * long)
        moved += bool(differ)
        assert (shuffle[row, long:] == -1).all()
    assert moved > 30


def test_each_global_view_has_one_of_the_changes_that_are_left():
    history, batch = fitted(mask=0, reorder=0, crop=0.5)
    assert (history.augment(batch, keys(3)) >= 0).sum(1).tolist() == [2, 1, 3]
    plain, _ = fitted(mask=0, reorder=0, crop=1)
    assert torch.equal(plain.augment(batch, keys(3)), batch)


def test_most_items_that_occur_once_are_remarked_on():
    from kontrast.data.remark import Rows

    history = History(length=2)
    history.fit([["a", "b", "c"], ["d", "e"]])
    packed = [history.pack(row) for row in (["a", "b", "c"], ["d", "e"])]
    fact, warning = history.remarks(Rows("h", Path(), [], packed, np.array([3, 2])))
    assert "cuts 50.0% of the rows" in fact.words
    assert warning.words.startswith("h: 100% of the 5 items occur once")
