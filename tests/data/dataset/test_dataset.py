"""From a Frame to a Dataset: split, cache, quarantine, twins, ids and what the user is told."""

import errno
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kontrast.core.atomic_files import atomic_cache
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.experiment import Source
from kontrast.data.dataset.dataset import TooManyUnreadable, prepare
from kontrast.data.dataset.store import Writer
from kontrast.data.modality import Modality
from kontrast.data.schema import fingerprint, split
from kontrast.data.schema.fields import Field, infer
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables.frame import Frame


class Words(Modality):
    """A fake modality: strings as bytes; 'broken' cannot be read."""

    def __init__(self):
        self.longest = 0
        self.fitted_to = []
        self.reads = 0

    def read(self, cell, folder):
        self.reads += 1
        if "broken" in str(cell):
            raise Unreadable("says broken")
        return np.frombuffer(str(cell).encode(), np.uint8)

    def fit(self, items):
        self.fitted_to = [bytes(item).decode(errors="replace") for item in items]
        self.longest = max(map(len, items))

    def pack(self, item):
        return item[: self.longest].astype(np.int32)

    def collate(self, packed):
        raise AssertionError

    preprocess = augment = raw = show = look = recognise = dimensions = examples = collate

    def facts(self):
        return {"longest": self.longest}

    def state(self):
        return {"longest": self.longest}

    def restore(self, state):
        self.longest = state["longest"]


class Numbers(Words):
    all_flat = "no series changes over time"

    def is_flat(self, packed):
        return bool((packed == packed[:1]).all())

    def read(self, cell, folder):
        self.reads += 1
        return np.asarray(cell, np.float32)

    def pack(self, item):
        return item[:, None]


def frame(**columns):
    return Frame(
        {n: c if isinstance(c, np.ndarray) else pa.chunked_array([pa.array(c)]) for n, c in columns.items()},
        "t",
        Path(),
    )


def make(tmp_path, data, views, *, label=None, fit=True, seed=0, limit=None, progress=None, **source):
    fields = {n: Field(views[n][0] if n in views else "meta", "") for n in data.columns}
    fields |= {n: Field(n, "") for n in ("id", "label", "split") if n in data.columns}
    modalities = {n: kind() if isinstance(kind, type) else kind for n, (_, kind) in views.items()}
    return prepare(
        data,
        fields,
        modalities,
        source=Source(**source),
        seed=seed,
        cache=tmp_path,
        fit=fit,
        limit=limit,
        progress=progress,
    )


TEXT = {"text": ("text", Words)}


def some(n=40):
    return [f"sentence number {i}" for i in range(n)]


@pytest.mark.quick
def test_rows_come_back_as_they_were_packed_in_order(tmp_path):
    texts = some()
    data = make(tmp_path, frame(text=texts), TEXT)
    packed = data.stores["text"].rows([7, 3])
    assert [bytes(p.astype(np.uint8)).decode() for p in packed] == [texts[7], texts[3]]
    assert data.ids.tolist() == [str(i) for i in range(40)]
    assert len(set(data.keys.tolist())) == 40
    assert (data.keys >= 0).all()
    assert data.keys.dtype == np.int64


def test_rows_of_one_length_come_as_one_array(tmp_path):
    store = make(tmp_path, frame(x=np.random.rand(30, 12)), {"x": ("series", Numbers)}).stores["x"]
    assert isinstance(store.rows([1, 2, 1]), np.ndarray)
    assert store.rows([1, 2, 1]).shape == (3, 12, 1)


def test_the_share_held_out_is_about_what_was_asked_and_depends_on_id_and_seed_alone(tmp_path):
    ids = [f"row{i}" for i in range(2000)]
    data = make(tmp_path, frame(text=some(2000), id=ids), TEXT, held_out=0.25)
    assert 0.21 < data.held_out.mean() < 0.29
    more = make(tmp_path, frame(text=["another", *some(2000)], id=["first", *ids]), TEXT, held_out=0.25)
    assert (more.held_out[1:] == data.held_out).all(), "an added row moved others"
    other = make(tmp_path, frame(text=some(2000), id=ids), TEXT, held_out=0.25, seed=1)
    assert (other.held_out != data.held_out).any()


