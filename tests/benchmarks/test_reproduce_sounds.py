"""Tables of sounds: sentences of spoken digits, and the arithmetic and wording of what is printed."""

import numpy as np

from benchmarks.reproductions import crossing, speakers, speech
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.evaluation.eer import EER
from kontrast.evaluation.intervals import find_all


def test_a_sentence_says_its_words_by_one_speaker():
    digit, speaker = np.tile(np.arange(10), 2), np.repeat([0, 1], 10)
    clips = [np.full(100, 1 + d + 20 * s, np.float32) for d, s in zip(digit, speaker, strict=True)]
    sounds, words = speech.sentences(clips, digit, speaker, 20, seed=0)
    for sound, line in zip(sounds, words, strict=True):
        levels = sound[sound > 0].reshape(-1, 100)[:, 0].astype(int)
        assert [speech.NAMES[level % 20 - 1] for level in levels] == line.split()
        assert len(set(levels // 20)) == 1
        assert 2 <= len(levels) <= 4
    assert speech.sentences(clips, digit, speaker, 20, seed=0)[1] == words
    assert speech.sentences(clips, digit, speaker, 20, seed=1)[1] != words


def test_word_error_rates_are_over_all_words_and_differences_are_paired():
    names = (*speech.KINDS, speech.END_TO_END)
    errors = {name: [2, 1, 0] for name in names} | {"learned": [1, 0, 0]}
    one = {"errors": errors, "words": [4, 2, 4], "seconds": dict.fromkeys(names, 3.0)}
    lines = speech.table([one, one]).splitlines()
    assert lines[2] == "| log-mel | 0.300 |  | 3 |"
    assert lines[3].startswith("| untrained | 0.300 | +0.000 [+0.000, +0.000]")
    assert lines[4].startswith("| learned | 0.100 | +0.200 [+0.")


def test_a_row_per_number_and_its_difference_to_raw_features():
    rng = np.random.default_rng(0)
    label = np.repeat(["a", "b"], 20)
    noise = rng.normal(size=(40, 4)).astype(np.float32)
    clear = noise + 4 * np.eye(4, dtype=np.float32)[(label == "b").astype(int)]
    ids = np.arange(40).astype(str)
    found = {
        name: find_all([EER()], *[EmbeddingTable({"audio": x}, ids, label)] * 2)
        for name, x in zip(("raw", "untrained", "learned", "raw + learned"), (noise, noise, clear, clear), strict=True)
    }
    text = speakers.table({"verification": {"numbers": speakers.numbers(found), "seconds": 2.0}})
    cells = [cell.strip() for cell in text.splitlines()[2].split("|")[1:-1]]
    assert cells[0].startswith("verification: ")
    raw, learned = float(cells[1].split()[0]), float(cells[3].split()[0])
    assert learned < 0.1 < 0.3 < raw
    assert cells[5].startswith(f"{learned - raw:+.2f}")


def test_numbers_that_are_not_known_stay_empty():
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"name": "a>b R@1", "rows": 10, "chance": 0.1, "trained": value, "untrained": {"value": 0.25}, "raw": None}
    paired = {"untrained": {"value": 0.25, "low": -0.1, "high": 0.6}}
    text = crossing.table([row | {"paired": paired}], seconds=3.4)
    assert "| a>b R@1 | 10 | 0.100 |  | 0.250 | 0.500 [0.400, 0.600] | +0.250 [-0.100, +0.600] |" in text
    assert text.endswith("3 seconds of processor time.")
