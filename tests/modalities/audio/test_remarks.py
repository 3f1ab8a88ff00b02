"""What the doctor hears of sounds: rates, silence, clipping, clips that are too short."""

from pathlib import Path

import numpy as np

from kontrast.data.remark import Rows
from kontrast.modalities.audio.audio import Audio
from tests.support.sounds import encoded, tone


def remarks_of(cells, **settings):
    audio = Audio(**settings)
    items = [audio.read(cell, Path()) for cell in cells]
    audio.fit(items)
    packed = [audio.pack(item) for item in items]
    found = audio.remarks(Rows("clip", Path(), cells, packed, np.array([len(p) for p in packed])))
    return {remark.name: remark for remark in found}


def good(n=10):
    return [(tone(row), 8000) for row in range(n)]


def test_good_sounds_have_only_facts():
    found = remarks_of(good())
    assert list(found) == ["lengths"]
    assert "clips of 0.4" in found["lengths"].words


def test_rates_that_differ_are_named():
    found = remarks_of([*[encoded(tone(row), 4000) for row in range(3)], *good(7)])
    assert found["several rates"].level == "warning"
    assert "4,000 (30%)" in found["several rates"].words
    assert "rate=4000 makes them alike" in found["several rates"].words
    fast = remarks_of([encoded(tone(row, rate=44100), 44100, "FLAC") for row in range(4)])
    assert "recorded at 44,100 samples per second, brought to 16,000" in fast["rate"].words


def test_silence_clipping_and_short_clips_are_found_by_their_rows():
    silent, loud = (np.zeros(4000), 8000), (np.sign(tone(0)), 8000)
    found = remarks_of([*good(), silent, loud, (tone(1)[:300], 8000)])
    assert found["silence"].rows.tolist() == [10]
    assert found["clipping"].rows.tolist() == [11]
    assert found["short clips"].rows.tolist() == [12]
    assert found["silence"].level == found["clipping"].level == "warning"


def test_all_silent_is_an_error():
    assert remarks_of([(np.zeros(4000), 8000)] * 3)["silence"].level == "error"