def test_a_given_split_is_kept_and_validation_is_held_out_only_without_a_test(tmp_path):
    rows = {"text": some(6)}
    data = make(tmp_path, frame(**rows, split=["train", "train", "Test", "val", "train", "test"]), TEXT)
    assert data.held_out.tolist() == [False, False, True, False, False, True]
    data = make(tmp_path, frame(**rows, split=["train", "train", "dev", "val", "train", "train"]), TEXT)
    assert data.held_out.tolist() == [False, False, True, True, False, False]


def test_twins_stay_on_one_side_when_the_split_is_drawn(tmp_path):
    texts = [f"sentence {i // 2}" for i in range(400)]
    data = make(tmp_path, frame(text=texts), TEXT, held_out=0.3)
    assert (data.held_out[0::2] == data.held_out[1::2]).all()
    assert 0.2 < data.held_out.mean() < 0.4
    assert split.twins(data.held_out, data.training, data.content) == 0
    assert data.duplicates == 200


def test_twins_across_a_given_split_stay_but_are_told(tmp_path):
    data = make(tmp_path, frame(text=["a b", "c d", "a b"], split=["train", "train", "test"]), TEXT)
    assert data.held_out.tolist() == [False, False, True]
    assert "1 held-out rows have the same content" in data.notes[0]


def test_a_caption_that_half_the_rows_share_does_not_bind_them_together(tmp_path):
    views = {"text": ("text", Words), "stock": ("text", Words)}
    data = make(tmp_path, frame(text=some(500), stock=["one", "two"] * 250), views)
    assert 0.1 < data.held_out.mean() < 0.3


def test_strange_split_words_and_lists_as_labels_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"column 'split' says 'fold 3'; expected train, test or validation"):
        make(tmp_path, frame(text=some(3), split=["train", "test", "fold 3"]), TEXT)
    with pytest.raises(UserError, match=r"label column holds lists"):
        make(tmp_path, frame(text=some(2), label=[["a", "b"], ["c"]]), TEXT)


def test_a_cache_written_by_another_process_meanwhile_is_kept(tmp_path):
    target = tmp_path / "x"
    with atomic_cache(target) as part:
        part.mkdir()
        target.mkdir()
        (target / "theirs").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["x", "theirs"]


@pytest.mark.quick
def test_fit_sees_training_rows_only(tmp_path):
    modality = Words()
    data = make(tmp_path, frame(text=some(300)), {"text": ("text", modality)})
    assert set(modality.fitted_to) == set(np.array(some(300))[~data.held_out])


def test_without_fit_the_restored_state_is_used(tmp_path):
    modality = Words()
    modality.restore({"longest": 3})
    data = make(tmp_path, frame(text=["only one row"]), {"text": ("text", modality)}, fit=False)
    assert modality.fitted_to == []
    assert data.stores["text"].rows([0])[0].shape == (3,)


def test_an_unreadable_cell_sets_its_whole_row_aside_with_the_reason(tmp_path):
    views = {"text": ("text", Words), "also": ("text", Words)}
    texts, ids = some(50), [f"id{i}" for i in range(50)]
    texts[20] = "broken thing"
    data = make(tmp_path, frame(text=texts, also=some(50), id=ids, note=ids), views, quarantine=0.1)
    assert data.quarantined == [(20, "id20", "text", "says broken")]
    assert len(data) == 49
    assert "id20" not in data.ids
    assert len(data.stores["also"]) == 49
    assert data.metadata["note"].to_pylist() == [i for i in ids if i != "id20"]


def test_too_many_unreadable_rows_end_it_with_count_cap_reasons_and_flag(tmp_path):
    texts = some(100)
    for i in range(4):
        texts[i] = "broken"
    with pytest.raises(TooManyUnreadable) as caught:
        make(tmp_path, frame(text=texts), TEXT, quarantine=0.02)
    message = str(caught.value)
    assert "4 of 100 rows" in message
    assert "(2 rows)" in message
    assert message.count("says broken") == 3
    assert "--quarantine 0.04" in message
    assert len(caught.value.quarantined) == 4
    assert len(make(tmp_path, frame(text=texts), TEXT, quarantine=0.04)) == 96


