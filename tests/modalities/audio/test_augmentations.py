"""Augmentations of waveforms and spectrograms do what their equations say, row by row."""

import math

import pytest
import torch

from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.data.augmentation import streams_of
from kontrast.modalities.audio.augmentations.band_filter import BandFilter
from kontrast.modalities.audio.augmentations.fade import Fade
from kontrast.modalities.audio.augmentations.gain import Gain
from kontrast.modalities.audio.augmentations.noise import Noise
from kontrast.modalities.audio.augmentations.pitch import Pitch
from kontrast.modalities.audio.augmentations.reverb import Reverb
from kontrast.modalities.audio.augmentations.spec_augment import SpecAugment
from kontrast.modalities.audio.augmentations.stretch import Stretch

WAVES = ["gain", "polarity", "noise", "band_filter", "reverb", "pitch"]
SPECTROGRAMS = ["stretch", "spec_augment", "fade", "resize_crop"]
STREAMS = streams_of(torch.arange(64) * 977 + 3)


def waves(n=64, samples=1600, end=1200):
    x = torch.randn(n, 1, samples, generator=torch.Generator().manual_seed(0)) * 0.1
    x[::2, :, end:] = torch.nan
    return x


def spectrograms(n=64, frames=40, end=30):
    x = torch.randn(n, 1, 24, frames, generator=torch.Generator().manual_seed(0))
    x[::2, ..., end:] = torch.nan
    return x


@pytest.mark.parametrize("name", WAVES + SPECTROGRAMS)
def test_a_row_depends_on_its_own_streams_alone(name):
    x = waves() if name in WAVES else spectrograms()
    change = factory.build("augmentations", name, {})
    seen = change(x.clone(), STREAMS)
    assert (seen.shape, seen.dtype) == (x.shape, x.dtype)
    assert not torch.equal(seen.nan_to_num(), x.nan_to_num())
    torch.testing.assert_close(change(x.clone(), STREAMS), seen, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(change(x[3:5].clone(), STREAMS[3:5]), seen[3:5], equal_nan=True, rtol=0, atol=1e-5)
    assert (~seen.isnan()).flatten(1).any(1).all()
    if name not in ("pitch", "stretch"):  # these move the end
        assert torch.equal(seen.isnan(), x.isnan())
    with pytest.raises(UserError, match=f"{name}: expected"):
        change(spectrograms() if name in WAVES else waves(), STREAMS)


def test_gain_is_within_its_decibels():
    x = waves()
    factor = (Gain(decibels=6)(x, STREAMS) / x).nanmean((1, 2))
    assert factor.min() >= 10 ** (-6 / 20) - 1e-4
    assert factor.max() <= 10 ** (6 / 20) + 1e-4
    assert factor.min() < 0.6 < 1.7 < factor.max()


def test_noise_has_the_level_it_says():
    x = waves(samples=16000, end=16000)
    change = (Noise(least=20, most=20)(x, STREAMS) - x).square().mean((1, 2)).sqrt() / x.square().mean((1, 2)).sqrt()
    torch.testing.assert_close(change, torch.full((64,), 0.1), atol=0.01, rtol=0)
    assert torch.equal(Noise(share=0)(x, STREAMS), x)


def test_filters_damp_high_or_low_sounds():
    t = torch.arange(8000) / 8000
    high = torch.sin(2 * math.pi * 3500 * t).expand(64, 1, -1)
    loud = BandFilter(share=1.0, octaves=3)(high, STREAMS).square().mean((1, 2)) * 2
    assert (loud < 0.5).sum() > 12  # half are low passes, most of their edges lie below
    assert (loud > 0.9).sum() > 20
    assert loud.max() < 1.01


def test_reverb_rings_after_a_click():
    x = torch.zeros(64, 1, 2000)
    x[..., 100] = 1
    rung = Reverb(share=1.0, samples=1000)(x, STREAMS)
    assert (rung[..., :100].abs() < 1e-5).all()
    assert (rung[..., 101:].square().sum((1, 2)) > 0).all()
    assert (rung[..., 101:].square().sum((1, 2)) <= 0.25 + 1e-3).all()
    early, late = rung[..., 101:400].square().sum(), rung[..., 1400:].square().sum()
    assert late < 1e-3 * early


def test_pitch_moves_a_tone_by_semitones():
    t = torch.arange(8000) / 8000
    x = torch.sin(2 * math.pi * 500 * t).expand(64, 1, -1)
    seen = Pitch(semitones=12)(x, STREAMS)
    peaks = torch.stack([torch.fft.rfft(row[0].nan_to_num()).abs().argmax() for row in seen]).float()
    assert peaks.min() >= 249
    assert peaks.max() <= 1001
    assert peaks.std() > 100


def test_stretch_moves_the_end_by_its_share():
    x = spectrograms(frames=60, end=30)
    ends = (~Stretch(most=0.5)(x, STREAMS)[::2, 0, 0].isnan()).sum(1)
    assert 20 <= ends.min() < 25 < 40 < ends.max() <= 45


def test_spec_augment_hides_shares_of_time_and_frequency():
    x = torch.ones(64, 1, 20, 50)
    late = SpecAugment(time=0.4, frequency=0, spans=1)(x, STREAMS)[:, 0] == 0
    assert (late.any(1) == late.all(1)).all()
    assert 0.1 < late[:, 0].float().mean() < 0.3
    assert late[:, 0].float().mean(1).max() <= 0.42


def test_fade_is_a_straight_line_over_time():
    seen = Fade(most=1)(torch.zeros(64, 1, 8, 9), STREAMS)
    bends = seen.diff(dim=3).diff(dim=3)
    assert bends.abs().max() < 1e-5
    assert seen.abs().max() <= 1
    assert seen[..., 0].std() > 0.3


def test_noise_refuses_a_range_upside_down():
    with pytest.raises(UserError, match="least=50 is above most=40"):
        Noise(least=50, most=40)
