"""Which plain columns become a table: by themselves, by --field, by a setting, by a recipe; and what never does."""

import numpy as np
import pandas as pd
import pytest

from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Experiment
from kontrast.core.task_choice import one_task
from kontrast.recipes import choosing

WORDS = ("red", "green", "blue", "grey")


def plain(n=40, **more):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(size=n),
            "pay": rng.integers(0, 1000, n),
            "city": [WORDS[i % 4] + " town" for i in range(n)],
            "job": [WORDS[i % 3] for i in range(n)],
            "target": [i % 2 for i in range(n)],
            "split": ["train", "train", "train", "test"] * (n // 4),
            **more,
        }
    )


def sentences(n=40):
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice([*WORDS, "a", "the", "of", "sea", "house", "dog"], 9)) + f" {i}" for i in range(n)]


def resolve(data, tmp_path, *, asked=None, fields=None, settings=None):
    asked = asked or Experiment(tasks=one_task())
    return choosing.resolve(
        data, asked, recipe=None, label=None, fields=fields, settings=settings, cache=tmp_path / "cache"
    )


def columns(experiment, view="table"):
    return experiment.views[view].settings["columns"]


def test_a_table_alone_is_one_view_of_its_plain_columns(tmp_path):
    frame, fields, experiment, why = resolve(plain(), tmp_path)
    assert columns(experiment) == ["age", "pay", "city", "job"]
    assert fields["table"].why == "4 plain columns: age, pay, city, job"
    assert set(frame.cells("table", [0])[0]) == {"age", "pay", "city", "job"}
    assert why == {"name": "simclr", "why": "one table field, no pairs"}
    assert experiment.encoders == {"table": Choice("column_mlp")}


def test_beside_a_text_a_table_is_seen_only_if_asked(tmp_path):
    data = plain(text=sentences())
    assert list(resolve(data, tmp_path)[2].views) == ["text"]
    _, _, experiment, why = resolve(data, tmp_path, fields={"table": "table"})
    assert list(experiment.views) == ["text", "table"]
    assert why["name"] == "clip"
    assert columns(experiment) == ["age", "pay", "city", "job"]
    facts = resolve(data, tmp_path, fields={"facts": "table"})[2]
    assert columns(facts, "facts") == ["age", "pay", "city", "job"]


def test_columns_are_chosen_one_by_one_or_by_a_setting(tmp_path):
    data = plain(text=sentences())
    assert columns(resolve(data, tmp_path, fields={"pay": "table", "age": "table"})[2]) == ["pay", "age"]
    assert columns(resolve(data, tmp_path, settings={"views.table.columns": ["job", "pay"]})[2]) == ["job", "pay"]
    assert columns(resolve(plain(), tmp_path, settings={"views.table.columns": ["job"]})[2]) == ["job"]
    narrow = resolve(plain(), tmp_path, settings={"views.table.corrupt": 0.2})[2]
    assert narrow.views["table"].settings["corrupt"] == 0.2
    assert len(columns(narrow)) == 4


def test_a_recipe_for_tables_asks_for_one(tmp_path):
    asked = Experiment(views={"table": Choice("table", {"corrupt": 0.6})}, tasks=one_task("clip"))
    experiment = resolve(plain(text=sentences()), tmp_path, asked=asked)[2]
    assert experiment.views["table"].settings == {"corrupt": 0.6, "columns": ["age", "pay", "city", "job"]}


def test_two_tables_of_a_row_are_a_pair_with_encoders_of_their_own(tmp_path):
    views = {
        "who": Choice("table", {"columns": ["age", "job"]}),
        "where": Choice("table", {"columns": ["city", "pay"]}),
    }
    experiment = resolve(plain(), tmp_path, asked=Experiment(views=views, tasks=one_task()))[2]
    assert list(experiment.encoders) == ["who", "where"]
    assert experiment.names == "clip"


def test_a_column_of_records_is_a_table_and_beside_a_text_only_if_asked(tmp_path):
    facts = [{"a": i / 3, "b": WORDS[i % 4]} for i in range(40)]
    frame, _, experiment, _ = resolve({"facts": facts}, tmp_path)
    assert columns(experiment, "facts") == ["a", "b"]
    assert frame.cells("facts", [1])[0]["b"] == "green"
    both = {"facts": facts, "text": sentences()}
    _, fields, experiment, _ = resolve(both, tmp_path)
    assert list(experiment.views) == ["text"]
    assert fields["facts"].why.endswith("if you say so: --field facts=table")
    asked = resolve(both, tmp_path, fields={"facts": "table"})[2]
    assert set(asked.views) == {"text", "facts"}
    assert columns(asked, "facts") == ["a", "b"]


def test_a_column_called_table_leaves_its_name_alone(tmp_path):
    experiment = resolve(plain(table=np.arange(40) % 7), tmp_path)[2]
    assert columns(experiment, "table2") == ["age", "pay", "city", "job", "table"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"settings": {"views.table.columns": ["age", "target"]}}, "'target', which is the label"),
        ({"settings": {"views.table.columns": ["age", "split"]}}, "'split', which is the split"),
        ({"settings": {"views.table.columns": ["ages"]}}, "'ages', which is no column; .*'age'"),
        ({"settings": {"views.table.columns": "age"}}, "expected a list of column names"),
        ({"fields": {"job": "table", "age": "group"}, "settings": {"views.table.columns": ["age"]}}, "is the group"),
    ],
)
def test_targets_ids_groups_and_splits_never_enter(how, words, tmp_path):
    with pytest.raises(UserError, match=words):
        resolve(plain(), tmp_path, **how)


def test_without_plain_columns_there_is_no_table(tmp_path):
    with pytest.raises(UserError, match="no plain column for the view 'table'"):
        resolve({"text": sentences()}, tmp_path, fields={"table": "table"})
    with pytest.raises(UserError, match="nothing to embed"):
        resolve({"n": [1.5, 2.0, 3.0]}, tmp_path)


def test_pictures_that_are_not_there_do_not_make_a_table_of_the_rest(tmp_path):
    data = tmp_path / "gone.csv"
    plain(image=[f"no{i}.png" for i in range(40)]).to_csv(data, index=False)
    with pytest.raises(UserError, match="look like image files"):
        resolve(data, tmp_path)


def test_pictures_and_a_table_are_a_pair(tmp_path):
    pictures = np.random.default_rng(2).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    data = {"image": pictures, "age": np.arange(40) / 7, "job": [WORDS[i % 3] for i in range(40)]}
    experiment = resolve(data, tmp_path, fields={"table": "table", "job": "meta"})[2]
    assert set(experiment.views) == {"image", "table"}
    assert experiment.names == "clip"
