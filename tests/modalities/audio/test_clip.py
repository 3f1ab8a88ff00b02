"""Sounds are read from every form that they come in; each bad one is refused in one sentence."""

import numpy as np
import pytest

from kontrast.core.errors import Unreadable
from kontrast.modalities.audio.clip import clip
from tests.support.sounds import encoded, tone

STEREO = np.stack([tone(0), 0.5 * tone(0)], 1)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_files_and_their_bytes_are_read(tmp_path, kind):
    data = encoded(STEREO, kind=kind)
    (tmp_path / "a.sound").write_bytes(data)
    cells = ["a.sound", data, {"bytes": data, "path": "a.sound"}, {"bytes": None, "path": "a.sound"}]
    found = [clip(cell, tmp_path) for cell in cells]
    assert all(one.rate == 8000 and one.shape[1] == 2 for one in found)
    assert all(np.array_equal(one, found[0]) for one in found)
    if kind in ("WAV", "FLAC"):
        np.testing.assert_allclose(found[0], STEREO, atol=1e-4)


@pytest.mark.parametrize(
    "cell",
    [
        (tone(0), 8000),
        {"array": tone(0), "sampling_rate": 8000},
        {"array": tone(0).tolist(), "sampling_rate": 8000},
        ((tone(0) * 32768).astype(np.int16), 8000),
        ((tone(0)[None] * 2**31).astype(np.int32), 8000),
        ((tone(0) * 32768 + 32768).astype(np.uint16), 8000.0),
    ],
)
def test_arrays_with_a_rate_are_read(tmp_path, cell):
    found = clip(cell, tmp_path)
    assert (found.rate, found.shape) == (8000, (len(tone(0)), 1))
    np.testing.assert_allclose(found[:, 0], tone(0), atol=1e-4)


def test_an_array_without_a_rate_takes_that_of_the_settings(tmp_path):
    assert clip(tone(0), tmp_path, 11025).rate == 11025
    assert clip({"array": tone(0), "sampling_rate": 8000}, tmp_path, 11025).rate == 8000


def test_a_sound_beyond_full_scale_is_scaled_not_clipped(tmp_path):
    found = clip((1.5 * np.sin(np.arange(100)), 8000), tmp_path)
    np.testing.assert_allclose(found[:, 0], np.sin(np.arange(100)) / np.abs(np.sin(np.arange(100))).max(), atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (b"", "an empty file"),
        (b"RIFFjunkjunkjunkjunk", "no sound that can be decoded"),
        ("text.mp3", r"no sound that can be decoded \(unknown format\)"),
        ("gone.wav", "no such file"),
        ("empty.wav", "an empty file"),
        ("folder", "a folder or a device"),
        ("http://x.org/a.wav", "a web address"),
        ("file:///a.wav", "an address, not a path"),
        (np.zeros(8), "an array without its rate"),
        ((np.zeros(8), "fast"), "the rate 'fast'"),
        ((np.zeros(8), 8000.5), "the rate 8000.5"),
        ((np.zeros(8), 7), "a rate of 7 samples"),
        ((np.zeros(0), 8000), "a clip without samples"),
        ((np.full(8, np.nan), 8000), "not finite"),
        ((np.full(8, 30000.0), 8000), "samples up to 30,000"),
        ((np.zeros((2, 2, 2)), 8000), "3 axes"),
        ({"bytes": None, "path": None}, "nothing there"),
        (object(), "an array of object"),
    ],
)
def test_a_bad_cell_is_refused_in_a_sentence(tmp_path, cell, words):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("hello")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Unreadable, match=words) as refused:
        clip(cell, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_truncated_file_is_refused_or_read_as_far_as_it_goes(tmp_path):
    whole = encoded(tone(0), kind="FLAC")
    for end in range(4, len(whole), 997):
        assert _samples(whole[:end], tmp_path) <= len(tone(0))


def _samples(data, folder):
    try:
        return len(clip(data, folder))
    except Unreadable:
        return 0
