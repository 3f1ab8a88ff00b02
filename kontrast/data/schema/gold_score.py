"""Gold score: a number that says how similar two texts are (STS-B)."""

import re
from collections.abc import Mapping, Sequence

_NAMES = ("score", "similarity", "similarity_score", "relatedness", "relatedness_score", "gold", "gold_score", "sim")
_NAMES = (*_NAMES, "sts", "sts_score", "label", "target", "rating")  # `numbers` holds labels only if they are not whole
_SIDE = re.compile(r"[ _-]?(1|2|a|b|one|two|left|right)$", re.IGNORECASE)


def gold(views: Mapping[str, str], numbers: Sequence[str]) -> str | None:
    """Finds the column of gold scores, if the data has exactly two texts.

    Args:
        views: Column -> modality, of the columns that have one.
        numbers: Columns of single numbers without another kind.

    Returns:
        The number with a telling name; else the only one, if the names of the texts differ only in 1 and 2, or a and b.
        None if there is no such column.
    """
    if len(views) != 2 or set(views.values()) != {"text"}:
        return None
    named = sorted((n for n in numbers if n.lower() in _NAMES), key=lambda n: _NAMES.index(n.lower()))
    if named:
        return named[0]
    stems = {_SIDE.sub("", name.lower()) for name in views}
    return numbers[0] if len(numbers) == 1 and len(stems) == 1 else None
