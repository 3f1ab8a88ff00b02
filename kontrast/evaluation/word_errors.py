"""Word error rate of recognised texts."""

from collections.abc import Sequence

import numpy as np

from kontrast.evaluation.metric_result import MetricResult


def word_error_rate(said: Sequence[str], true: Sequence[str]) -> MetricResult | None:
    """Words to replace, insert and leave out per true word, over all texts.

    Args:
        said: Recognised texts.
        true: What was really said, of the same rows.

    Returns:
        The rate, above 1 if more words are wrong than there are; None if no true text has a word. The entries are the
        rate plus each row's first-order effect on it, as it is a ratio of sums.

    Equation:
        WER = sum_i distance(said_i, true_i) / sum_i words(true_i)

    Example:
        >>> word_error_rate(["the red fox", "a dog"], ["a red fox", "a dog"]).value
        0.2
    """
    pairs = [(one.split(), other.split()) for one, other in zip(said, true, strict=True)]
    errors = np.array([edits(*pair) for pair in pairs], float)
    words = np.array([len(other) for _, other in pairs], float)
    if not words.sum():
        return None
    rate = float(errors.sum() / words.sum())
    entries = rate + (errors - rate * words) / words.mean()
    return MetricResult(rate, len(pairs), entries, alone=True, higher_is_better=False, bounds=(0, np.inf))


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Fewest replacements, insertions and deletions that make one sequence the other (Levenshtein 1966)."""
    before = list(range(len(other) + 1))
    for n, word in enumerate(one, 1):
        line = [n]
        for m, wanted in enumerate(other, 1):
            line.append(min(line[-1] + 1, before[m] + 1, before[m - 1] + (word != wanted)))
        before = line
    return before[-1]
