"""Search for texts that differ by a few characters, by hashed, then counted trigrams.

Axis letters: N texts, D features.
"""

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from kontrast.doctor.nearest import nearest

_BUCKETS, _WIDTH = 1 << 16, 256
_LONGEST = 2_000  # characters compared per text
_LOOKED_AT, _PERHAPS = 5, 0.6  # candidate neighbours per text, and the least cosine of their sketches
# Largest share of the longer text's trigrams missing in the other. A typo changes 3, so texts of fewer than 25 letters
# match only if equal except for case, punctuation and spaces: car and cat are different words.
_MISSING = 0.12
_SIGNS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def alike(texts: Sequence[str], others: Sequence[str] | None) -> np.ndarray:
    """Finds pairs of texts that hardly differ.

    Texts with different numbers (a date, an amount) never match, however similar the rest. Word order counts little.

    Args:
        texts: Texts to match.
        others: Texts to match them with. None: `texts` among themselves.

    Returns:
        Pairs of positions, (P, 2); without `others` a pair may appear in both directions.
    """
    one = [_plain(text) for text in texts]
    other = one if others is None else [_plain(text) for text in others]
    found = [_equal(one, other, others is None)]
    if min(len(one), len(other) - (others is None)) >= 1:
        grams_one = [_trigrams(text) for text in one]
        grams_other = grams_one if others is None else [_trigrams(text) for text in other]
        weight = _weights([*grams_one, *(grams_other if others is not None else [])])
        x, y = _sketch(grams_one, weight), None if others is None else _sketch(grams_other, weight)
        cosine, row = nearest(x, y, _LOOKED_AT)
        i, k = (cosine >= _PERHAPS).nonzero().unbind(1)
        pairs = torch.stack([i, row[i, k]], 1).tolist()
        numbers = [_DIGITS.findall(text) for text in one]
        numbers_other = numbers if others is None else [_DIGITS.findall(text) for text in other]
        kept = [
            (a, b)
            for a, b in pairs
            if numbers[a] == numbers_other[b] and _missing(grams_one[a], grams_other[b]) <= _MISSING
        ]
        found.append(np.array(kept, dtype=np.int64).reshape(-1, 2))
    return np.unique(np.concatenate(found), axis=0)


def _plain(text: str) -> str:
    """Lower-case letters and digits with single spaces between; a text of punctuation alone is kept."""
    return _SIGNS.sub(" ", text[:_LONGEST].lower()).strip() or text.strip()


def _equal(one: list[str], other: list[str], alone: bool) -> np.ndarray:
    """Each text with the first equal text, (P, 2)."""
    first: dict[str, int] = {}
    for place, text in enumerate(other):
        first.setdefault(text, place)
    pairs = [(place, first[text]) for place, text in enumerate(one) if text in first]
    return np.array([p for p in pairs if not alone or p[0] != p[1]], dtype=np.int64).reshape(-1, 2)


def _trigrams(text: str) -> np.ndarray:
    """Sorted codes of a text's trigrams, with repetitions."""
    letters = np.frombuffer(f" {text} ".encode("utf-32-le"), np.uint32).astype(np.uint64)
    codes = letters[:-2] * np.uint64(0x9E3779B97F4A7C15) ^ letters[1:-1] * np.uint64(0xC2B2AE3D27D4EB4F)
    codes = (codes ^ codes >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9) ^ letters[2:] * np.uint64(
        0x94D049BB133111EB
    )
    return np.sort(codes >> np.uint64(20))


def _weights(grams: list[np.ndarray]) -> np.ndarray:
    """Weight of each bucket of trigrams, (_BUCKETS,): rarer ones count more."""
    texts = np.zeros(_BUCKETS)
    for codes in grams:
        texts[np.unique(codes % _BUCKETS)] += 1
    return np.log((1 + len(grams)) / (1 + texts)) + 0.5


def _sketch(grams: list[np.ndarray], weight: np.ndarray) -> Tensor:
    """Feature hashing of weighted trigrams (Weinberger et al. 2009), (N, D) of length one."""
    x = np.zeros((len(grams), _WIDTH), np.float32)
    for row, codes in enumerate(grams):
        signed = np.where(codes >> np.uint64(16) & np.uint64(1), 1.0, -1.0) * weight[codes % _BUCKETS]
        x[row] = np.bincount((codes >> np.uint64(17)) % _WIDTH, signed, _WIDTH)
    return F.normalize(torch.from_numpy(x), dim=1)


def _missing(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the longer text's trigrams missing in the other; 1 if lengths differ much."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    if len(shorter) < (1 - _MISSING) * len(longer):
        return 1.0
    codes = np.unique(longer)
    shared = np.minimum(
        np.searchsorted(longer, codes, "right") - np.searchsorted(longer, codes),
        np.searchsorted(shorter, codes, "right") - np.searchsorted(shorter, codes),
    ).sum()
    return 1 - float(shared) / len(longer)
