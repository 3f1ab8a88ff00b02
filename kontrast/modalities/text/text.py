"""Texts as token ids, of a learned vocabulary or of a pretrained tokenizer.

Axis letters: B rows, L tokens, R hashed features, U different tokens in a batch.
In a batch -1 is after the end, -2 between two texts of one row, and between a prompt and its answer.
"""

import html
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.factory import Range
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.text.export_entry import TextEntry
from kontrast.modalities.text.marks import BETWEEN, END
from kontrast.modalities.text.masking import MASKING
from kontrast.modalities.text.miniature import MINIATURE
from kontrast.modalities.text.recognise import recognise
from kontrast.modalities.text.remarks import remarks
from kontrast.modalities.text.tokenizer import learned, pretrained

MASKS = ("[MASK]", "<mask>")  # how tokenizers spell the token that hides another
RAW_WIDTH = 1024
_DELETION, _MOST = 0.15, 0.9  # share of tokens left out; the most that a strong view raises it to
_SHORT = (0.25, 0.5)  # share of the tokens in a local view
_FEWEST = 4  # tokens of a local view, if the text has them
_PAST = 0.5  # share of the tokens in a context view


class Text(Modality):
    """Sentences, captions, names, documents: strings, or lists of strings that say the same.

    A row of several texts (captions of one picture) shows one of them: drawn anew for each view in training, the first
    one otherwise.

    Args:
        tokenizer: Folder or hub name of a transformers tokenizer. None learns a byte-level BPE (Sennrich et al. 2016)
            from training rows, lower-cased and NFKC-normalised, so that any script works and no character is unknown.
        vocabulary: Largest number of tokens to learn; a pretrained tokenizer has its own.
        length: Tokens kept of a text. None: 64 (256 of a dialogue), or what a pretrained model takes, at most 256.
        deletion: Share of tokens left out in training (Wei, Zou 2019). None: 0.15, or 0 with a pretrained tokenizer,
            where the dropout of the model makes the views (SimCSE, Gao et al. 2021).
        turn: What ends a prompt, such as "Assistant:". A text is then a prompt up to the last of these and an
            answer after it, encoded apart, so that no token spans both; without one it is all answer. Strings of a list
            are joined by it. A long text loses the beginning of its prompt, then the end of its answer. None: a text is
            a text.

    Roles of views:
        global: a text of the row without the share `deletion` of its tokens.
        local: a span of a quarter to half of the tokens.
        weak: as global, with a third of `deletion`.
        strong: as global, with twice `deletion`; 0.3 if it is None.
        context: the first half of the tokens.
        original: the first text of the row, whole.

    Raises:
        UserError: a setting out of its range, or no readable tokenizer.

    Example:
        >>> text = Text()
        >>> items = [text.read(words, None) for words in ("a red fox", "a red dog")]
        >>> text.fit(items)
        >>> batch = text.collate([text.pack(item) for item in items])
        >>> len(text.preprocess(batch)), text.show(text.pack(items[0]))
        (2, 'a red fox')
    """

    encoder = "tokens"
    # League: trec .790 .684 (kNN, linear), TF-IDF .800 .840, MiniLM untouched .706 .904 (docs/benchmarks.md).
    alone = "from scratch TF-IDF is often as good, a pretrained encoder better: --encoder text=MODEL"
    axes = "BL"
    typed = True
    precedence = 90

    def __init__(
        self,
        *,
        tokenizer: str | None = None,
        vocabulary: Annotated[int, Range(300, 4_000_000)] = 8192,
        length: Annotated[int, Range(4, 1_000_000)] | None = None,
        deletion: float | None = None,
        turn: str | None = None,
    ) -> None:
        if vocabulary < 300:
            raise UserError(
                f"text: vocabulary={vocabulary}; expected at least 300, since 256 are the bytes themselves."
            )
        if length is not None and length < 4:
            raise UserError(f"text: length={length}; expected at least 4 tokens.")
        if deletion is not None and not 0 <= deletion < 1:
            raise UserError(f"text: deletion={deletion}; expected a share of tokens, 0 <= deletion < 1.")
        if turn == "":
            raise UserError("text: turn is empty; expected what ends a prompt, such as 'Assistant:', or None.")
        self.tokenizer, self.vocabulary, self.length, self.turn = tokenizer, vocabulary, length, turn
        self.deletion = deletion if deletion is not None else (0.0 if tokenizer else _DELETION)
        strong = 2 * (_DELETION if deletion is None else deletion)
        self._shares: dict[Role, float] = {
            "global": self.deletion,
            "local": 0.0,
            "weak": self.deletion / 3,
            "strong": max(self.deletion, min(_MOST, strong)),
            "context": 0.0,
        }
        self._coder: Tokenizer | None = None
        self._limit = length or (64 if turn is None else 256)
        self._documents = 0
        self._frequency: Tensor = torch.zeros(0)

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds texts, by its cells and its name."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Reads the texts of a row; numbers are written out.

        Args:
            cell: A string, a number, or a list of them.
            folder: Not used: a string is a text, never a file name.

        Returns:
            (n,) objects, the texts as strings.

        Raises:
            Unreadable: no text, or no string.
        """
        cells = cell.tolist() if isinstance(cell, np.ndarray) else cell
        cells = cells if isinstance(cells, list | tuple) else [cells]
        texts = [text for each in cells if each is not None and (text := _string(each)).strip()]
        if not texts:
            raise Unreadable("no text: it is empty or only white space")
        item = np.empty(len(texts), dtype=object)
        item[:] = texts
        return item

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Learns or loads the vocabulary, and counts the rows that hold each token."""
        if self.tokenizer:
            self._coder, most = pretrained(self.tokenizer)
            self._limit = self.length or min(most, 256)
        else:
            self._coder = learned((text for item in items for text in item), self.vocabulary)
        self._limited()
        frequency = np.zeros(self._coder.get_vocab_size(), dtype=np.int64)
        for item in items:
            ids = self.pack(item)
            frequency[np.unique(ids[ids >= 0])] += 1
        self._documents, self._frequency = len(items), torch.from_numpy(frequency)

    def pack(self, item: np.ndarray) -> np.ndarray:
        """Token ids of each text, -2 between two texts, or between prompt and answer: (L,) int32."""
        coder = self._fitted()
        if self.turn is not None:
            prompt, answer = (coder.encode(part, add_special_tokens=False).ids for part in self._turned(item))
            answer = answer[: self._limit]
            prompt = prompt[max(0, len(prompt) + len(answer) - self._limit) :]
            return np.array([*prompt, BETWEEN, *answer], dtype=np.int32)
        ids: list[int] = []
        for text in item:
            ids += ([BETWEEN] if ids else []) + (coder.encode(text).ids or [0])
        return np.array(ids, dtype=np.int32)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """Pads rows with -1 to the longest: (B, L) int64."""
        sizes = np.array([len(ids) for ids in packed], dtype=np.int64)
        batch = np.full((len(packed), sizes.max(initial=1)), END, dtype=np.int64)
        batch[np.arange(batch.shape[1]) < sizes[:, None]] = np.concatenate([*packed, np.empty(0, np.int32)])
        return torch.from_numpy(batch)

    def preprocess(self, batch: Tensor) -> Tensor:
        """First text of each row, or prompt and answer: (B, L) int64."""
        return _compact(batch, self._of_text(batch, torch.zeros_like(batch[:, 0])))

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """One random text per row without a random share of its tokens, or a part of it, by role: (B, L) int64.

        Special tokens and one other always stay.
        """
        if role == "original":
            return self.preprocess(batch)
        texts_B = _text_number(batch).max(1).values + 1
        drawn_B = (random_streams.uniform(random_streams.fork(key_B, 0), 1)[:, 0] * texts_B).long()
        kept = self._of_text(batch, drawn_B)
        share = self._shares[role]
        if not share and role not in ("local", "context"):
            return _compact(batch, kept)
        special = torch.isin(batch, torch.tensor([*self._special, BETWEEN], device=batch.device))
        if share:
            u = random_streams.uniform(random_streams.fork(key_B, 1), batch.shape[1])
            first = torch.zeros_like(kept).scatter_(1, u.masked_fill(~kept, -1).argmax(1, keepdim=True), True)
            kept &= (u >= share) | first | special
        if role == "local":
            kept &= _span(kept & ~special, random_streams.uniform(random_streams.fork(key_B, 2), 2)) | special
        elif role == "context":
            words = (kept & ~special).cumsum(1)
            kept &= (words <= (words[:, -1:] * _PAST).ceil()) | special
        return _compact(batch, kept)

    def raw(self, batch: Tensor) -> Tensor:
        """TF-IDF of tokens and the trigrams within them, hashed with signs: (B, 1024), length 1.

        Reference:
            Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
        """
        ids = self.preprocess(batch)
        there = ids >= 0
        tokens_U, where = ids[there].unique(return_inverse=True)
        count_BU = torch.zeros(len(ids), len(tokens_U), device=ids.device)
        count_BU.index_put_((there.nonzero()[:, 0], where), torch.ones(len(where), device=ids.device), accumulate=True)
        features_UR = self._hashed(tokens_U.tolist()).to(ids.device)
        # The root of the usual inverse document frequency, since frequent words matter in some data (who, how, where):
        # 10-NN of intents .834 with the root, .830 with the whole, .788 with none; kinds of question .732, .588, .818.
        idf_U = (((1 + self._documents) / (1 + self._frequency.to(ids.device)[tokens_U])).log() + 1).sqrt()
        return torch.nn.functional.normalize((count_BU.log1p() * idf_U) @ features_UR, dim=1)

    def export_entry(self) -> ExportEntry:
        """Inputs of an exported graph."""
        return TextEntry(self)

    @classmethod
    def masking(cls) -> Masking:
        """Masked tokens."""
        return MASKING

    @classmethod
    def miniature(cls) -> Miniature:
        """Bags of tokens."""
        return MINIATURE

    def dimensions(self, lengths: np.ndarray) -> str:
        """Tokens of rows."""
        return span(lengths, "tokens")

    def remarks(self, rows: Rows) -> list[Remark]:
        """Lengths of the texts against the number of tokens that the encoder reads."""
        return remarks(rows, self._limit)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Short sentences of a colour, an animal, a place and a number."""
        colours, animals, places = ("red", "blue", "grey"), ("fox", "owl", "wolf", "hare"), ("wood", "field", "snow")
        return [f"a {colours[k % 3]} {animals[k % 4]} in the {places[k % 5 % 3]} on day {k}" for k in range(n)]

    def show(self, packed: np.ndarray) -> str:
        """Renders the texts of a row as the tokenizer decodes them, escaped, one per line."""
        parts = np.split(packed, np.flatnonzero(packed == BETWEEN))
        texts = [self._fitted().decode(part[part >= 0].tolist()).strip() for part in parts]
        return "<br>".join(html.escape(text) for text in texts)

    def look(self, view: torch.Tensor) -> str:
        """Renders the tokens that a view keeps."""
        return self.show(view.cpu().numpy())

    def facts(self) -> Mapping[str, Any]:
        """Number of token ids (`vocabulary`), their `spellings`, the `special` ones, and the `mask` token if any."""
        coder = self._fitted()
        size = coder.get_vocab_size()
        spellings = tuple(coder.id_to_token(i) or "" for i in range(size))
        special = tuple(i for i in self._special if i >= 0)
        mask = next((i for i in special if spellings[i] in MASKS), None)
        return {"vocabulary": size, "spellings": spellings, "special": special, "mask": mask}

    def state(self) -> dict[str, Any]:
        """Length, token counts and the whole tokenizer, so that a run needs nothing else."""
        return {
            "tokenizer": json.loads(self._fitted().to_str()),
            "length": self._limit,
            "documents": self._documents,
            "frequency": self._frequency.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned.

        Raises:
            ValueError: a damaged tokenizer.
        """
        try:
            self._coder = Tokenizer.from_str(json.dumps(state["tokenizer"]))
        except Exception as error:  # the library raises bare exceptions for any damage
            raise ValueError(f"its tokenizer cannot be read: {error}") from error
        self._limit, self._documents = state["length"], state["documents"]
        self._frequency = torch.tensor(state["frequency"])
        self._limited()

    def _fitted(self) -> Tokenizer:
        if self._coder is None:
            raise UserError("text: the vocabulary is not known yet; call fit(items) or restore(state) first.")
        return self._coder

    def _limited(self) -> None:
        coder = self._fitted()
        coder.no_padding()
        if self.turn is None:
            coder.enable_truncation(self._limit)
        else:  # a prompt loses its beginning, which only `pack` can cut
            coder.no_truncation()
        self._special = [BETWEEN, *(i for i, token in coder.get_added_tokens_decoder().items() if token.special)]

    def _turned(self, item: np.ndarray) -> tuple[str, str]:
        """Prompt and answer of a row."""
        assert self.turn is not None
        text = self.turn.join(item)
        at = text.rfind(self.turn)
        at = 0 if at < 0 else at + len(self.turn)
        return text[:at], text[at:]

    def _of_text(self, batch: Tensor, number_B: Tensor) -> Tensor:
        """(B, L) bool: the tokens of one text of each row; of a dialogue all of them, and the mark between."""
        if self.turn is not None:
            return batch != END
        return (batch >= 0) & (_text_number(batch) == number_B[:, None])

    def _hashed(self, tokens: list[int]) -> Tensor:
        """(U, R): hashed features of each token and of the trigrams within it."""
        rows, columns, values = [], [], []
        for row, token in enumerate(tokens):
            spelled = self._fitted().id_to_token(token) or ""
            grams = [spelled[i : i + 3] for i in range(len(spelled) - 2)]
            for weight, part in ((1.0, f"#{token}"), *((0.5 / math.sqrt(len(grams)), gram) for gram in grams)):
                code = zlib.crc32(part.encode())
                rows.append(row)
                columns.append(code % RAW_WIDTH)
                values.append(weight if code & 0x10000 else -weight)
        features_UR = np.zeros((len(tokens), RAW_WIDTH), dtype=np.float32)
        np.add.at(features_UR, (np.array(rows, dtype=int), np.array(columns, dtype=int)), values)
        return torch.from_numpy(features_UR)


