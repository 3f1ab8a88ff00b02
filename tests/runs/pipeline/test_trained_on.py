"""A score tells which rows it is of, and scoring on rows that were trained on is said loudly."""

import warnings

import numpy as np
import pytest

import kontrast
from kontrast.data.schema import fingerprint
from kontrast.reporting.logger import NullLogger

pytestmark = pytest.mark.slow


class Heard(NullLogger):
    """Keeps what was said."""

    def __init__(self):
        self.said = []

    def fact(self, name, words):
        self.said.append((name, words))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = [f"{' '.join(rng.choice(['red', 'blue', 'old', 'new', 'shoe', 'hat'], 5))} {i}" for i in range(200)]
    data = {"text": rows, "label": [row.split()[0] for row in rows]}
    plain = {"plan.batch": 32, "plan.precision": "32", "plan.channels_last": "off", "plan.compile": "off"}
    out = tmp_path_factory.mktemp("runs") / "one"
    return kontrast.train(data, steps=3, settings=plain, out=out, device="cpu"), data


def test_rows_that_were_trained_on_are_counted_and_warned_of_whatever_their_ids(trained):
    run, data = trained
    judged = run.embeddings("trained-test").ids.tolist()
    new = {"text": ["red is a wholly other line", *[data["text"][int(i)] for i in judged]]}
    new["label"] = [text.split()[0] for text in new["text"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = run.evaluate(new)
    assert {row["trained_on"] for row in table} == {0}
    backwards = {name: values[::-1] for name, values in data.items()}
    with pytest.warns(UserWarning, match=rf"{200 - len(judged)} of these 200 rows WERE TRAINED ON"):
        again = run.evaluate(backwards)
    assert {row["trained_on"] for row in again} == {200 - len(judged)}
    assert len({row["data"] for row in again}) == 1
    assert again[0]["data"] != table[0]["data"]
    heard = Heard()
    run.evaluate(backwards, logger=heard)
    assert [name for name, _ in heard.said].count("WARNING") == 1


def test_a_handful_of_shared_rows_is_a_note_and_classes_without_a_training_row_are_named(trained):
    run, data = trained
    judged = set(run.embeddings("trained-test").ids.tolist())
    shared = next(text for i, text in enumerate(data["text"]) if str(i) not in judged)
    new = {"text": [shared, *[f"green line {i} of {i * 77}" for i in range(30)], *[f"red {i}" for i in range(120)]]}
    new["label"] = [text.split()[0] for text in new["text"]]
    heard = Heard()
    table = run.evaluate(new, logger=heard)
    assert {row["trained_on"] for row in table} == {1}
    notes = [words for name, words in heard.said if name == "note"]
    assert notes[0] == "1 of 151 rows were trained on too"
    assert "have no training row ('green'; 30 rows): kNN" in notes[1]
    assert "WARNING" not in dict(heard.said)
    with pytest.warns(UserWarning, match="'green'") as warned:
        run.evaluate(new)
    assert len(warned) == 1


def test_the_scores_of_a_run_tell_their_rows(trained):
    from kontrast.runs.folder.folder import Folder

    said = Folder(trained[0].path).read_json("scores.json")["data"]
    assert set(said) == {"train", "test"}
    assert said["train"] != said["test"]


def test_a_row_is_seen_where_every_field_that_it_has_is():
    known = fingerprint.trained({"a": np.array([1, 2, -3, 9]), "b": np.array([5, -1, 6, 9])}, np.array([0, 1, 2]))
    assert {name: hashes.tolist() for name, hashes in known.items()} == {"a": [1, 2], "b": [5, 6]}
    content = {"a": np.array([1, 1, -1, 9, 2, -1]), "b": np.array([5, 9, 6, 5, -5, -6])}
    assert fingerprint.trained_rows(content, known).tolist() == [True, False, True, False, True, False]
    assert fingerprint.trained_rows({"a": np.array([1, 9])}, known).tolist() == [True, False]
    assert not fingerprint.trained_rows({"a": np.array([1])}, {}).any()


def test_a_filter_knows_the_labels_by_the_columns_own_name_and_missing_ones_as_null(tmp_path):
    data = {"text": [f"thing {i} is {i * 7919}" for i in range(80)], "species": ["cat", "dog", None, "NaN"] * 20}
    data["weight in kg"] = [1.5, float("nan")] * 40
    run = kontrast.train(data, label="species", steps=2, batch=16, out=tmp_path / "run", device="cpu")
    run.index()

    def found(where):
        return sorted(int(hit.id) % 4 for hit in run.search("thing", k=100, where=where))

    assert found("species = 'cat'") == found("label = 'cat'") == [0] * 20
    assert found("species IS NULL") == [2] * 20 + [3] * 20
    assert found('"weight in kg" IS NULL') == [1] * 20 + [3] * 20
    hit = run.search("thing", k=1, where='species IS NULL AND "weight in kg" IS NULL')[0]
    assert (hit.label, hit.metadata) == ("", {"text": hit.metadata["text"], "weight in kg": None})
    run.index({"text": ["one more"], "species": ["fox"]}, add=True)
    assert [hit.label for hit in run.search("thing", k=100, where="species = 'fox'")] == ["fox"]


def test_arguments_of_other_libraries_are_answered_with_ours():
    for given, meant in (
        ({"batch_size": 32}, "did you mean batch=32?"),
        ({"lr": 0.1}, "did you mean learning_rate=0.1?"),
        ({"temperature": 0.1}, "did you mean settings={'tasks.contrast.temperature': 0.1}?"),
        ({"step": 3}, "did you mean 'steps'?"),
    ):
        with pytest.raises(kontrast.UserError) as refused:
            kontrast.train({"text": ["a", "b"]}, **given)
        assert meant in str(refused.value)
