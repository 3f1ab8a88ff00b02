"""Targets: what training may learn from, as keys of its rows; masked in all rows that do not train."""

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import kontrast as kt
from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.core.experiment import Source
from kontrast.data.dataset.dataset import prepare
from kontrast.data.dataset.reader import Reader
from kontrast.data.schema import target
from kontrast.data.schema.fields import infer
from kontrast.data.tables.frame import Frame
from kontrast.modalities.text.text import Text
from kontrast.runs import messages
from kontrast.tasks.parts import relation_of, targets_of
from tests.support.series import waves
from tests.support.settings import FAST

pytestmark = pytest.mark.slow

SPLIT = ["train", "train", "train", "train", "val", "test"]


def rows(tmp_path, kinds, *, label=None, **columns):
    """Six rows: four train, one validates, one is held out."""
    columns = {"text": [f"row {i} says {i * 7919}" for i in range(6)], "split": SPLIT, **columns}
    made = {n: c if isinstance(c, np.ndarray) else pa.chunked_array([pa.array(c)]) for n, c in columns.items()}
    frame = Frame(made, "t", Path())
    modality = Text()
    fields = infer(frame, {"text": "text", **kinds}, label)
    return prepare(frame, fields, {"text": modality}, source=Source(), seed=0, cache=tmp_path, fit=True), modality


def keys(tmp_path, kinds, *, only=None, **columns):
    data, modality = rows(tmp_path, kinds, **columns)
    return Reader(data, {"text": modality}, only).read(np.arange(6)).keys


def test_a_label_is_its_place_among_the_classes_of_training_and_unknown_is_positive_for_nobody(tmp_path):
    data, modality = rows(tmp_path, {}, label="y", y=["10", "9", None, "9", "9", "new"])
    found = Reader(data, {"text": modality}).read(np.arange(6)).keys["label"]
    assert found.dtype == torch.int64
    assert found[[0, 1, 3]].tolist() == [1, 0, 0]  # whole numbers in the order of numbers
    unknown = found[[2, 4, 5]]
    assert (unknown < 0).all()
    assert len(unknown.unique()) == 3
    facts = {"classes": 2, "names": ["9", "10"], "counts": [2, 1]}
    assert target.facts(data.targets) == {"label": {"kind": "label", "column": "y", **facts}}
    assert data.labels.tolist() == ["10", "9", "", "9", "9", "new"]  # these judge, and are all rows' own


def test_numbers_and_scores_are_nan_where_there_is_none_and_where_a_row_does_not_train(tmp_path):
    kinds = {"age": "number", "gold": "score"}
    found = keys(tmp_path, kinds, age=["1.5", " ", "3", None, "broken", "7"], gold=[1, 2, 3, 4, 5, 6])
    assert found["number"].dtype == found["score"].dtype == torch.float64
    assert torch.equal(found["number"].isnan(), torch.tensor([0, 1, 0, 1, 1, 1]).bool())
    assert found["number"][[0, 2]].tolist() == [1.5, 3]
    assert found["score"][:4].tolist() == [1, 2, 3, 4]
    assert found["score"][4:].isnan().all()
    with pytest.raises(UserError, match=r"t, column 'age' says 'old'; expected one number per row"):
        rows(tmp_path / "b", {"age": "number"}, age=["old"] * 6)


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ([["a", "b"], ["b"], None, ["c", "a"], ["d"], ["e"]], ["a", "b", "c"]),
        (["a|b", "b", "", "c | a", "d", "e"], ["a", "b", "c"]),
        ([[1, 1, 0], [0, 1, 0], None, [1, 0, 1], [2, 2, 2], [1, 1, 1, 1]], ["0", "1", "2"]),
        ([[4, 17], [17], [], [23, 4], [9], [8]], ["17", "23", "4"]),
    ],
)
def test_several_labels_are_multi_hot_over_the_classes_of_training(tmp_path, column, names):
    data, modality = rows(tmp_path, {"tags": "labels"}, tags=column)
    facts = data.targets["labels"].facts()
    assert facts["names"] == names
    found = Reader(data, {"text": modality}).read(np.arange(6)).keys["labels"]
    sets = [{name for name, has in zip(names, row, strict=True) if has} for row in found.tolist()]
    first, second, third = [names[i] for i in ((2, 0, 1) if names[0] == "17" else (0, 1, 2))]
    assert sets == [{first, second}, {second}, set(), {third, first}, set(), set()]
    assert sum(facts["counts"]) == 5


def test_columns_of_yes_and_no_are_one_multi_hot_target_and_keep_their_names(tmp_path):
    smile, hat = [True, False, None, True, True, True], [0, 1, 0, 1, 7, 9]
    kinds = {"smile": "labels", "hat": "labels"}
    data, modality = rows(tmp_path, kinds, smile=smile, hat=hat)
    assert list(data.targets) == ["labels"]
    assert data.targets["labels"].facts() == {"classes": 2, "names": ["hat", "smile"], "counts": [2, 2]}
    found = Reader(data, {"text": modality}).read(np.arange(6)).keys["labels"]
    assert found.tolist() == [[0, 1], [1, 0], [0, 0], [1, 1], [0, 0], [0, 0]]


