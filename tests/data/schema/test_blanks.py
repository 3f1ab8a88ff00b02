"""Words that stand for nothing are missing values, wherever they come from; and can be kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.experiment import Experiment, Source
from kontrast.core.task_choice import one_task
from kontrast.data.schema.missing_values import emptied
from kontrast.data.sources.open_source import open_frame
from kontrast.data.tables.frame import Frame
from kontrast.recipes.choosing import resolve
from kontrast.runs.messages import left_out

pytestmark = pytest.mark.quick

WORDS = Source().missing


def frame(**columns):
    return Frame({n: c if isinstance(c, np.ndarray) else pa.chunked_array(c) for n, c in columns.items()}, "t", Path())


def test_words_for_nothing_are_missing_and_the_note_counts_them():
    made = emptied(frame(a=[["x", " NA "], ["null", "nan"]], b=[["NATO", "None"], ["nullify", ""]]), WORDS)
    assert made.columns["a"].to_pylist() == ["x", None, None, None]
    assert made.columns["b"].to_pylist() == ["NATO", "None", "nullify", ""]
    assert "3 of 'a'" in made.notes[0]
    assert "--set source.missing=[]" in made.notes[0]
    assert not emptied(frame(a=[["NA"]]), ()).notes


def test_namibia_stays_among_codes_of_countries_and_null_does_not():
    codes = frame(country=[["DE", "FR", "NA", "ZA", "US", "PE", "null"]])
    assert emptied(codes, WORDS).columns["country"].to_pylist() == ["DE", "FR", "NA", "ZA", "US", "PE", None]


def test_chunks_without_such_a_word_are_not_copied():
    kept = frame(a=[["x", "y"], ["NA", "z"]])
    made = emptied(kept, WORDS)
    before, after = (c.columns["a"].chunk(0).buffers()[2].address for c in (kept, made))
    assert before == after


def test_numbers_of_a_csv_stay_numbers_beside_such_words(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("n,x,word,code\n1,2.5,NA,007\nNA,null,null,NA\n3,NaN,,008\n")
    columns = open_frame(file, cache=None).columns
    assert columns["n"].to_pylist() == [1, None, 3]
    assert columns["x"].to_pylist()[:2] == [2.5, None]
    assert columns["word"].to_pylist() == ["NA", "null", None]
    assert columns["code"].to_pylist() == ["007", "NA", "008"]


def test_a_run_takes_them_as_missing_unless_told_to_keep_them(tmp_path):
    columns = {"text": [f"row {i} of {i * 7919}" for i in range(60)], "kind": ["cat", "dog", "NA"] * 20}
    for settings, classes in (({}, {"cat", "dog", None}), ({"source.missing": []}, {"cat", "dog", "NA"})):
        asked = Experiment(tasks=one_task(""))
        made, found, experiment, _ = resolve(
            columns, asked, recipe=None, label="kind", fields=None, settings=settings, cache=tmp_path
        )
        assert set(made.columns["kind"].to_pylist()) == classes
        assert found["kind"].kind == "label"
        assert Experiment.from_json(experiment.to_json()).source.missing == experiment.source.missing


def test_columns_that_training_does_not_see_are_listed_with_their_use():
    kinds = {"text": {"kind": "text", "why": "x"}, "n": {"kind": "ignore", "why": "the same"}}
    kinds |= {f"m{i}": {"kind": "meta", "why": "single numbers"} for i in range(8)}
    plain, unused, how = left_out(kinds)
    assert plain.startswith("for filters and the report alone: m0 (single numbers), ")
    assert plain.endswith(", 2 more")
    assert unused == "not used: n (the same)"
    assert "--field COLUMN=text" in how
    assert left_out({"text": {"kind": "text", "why": "x"}}) == []