def test_a_missing_field_is_no_error_but_a_row_without_any_is_set_aside(tmp_path):
    views = {"text": ("text", Words), "x": ("series", Numbers)}
    texts: list = some(40)
    series: list = [[float(i), 1.0, 2.0] for i in range(40)]
    texts[3], series[4], texts[5], series[5] = " ", None, None, [float("nan")] * 3
    data = make(tmp_path, frame(text=texts, x=series), views, quarantine=0.1)
    assert data.quarantined[0][0] == 5
    assert data.quarantined[0][3].startswith("no view")
    assert data.missing == {"text": 1, "x": 1}
    assert not data.stores["text"].has[3]
    assert not data.stores["x"].has[4]
    assert (data.content["text"] < 0).sum() == 1
    assert data.stores["x"].rows([5])[0][:, 0].tolist() == [6, 1, 2]  # source row 6


def test_content_is_equal_exactly_where_the_packed_values_are(tmp_path):
    data = make(tmp_path, frame(text=["same", "other", "same", None, None, "x"], n=range(6)), TEXT, quarantine=1)
    codes = data.content["text"]
    assert codes[0] == codes[2] != codes[1]
    views = {"text": ("text", Words), "b": ("text", Words)}
    two = make(tmp_path, frame(text=["same", None, None], b=some(3)), views).content["text"]
    assert len(set(two.tolist())) == 3
    assert (two[1:] < 0).all()


def test_the_cache_is_reopened_and_another_state_or_another_cell_is_not(tmp_path):
    again = [Words() for _ in range(4)]
    make(tmp_path, frame(text=some()), {"text": ("text", again[0])})
    make(tmp_path, frame(text=some()), {"text": ("text", again[1])})
    assert again[1].reads < again[0].reads - 30, "the second time only the sample is read"
    changed = [*some()[:-1], "changed"]
    data = make(tmp_path, frame(text=changed), {"text": ("text", again[2])})
    assert bytes(data.stores["text"].rows([39])[0].astype(np.uint8)) == b"changed"
    again[3].restore({"longest": 4})
    short = make(tmp_path, frame(text=some()), {"text": ("text", again[3])}, fit=False)
    assert short.stores["text"].rows([0])[0].shape == (4,)
    assert not list(tmp_path.rglob("*.part-*"))


def test_a_changed_image_file_is_read_again(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(4):
        Image.new("L", (4, 4), i).save(pictures / f"{i}.png")
    before = fingerprint.of_frame(open_frame(pictures, cache=None), ["image"])
    Image.new("L", (9, 9), 7).save(pictures / "2.png")
    assert fingerprint.of_frame(open_frame(pictures, cache=None), ["image"]) != before


def test_a_cache_that_does_not_fit_is_left_out_and_rows_are_decoded_on_demand(tmp_path):
    views = {"text": ("text", Words), "x": ("series", Numbers)}
    texts: list = some(30)
    texts[4], texts[8] = None, "broken"
    columns = {"text": texts, "x": [[i, i + 1.0] for i in range(30)]}
    kept = make(tmp_path / "a", frame(**columns), views, quarantine=0.1)
    lean = make(tmp_path / "b", frame(**columns), views, quarantine=0.1, limit=10)
    assert not list((tmp_path / "b").rglob("values.bin"))
    assert lean.fingerprint == kept.fingerprint
    there = np.flatnonzero(kept.stores["text"].has)[::-1]
    for one, other in zip(kept.stores["text"].rows(there), lean.stores["text"].rows(there), strict=True):
        assert (one == other).all()
    assert (lean.stores["x"].rows([28, 0]) == kept.stores["x"].rows([28, 0])).all()


def test_a_full_disk_is_told_in_words_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, row):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Writer, "append", full)
    with pytest.raises(UserError, match=r"disk is full: the cache in .* needs about .* are free there"):
        make(tmp_path, frame(text=some()), TEXT)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_interrupted_write_leaves_the_old_folder_and_no_part(tmp_path):
    target = tmp_path / "x"
    with atomic_cache(target) as part:
        part.write_text("old")
    with pytest.raises(KeyError), atomic_cache(target) as part:
        part.write_text("half")
        raise KeyError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_repeated_ids_are_told_apart_and_counted(tmp_path):
    data = make(tmp_path, frame(text=some(5), id=["a", "b", "a", "a#2", None]), TEXT)
    assert data.ids.tolist() == ["a", "b", "a#3", "a#2", "4"]
    assert data.notes[0].startswith("1 rows repeat an id")