def _string(cell: Any) -> str:
    try:
        if isinstance(cell, bytes):
            return cell.decode("utf8")
        if isinstance(cell, str):
            return cell if cell.isascii() else cell.encode("utf8").decode("utf8")  # refuses halves of surrogate pairs
    except UnicodeError as error:
        raise Unreadable(f"no valid UTF-8: {error}") from error
    if isinstance(cell, int | float | np.number | np.bool_) and cell == cell:
        return str(cell)
    raise Unreadable(f"found {type(cell).__name__} {str(cell)[:40]!r}, expected a string, or a list of strings")


def _text_number(batch: Tensor) -> Tensor:
    """(B, L): number of the text within its row that a token belongs to."""
    return (batch == BETWEEN).cumsum(1)


def _span(words: Tensor, u_B2: Tensor) -> Tensor:
    """(B, L) bool: a random span of the words, from uniform draws of its share and its place."""
    number, count_B1 = words.cumsum(1) - 1, words.sum(1, keepdim=True)
    share_B1, at_B1 = u_B2[:, :1], u_B2[:, 1:]
    length = (count_B1 * (_SHORT[0] + (_SHORT[1] - _SHORT[0]) * share_B1)).floor()
    length = torch.maximum(length, count_B1.clamp_max(_FEWEST))
    start = ((count_B1 - length + 1) * at_B1).floor()
    return words & (number >= start) & (number < start + length)


def _compact(batch: Tensor, kept: Tensor) -> Tensor:
    """Moves the kept tokens to the front of their rows, -1 after them, and drops empty columns."""
    order = (~kept).to(torch.int8).argsort(dim=1, stable=True)[:, : max(1, int(kept.sum(1).max())) if len(batch) else 1]
    return batch.masked_fill(~kept, END).gather(1, order)
