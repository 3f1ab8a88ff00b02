"""Word error rate: against a slow search over edits, its interval, and texts without words."""

import functools

import numpy as np
import pytest

from kontrast.evaluation.intervals import Found, interval
from kontrast.evaluation.word_errors import edits, word_error_rate

RNG = np.random.default_rng(0)


@functools.cache
def slow(one, other):
    """Fewest edits, by trying each on the first words."""
    if not one or not other:
        return len(one) + len(other)
    kept = slow(one[1:], other[1:]) + (one[0] != other[0])
    return min(kept, 1 + slow(one[1:], other), 1 + slow(one, other[1:]))


def sentences(number):
    return [" ".join(RNG.choice(list("abc"), RNG.integers(0, 7))) for _ in range(number)]


@pytest.mark.quick
def test_edits_are_the_fewest_and_the_rate_is_of_all_words():
    said, true = sentences(60), sentences(60)
    each = [slow(tuple(one.split()), tuple(other.split())) for one, other in zip(said, true, strict=True)]
    assert [edits(one.split(), other.split()) for one, other in zip(said, true, strict=True)] == each
    found = word_error_rate(said, true)
    assert found.value == sum(each) / sum(len(one.split()) for one in true)
    assert found.entries.mean() == pytest.approx(found.value, abs=1e-12)
    assert word_error_rate(true, true).value == 0
    assert word_error_rate(["a b c d"], ["e"]).value == 4  # above 1: more is wrong than was said
    assert word_error_rate(["a"], [""]) is None


def test_the_interval_holds_the_rate_of_many_sentences():
    truth, inside = 0.25, 0
    for _ in range(30):
        true = [" ".join(RNG.choice(list("abcdef"), RNG.integers(1, 8))) for _ in range(40)]
        said = [" ".join(w if RNG.random() > truth else "wrong" for w in one.split()) for one in true]
        low, high = interval(Found(word_error_rate(said, true)))
        inside += low <= truth <= high
    assert inside > 24
