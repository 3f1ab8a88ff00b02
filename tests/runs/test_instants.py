"""Vectors of instants: whole rows and windows equal slow loops; unequal lengths, gaps, strides, mistakes."""

import numpy as np
import pytest
import torch

import kontrast as kt
from kontrast.core.errors import UserError
from kontrast.core.instant_table import InstantTable
from kontrast.runs.model import Model
from tests.support.command import call

RNG = np.random.default_rng(0)
CHANNELS, PADDING = 2, 6
SMALL = {"plan.precision": "32", "plan.batch": 8, "plan.checkpoint": 0, "scores": []}


def rows(lengths):
    """Series of two channels with gaps; the first one also lacks a whole instant, and its first two."""
    found = [RNG.normal(size=(n, CHANNELS)).cumsum(0) for n in lengths]
    found[0][[0, 1, 5]] = np.nan
    found[1][3, 1] = np.nan
    return found


ROWS = rows([30, 17, 24, 12, 9, 21, 14, 26])


def trained(folder, **encoder):
    """A run of two steps whose encoder gives a vector per instant."""
    chosen = {"encoders.series": encoder or {"name": "dilated_cnn", "hidden": 6, "out": 5, "depth": 3}}
    return kt.train({"x": ROWS}, recipe="ts2vec", steps=2, seed=0, out=folder, settings={**SMALL, **chosen})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("instants") / "run")


def slowly(run, series, before, after, length):
    """Each instant from its own window, one at a time; at a gap that ends a window, the last known instant there."""
    model = Model.load(run.folder)
    modality, encoder = model.modalities["x"], model.learner.encoders.encoder("x")
    found = []
    for t in range(len(series)):
        begin = t // length * length
        at = np.arange(begin - before, begin + length + after)
        window = np.full((len(at), CHANNELS), np.nan, np.float32)
        inside = (at >= 0) & (at < len(series))
        window[inside] = series[at[inside]]
        known = np.flatnonzero(np.isfinite(window).any(1))
        if not len(known):
            found.append(np.full(encoder.dense_width, np.nan))
            continue
        with torch.no_grad():
            dense = encoder(modality.preprocess(torch.from_numpy(window.T[None]))).dense[0]
        found.append(dense[min(before + t - begin, known[-1])].numpy())
    return np.stack(found)


@pytest.mark.parametrize(
    ("how", "before", "after", "length"),
    [
        ({"window": "causal", "padding": PADDING}, PADDING, 0, 1),
        ({"window": "sliding", "padding": PADDING, "length": 4}, PADDING, PADDING, 4),
        ({"window": "sliding", "padding": 0, "length": 5}, 0, 0, 5),
    ],
)
def test_windows_give_what_each_alone_gives_in_any_batch(run, how, before, after, length):
    table = run.embed_instants({"x": ROWS}, **how)
    for row, series in enumerate(ROWS):
        np.testing.assert_allclose(table.vectors(row), slowly(run, series, before, after, length), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.embed_instants({"x": ROWS}, **how, batch=40).z, table.z, rtol=1e-4, atol=1e-5)


def test_whole_rows_of_unequal_length_give_what_each_alone_gives(run):
    table = run.embed_instants({"x": ROWS})
    assert [len(table.vectors(row)) for row in range(len(ROWS))] == [len(series) for series in ROWS]
    assert np.array_equal(table.instant, np.concatenate([np.arange(len(series)) for series in ROWS]))
    model = Model.load(run.folder)
    for row, series in enumerate(ROWS):
        x = model.modalities["x"].preprocess(torch.from_numpy(series.astype(np.float32).T[None]))
        with torch.no_grad():
            alone = model.learner.encoders.encoder("x")(x).dense[0].numpy()
        np.testing.assert_allclose(table.vectors(row), alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.embed_instants({"x": ROWS}, batch=1).z, table.z, rtol=1e-4, atol=1e-5)


def test_a_causal_vector_does_not_know_the_future_and_others_do(run):
    changed = [series.copy() for series in ROWS]
    for series in changed:
        series[8:] += 3
    for window, same in (("causal", True), ("sliding", False), ("whole", False)):
        one, two = (run.embed_instants({"x": data}, window=window, padding=PADDING) for data in (ROWS, changed))
        past = one.instant < 8
        assert np.allclose(one.z[past], two.z[past], equal_nan=True) == same
        assert not np.allclose(one.z[~past], two.z[~past], equal_nan=True)


def test_a_row_longer_than_those_of_training_is_embedded_as_it_is(run):
    long = RNG.normal(size=(90, CHANNELS))
    table = run.embed_instants({"x": [long, ROWS[1]]}, window="causal", padding=PADDING)
    np.testing.assert_allclose(table.vectors(0), slowly(run, long, PADDING, 0, 1), rtol=1e-4, atol=1e-5)


def test_an_encoder_that_merges_instants_gives_one_vector_per_stride_and_no_windows(tmp_path, capsys):
    how = {"name": "tcn", "hidden": 6, "out": 5, "depth": 2, "stride": 3}
    run = kt.train(
        {"x": ROWS}, recipe="simclr", steps=1, out=tmp_path / "run", settings={**SMALL, "encoders.series": how}
    )
    table = run.embed_instants({"x": ROWS})
    assert [len(table.vectors(row)) for row in range(len(ROWS))] == [-(-len(series) // 3) for series in ROWS]
    assert table.instant[:3].tolist() == [0, 3, 6]
    assert np.isfinite(table.z).all()
    with pytest.raises(UserError, match=r"one vector per 3 instants, so a window cannot slide by one"):
        run.embed_instants({"x": ROWS}, window="causal")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"window": "causal", "length": 2}, "embeds its last instant alone; found length=2"),
        ({"window": "sliding", "length": 0}, "length=0; expected 1 or more"),
        ({"window": "causal", "padding": -1}, "padding=-1; expected 0 or more"),
        ({"window": "past"}, "window='past'; expected one of whole, sliding, causal"),
        ({"field": "y"}, "no field of series 'y'"),
        ({"batch": 0}, "batch=0; expected 1 or more"),
    ],
)
def test_mistakes_are_named(run, how, words):
    with pytest.raises(UserError, match=words):
        run.embed_instants({"x": ROWS}, **how)


def test_the_command_writes_a_table_that_is_read_again(run, tmp_path, capsys):
    data, out = tmp_path / "more.npz", tmp_path / "instants.parquet"
    np.savez(data, x=RNG.normal(size=(3, 20, CHANNELS)))
    call("instants", str(run.path), str(data), "--window", "causal", "--padding", "4", "--out", str(out))
    assert "60 vectors of 3 rows (x 5)" in capsys.readouterr().out
    table, expected = InstantTable.load(out), run.embed_instants(data, window="causal", padding=4)
    for name in ("ids", "row", "instant", "z"):
        assert np.array_equal(getattr(table, name), getattr(expected, name))
    assert table.field == "x"


def test_foreign_files_are_refused(run, tmp_path):
    run.embeddings().save(tmp_path / "bank.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    for name, words in (("none", "no embeddings of instants"), ("bank", "without embeddings"), ("text", "damaged")):
        with pytest.raises(UserError, match=words):
            InstantTable.load(tmp_path / f"{name}.parquet")
