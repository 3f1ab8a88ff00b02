"""The modality of sounds: rate, length, windows, invariances and augmentations."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kontrast.core import random_streams
from kontrast.modalities.audio.audio import Audio
from tests.support.sounds import tone


def fitted(cells, **settings):
    audio = Audio(**settings)
    items = [audio.read(cell, Path()) for cell in cells]
    audio.fit(items)
    return audio, audio.collate([audio.pack(item) for item in items])


def tones(n=12, **how):
    return [(tone(row, **how), how.get("rate", 8000)) for row in range(n)]


def keys(n, view=0):
    return random_streams.key(0, 0, torch.arange(n), view)


def test_the_rate_is_the_commonest_and_at_most_16_kilohertz():
    assert fitted(tones(4) + tones(2, rate=11025))[0].rate == 8000
    assert fitted(tones(4, rate=44100))[0].rate == 16000
    assert fitted(tones(4), rate=4000)[0].rate == 4000


def test_a_resampled_sound_is_the_sound():
    """A tone of 300 Hz recorded at two rates has one spectrum."""
    audio, _ = fitted(tones(), rate=8000)
    cells = [(0.5 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate), rate) for rate in (8000, 44100)]
    one, two = audio.preprocess(audio.collate([audio.pack(audio.read(cell, Path())) for cell in cells]))[:, 0]
    assert one.mean(1).argmax() == two.mean(1).argmax()
    assert (one - two)[:24].abs().max() < 0.1


def test_channels_are_mixed_or_kept():
    stereo = [(np.stack([tone(row), -tone(row)], 1), 8000) for row in range(3)]
    assert fitted(stereo)[1].shape[1] == 1
    assert (fitted(stereo)[1] > -32768).any()
    kept, batch = fitted([*stereo, (tone(3), 8000)], channels=2)
    assert kept.preprocess(batch).shape[1] == batch.shape[1] == 2


@pytest.mark.parametrize("input", ["log_mel", "wave"])
def test_loudness_is_not_seen_unless_asked_for(input):
    audio, batch = fitted([(tone(0), 8000), (0.25 * tone(0), 8000)], input=input)
    one, two = audio.preprocess(batch)
    assert (one - two).nan_to_num().abs().mean() < 0.06
    loud, batch = fitted([(tone(0), 8000), (0.25 * tone(0), 8000)], loudness=True)
    one, two = loud.preprocess(batch)
    assert (one - two).nan_to_num().abs().mean() > 0.5


@pytest.mark.parametrize("input", ["log_mel", "wave"])
def test_padding_and_neighbours_change_nothing(input):
    audio, batch = fitted(tones(), input=input)
    seen = audio.preprocess(batch)
    for row in (0, 5):
        long = int((batch[row, 0] != -32768).sum())
        alone = audio.preprocess(batch[row : row + 1, :, :long])
        n = alone.shape[-1]
        torch.testing.assert_close(seen[row : row + 1, ..., :n], alone, atol=1e-4, rtol=0, equal_nan=True)
        assert seen[row, ..., n:].isnan().all()


def test_windows_cover_a_long_clip_and_are_as_many_for_each_row():
    audio, batch = fitted(tones(seconds=3), seconds=0.2)
    windows = audio.windows(batch)
    assert len(windows) == audio.count > 3
    assert {len(w) for w in windows} == {12}
    alone = audio.windows(batch[:1])
    for together, one in zip(windows, alone, strict=True):
        torch.testing.assert_close(together[:1], one, atol=1e-4, rtol=0, equal_nan=True)
    assert not torch.allclose(windows[0].nan_to_num(), windows[-1].nan_to_num())
    short, batch = fitted(tones())
    assert len(short.windows(batch)) == 1


def test_two_views_are_two_segments():
    audio, batch = fitted(tones(seconds=3), strength="light", seconds=0.5)
    one, two = (audio.augment(batch, keys(12, view)) for view in (0, 1))
    assert one.shape == two.shape == (12, 1, 64, audio.facts()["frames"])
    assert ((one - two).nan_to_num().abs().mean((1, 2, 3)) > 0.1).all()


def test_strength_none_changes_nothing():
    audio, batch = fitted(tones(), strength="none")
    seen = audio.augment(batch, keys(12))
    torch.testing.assert_close(seen, audio.preprocess(batch), equal_nan=True)
    assert not audio.augments("global")


def test_raw_features_do_not_depend_on_padding():
    audio, batch = fitted(tones())
    together = audio.raw(batch)
    assert together.shape == (12, 140)
    long = int((batch[3, 0] != -32768).sum())
    torch.testing.assert_close(audio.raw(batch[3:4, :, :long]), together[3:4], atol=1e-3, rtol=1e-3)


def test_silence_and_a_single_sample_are_finite():
    audio, batch = fitted([*tones(4), (np.zeros(4000), 8000), (np.ones(1) * 0.1, 8000)])
    for seen in (audio.preprocess(batch), audio.augment(batch, keys(6)), audio.raw(batch)):
        assert torch.isfinite(seen.nan_to_num(0.0)).all()
    assert (~audio.preprocess(batch)[:, 0, 0].isnan()).any(1).all()  # each row has a frame


def test_all_silent_data_can_be_fitted():
    audio, batch = fitted([(np.zeros(4000), 8000)] * 3)
    assert torch.isfinite(audio.preprocess(batch).nan_to_num(0.0)).all()
    assert torch.isfinite(audio.raw(batch)).all()
