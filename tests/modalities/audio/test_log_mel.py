"""Log-mel spectrograms equal frozen formulas (HTK mels, triangles of height 1, periodic Hann), frame by frame."""

import math

import numpy as np
import pytest
import torch

from kontrast.modalities.audio.log_mel import filter_bank, log_mel, mel


def bank_of(rate, window, mels):
    """The filters by the formula, in loops."""
    low, high = (2595 * math.log10(1 + f / 700) for f in (20, rate / 2))
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(low, high, mels + 2)]
    bank = np.zeros((mels, window // 2 + 1))
    for m in range(mels):
        for k in range(window // 2 + 1):
            f = k * rate / window
            up = (f - edges[m]) / (edges[m + 1] - edges[m])
            down = (edges[m + 2] - f) / (edges[m + 2] - edges[m + 1])
            bank[m, k] = max(0.0, min(up, down))
    return bank


def reference(x, rate, window, hop, mels):
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = [x[start : start + window] * hann for start in range(0, len(x) - window + 1, hop)]
    power = np.abs(np.fft.rfft(np.stack(frames))) ** 2
    return np.log(np.maximum(power @ bank_of(rate, window, mels).T, 1e-10)).T


@pytest.mark.parametrize(("rate", "mels"), [(8000, 20), (16000, 40)])
def test_equals_the_formula(rate, mels):
    x = np.random.default_rng(0).normal(size=rate // 4) * 0.1
    window, hop = rate // 40, rate // 100
    found = log_mel(torch.from_numpy(x).float(), rate=rate, window=window, hop=hop, mels=mels)
    np.testing.assert_allclose(found.numpy(), reference(x, rate, window, hop, mels), atol=2e-4)


def test_a_tone_is_loudest_in_its_own_band():
    t = torch.arange(2000) / 8000
    found = log_mel(torch.sin(2 * math.pi * 1000 * t), rate=8000, window=200, hop=80, mels=16)
    assert found.shape == (16, 23)
    centres = 700 * (10 ** (np.linspace(mel(20), mel(4000), 18)[1:-1] / 2595) - 1)
    assert (found.argmax(0) == np.abs(centres - 1000).argmin()).all()


def test_no_band_is_empty():
    """With more bands than frequencies the low ones would hold none."""
    bank = filter_bank(8000, 200, 96)
    assert (bank.sum(1) > 0).all()
    assert bank.max() <= 1


def test_silence_is_the_floor_and_what_is_absent_stays_absent():
    x = torch.zeros(2, 800)
    x[1, 500:] = torch.nan
    found = log_mel(x, rate=8000, window=200, hop=80, mels=16)
    assert torch.allclose(found[0], torch.tensor(math.log(1e-10)))
    assert found[1].isnan().all(0).tolist() == [False] * 4 + [True] * 4


def test_a_short_sound_has_one_frame():
    assert log_mel(torch.ones(30), rate=8000, window=200, hop=80, mels=16).shape == (16, 1)