def test_image_paths_are_ids_where_nothing_else_is(tmp_path):
    data = make(tmp_path, frame(image=["x/1.png", "x/2.png", "x/3.png"]), {"image": ("image", Words)})
    assert data.ids.tolist() == ["x/1.png", "x/2.png", "x/3.png"]


def test_labels_are_strings_and_unknown_ones_are_empty(tmp_path):
    data = make(tmp_path, frame(text=some(4), label=[1.0, None, 2.5, float("nan")]), TEXT)
    assert data.labels.tolist() == ["1", "", "2.5", ""]
    assert make(tmp_path, frame(text=some(4)), TEXT).labels is None


def test_a_single_class_is_noted(tmp_path):
    data = make(tmp_path, frame(text=some(4), label=["x"] * 4), TEXT)
    assert "holds only 'x'" in data.notes[0]


def test_one_row_and_no_view_and_flat_series_are_refused(tmp_path):
    with pytest.raises(UserError, match="one row to train on"):
        make(tmp_path, frame(text=["alone"]), TEXT, held_out=0.0)
    with pytest.raises(UserError, match=r"no column to learn from.*a: meta"):
        make(tmp_path, frame(a=[1, 2]), {})
    with pytest.raises(UserError, match="no series changes over time"):
        make(tmp_path, frame(x=np.full((10, 5), 3.0)), {"x": ("series", Numbers)})
    with pytest.raises(UserError, match="none could be read; the first: says broken"):
        make(tmp_path, frame(text=["broken"] * 5), TEXT)


def test_two_rows_are_both_trained_on_whatever_the_draw(tmp_path):
    for seed in range(8):
        assert not make(tmp_path, frame(text=["a", "b"]), TEXT, held_out=0.6, seed=seed).held_out.any()


def test_metadata_holds_plain_and_text_columns_and_the_first_of_several_texts(tmp_path):
    captions = [["one", "uno"], None, ["two"], []]
    data = make(
        tmp_path,
        frame(text=captions, age=[1, 2, 3, 4], x=[[1.0, 2.0]] * 2 + [[2.0, 1.0]] * 2, id=list("abcd")),
        {"text": ("text", Words), "x": ("series", Numbers)},
    )
    assert data.metadata.to_pydict() == {"text": ["one", None, "two", None], "age": [1, 2, 3, 4]}


def test_the_fingerprint_is_plain_equal_for_equal_data_and_different_for_any_change(tmp_path):
    def of(texts, labels):
        return make(tmp_path, frame(text=texts, label=labels), TEXT).fingerprint

    texts, labels = some(20), list("ab") * 10
    base = of(texts, labels)
    assert json.loads(json.dumps(base)) == base
    assert of(texts, labels) == base
    assert of([*texts[:-1], "changed once more"], labels) != base
    assert of(texts, ["b", *labels[1:]]) != base


def test_progress_ends_with_all_rows_fresh_and_cached(tmp_path):
    for _ in range(2):
        seen: list = []
        make(tmp_path, frame(text=some(100)), TEXT, progress=lambda done, total: seen.append((done, total)))  # noqa: B023
        assert seen[-1] == (100, 100)
        assert seen == sorted(seen)


def test_a_folder_of_images_goes_all_the_way(tmp_path):
    class Pixels(Words):
        def read(self, cell, folder):
            with Image.open(folder / cell) as image:
                return np.asarray(image)

        def pack(self, item):
            return item

    for kind in ("cat", "dog"):
        (tmp_path / "in" / kind).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (4, 4), 10 * i).save(tmp_path / "in" / kind / f"{i}.png")
    data = open_frame(str(tmp_path / "in"), cache=None)
    fields = infer(data, {}, None)
    done = prepare(data, fields, {"image": Pixels()}, source=Source(), seed=0, cache=tmp_path / "cache", fit=True)
    assert done.ids[0] == "cat/0.png"
    assert done.labels.tolist() == ["cat"] * 5 + ["dog"] * 5
    assert done.duplicates == 5
    assert done.stores["image"].rows([9])[0].tolist() == [[40] * 4] * 4
