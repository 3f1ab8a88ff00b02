"""Anomaly scores of rows, of instants by neighbours, and of instants that are hidden; labels, files, mistakes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import kontrast as kt
from kontrast.core.anomaly_table import AnomalyTable
from kontrast.core.errors import UserError
from kontrast.evaluation.detection import detection
from kontrast.runs.anomalies import against_past
from kontrast.runs.model import Model
from tests.support.command import call

RNG = np.random.default_rng(0)
PADDING, LONG = 6, 60
SMALL = {"plan.precision": "32", "plan.batch": 8, "plan.checkpoint": 0, "scores": [], "views.x.normalise": "dataset"}


def waves(lengths):
    """Sine waves of differing phase, with a little noise."""
    return [np.sin(np.arange(n) / 3 + RNG.uniform(0, 6)) + RNG.normal(0, 0.05, n) for n in lengths]


ROWS = waves([LONG] * 12)


def spiked(series, at):
    found = series.copy()
    found[at] += 6
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of few steps; its series are on the disk, so that they can be read again."""
    folder = tmp_path_factory.mktemp("anomalies")
    pq.write_table(pa.table({"x": [row.tolist() for row in ROWS]}), folder / "train.parquet")
    encoder = {"encoders.series": {"name": "dilated_cnn", "hidden": 6, "out": 5, "depth": 3}}
    settings = {**SMALL, **encoder}
    return kt.train(folder / "train.parquet", recipe="ts2vec", steps=2, seed=0, out=folder / "run", settings=settings)


def test_a_spike_scores_highest_by_neighbours_and_hidden(run):
    data = {"x": [spiked(ROWS[0], 30), *waves([50])], "bad": [[int(t == 30) for t in range(LONG)], [0] * 50]}
    for score in ("instants", "masked"):
        table = run.anomalies(data, score=score, labels="bad", padding=PADDING)
        assert len(table) == LONG + 50
        assert abs(int(np.nanargmax(table.score)) - 30) <= 2
        assert table.flagged[30]
        assert table.labels.nonzero()[0].tolist() == [30]
        assert detection(table.score, table.labels).auroc > 0.9


def test_a_masked_score_is_the_distance_to_the_window_without_its_last_instant(run):
    gaps = ROWS[1].copy()
    gaps[20:22] = np.nan
    table = run.anomalies({"x": [gaps]}, score="masked", padding=PADDING)
    model = Model.load(run.folder)
    modality, encoder = model.modalities["x"], model.learner.encoders.encoder("x")
    for t in (0, 3, 19, 23, LONG - 1):
        window = np.full(PADDING + 1, np.nan, np.float32)
        part = gaps[max(0, t - PADDING) : t + 1]
        window[-len(part) :] = part
        x = modality.preprocess(torch.from_numpy(window[None, None]))
        hidden = x.clone()
        hidden[..., -1] = np.nan
        with torch.no_grad():
            shown, without = encoder(x).dense, encoder.until(hidden, torch.tensor([PADDING + 1])).dense
        assert table.score[t] == pytest.approx((shown - without)[0, -1].abs().sum().item(), rel=1e-4)
    assert np.isnan(table.score[[20, 21]]).all()
    assert np.isfinite(np.delete(table.score, [20, 21])).all()


def test_scores_against_those_before_them_stay_in_their_row():
    distance, row = np.array([1.0, 1, 2, 3, 5, 5, 10, np.nan]), np.array([0, 0, 0, 0, 2, 2, 2, 2])
    found = against_past(distance, row, 2)
    np.testing.assert_allclose(found, [np.nan, np.nan, 1, 1, np.nan, np.nan, 1, np.nan])
    assert np.isnan(against_past(distance, row, 9)).all()


def test_the_threshold_is_a_quantile_of_training_scores_and_a_row_is_not_its_own_neighbour(run):
    for score in ("rows", "instants"):
        table = run.anomalies({"x": ROWS}, score=score, train={"x": ROWS}, share=0.25)
        assert 0.1 < table.flagged.mean() < 0.4
        assert table.score.min() > 0  # each of them is among the training rows too


def test_rows_unlike_those_of_training_score_higher(run):
    odd = [RNG.normal(size=LONG) * 4 for _ in range(3)]
    table = run.anomalies({"x": [*waves([LONG] * 5), *odd], "odd": [0] * 5 + [1] * 3}, labels="odd")
    assert detection(table.score, table.labels).auroc == 1
    assert table.instant is None


def test_labels_of_merged_instants_are_those_of_any_of_them(tmp_path):
    how = {"name": "tcn", "hidden": 6, "out": 5, "depth": 2, "stride": 3}
    run = kt.train(
        {"x": ROWS}, recipe="simclr", steps=1, out=tmp_path / "run", settings={**SMALL, "encoders.series": how}
    )
    data = {"x": ROWS[:1], "bad": [[t == 10 for t in range(LONG)]]}
    table = run.anomalies(data, score="instants", train={"x": ROWS}, labels="bad")
    assert table.instant[table.labels].tolist() == [9]
    with pytest.raises(UserError, match=r"one vector per 3 instants"):
        run.anomalies(data, score="masked", train={"x": ROWS})
    with pytest.raises(UserError, match=r"was in memory\. Name it: --train"):
        run.anomalies(data, score="instants")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"score": "series"}, "score='series'; expected one of rows, instants, masked"),
        ({"neighbours": 0}, "neighbours=0; expected 1 or more"),
        ({"past": -1}, "past=-1; expected 0 or more"),
        ({"share": 1.0}, "share=1.0; expected a number between 0 and 1"),
        ({"score": "masked", "padding": -1}, "padding=-1; expected 0 or more"),
        ({"field": "y"}, "no field 'y'"),
        ({"labels": "bed"}, "no column 'bed'"),
        ({"labels": "bad"}, "holds a list; expected 0 or 1"),
        ({"labels": "short", "score": "instants"}, "3 labels of a series of shape"),
        ({"labels": "word"}, "holds 'no'; expected 0 or 1"),
    ],
)
def test_mistakes_are_named(run, how, words):
    data = {"x": ROWS[:2], "bad": [[0] * LONG] * 2, "short": [[0] * 3] * 2, "word": ["no", "yes"]}
    with pytest.raises(UserError, match=words):
        run.anomalies(data, **how)


def test_the_command_writes_a_table_that_is_read_again(run, tmp_path, capsys):
    data, out = tmp_path / "more.parquet", tmp_path / "scores.parquet"
    bad = [[0] * 50 + [1] * 10] * 2
    pq.write_table(pa.table({"x": [row.tolist() for row in ROWS[:2]], "bad": bad}), data)
    words = ["--score", "instants", "--labels", "bad", "--out", str(out)]
    assert call("anomalies", str(run.path), str(data), *words) == 0
    said = capsys.readouterr().out
    assert "of 120 instants (" in said
    assert "AUROC" in said
    assert "chance .167" in said
    table, expected = AnomalyTable.load(out), run.anomalies(data, score="instants", labels="bad")
    for name in ("row", "instant", "score", "labels"):
        assert np.array_equal(getattr(table, name), getattr(expected, name))
    assert table.threshold == expected.threshold


def test_foreign_files_are_refused(run, tmp_path):
    run.embeddings().save(tmp_path / "bank.parquet")
    for name, words in (("none", "no anomaly scores"), ("bank", "without anomaly scores")):
        with pytest.raises(UserError, match=words):
            AnomalyTable.load(tmp_path / f"{name}.parquet")
