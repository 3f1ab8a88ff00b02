"""Tokenizers: a byte-level BPE learned from texts, or one that came with a pretrained model."""

import re
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from kontrast.core.errors import UserError, needs
from kontrast.modalities.pretrained import folder_of

NOTHING = "<nothing>"  # stands for a text that a tokenizer turns into no token at all
_LONG_WORD = re.compile(r"\S{256}")


def learned(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Trains a byte-level BPE.

    A merge needs two occurrences and stays within a word, so a tiny corpus gets a small vocabulary.
    """
    coder = Tokenizer(models.BPE())
    coder.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    coder.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        max_token_length=24,  # scripts without spaces: no token for a whole sentence
        special_tokens=[NOTHING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Merging takes the square of a word's length: 44 s for one cell of 200,000 letters. No token is as long as a piece.
    coder.train_from_iterator((_LONG_WORD.sub(r"\g<0> ", text) for text in texts), trainer)
    return coder


def pretrained(name: str) -> tuple[Tokenizer, int]:
    """Loads a transformers tokenizer by folder or hub name, and the number of tokens its model takes."""
    transformers = needs("transformers", "text")
    folder = folder_of(name, weights=False)
    try:
        found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises bare ones for any damage
        raise UserError(
            f"text: {folder} holds no tokenizer that can be read; expected tokenizer.json. "
            f"Found: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
    if not found.is_fast:
        raise UserError(
            f"text: the tokenizer in {folder} is none of the tokenizers library; expected tokenizer.json beside it."
        )
    return Tokenizer.from_str(found.backend_tokenizer.to_str()), found.model_max_length
