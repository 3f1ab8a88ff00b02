"""Shared parts of tasks that predict texts: the field, its pieces, and tokens without gaps.

Axis letters: B rows, L tokens, V tokens of the vocabulary, S pieces of the longest token.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kontrast.core.errors import UserError, did_you_mean
from kontrast.encoders.encoder_info import EncoderInfo

_WORD_PIECE = "##"  # begins the later tokens of a word in a WordPiece vocabulary


def text_field(encoders: EncoderInfo, named: str | None, task: str) -> str:
    """The field whose texts a task predicts.

    Args:
        encoders: Facts of the encoders.
        named: The setting `text`; None: the only text field.
        task: Name of the task, for messages.

    Raises:
        UserError: No text field of that name, none at all, or several without a name.
    """
    texts = [field for field in encoders.fields if encoders.modalities.get(field) == "text"]
    if named is None and len(texts) == 1:
        return texts[0]
    if named in texts:
        return named
    found = ", ".join(f"{field} ({encoders.modalities.get(field)})" for field in encoders.fields)
    if named is not None:
        raise UserError(f"task '{task}' found {found}; text='{named}' is no text field{did_you_mean(named, texts)}")
    do = "name it with the setting text=COLUMN" if texts else "say which column is one: --field COLUMN=text"
    raise UserError(f"task '{task}' found {found}; expected one text field to predict: {do}.")


def pieces_of(facts: Mapping[str, Any], *, split: bool) -> Tensor:
    """Tokens that each token is spelled in: (V, S) int64, -1 after its end, and for special tokens.

    Args:
        facts: Facts of the text field.
        split: Whether tokens are split into those of one character, as far as the vocabulary has these all.
    """
    spellings = facts.get("spellings", ())
    single = {spelling: n for n, spelling in enumerate(spellings) if len(spelling) == 1}
    split = split and not any(spelling.startswith(_WORD_PIECE) for spelling in spellings)
    pieces = [[n] for n in range(facts["vocabulary"])]
    for n, spelling in enumerate(spellings):
        if split and spelling and all(letter in single for letter in spelling):
            pieces[n] = [single[letter] for letter in spelling]
    for n in facts.get("special", ()):
        pieces[n] = []
    longest = max(1, *map(len, pieces))
    return torch.tensor([line + [-1] * (longest - len(line)) for line in pieces])


def compact(x: Tensor) -> Tensor:
    """Moves what is not -1 to the front of each row (B, L), in its order."""
    return x.gather(1, (x < 0).to(torch.int8).argsort(dim=1, stable=True))
