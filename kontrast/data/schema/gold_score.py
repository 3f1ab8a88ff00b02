"""A gold score: the number beside two texts that says how alike they are, as in STS-B."""

import re
from collections.abc import Mapping, Sequence

_NAMES = ("score", "similarity", "similarity_score", "relatedness", "relatedness_score", "gold", "gold_score", "sim")
_NAMES = (*_NAMES, "sts", "sts_score", "label", "target", "rating")  # a label whose values are no whole numbers
_SIDE = re.compile(r"[ _-]?(1|2|a|b|one|two|left|right)$", re.IGNORECASE)


def gold(kinds: Mapping[str, str], numbers: Sequence[str]) -> str | None:
    """The column of scores where the data has just two texts and a number of that meaning, else None.

    Args:
        kinds: column -> what it is taken for.
        numbers: the columns of single numbers that are nothing else.

    Returns:
        The number with a telling name; else the only one, where the texts are called alike but for 1 and 2, or a and b.
    """
    views = [name for name, kind in kinds.items() if kind in ("text", "image", "series")]
    if len(views) != 2 or any(kinds[name] != "text" for name in views) or "score" in kinds.values():
        return None
    named = sorted((n for n in numbers if n.lower() in _NAMES), key=lambda n: _NAMES.index(n.lower()))
    if named:
        return named[0]
    stems = {_SIDE.sub("", name.lower()) for name in views}
    return numbers[0] if len(numbers) == 1 and len(stems) == 1 else None