def test_soft_labels_sum_to_one_and_are_nought_where_masked(tmp_path):
    votes = [[3, 1], [0.2, 0.8], None, [1, 1], [5, 5], [-1, 2]]
    found = keys(tmp_path, {"votes": "soft"}, votes=votes)["soft"]
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), [[0.75, 0.25], [0.2, 0.8], [0, 0], [0.5, 0.5], [0, 0], [0, 0]])
    for wrong, message in ((-1, "numbers of 0 or more"), (float("nan"), "numbers of 0 or more")):
        with pytest.raises(UserError, match=message):
            rows(tmp_path / str(wrong), {"votes": "soft"}, votes=[[wrong, 2.0], *votes[1:]])
    with pytest.raises(UserError, match="lists of 2 and of 3 numbers"):
        rows(tmp_path / "c", {"votes": "soft"}, votes=[[1, 2, 3], *votes[1:]])


def test_a_teachers_embeddings_are_nought_where_masked_and_of_one_width(tmp_path):
    taught = [[3, 1, -2], [0.5, 0.25, 0], None, [1, 1, 1], [5, 5, 5], [1, 2, 3]]
    found = keys(tmp_path, {"big": "teacher"}, big=taught)["teacher"]
    assert found.dtype == torch.float32
    assert found.tolist() == [[3, 1, -2], [0.5, 0.25, 0], [0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(UserError, match="expected finite numbers"):
        rows(tmp_path / "a", {"big": "teacher"}, big=[[1, 2, float("nan")], *taught[1:]])
    with pytest.raises(UserError, match="lists of 2 and of 3 numbers; expected embeddings of one width"):
        rows(tmp_path / "b", {"big": "teacher"}, big=[[1, 2], *taught[1:]])


def test_groups_times_and_sensitive_attributes(tmp_path):
    found = keys(tmp_path / "a", {"sex": "sensitive"}, sex=["f", "m", None, "f", "x", "y"])["sensitive"]
    assert found[[0, 1, 3]].tolist() == [0, 1, 0]
    assert (found[[2, 4, 5]] < 0).all()
    days = [datetime.date(1970, 1, 1 + day) for day in range(6)]
    data, modality = rows(tmp_path / "b", {"day": "time"}, day=days)
    found = Reader(data, {"text": modality}).read(np.arange(6)).keys["time"]
    assert found.dtype == torch.float64
    assert data.held_out.tolist() == [False] * 5 + [True]
    assert found[:5].tolist() == [86400.0 * day for day in range(5)]
    assert found[5].isnan()
    data, modality = rows(tmp_path / "c", {"who": "group"}, who=[1, 1, 2, 2, 3, 3])
    found = Reader(data, {"text": modality}).read(np.arange(6)).keys["group"]
    assert (found >= 0).tolist() == data.training.tolist()
    assert len(found.unique()) == data.training.sum() // 2 + data.held_out.sum()


def test_several_columns_of_a_kind_keep_their_names_and_the_first_the_bare_one_too(tmp_path):
    data, _ = rows(tmp_path, {"a": "label", "b": "label"}, label="b", a=list("xxyyxy"), b=list("pqpqpq"))
    assert list(data.targets) == ["label b", "label", "label a"]
    assert data.targets["label"] is data.targets["label b"]
    assert data.labels.tolist() == list("pqpqpq")  # the one that `label` names judges


def test_a_reader_gives_the_keys_asked_for_and_says_which_column_is_missing(tmp_path):
    data, modality = rows(tmp_path, {"age": "number"}, label="y", y=list("ababab"), age=[1.0] * 6)
    reader = Reader(data, {"text": modality}, ["number", "sample"])
    found = reader.read(np.array([3, 5, 4])).keys
    assert set(found) == {"id", "has text", "content text", "number", "sample"}
    assert found["sample"].tolist() == [3, -1, -1]
    with pytest.raises(UserError, match=r"training asks for the key 'soft' .* Say which does: --field COLUMN=soft"):
        Reader(data, {"text": modality}, ["soft"])


def test_the_first_screen_says_what_training_learns_from_and_how_it_could(tmp_path):
    data, _ = rows(tmp_path, {"age": "number"}, label="y", y=list("ababab"), age=[1.0] * 6)
    evaluated = "'y' (label) is used for evaluation only; to learn from it: --recipe supcon"
    number = "'age' (number) is not learned from; to learn from it: --recipe rnc"
    assert messages.targets(data, ()).splitlines() == [evaluated, number]
    assert messages.targets(data, {"label"}).splitlines() == ["training learns from 'y' (label, 2 classes)", number]
    alone, _ = rows(tmp_path / "b", {})
    assert messages.targets(alone, ()) == ""


def test_the_recipe_named_for_each_kind_of_target_reads_it():
    named = {}
    for kind in registry.kinds("targets"):
        made = registry.load("targets", kind)
        if made.recipe:
            task = registry.load("recipes", made.recipe)().tasks["contrast"].task
            relation = task.settings.get("relation")
            uses = registry.load("tasks", task.name).uses if relation is None else ()
            named[kind] = uses or targets_of(relation_of(relation))
    assert set(named) == {"label", "labels", "number", "sensitive", "soft", "teacher"}
    assert all(kind in read for kind, read in named.items())


def test_several_labels_are_trained_on_by_their_recipe(tmp_path):
    x, kinds = waves(60, length=32)
    run = kt.train(
        {"x": x, "tags": [["wave", str(kind)] for kind in kinds]},
        recipe="several_labels",
        fields={"tags": "labels"},
        encoders={"series": {"name": "tcn", "hidden": 8, "out": 16, "depth": 2}},
        steps=2,
        settings={**FAST, "scores": ["geometry"]},
        out=tmp_path / "run",
    )
    assert json.loads((run.path / "encoder" / "targets.json").read_text())["targets"]["labels"]["classes"] == 4
